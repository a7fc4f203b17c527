"""From the requirements of an environment through its locked packages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import filterfalse
from operator import is_
from pathlib import Path

from smelt.lock.matching import LockedConda, Matching, Needs
from smelt.lock.model import Lock, SourcePackage
from smelt.lock.requirement import Both, Condition, Requirement, describe, from_spec
from smelt.lock.sources import folder_of, source_mismatch
from smelt.manifest.positions import KeyPath
from smelt.text import Place
from smelt.types import CondaRecord, CondaSpec, SourceLocation, VirtualPackage
from smelt.workspace.channel import channel_url, is_path
from smelt.workspace.model import Dependency


@dataclass(frozen=True, slots=True)
class Problem:
    """What does not fit, and where it is asked for: ``place``, or for PyPI requirements the key path ``at``."""

    code: str
    reason: str
    place: Place | None = None
    at: KeyPath = ()


def _origin(package: LockedConda | None) -> str:
    """Who requires something, in messages; None is the environment itself."""
    if package is None:
        return "<environment>"
    return package.file_name if isinstance(package, CondaRecord) else f"{package.name} @ {package.location}"


def _unsatisfied(text: str, origin: str) -> Problem:
    return Problem("unsatisfied", f"the requirement '{text}' could not be satisfied (required by '{origin}')")


def _elsewhere(spec: CondaSpec, package: LockedConda | None) -> Problem | None:
    """A binary from another channel or for another subdir than the manifest asks for: no matcher looks at those."""
    if not isinstance(package, CondaRecord):
        return None
    if spec.subdir is not None and package.subdir != spec.subdir:
        return Problem(
            "other-subdir", f"the locked package '{package}' is of subdir {package.subdir}, {spec.subdir} is asked for"
        )
    # very old locks name channels without an address, and a path would have to be known from where it is seen
    if spec.channel is None or is_path(spec.channel) or package.channel is None or "://" not in package.channel:
        return None
    wanted = channel_url(spec.channel, Path())
    if wanted.rstrip("/") == package.channel.rstrip("/"):
        return None
    return Problem(
        "other-channel", f"the locked package '{package}' is from {package.channel}, the channel asked for is {wanted}"
    )


class Walk:
    """One environment on one platform: ``conda`` maps normalised names to its locked packages."""

    def __init__(
        self,
        conda: Mapping[str, LockedConda],
        lock: Lock,
        virtual_packages: Sequence[VirtualPackage],
        matching: Matching,
        source_records: Mapping[str, CondaRecord],
    ) -> None:
        self._conda = conda
        self._lock = lock
        self._virtual = {package.name: matching.solver_view(package) for package in virtual_packages}
        self._held: Mapping[str, LockedConda | VirtualPackage] = {**self._virtual, **conda}
        self._matching = matching
        self._source_records = source_records
        # The packages that were reached, and those of them whose requirements were gone through.
        self._visited: set[str] = set()
        self._followed: set[str] = set()
        # Per package the extras that are or were to be followed, and those that still are.
        self._extras: dict[str, set[str]] = {}
        self._todo: dict[str, set[str]] = {}
        # The requirement of the manifest from which a package was reached first.
        self._places: dict[str, Place] = {}
        self._from_source: set[str] = set()

    def constraints(self, constraints: Sequence[Dependency]) -> Problem | None:
        """Constraints bind what is locked as a binary; they ask for nothing."""
        for constraint in constraints:
            package = self._conda.get(constraint.name.lower())
            if isinstance(package, CondaRecord):
                requirement = from_spec(constraint.name, constraint.spec)
                if not self._matching.matches(requirement, package):
                    text = describe(constraint.name, constraint.spec)
                    return Problem(
                        "constraint",
                        f"the locked package '{package}' violates the constraint '{text}'",
                        constraint.place,
                    )
        return None

    def requirements(self, dependencies: Sequence[Dependency]) -> Problem | None:
        """Every requirement of the environment, and of every package that it reaches."""
        waiting: list[str] = []
        for dependency in dependencies:
            name, spec = dependency.name, dependency.spec
            try:
                requirement, text = self._matching.wanted(name, spec)
            except ValueError as error:
                return Problem("unsatisfied", str(error), dependency.place)
            if requirement.condition is not None and not self._holds(requirement.condition):
                continue
            problem = (
                self._need_source(requirement, spec.location, ".", text, _origin(None))
                if spec.location is not None
                else self._need(requirement, text, None) or _elsewhere(spec, self._conda.get(requirement.name))
            )
            if problem is not None:
                return Problem(problem.code, problem.reason, dependency.place)
            if dependency.place is not None:
                self._places.setdefault(requirement.name, dependency.place)
            self._visit(requirement, waiting)
        while waiting:
            name = waiting.pop()
            problem = self._depends_of(name, waiting)
            if problem is not None:
                return replace(problem, place=self._places.get(name))
        return None

    @property
    def visited(self) -> frozenset[str]:
        """The packages that were reached so far."""
        return frozenset(self._visited)

    def follow(self, name: str) -> Problem | None:
        """Go through a package that something outside of conda asks for, by its normalised name."""
        if name in self._visited:
            return None
        self._visited.add(name)
        waiting = [name]
        while waiting:
            problem = self._depends_of(waiting.pop(), waiting)
            if problem is not None:
                return problem
        return None

    def source_record(self, package: SourcePackage) -> CondaRecord | None:
        """A source package as a record; None where its version is not known."""
        return self._source_record(package)

    def left_over(self) -> Problem | None:
        """Packages that nothing requires, and sources where only a binary is required."""
        unused = sorted(package.name for name, package in self._conda.items() if name not in self._visited)
        if unused:
            return Problem(
                "superfluous", f"there are packages in the lock file that nothing requires: {', '.join(unused)}"
            )
        for name, package in self._conda.items():
            if isinstance(package, SourcePackage) and name not in self._from_source:
                return Problem(
                    "unwanted-source",
                    f"package '{package.name}' is locked as source, but is only required as binary",
                )
        return None

    def sources_changed(
        self, digests: Mapping[str, str] | None, differences: Mapping[str, str | None]
    ) -> Problem | None:
        """Source packages whose metadata is no longer what was locked, also in build and host environments."""
        if digests is None:
            return None
        waiting = [package for package in self._conda.values() if isinstance(package, SourcePackage)]
        seen: set[str] = set()
        while waiting:
            package = waiting.pop()
            if package.identifier in seen:
                continue
            seen.add(package.identifier)
            own = self._lock.sources.get(package.identifier)
            now = digests.get(package.identifier)
            unknown = "the lock file does not say what it was rendered from" if own is None else None
            changed = differences.get(package.identifier, unknown)
            if now is None and changed in (None, unknown):
                return Problem(
                    "source-changed", f"the source package '{package.name}' no longer has the locked variant"
                )
            if changed is not None:
                return Problem("source-changed", f"the source package '{package.name}' has changed: {changed}")
            if own is not None and now != own.metadata_digest:
                return Problem(
                    "source-changed",
                    f"the requirements or metadata of the source package '{package.name}' have changed",
                )
            for reference in (*package.build_packages, *package.host_packages):
                inner = self._lock.packages[reference]
                if isinstance(inner, SourcePackage):
                    waiting.append(inner)
        return None

    def _depends_of(self, name: str, waiting: list[str]) -> Problem | None:
        package = self._conda[name]
        extras = self._todo.pop(name, ())
        try:
            needs = self._matching.needs(package) if name not in self._followed else None
            requirements = needs.requirements if needs is not None else ()
            if extras:
                more = [text for extra in sorted(extras) for text in package.extra_depends.get(extra, ())]
                requirements = (*requirements, *map(self._matching.parse, more))
        except ValueError as error:
            return Problem("unsatisfied", f"{error} (required by '{_origin(package)}')")
        self._followed.add(name)
        if needs is not None and needs.simple and not extras and isinstance(package, CondaRecord):
            # nearly all that is walked through, and mostly met in another environment or on another platform already
            held = tuple(map(self._held.get, needs.names))
            if needs.held is None or not all(map(is_, needs.held, held)):
                problem = self._need_all(needs, held, package)
                if problem is not None:
                    return problem
            place = self._places.get(name)
            for needed in filterfalse(self._visited.__contains__, needs.names):
                if needed in self._conda:
                    self._visited.add(needed)
                    waiting.append(needed)
                    if place is not None:
                        self._places.setdefault(needed, place)
            return None
        from_source: Mapping[str, SourceLocation] = package.source_depends if isinstance(package, SourcePackage) else {}
        for requirement in requirements:
            if requirement.condition is not None and not self._holds(requirement.condition):
                continue
            needed = requirement.name
            if needed in from_source:
                base = folder_of(package) if isinstance(package, SourcePackage) else "."
                problem = self._need_source(requirement, from_source[needed], base, requirement.text, _origin(package))
            else:
                problem = self._need(requirement, requirement.text, package)
            if problem is not None:
                return problem
            self._reach(needed, name, waiting)
            if requirement.extras:
                self._visit(requirement, waiting)
        return None

    def _need_all(
        self, needs: Needs, held: tuple[LockedConda | VirtualPackage | None, ...], by: LockedConda
    ) -> Problem | None:
        matching = self._matching
        if not all(map(matching.met.__contains__, zip(needs.ids, map(id, held), strict=True))):
            for requirement, package in zip(needs.requirements, held, strict=True):
                if (id(requirement), id(package)) in matching.met:
                    continue
                problem = self._need(requirement, requirement.text, by)
                if problem is not None:
                    return problem
                if package is not None:
                    matching.meets(requirement, package)
        needs.held = held
        return None

    def _reach(self, name: str, by: str, waiting: list[str]) -> None:
        """Queue a package that ``by`` requires, if it was not reached before."""
        if name not in self._visited and name in self._conda:
            self._visited.add(name)
            waiting.append(name)
            if by in self._places:
                self._places.setdefault(name, self._places[by])

    def _visit(self, requirement: Requirement, waiting: list[str]) -> None:
        """Queue the requirements of a package, and those of extras that were not followed yet."""
        name = requirement.name
        if name not in self._conda:
            return
        first = name not in self._visited
        self._visited.add(name)
        new = set(requirement.extras).difference(self._extras.get(name, ()))
        if new:
            self._extras.setdefault(name, set()).update(new)
            self._todo.setdefault(name, set()).update(new)
        if first or new:
            waiting.append(name)

    def _need(self, requirement: Requirement, text: str, by: LockedConda | None) -> Problem | None:
        package = self._conda.get(requirement.name)
        if package is None:
            virtual = self._virtual.get(requirement.name)
            if virtual is not None and self._matching.matches_virtual(requirement, virtual):
                return None
        elif isinstance(package, CondaRecord):
            if self._matching.matches(requirement, package):
                return None
        else:
            return self._matches_source(requirement, package, text, _origin(by))
        return _unsatisfied(text, _origin(by))

    def _need_source(
        self, requirement: Requirement, location: SourceLocation, base: str, text: str, origin: str
    ) -> Problem | None:
        self._from_source.add(requirement.name)
        package = self._conda.get(requirement.name)
        if package is None:
            return Problem("missing-source", f"no package named '{requirement.name}' exists (required by '{origin}')")
        if isinstance(package, CondaRecord):
            return Problem(
                "source-is-binary",
                f"the required source package '{package.name}' is locked as binary (required by '{origin}')",
            )
        why = source_mismatch(package, self._lock.sources.get(package.identifier), location, base)
        if why is not None:
            return Problem(
                "source-location",
                f"the locked source package '{package.name}' does not match the requested one: {why}",
            )
        return self._matches_source(requirement, package, text, origin)

    def _matches_source(
        self, requirement: Requirement, package: SourcePackage, text: str, origin: str
    ) -> Problem | None:
        if requirement.any_version:
            return None
        record = self._source_record(package)
        if record is None:
            return Problem(
                "source-unknown",
                f"the lock file does not say which version the source package '{package.name}' has, "
                f"and '{requirement.text}' is required",
            )
        return None if self._matching.matches(requirement, record) else _unsatisfied(text, origin)

    def _source_record(self, package: SourcePackage) -> CondaRecord | None:
        own = self._lock.sources.get(package.identifier)
        return self._matching.source_record(package, own, self._source_records.get(package.identifier))

    def _holds(self, condition: Condition) -> bool:
        if isinstance(condition, Both):
            left = self._holds(condition.left)
            if condition.kind == "and":
                return left and self._holds(condition.right)
            return left or self._holds(condition.right)
        package = self._conda.get(condition.name)
        record = self._source_record(package) if isinstance(package, SourcePackage) else package
        if record is not None and self._matching.matches(condition, record):
            return True
        virtual = self._virtual.get(condition.name)
        return virtual is not None and self._matching.matches_virtual(condition, virtual)
