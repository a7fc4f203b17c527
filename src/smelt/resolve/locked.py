"""From solutions to a lock file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from smelt.lock.identity import identity_hash, reference_of
from smelt.lock.model import (
    Lock,
    LockedEnvironment,
    LockedPackage,
    LockedPlatform,
    Reference,
    SourceLock,
    SourcePackage,
)
from smelt.lock.options import solve_options
from smelt.resolve.model import Candidate, Solution
from smelt.resolve.pins import inner_location, without_secrets
from smelt.types import CondaRecord, SourceLocation, spec_name
from smelt.workspace.model import EffectiveEnvironment, Workspace
from smelt.workspace.pypi import group_options


class LockBuilder:
    """Collects locked environments and the packages that they name."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._packages: dict[Reference, LockedPackage] = {}
        self._sources: dict[str, SourceLock] = {}
        self._environments: dict[str, dict[str, tuple[Reference, ...]]] = {}
        self._kept: set[tuple[str, str]] = set()
        # a record is in many environments, and is the same object in all of them; holding it keeps its id its own
        self._references_of: dict[int, tuple[CondaRecord, Reference]] = {}
        # in the same way, a package that many are built with is one object in the environments of all of them
        self._built: dict[int, tuple[Candidate, Reference]] = {}
        self._old_indexes: dict[str, Mapping[str, object]] = {}

    def add(self, environment: str, platform: str, solution: Solution) -> None:
        """An environment as it was solved for a platform."""
        for package in solution.pypi:
            self._packages.setdefault(package.reference, package)
        pypi = sorted(package.reference for package in solution.pypi)
        self._environments.setdefault(environment, {})[platform] = (*self._references(solution), *pypi)

    def keep(self, environment: str, platform: str, lock: Lock) -> None:
        """An environment as it stands in an older lock, with all that its packages were built with.

        A platform for which nothing is required need not be in the older lock.
        """
        locked = lock.environments[environment]
        self._kept.add((environment, platform))
        if locked.indexes is not None:
            self._old_indexes[environment] = locked.indexes
        references = locked.packages.get(platform, ())
        self._environments.setdefault(environment, {})[platform] = references
        waiting = list(references)
        while waiting:
            reference = waiting.pop()
            package = lock.packages[reference]
            if isinstance(package, CondaRecord):
                self._binary(package, kept=True)
                continue
            if reference in self._packages:
                continue
            self._packages[reference] = package
            if isinstance(package, SourcePackage):
                waiting += [*package.build_packages, *package.host_packages]
                if package.identifier in lock.sources:
                    self._sources[package.identifier] = lock.sources[package.identifier]

    def finish(self) -> Lock:
        """The lock: environments and platforms of the workspace that were added or kept."""
        workspace = self._workspace
        environments = {
            name: LockedEnvironment(
                channels=_channels(workspace, name),
                packages={p.name: packages[p.name] for p in workspace.platforms if p.name in packages},
                options=solve_options(next(_effective(workspace, name))),
                indexes=self._indexes(name, packages),
            )
            for name, packages in self._environments.items()
        }
        used = {platform for packages in self._environments.values() for platform in packages}
        return Lock(
            version=7,
            platforms=tuple(
                LockedPlatform(
                    name=platform.name,
                    subdir=platform.subdir,
                    virtual_packages=tuple(str(package) for package in platform.virtual_packages),
                )
                for platform in workspace.platforms
                if platform.name in used
            ),
            environments=environments,
            packages=self._packages,
            sources=self._sources,
        )

    def _references(self, solution: Solution) -> tuple[Reference, ...]:
        found: list[Reference] = []
        for record in solution.records:
            candidate = solution.chosen.get(record.name)
            found.append(self._source(candidate) if candidate is not None else self._binary(record))
        return tuple(sorted(found))

    def _binary(self, record: CondaRecord, *, kept: bool = False) -> Reference:
        known = self._references_of.get(id(record))
        if known is not None and self._packages.get(known[1]) is record:
            return known[1]
        reference = reference_of(record)
        self._references_of[id(record)] = (record, reference)
        held = self._packages.get(reference)
        if isinstance(held, CondaRecord) and held.sha256 == record.sha256:
            # The same package may be known with run-exports (from a host environment) and without, and with package
            # URLs (from an environment with PyPI packages) and without.
            exports = held.run_exports if held.run_exports is not None else record.run_exports
            purls = held.purls if held.purls is not None else record.purls
            if exports is not held.run_exports or purls is not held.purls:
                self._packages[reference] = replace(held, run_exports=exports, purls=purls)
        elif held is None or not kept:
            # A file that was replaced in its channel is in older parts of the lock with another hash: what was solved
            # now counts.
            self._packages[reference] = record
        return reference

    def _indexes(self, environment: str, packages: Mapping[str, tuple[Reference, ...]]) -> Mapping[str, object] | None:
        """Only environments with PyPI packages say which indexes they were solved with."""
        if not any(reference.kind == "pypi" for references in packages.values() for reference in references):
            return None
        from smelt.lock.pypi_index import to_indexes
        from smelt.solve.pypi_uv import configured_index

        old = self._old_indexes.get(environment)
        if old is not None and self._kept.issuperset((environment, platform) for platform in packages):
            return old
        options = group_options(self._workspace, environment)
        return to_indexes(options, options.index_url or configured_index())

    def _source(self, candidate: Candidate) -> Reference:
        known = self._built.get(id(candidate))
        if known is None:
            known = self._built[id(candidate)] = (candidate, self._written(candidate))
        return known[1]

    def _written(self, candidate: Candidate) -> Reference:
        build, host = self._references(candidate.build), self._references(candidate.host)
        variant, metadata = candidate.variant, candidate.metadata
        immutable = candidate.requirement.folder is None
        package = SourcePackage(
            name=variant.name,
            hash=identity_hash(variant.variant, build, host),
            location=candidate.location,
            version=variant.version if immutable else None,
            build=variant.build if immutable else "",
            build_number=variant.build_number if immutable else 0,
            subdir=variant.subdir if immutable else None,
            noarch=variant.noarch if immutable else None,
            variants=dict(variant.variant),
            depends=metadata.depends,
            constrains=metadata.constrains,
            license=variant.license,
            license_family=variant.license_family if immutable else None,
            run_exports=metadata.run_exports,
            source=candidate.source,
            source_depends=_source_depends(candidate),
            build_packages=build,
            host_packages=host,
        )
        self._packages[package.reference] = package
        self._sources[package.identifier] = SourceLock(
            version=variant.version,
            build=variant.build,
            build_number=variant.build_number,
            subdir=variant.subdir,
            noarch=variant.noarch,
            backend=variant.backend,
            backend_version=variant.backend_version,
            metadata_digest=variant.metadata_digest,
            profile=candidate.profile,
            pypi=_pypi(candidate),
            source_digest=candidate.checkout.digest,
            variant_constraints=None if self._workspace.variant_constraints else "off",
            build_platform=candidate.build_platform,
        )
        return package.reference


def _pypi(candidate: Candidate) -> str | None:
    source = candidate.package.source
    return source.pypi if source is not None else None


def _source_depends(candidate: Candidate) -> Mapping[str, SourceLocation]:
    run = {spec_name(spec) for spec in candidate.metadata.depends}
    outer = candidate.requirement.location
    wanted = candidate.variant.source_requirements.items()
    return {name: without_secrets(inner_location(outer, at, name)) for name, at in wanted if name in run}


def _channels(workspace: Workspace, environment: str) -> tuple[str, ...]:
    channels: dict[str, None] = {}
    for effective in _effective(workspace, environment):
        channels.update(dict.fromkeys(effective.channels))
    return tuple(channels)


def _effective(workspace: Workspace, environment: str) -> Iterator[EffectiveEnvironment]:
    for platform in workspace.platforms_of(environment):
        yield workspace.effective[environment, platform.name]
