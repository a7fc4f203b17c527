"""What the resolver passes around: goals, candidates, solutions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from smelt.lock.model import BuildSource, PypiPackage
from smelt.source.model import Checkout, FinalMetadata, RenderedVariant
from smelt.types import CondaRecord, SourceLocation, VirtualPackage
from smelt.workspace.model import Profile
from smelt.workspace.package import Package


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRequirement:
    """A requirement on a source package: its name and where it is.

    ``location`` is relative to ``base`` (absolute folder) where it is a path. ``inline`` is the definition
    given with the dependency, if there is one. ``pinned``: the commit or archive to take, where that is decided.
    """

    name: str
    location: SourceLocation
    base: Path
    inline: Package | None = field(default=None, hash=False, compare=False)
    pinned: BuildSource | None = field(default=None, hash=False, compare=False)
    _folder: Path | None = field(init=False, repr=False, hash=False, compare=False)

    def __post_init__(self) -> None:
        # asked for many times, and links have to be followed for it
        path = self.location.path
        object.__setattr__(self, "_folder", None if path is None else (self.base / path).resolve())

    @property
    def folder(self) -> Path | None:
        """The absolute folder of a path source."""
        return self._folder

    @property
    def identity(self) -> str:
        """What tells whether two requirements mean the same package."""
        if self.folder is not None:
            return str(self.folder)
        location = self.location
        if location.git is None and location.url is None:
            return str(location)
        more = (location.reference, location.subdirectory, location.sha256, location.lfs)
        return str(location) if not any(more) else f"{location} {more}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What all solves for one environment on one platform share, down to the build environments.

    ``build_subdir`` and ``build_virtual_packages``: the platform that packages are built on, where it is another one.
    """

    channels: tuple[str, ...]
    subdir: str
    virtual_packages: tuple[VirtualPackage, ...]
    channel_priority: str
    strategy: str
    exclude_newer: str | None
    variants: tuple[tuple[str, tuple[str, ...]], ...]
    zip_keys: tuple[tuple[str, ...], ...]
    profile: Profile | None
    variant_constraints: bool
    channel_cutoffs: tuple[tuple[str, str], ...] = ()
    package_cutoffs: tuple[tuple[str, str], ...] = ()
    build_subdir: str | None = None
    build_virtual_packages: tuple[VirtualPackage, ...] = ()

    @property
    def builds_on(self) -> str:
        """The platform that packages are built on."""
        return self.build_subdir or self.subdir

    @property
    def of_build(self) -> Context:
        """The context of build environments: what is in them is for the platform that packages are built on."""
        if self.build_subdir is None:
            return self
        return replace(
            self,
            subdir=self.build_subdir,
            virtual_packages=self.build_virtual_packages,
            build_subdir=None,
            build_virtual_packages=(),
        )

    def of_host(self, variant: RenderedVariant) -> Context:
        """The context of the host environment of ``variant``. What is noarch is built for where it is built."""
        return self.of_build if variant.noarch is not None else self


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """One environment to solve: MatchSpec texts and the source packages among their names."""

    specs: tuple[str, ...]
    constraints: tuple[str, ...] = ()
    sources: tuple[SourceRequirement, ...] = ()
    locked: tuple[CondaRecord, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One variant of a source package with its build and host environments solved.

    ``record`` is what the solver sees of it; ``location`` how the lock writes where it is. ``build_platform``: as
    the lock has it.
    """

    requirement: SourceRequirement
    package: Package
    location: str
    source: BuildSource | None
    checkout: Checkout
    variant: RenderedVariant
    metadata: FinalMetadata
    build: Solution
    host: Solution
    record: CondaRecord
    profile: str | None
    build_platform: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Infeasible:
    """A variant that cannot be built in its context, and why."""

    package: str
    variant: Mapping[str, str]
    reason: str

    def __str__(self) -> str:
        values = ", ".join(f"{key}={value}" for key, value in self.variant.items())
        return f"{self.package} ({values or 'no variant keys'}): {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """A solved environment: ``records`` sorted by name; those of ``chosen`` names are built from source.

    ``pypi``: what comes from PyPI indexes and the like.
    """

    records: tuple[CondaRecord, ...]
    chosen: Mapping[str, Candidate] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    infeasible: tuple[Infeasible, ...] = field(default=(), compare=False)
    pypi: tuple[PypiPackage, ...] = field(default=(), hash=False)


def variant_record(variant: RenderedVariant, metadata: FinalMetadata, url: str) -> CondaRecord:
    """The repodata record that the artifact of ``variant`` will have, at ``url``."""
    return CondaRecord(
        name=variant.name,
        version=variant.version,
        build=variant.build,
        build_number=variant.build_number,
        subdir=variant.subdir,
        noarch=variant.noarch,
        url=url,
        file_name=f"{variant.name}-{variant.version}-{variant.build}.conda",
        channel=None,
        depends=metadata.depends,
        constrains=metadata.constrains,
        license=variant.license,
        license_family=variant.license_family,
        run_exports=metadata.run_exports,
    )


class ResolveReporter(Protocol):
    """Told what the resolver does."""

    def solving(self, environment: str, platform: str) -> None:
        """A solve of an environment begins."""

    def solved(self, environment: str, platform: str, packages: int) -> None:
        """It ended with so many packages."""

    def failed(self, environment: str, platform: str) -> None:
        """It has no answer; the error is raised later."""

    def infeasible(self, environment: str, platform: str, variant: Infeasible) -> None:
        """A variant was left out."""


class SilentReporter:
    """Tells nobody."""

    def solving(self, environment: str, platform: str) -> None:
        """Nothing."""

    def solved(self, environment: str, platform: str, packages: int) -> None:
        """Nothing."""

    def failed(self, environment: str, platform: str) -> None:
        """Nothing."""

    def infeasible(self, environment: str, platform: str, variant: Infeasible) -> None:
        """Nothing."""
