"""What to build, and how."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from smelt.config.network import Network
from smelt.source.protocol.trace import FOLDER as TRACES

if TYPE_CHECKING:
    from smelt.api.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """Where a workspace keeps what its environments are built of (see ``smelt.build.kept``).

    ``environments``: all that there are. ``reads``: whether builds are taken from there.
    """

    folder: Path
    environments: frozenset[str]
    reads: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """What to build of a plan, and how.

    ``packages``: only these and what they need (None: all). ``rebuild``: names that are built although they are
    in the store. ``jobs``: builds at the same time, by default as many as there are cores. ``keep_going``: a
    failed build stops only those that need it. ``variants``: only builds whose variant has these values, and what they
    need. ``clean``: forget what is stored of all that is to be built. ``log_dir``: gets a copy of every log.
    ``workspace``: the manifest of the workspace that the builds are for; what it uses is kept by ``smelt cache gc``.
    ``network``: how channels are reached. ``work_root``: the folder to build in (default: in smelt's cache).
    ``sandbox``: builds reach no network and do not see the home folder. ``compiler_cache``: ``ccache``, ``sccache`` or
    a path. ``shared_store``: where what was built elsewhere is taken from, and, with ``shared_store_writes``, what is
    built here is put (a folder or ``s3://`` address). ``kept``: where the workspace keeps what it is built of.
    ``traces``: the folder for what is said to backends and by them. ``record``: what is built is going to be recorded
    in the lock, so what that records by now does not count.
    """

    packages: Collection[str] | None = None
    rebuild: Collection[str] = ()
    jobs: int | None = None
    keep_going: bool = False
    variants: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    clean: bool = False
    log_dir: Path | None = None
    workspace: Path | None = None
    network: Network = field(default_factory=Network)
    work_root: Path | None = None
    sandbox: bool = False
    compiler_cache: str | None = None
    shared_store: str | None = None
    shared_store_writes: bool = True
    kept: Keeping | None = None
    traces: Path | None = None
    record: bool = False


def for_workspace(options: BuildOptions, workspace: Workspace) -> BuildOptions:
    """``options`` with what the settings and the manifest of ``workspace`` say of builds, where they say nothing."""
    settings, model = workspace.settings, workspace.model
    sandbox = options.sandbox or settings.sandbox
    # a sandbox keeps apart what a workspace brings with it: that must not get into the store of the machine unbuilt
    keeping = Keeping(
        folder=model.state_folder / "smelt" / "builds", environments=frozenset(model.environments), reads=not sandbox
    )
    cache = options.compiler_cache or settings.compiler_cache or model.compiler_cache
    return replace(
        options,
        network=workspace.network,
        sandbox=sandbox,
        compiler_cache=cache,
        shared_store=options.shared_store or settings.shared_store,
        shared_store_writes=options.shared_store_writes and settings.shared_store_writes,
        traces=model.state_folder / TRACES,
        kept=keeping if model.state is None and settings.keeps_builds else None,
    )
