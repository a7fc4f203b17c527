"""The workspace: what the manifest means, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from smelt.manifest.pypi import PypiOptions, PypiRequirement
from smelt.text import Place
from smelt.types import CondaSpec, SourceLocation, VirtualPackage
from smelt.workspace.package import Package
from smelt.workspace.properties import WorkspaceProperties

DEFAULT = "default"
ChannelPriority = Literal["strict", "flexible", "disabled"]
SolveStrategy = Literal["highest", "lowest", "lowest-direct"]
_NO_STRINGS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspacePlatform:
    """One entry of ``workspace.platforms``.

    ``name`` is what features and the lock call it; ``subdir`` the conda platform; ``virtual_packages`` what
    the solver may assume there (defaults merged with what the entry declares), in lock order.
    """

    name: str
    subdir: str
    virtual_packages: tuple[VirtualPackage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """A requirement of an environment, and where it was said.

    ``package``: the definition of a source dependency that is given beside it (``package = { … }``).
    """

    name: str
    spec: CondaSpec
    feature: str = DEFAULT
    place: Place | None = field(default=None, compare=False)
    package: Package | None = field(default=None, compare=False, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """Scripts (paths relative to the workspace root) and environment variables, in order."""

    scripts: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=lambda: _NO_STRINGS, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDependency:
    """One entry of ``depends-on``.

    ``arguments``: positional texts and (name, text) pairs, in order; None if nothing is said.
    """

    task: str
    environment: str | None = None
    arguments: tuple[str | tuple[str, str], ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskArgument:
    """A declared argument of a task; ``default`` None means required."""

    name: str
    default: str | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task. ``cmd`` is shell text, or argv where the manifest gives a list; None for an alias.

    ``cwd`` is relative to the workspace root. Source: the reference's page "Advanced tasks".
    """

    name: str
    cmd: str | tuple[str, ...] | None
    depends_on: tuple[TaskDependency, ...] = ()
    env: Mapping[str, str] = field(default_factory=lambda: _NO_STRINGS, hash=False)
    cwd: str | None = None
    inputs: tuple[str, ...] | None = None
    outputs: tuple[str, ...] | None = None
    clean_env: bool = False
    description: str | None = None
    args: tuple[TaskArgument, ...] = ()
    default_environment: str | None = None
    feature: str = DEFAULT
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """A named set of features. ``features`` in order of precedence, first wins, ``default`` last if used.

    ``on_demand``: it is not declared, but was asked for by its features (see ``smelt.workspace.on_demand``).
    """

    name: str
    features: tuple[str, ...]
    solve_group: str | None = None
    no_default_feature: bool = False
    place: Place | None = field(default=None, compare=False)
    on_demand: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A named way to build source packages (``[tool.smelt.profile.<name>]``, smelt's own).

    ``env`` is appended (with a space) to what the toolchain sets for names that end in ``FLAGS``, and set
    for others; ``config`` maps backend name → configuration laid over the package's own; ``packages`` None
    means every source package; ``activation_env`` is set when an environment with it is activated. ``built_in``: it is
    smelt's own (see ``smelt.workspace.profiles``), for compilers with the options of GCC and Clang.
    """

    name: str
    env: Mapping[str, str] = field(default_factory=lambda: _NO_STRINGS, hash=False)
    config: Mapping[str, Mapping[str, object]] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    packages: tuple[str, ...] | None = None
    activation_env: Mapping[str, str] = field(default_factory=lambda: _NO_STRINGS, hash=False)
    built_in: bool = False

    def applies_to(self, package: str) -> bool:
        """Whether source package ``package`` is built with this profile."""
        return self.packages is None or package in self.packages


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectiveEnvironment:
    """What one environment means on one platform, with all features merged (the reference's merge rules).

    ``dependencies``: every requirement (run, host and build tables together), in manifest order; a name may
    occur more than once, then all of them must hold. ``channels``: base URLs with a trailing slash, highest
    priority first. ``variants``: build variant key → values, first listed preferred; ``zip_keys``: groups of
    those keys whose values go together. ``profile``: what its
    source packages are built with. ``pypi_dependencies``: only their names, ``pypi_requirements`` all of them (a
    name may occur more than once), ``dev``: packages whose dependencies are wanted and not they themselves.
    ``channel_cutoffs`` and ``package_cutoffs`` go before ``exclude_newer``, by base URL and by name.
    """

    environment: Environment
    platform: WorkspacePlatform
    channels: tuple[str, ...]
    dependencies: tuple[Dependency, ...]
    constraints: tuple[Dependency, ...] = ()
    pypi_dependencies: tuple[str, ...] = ()
    activation: Activation = field(default_factory=Activation)
    tasks: Mapping[str, Task] = field(default_factory=lambda: MappingProxyType({}))
    variants: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    zip_keys: tuple[tuple[str, ...], ...] = ()
    profile: Profile | None = None
    channel_priority: ChannelPriority = "strict"
    solve_strategy: SolveStrategy = "highest"
    exclude_newer: str | None = None
    pypi_requirements: tuple[PypiRequirement, ...] = ()
    pypi_options: PypiOptions = field(default_factory=PypiOptions)
    dev: Mapping[str, SourceLocation] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    channel_cutoffs: Mapping[str, str] = field(default_factory=lambda: _NO_STRINGS, hash=False)
    package_cutoffs: Mapping[str, str] = field(default_factory=lambda: _NO_STRINGS, hash=False)
    pypi_package_cutoffs: Mapping[str, str] = field(default_factory=lambda: _NO_STRINGS, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """A workspace as its manifest declares it.

    ``root`` is the folder of the manifest (absolute); ``environments`` in manifest order with ``default``
    first and those on demand last; ``effective[(environment, platform name)]`` exists for every environment and
    every platform that it supports; ``package`` is the package that the same manifest defines, if any. ``warnings`` are
    ``smelt.manifest.reading.ManifestWarning``s: texts with ``labels`` and ``help``. ``properties``: what packages
    inherit. ``build_platforms``: conda platform → the one that packages for it are built on, where that is another
    one. ``channels``: the workspace's own, resolved. ``conda_pypi_map`` as ``TomlWorkspace`` has it. ``state`` and
    ``lock_file``: a script's.
    """

    root: Path
    manifest_path: Path
    name: str
    version: str | None
    platforms: tuple[WorkspacePlatform, ...]
    environments: Mapping[str, Environment]
    effective: Mapping[tuple[str, str], EffectiveEnvironment]
    solve_groups: Mapping[str, tuple[str, ...]]
    profiles: Mapping[str, Profile]
    package: Package | None
    variant_constraints: bool = True
    compiler_cache: str | None = None
    description: str | None = None
    warnings: tuple[str, ...] = ()
    properties: WorkspaceProperties = field(default_factory=WorkspaceProperties, compare=False, repr=False)
    channels: tuple[str, ...] = ()
    variant_files: tuple[Path, ...] = ()
    state: Path | None = None
    lock_file: Path | None = None
    previews: tuple[str, ...] = ()
    requires_pixi: str | None = None
    conda_pypi_map: Literal[False] | Mapping[str, object] | None = field(default=None, hash=False)
    s3_options: Mapping[str, Mapping[str, object]] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    build_platforms: Mapping[str, str] = field(default_factory=lambda: _NO_STRINGS, hash=False)

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that the workspace was read from, but for the manifests of its packages."""
        return (self.manifest_path, *self.variant_files)

    @property
    def declared(self) -> tuple[str, ...]:
        """The environments that the manifest declares: all but those on demand."""
        return tuple(name for name, environment in self.environments.items() if not environment.on_demand)

    @property
    def state_folder(self) -> Path:
        """``.pixi`` beside the manifest; a script's is in the cache."""
        return self.state or self.root / ".pixi"

    @property
    def lock_path(self) -> Path:
        """``pixi.lock`` beside the manifest; a script has another."""
        return self.lock_file or self.root / "pixi.lock"

    def prefix(self, environment: str) -> Path:
        """Where environment ``environment`` is installed (``.pixi/envs/<name>``)."""
        return self.state_folder / "envs" / environment

    def platforms_of(self, environment: str) -> tuple[WorkspacePlatform, ...]:
        """The platforms that ``environment`` supports, in manifest order."""
        return tuple(p for p in self.platforms if (environment, p.name) in self.effective)
