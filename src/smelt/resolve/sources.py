"""The source packages of a lock, found again in the workspace."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from smelt.errors import LockOutdatedError
from smelt.lock.model import Lock, Reference, SourcePackage
from smelt.resolve.groups import Pair, context_of, members_of, source_requirements
from smelt.resolve.model import Context, SourceRequirement, variant_record
from smelt.resolve.packages import LoadedPackage, PackageLoader
from smelt.resolve.pins import SourcePins
from smelt.resolve.unrecorded import Matches, difference, other_extras
from smelt.source.model import FinalMetadata, RenderedVariant
from smelt.types import NOARCH, CondaRecord
from smelt.workspace.model import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedVariant:
    """A locked source package with its package and its rendered variant as they are now."""

    locked: SourcePackage
    loaded: LoadedPackage
    variant: RenderedVariant
    context: Context


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcesToday:
    """What locked source packages are today, by identifier.

    ``digests``: of their metadata, ``records``: as binaries; both leave out variants that the workspace no longer has.
    ``differences``: for those of which the lock does not say what they were rendered from, what else in it is no longer
    true (None: nothing).
    """

    digests: Mapping[str, str]
    records: Mapping[str, CondaRecord]
    differences: Mapping[str, str | None]


class LockedSources:
    """Finds what locked source packages are today; every package is loaded and rendered once."""

    def __init__(self, workspace: Workspace, lock: Lock, loader: PackageLoader) -> None:
        self._workspace = workspace
        self._lock = lock
        self._loader = loader
        self._contexts: dict[Pair, Context] = {}
        self._known: dict[Pair, dict[tuple[str, str], SourceRequirement]] = {}

    def find(self, pair: Pair, package: SourcePackage) -> LockedVariant | None:
        """What ``package``, locked for ``pair``, is today; None if the workspace has no such variant any more.

        Raises what loading and rendering raise.
        """
        requirement = self._requirements(pair).get((package.name, package.location))
        if requirement is None:
            return None
        context = self._context(pair)
        wanted = {key: str(value) for key, value in package.variants.items()}
        rendered = self._loader.render_anywhere(requirement, context)
        fitting = [each for each in rendered if {key: str(value) for key, value in each[0].variant.items()} == wanted]
        if not fitting:
            return None
        # a noarch package may be for the environment or for a build environment, and its recipe may tell the platforms
        own = self._lock.sources.get(package.identifier)
        same = [each for each in fitting if own is not None and each[0].metadata_digest == own.metadata_digest]
        variant, where = (same or fitting)[0]
        return LockedVariant(locked=package, loaded=self._loader.load(requirement), variant=variant, context=where)

    def must_find(self, pair: Pair, package: SourcePackage) -> LockedVariant:
        """Like ``find``; raises LockOutdatedError where there is none."""
        found = self.find(pair, package)
        if found is None:
            raise LockOutdatedError(
                f"environment `{pair[0]}` is locked with a variant of source package `{package.name}` "
                "that the workspace no longer has",
                help="run `smelt lock`",
            )
        return found

    def of(self, pair: Pair) -> list[SourcePackage]:
        """All source packages that an environment has on a platform, those it is built with included."""
        found: dict[Reference, SourcePackage] = {}
        environment = self._lock.environments.get(pair[0])
        waiting = list(environment.packages.get(pair[1], ())) if environment is not None else []
        while waiting:
            reference = waiting.pop(0)
            package = self._lock.packages[reference]
            if isinstance(package, SourcePackage) and reference not in found:
                found[reference] = package
                waiting += [*package.build_packages, *package.host_packages]
        return list(found.values())

    def today(self, pairs: Iterable[Pair], matches: Matches) -> SourcesToday:
        """What each locked source package is today. Raises what loading and rendering raise."""
        digests: dict[str, str] = {}
        records: dict[str, CondaRecord] = {}
        unrecorded: dict[str, LockedVariant] = {}
        others: dict[str, str | None] = {}
        for pair in pairs:
            if pair not in self._workspace.effective:
                continue
            changed = self._other_extras(pair)
            others |= changed
            for package in self.of(pair) if not changed else ():
                today = self.find(pair, package)
                if today is None:
                    continue
                digests[package.identifier] = today.variant.metadata_digest
                records[package.identifier] = _record(today)
                own = self._lock.sources.get(package.identifier)
                elsewhere = self._built_elsewhere(today)
                if elsewhere is not None:
                    others[package.identifier] = elsewhere
                elif own is None:
                    unrecorded[package.identifier] = today
                elif (own.variant_constraints is None) != self._workspace.variant_constraints:
                    others[package.identifier] = "the setting `variant-constraints` is another one"
        differences = {
            identifier: difference(today.locked, today.variant, self._lock.packages, records, matches)
            for identifier, today in unrecorded.items()
        }
        return SourcesToday(digests=digests, records=records, differences=differences | others)

    def _built_elsewhere(self, today: LockedVariant) -> str | None:
        """That a package is locked to be built on another platform than the workspace says; None where it is not."""
        own, context = self._lock.sources.get(today.locked.identifier), today.context
        expected = context.build_subdir if today.variant.noarch is None else None
        if own is not None and own.build_platform != expected:
            return f"it is locked to be built on {own.build_platform or context.subdir}, not on {context.builds_on}"
        for references, subdir in (
            (today.locked.build_packages, context.builds_on),
            (today.locked.host_packages, context.of_host(today.variant).subdir),
        ):
            for package in (self._lock.packages[each] for each in references):
                if not isinstance(package, CondaRecord) or package.channel is None:
                    continue
                if package.subdir not in (subdir, NOARCH):
                    return f"it is locked to be built with {package.name} for {package.subdir}, not for {subdir}"
        return None

    def _other_extras(self, pair: Pair) -> dict[str, str | None]:
        """The source packages that the environment asks for and that have other extra groups than were locked."""
        found: dict[str, str | None] = {}
        dependencies = self._workspace.effective[pair].dependencies
        for requirement in source_requirements(self._workspace, dependencies):
            # what is pinned cannot have changed without another pin
            for package in self.of(pair) if requirement.folder is not None else ():
                if package.name == requirement.name:
                    loaded = self._loader.load(requirement)
                    reason = other_extras(package, loaded.package)
                    if reason is not None:
                        found[package.identifier] = reason
        return found

    def _context(self, pair: Pair) -> Context:
        found = self._contexts.get(pair)
        if found is None:
            found = context_of(self._workspace, members_of(self._workspace, pair))
            self._contexts[pair] = found
        return found

    def _requirements(self, pair: Pair) -> dict[tuple[str, str], SourceRequirement]:
        """Every source package that the environment can reach, by name and location text."""
        known = self._known.get(pair)
        if known is not None:
            return known
        found: dict[tuple[str, str], SourceRequirement] = {}
        effective = self._workspace.effective.get(pair)
        waiting = list(source_requirements(self._workspace, effective.dependencies)) if effective else []
        # an environment has the commits that it was locked with, also where another one has newer ones
        pins = SourcePins.of_packages(self.of(pair))
        while waiting:
            requirement = waiting.pop()
            if requirement.pinned is None and requirement.folder is None and requirement.location.pypi is None:
                pinned = pins.place(requirement.location, requirement.base)
                requirement = replace(requirement, pinned=pinned)
            key = (requirement.name, self._loader.load(requirement).location)
            if key in found:
                continue
            found[key] = requirement
            for variant, _ in self._loader.render_anywhere(requirement, self._context(pair)):
                waiting += self._loader.requirements_of(requirement, variant)
        self._known[pair] = found
        return found


def _record(today: LockedVariant) -> CondaRecord:
    locked = today.locked
    metadata = FinalMetadata(depends=locked.depends, constrains=locked.constrains, run_exports=locked.run_exports)
    return variant_record(today.variant, metadata, f"smelt:{locked.identifier}")
