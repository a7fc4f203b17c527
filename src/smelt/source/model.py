"""What a source package looks like between its definition and its build."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from smelt.lock.model import BuildSource
from smelt.source.protocol.tool import BackendTool, BackendTools
from smelt.types import RunExports, SourceLocation
from smelt.workspace.model import Profile
from smelt.workspace.package import Package

_NO_STRINGS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """Source code on disk.

    ``folder``: the root of the code (for a path source the user's own folder: never written to).
    ``pinned``: what the lock says of it. ``digest``: for immutable sources what identifies the content (the
    sha256 of the archive or the git commit), None for a path (then ``source.tree`` tells).
    """

    folder: Path
    pinned: BuildSource
    digest: str | None = None


MANIFESTS = ("!/pixi.toml", "!/pixi.lock")
"""Globs: what says how a package is built is no input of the build itself, or every new task would rebuild it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignContext:
    """What packages need whose backend is a program of its own.

    ``channels``: where backends come from if the package does not say. ``locked``: version and build of the backend
    that the package is locked with. ``exclude_newer``: as for solves. ``traces``: the folder for what is said to
    backends and by them (see ``smelt.source.protocol.trace``). ``trusted``: the channels that the workspace uses, where
    the package is from elsewhere, ``origin``, and new; None where nobody has to be asked.
    """

    tools: BackendTools
    channels: tuple[str, ...] = ()
    locked: str | None = None
    exclude_newer: str | None = None
    traces: Path | None = None
    trusted: frozenset[str] | None = None
    origin: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignBuild:
    """How a variant is built by the program ``tool``.

    ``initial``: parameters of ``initialize`` without folders; ``output``: the output that ``conda/build_v1`` is asked
    for; ``channels``: the environment's. ``activation``: lines of a shell script that are in force in the build, after
    the build environment is activated.
    """

    tool: BackendTool
    initial: Mapping[str, object] = field(hash=False)
    output: Mapping[str, object] = field(hash=False)
    channels: tuple[str, ...] = ()
    activation: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderRequest:
    """One package for one platform: what the recipe is made from, and nothing else.

    ``subdir``: the conda platform that the package is for; ``build_subdir``: where it is built.
    ``checkout``: the source code. ``variants``: the workspace's build variants for that platform; ``zip_keys``: groups
    of keys whose values go together, which go before those of the recipe's own variant files.
    ``profile``: None where the environment has none or it does not apply to this package. ``channels``: those that the
    package is solved with. ``foreign``: None where no programs may be started for metadata.
    """

    package: Package
    checkout: Checkout
    subdir: str
    build_subdir: str
    variants: Mapping[str, tuple[str, ...]]
    zip_keys: tuple[tuple[str, ...], ...] = ()
    profile: Profile | None = None
    channels: tuple[str, ...] = ()
    foreign: ForeignContext | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Staging:
    """A staging output that an output inherits: built first, in environments of its own.

    ``build`` and ``host``: its requirements; ``own_build`` and ``own_host``: those of the inheriting output alone.
    ``inherits_exports``: whether run-exports of its dependencies reach the inheriting output, but for what
    it ignores itself (by name, from packages). ``variant``: what of the inheriting output's variant it uses.
    """

    name: str
    build: tuple[str | Mapping[str, object], ...] = ()
    host: tuple[str | Mapping[str, object], ...] = ()
    own_build: tuple[str | Mapping[str, object], ...] = ()
    own_host: tuple[str | Mapping[str, object], ...] = ()
    ignored_by_name: tuple[str, ...] = ()
    ignored_from: tuple[str, ...] = ()
    inherits_exports: bool = True
    variant: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedVariant:
    """One output of a package for one assignment of variant keys, with everything known before solving.

    Requirements are MatchSpec texts (pins on subpackages resolved; pins on what is in the host environment
    kept as the recipe's dictionaries, see ``smelt.build.metadata``). ``variant``: the used keys only.
    ``source_requirements``: for requirements that are source packages themselves: name → location relative to
    the package root. ``recipe``: the rendered recipe as plain JSON data, whole, its
    script a table with ``content`` or ``file``; ``recipe_folder``: what relative paths in it refer to.
    ``skip``: the recipe says that this variant is not to be built.
    ``run_exports`` are texts, with pins resolved later. ``script_env``: environment for the build script.
    ``file_globs``: which files of the checkout the build may read, relative to its folder (the syntax of
    ``smelt.source.tree.tree_digest``; empty: all un-ignored). ``foreign``: it is not built by rattler-build but by a
    program; then ``recipe`` holds what that is told. ``staging``: the staging output that it inherits, whose
    requirements are among its own: both are solved together.
    ``build_tree``: as the backend says.
    """

    name: str
    version: str
    build: str
    build_number: int
    subdir: str
    noarch: str | None
    variant: Mapping[str, str]
    build_requirements: tuple[str | Mapping[str, object], ...]
    host_requirements: tuple[str | Mapping[str, object], ...]
    run_requirements: tuple[str | Mapping[str, object], ...]
    run_constraints: tuple[str | Mapping[str, object], ...] = ()
    run_exports: Mapping[str, tuple[str | Mapping[str, object], ...]] = field(
        default_factory=lambda: MappingProxyType({}), hash=False
    )
    ignore_run_exports_by_name: tuple[str, ...] = ()
    ignore_run_exports_from: tuple[str, ...] = ()
    license: str | None = None
    license_family: str | None = None
    recipe: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    recipe_folder: Path = Path()
    backend: str = ""
    backend_version: str = ""
    source_requirements: Mapping[str, SourceLocation] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    script_env: Mapping[str, str] = field(default_factory=lambda: _NO_STRINGS, hash=False)
    file_globs: tuple[str, ...] = ()
    skip: bool = False
    foreign: ForeignBuild | None = field(default=None, compare=False)
    staging: Staging | None = field(default=None, hash=False)
    build_tree: str | None = None

    @property
    def metadata_digest(self) -> str:
        """sha256 of what the lock depends on: names, version, build string, requirements, run-exports."""
        from smelt.types import digest_json

        return digest_json(
            [
                self.name,
                self.version,
                self.build,
                self.build_number,
                self.subdir,
                self.noarch,
                dict(self.variant),
                [_plain(item) for item in self.build_requirements],
                [_plain(item) for item in self.host_requirements],
                [_plain(item) for item in self.run_requirements],
                [_plain(item) for item in self.run_constraints],
                {key: [_plain(item) for item in value] for key, value in self.run_exports.items()},
                list(self.ignore_run_exports_by_name),
                list(self.ignore_run_exports_from),
                self.license,
                self.backend,
                self.backend_version,
                {key: str(value) for key, value in self.source_requirements.items()},
                *([_staging_data(self.staging)] if self.staging is not None else []),
            ]
        )


def _staging_data(staging: Staging) -> list[object]:
    sides = (staging.build, staging.host, staging.own_build, staging.own_host)
    return [
        staging.name,
        *([_plain(item) for item in side] for side in sides),
        list(staging.ignored_by_name),
        list(staging.ignored_from),
        staging.inherits_exports,
    ]


def _plain(item: str | Mapping[str, object]) -> object:
    return item if isinstance(item, str) else dict(item)


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalMetadata:
    """What a variant's package will say of itself, after its build and host environments are solved."""

    depends: tuple[str, ...]
    constrains: tuple[str, ...]
    run_exports: RunExports
