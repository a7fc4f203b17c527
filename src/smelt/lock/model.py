"""``pixi.lock`` as data: every field of v7, and smelt's own section.

Source: ``rattler_lock`` (models v7) and the reference's page "Lock file".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, NamedTuple

from smelt.types import CondaRecord, RunExports, SourceLocation

ReferenceKind = Literal["conda", "conda_source", "pypi"]


class Reference(NamedTuple):
    """How one part of a lock names a package of its ``packages`` list: a key that is looked up thousands of times.

    ``value``: the URL or path of a binary package, ``name[hash] @ location`` of a source package.
    """

    kind: ReferenceKind
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedPlatform:
    """A platform of the lock; ``virtual_packages`` in text form (``__glibc=2.28``)."""

    name: str
    subdir: str
    virtual_packages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildSource:
    """``source:`` of a source package: where its code is, pinned (exactly one of path, git, url)."""

    path: str | None = None
    url: str | None = None
    sha256: str | None = None
    git: str | None = None
    rev: str | None = None
    branch: str | None = None
    tag: str | None = None
    explicit_rev: bool | None = None
    subdir: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceLock:
    """What smelt locks of a source package beyond v7 (under ``smelt: sources:``).

    ``version``/``build``/``subdir``/``noarch``: the artifact's (v7 leaves them out for mutable sources).
    ``metadata_digest``: of the rendered variant's requirements and metadata, so that ``--locked`` notices a
    change of them. ``source_digest``: only where the source is immutable.
    ``build_key``/``artifact_sha256``: what was built when ``smelt build --record`` was run, and of which inputs; of
    other inputs it says nothing. ``backend``: name and version that rendered the recipe.
    ``pypi``: ``name==version`` if the source is an sdist by name. ``variant_constraints``: ``off`` where the package
    does not constrain what it was built against (``[tool.smelt] variant-constraints``), else None.
    ``build_platform``: what it is built on, where that is not the platform it is for.
    ``build_key``/``artifact_sha256``: what was built when ``smelt build --record`` was run, and of which inputs; of
    other inputs it says nothing.
    """

    version: str
    build: str
    build_number: int
    subdir: str
    backend: str
    backend_version: str
    metadata_digest: str
    noarch: str | None = None
    profile: str | None = None
    pypi: str | None = None
    source_digest: str | None = None
    variant_constraints: str | None = None
    build_platform: str | None = None
    build_key: str | None = None
    artifact_sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePackage:
    """A ``conda_source`` package.

    ``hash``: eight hex digits that tell packages of one location apart (``name[hash] @ location``).
    ``location``: path relative to the folder of the lock, POSIX (``.`` is the workspace), or a pinned URL.
    ``version`` and ``subdir`` are None for partial records (mutable sources, as the reference writes them).
    ``build_packages``/``host_packages``: what the build and host environments hold.
    """

    name: str
    hash: str
    location: str
    version: str | None = None
    build: str = ""
    build_number: int = 0
    subdir: str | None = None
    noarch: str | None = None
    variants: Mapping[str, str | int | bool] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    depends: tuple[str, ...] = ()
    constrains: tuple[str, ...] = ()
    extra_depends: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    features: str | None = None
    flags: tuple[str, ...] = ()
    track_features: tuple[str, ...] = ()
    license: str | None = None
    license_family: str | None = None
    purls: tuple[str, ...] | None = None
    run_exports: RunExports = field(default_factory=RunExports)
    size: int | None = None
    source: BuildSource | None = None
    source_depends: Mapping[str, SourceLocation] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    python_site_packages_path: str | None = None
    build_packages: tuple[Reference, ...] = ()
    host_packages: tuple[Reference, ...] = ()

    @property
    def identifier(self) -> str:
        """``name[hash] @ location``, as references name it."""
        return f"{self.name}[{self.hash}] @ {self.location}"

    @property
    def reference(self) -> Reference:
        """The reference to this package."""
        return Reference(kind="conda_source", value=self.identifier)


@dataclass(frozen=True, slots=True, kw_only=True)
class PypiPackage:
    """A PyPI package, its fields as in the file (``data`` without the ``pypi`` key)."""

    location: str
    name: str
    version: str | None
    data: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}), hash=False)

    @property
    def reference(self) -> Reference:
        """The reference to this package."""
        return Reference(kind="pypi", value=self.location)


LockedPackage = CondaRecord | SourcePackage | PypiPackage


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedEnvironment:
    """One environment: ``packages`` maps platform name → references in lock order.

    ``channels``: base URLs as written; ``options`` (solve strategy, channel priority, exclude-newer…) as in the
    file; ``indexes``: the keys ``indexes`` and ``find-links`` as in the file. ``channel_env_vars``: channel →
    names of the environment variables that its address needs.
    """

    channels: tuple[str, ...]
    packages: Mapping[str, tuple[Reference, ...]]
    options: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    indexes: Mapping[str, object] | None = field(default=None, hash=False)
    channel_env_vars: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}), hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """A whole lock file. ``packages`` by reference; ``sources`` is smelt's own section by identifier.

    ``version`` is the version of the file it was read from (writing always gives 7). ``partial``: it was made for some
    platforms of the workspace only, and is not out of date because the others are not there.
    """

    version: int
    platforms: tuple[LockedPlatform, ...]
    environments: Mapping[str, LockedEnvironment]
    packages: Mapping[Reference, LockedPackage]
    sources: Mapping[str, SourceLock] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    partial: bool = False

    def packages_of(self, environment: str, platform: str) -> tuple[LockedPackage, ...] | None:
        """The packages of an environment on a platform, in lock order; None if that pair is not locked."""
        found = self.environments.get(environment)
        if found is None or platform not in found.packages:
            return None
        return tuple(self.packages[reference] for reference in found.packages[platform])
