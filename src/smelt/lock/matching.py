"""Locked packages against requirements, each question asked once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from operator import attrgetter
from typing import cast

from smelt.lock.matcher import Matcher
from smelt.lock.model import SourceLock, SourcePackage
from smelt.lock.requirement import Requirement, describe, from_spec, parse_requirement
from smelt.types import CondaRecord, CondaSpec, VirtualPackage

LockedConda = CondaRecord | SourcePackage
_NAME: Callable[[Requirement], str] = attrgetter("name")


class Needs:
    """The requirements of a package. ``names``: of each, what it is on; ``ids``: of each, its ``id``.

    ``simple``: none of them has extras or a condition. ``held``: the packages that met them the last time.
    """

    __slots__ = ("held", "ids", "names", "requirements", "simple")

    def __init__(self, requirements: tuple[Requirement, ...], special: set[int]) -> None:
        # loops in C: a large lock has a hundred thousand requirements
        self.requirements = requirements
        self.names = tuple(map(_NAME, requirements))
        self.ids = tuple(map(id, requirements))
        self.simple = special.isdisjoint(self.ids)
        self.held: tuple[LockedConda | VirtualPackage | None, ...] | None = None


class Matching:
    """The matcher with what it has answered before: one for all environments of a check."""

    def __init__(self, matcher: Matcher) -> None:
        self._matcher = matcher
        # Records and packages are frozen and kept alive here, so their identity can stand for them.
        self._answers: dict[tuple[str, int], tuple[bool, CondaRecord]] = {}
        self._parsed: dict[str, Requirement] = {}
        self._special: set[int] = set()
        self._needs: dict[int, tuple[LockedConda, Needs]] = {}
        self._wanted: dict[tuple[str, int], tuple[CondaSpec, tuple[Requirement, str]]] = {}
        self._virtual: dict[int, tuple[VirtualPackage, VirtualPackage]] = {}
        self._kept: dict[int, object] = {}
        self.met: set[tuple[int, int]] = set()
        """The ``id`` of a requirement in ``needs`` and that of a package that is known to meet it."""
        self._sources: dict[int, tuple[SourcePackage, CondaRecord | None]] = {}

    def parse(self, text: str) -> Requirement:
        """A requirement in MatchSpec text. Raises ValueError."""
        known = self._parsed.get(text)
        if known is None:
            known = self._parsed[text] = parse_requirement(text)
            if known.extras or known.condition is not None:
                self._special.add(id(known))
        return known

    def needs(self, package: LockedConda) -> Needs:
        """The requirements of a package, without its extras. Raises ValueError."""
        known = self._needs.get(id(package))
        if known is None:
            found = tuple(map(self._parsed.get, package.depends))  # most were seen before
            parsed = cast("tuple[Requirement, ...]", found) if all(found) else tuple(map(self.parse, package.depends))
            needs = Needs(parsed, self._special)
            known = self._needs[id(package)] = (package, needs)
        return known[1]

    def wanted(self, name: str, spec: CondaSpec) -> tuple[Requirement, str]:
        """A requirement of the manifest, and what messages call it. Raises ValueError."""
        known = self._wanted.get((name, id(spec)))
        if known is None:
            known = self._wanted[name, id(spec)] = (spec, (from_spec(name, spec), describe(name, spec)))
        return known[1]

    def meets(self, requirement: Requirement, package: LockedConda | VirtualPackage) -> None:
        """Keep in ``met`` that ``package`` was found to meet a requirement that ``parse`` has given."""
        self._kept[id(package)] = package
        self.met.add((id(requirement), id(package)))

    def solver_view(self, package: VirtualPackage) -> VirtualPackage:
        """A virtual package as the solver sees it: the same object for the same one."""
        # Declared (and locked) as ``__archspec=0=x86_64``, solved with as ``__archspec 1 x86_64``.
        if package.name != "__archspec":
            return package
        known = self._virtual.get(id(package))
        if known is None:
            known = self._virtual[id(package)] = (package, replace(package, version="1"))
        return known[1]

    def matches(self, requirement: Requirement, record: CondaRecord) -> bool:
        """Whether a record satisfies a requirement."""
        key = (requirement.text, id(record))
        known = self._answers.get(key)
        if known is None:
            quick = requirement.quick.matches(record.version, record.build) if requirement.quick is not None else None
            if quick is None:
                quick = self._matcher.matches(requirement.text, record)
            known = self._answers[key] = (quick and record.name.lower() == requirement.name, record)
        return known[0]

    def matches_virtual(self, requirement: Requirement, package: VirtualPackage) -> bool:
        """Whether a virtual package satisfies a requirement."""
        if package.name != requirement.name:
            return False
        quick = requirement.quick.matches(package.version, package.build) if requirement.quick is not None else None
        return quick if quick is not None else self._matcher.matches_virtual(requirement.text, package)

    def source_record(
        self, package: SourcePackage, own: SourceLock | None, now: CondaRecord | None
    ) -> CondaRecord | None:
        """A source package as a record to match against; None where its version is not known."""
        known = self._sources.get(id(package))
        if known is None:
            known = self._sources[id(package)] = (package, now or _as_record(package, own))
        return known[1]


def _as_record(package: SourcePackage, own: SourceLock | None) -> CondaRecord | None:
    version, build, number, subdir, noarch = (
        (own.version, own.build, own.build_number, own.subdir, own.noarch)
        if own is not None
        else (package.version, package.build, package.build_number, package.subdir, package.noarch)
    )
    if version is None or subdir is None:
        return None
    return CondaRecord(
        name=package.name,
        version=version,
        build=build,
        build_number=number,
        subdir=subdir,
        noarch=noarch,
        url=f"source:{package.name}",
        file_name=f"{package.name}-{version}-{build}.conda",
        channel=None,
        depends=package.depends,
        constrains=package.constrains,
        flags=package.flags,
        track_features=package.track_features,
        features=package.features,
        license=package.license,
        purls=package.purls if package.purls is not None else (),
    )
