"""The façade: a workspace, and what can be done with it.

What an unchanged workspace does not need is imported inside the methods that need it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from smelt.api.installing import Installed, InstallOptions, install_environments, known_installed
from smelt.api.locking import Locker, LockMode, LockOptions, LockResult, LockScope
from smelt.api.on_demand import load_model, script_model
from smelt.api.platforms import effective_for, environment_named, platform_for, require_locked
from smelt.api.state import KnownState, read_known, stamps, stamps_as_read, steady_stamps
from smelt.install.state import read_state, watched_paths
from smelt.types import current_platform, runnable_subdirs
from smelt.workspace.model import Workspace as Model

if TYPE_CHECKING:
    from smelt.api.build_options import BuildOptions
    from smelt.api.reporter import Reporters
    from smelt.build.model import Artifact
    from smelt.config.files import ConfigSource
    from smelt.config.network import Network
    from smelt.config.settings import Settings
    from smelt.lock.model import Lock
    from smelt.lock.satisfiability import Mismatch
    from smelt.resolve.plan import BuildPlan
    from smelt.source.protocol.tool import BackendTools
    from smelt.workspace.script import ScriptSource


class Workspace:
    """A workspace on disk. ``model`` is what its manifest says.

    ``read``: the stamps of the model's files when they were read; where that is not known, an installation leaves no
    record for the next one to rest on. ``started``: when reading began, in nanoseconds since the epoch.
    Methods that solve, build or install run an event loop of their own: do not call them from a coroutine.
    """

    def __init__(
        self,
        model: Model,
        reporters: Reporters | None = None,
        read: Mapping[str, tuple[int, ...] | None] | None = None,
        settings: Settings | None = None,
        started: int | None = None,
    ) -> None:
        self.model = model
        self._reporters = reporters
        self._tools: BackendTools | None = None
        self.read = read
        self.started = time.time_ns() if started is None else started
        self._settings = settings
        self._given = settings is not None
        self._locker = Locker(self)

    @classmethod
    def load(
        cls,
        path: Path | None = None,
        reporters: Reporters | None = None,
        *,
        source: ConfigSource | None = None,
        given: Mapping[str, object] | None = None,
        on_demand: Sequence[str] = (),
        script: ScriptSource | None = None,
        lock_script: bool = False,
    ) -> Workspace:
        """The workspace whose manifest is ``path`` (file or folder), or the one that the current folder is in.

        ``script``: the workspace that a script is, instead; with ``lock_script`` its lock file is to be beside it also
        if it is not there yet.

        ``source`` and ``given`` as ``smelt.config.settings.load_settings`` takes them. ``on_demand``: environments
        that are composed of features without being declared (``py312+cu13``); those in the lock file are had anyway.
        Raises ManifestError (all errors of the file together), UnknownNameError for features that do not exist.
        """
        started = time.time_ns()
        model = (
            load_model(path, on_demand)
            if script is None
            else script_model(script, source=source, given=given, lock=lock_script)
        )
        workspace = cls(model, reporters, stamps_as_read(model.files, started), started=started)
        if source is not None or given:
            from smelt.config.files import config_source
            from smelt.config.settings import load_settings

            workspace._settings = load_settings(model.root, source=source, given=given)
            workspace._given = bool(given) or source not in (None, config_source(os.environ))
        return workspace

    @property
    def settings(self) -> Settings:
        """The settings of ``config.toml`` files that are in force here; read when they are first asked for."""
        if self._settings is None:
            from smelt.config.settings import load_settings

            self._settings = load_settings(self.model.root)
        return self._settings

    @property
    def network(self) -> Network:
        """How the network is reached, by the settings and the ``s3-options`` of the manifest. Raises ConfigError."""
        from smelt.config.network import network_of

        return network_of(self.settings, self.model.s3_options)

    def settings_stamps(self) -> dict[str, tuple[int, ...] | None] | None:
        """The stamps of all places that the settings may come from.

        None where they come from elsewhere too (the command line), or may have changed since they were read.
        """
        return None if self._given else steady_stamps(self.settings.places, self.started)

    @property
    def reporters(self) -> Reporters:
        """Who hears of the work."""
        if self._reporters is None:
            from smelt.api.reporter import Reporters

            self._reporters = Reporters()
        return self._reporters

    @property
    def tools(self) -> BackendTools:
        """Provides backends that are programs of their own."""
        from smelt.api.backends import BackendEnvironments
        from smelt.api.trust import BackendTrust

        if self._tools is None:
            root = self.model.root if self.model.state is None else None
            trust = BackendTrust(self.settings, root, self.reporters.ask)
            self._tools = BackendEnvironments(self.network, self.reporters, trust)
        return self._tools

    def read_lock(self) -> Lock | None:
        """The lock file; None where there is none. Raises LockError for one that cannot be read."""
        if not self.model.lock_path.exists():
            return None
        from smelt.lock.platforms import align
        from smelt.lock.reader import read

        return align(read(self.model.lock_path), self.model)

    def check(
        self, lock: Lock | None, *, remember: bool = True, platforms: LockScope = "locked"
    ) -> tuple[Mismatch, ...]:
        """Why ``lock`` does not fit, the first reason of each environment × platform; empty if it fits.

        ``remember``: for later calls, where it fits; for what is in the lock file only. ``platforms``: where it has to
        fit; see ``lock``.
        """
        return self._locker.check(lock, remember=remember, platforms=platforms)

    def known_fit(self) -> Mapping[str, tuple[int, ...] | None] | None:
        """Every file that the last check rested on, as it was when it was read; None if that says nothing any more.

        None too where more than files decides whether the lock fits, and where a file may have changed since.
        """
        known = read_known(self.model.state_folder, current_platform(), "fit")
        if known is None or known.manifest != str(self.model.manifest_path) or not known.holds():
            return None
        settings = self.settings_stamps()
        return {**known.files, **settings} if settings is not None else None

    def lock(
        self,
        *,
        dry_run: bool = False,
        unlock: Collection[str] | None = (),
        only: Collection[tuple[str, str]] | None = None,
        complete: bool = True,
        platforms: LockScope = "all",
    ) -> LockResult:
        """Solve what does not fit and write ``pixi.lock``; packages stay at their version where they can.

        ``unlock``: names that need not stay (None: all packages may move); then everything is solved again, or
        ``only`` these environment × platform pairs and what does not fit. ``complete``: what the lock does not say yet
        is added also where it fits: what source packages that the reference locked were rendered from, and what
        version 7 says of PyPI packages and older versions do not; an older version is written as version 7; and of a
        file with merge conflicts what fits is taken from both sides. ``platforms``: names of those to solve for; of the
        others what still fits stays, and without the rest the lock is partial (``Lock.partial``), which is completed
        for ``all``. ``locked``: a partial lock stays so, but has this machine's platform.
        The old lock stays as it is when this fails. Raises what ``smelt.resolve.workspace.resolve`` raises.
        """
        return self._locker.lock(
            LockOptions(dry_run=dry_run, unlock=unlock, only=only, complete=complete, platforms=platforms)
        )

    def ensure_lock(self, mode: LockMode = "update", platform: str | None = None) -> Lock:
        """The lock file, made to fit first in mode ``update``; a partial one gets ``platform`` (name or subdir) then.

        Raises LockOutdatedError in mode ``locked`` where it does not fit, LockError where there is none to take.
        """
        return self._locker.ensure(mode, platform)

    def plan(
        self, environments: Sequence[str] | None = None, *, mode: LockMode = "update", platform: str | None = None
    ) -> BuildPlan:
        """The builds that ``environments`` need (by default all that support ``platform``); nothing is built.

        ``platform``: the name of one of the workspace, or a conda subdir; this machine's by default.
        """
        if environments is None and platform is not None:
            model = self.model
            fitting = [n for n in model.declared if any(platform in (p.name, p.subdir) for p in model.platforms_of(n))]
            # where none fits, the default environment says so
            environments = fitting or ["default"]
        return self.plan_of(self.ensure_lock(mode, platform), environments, platform)

    def build(
        self,
        environments: Sequence[str] | None = None,
        *,
        mode: LockMode = "update",
        options: BuildOptions | None = None,
    ) -> Mapping[str, Artifact]:
        """Build the source packages that ``environments`` need; the artifacts by build key. Raises BuildError."""
        from smelt.api.build_options import BuildOptions, for_workspace
        from smelt.api.building import run_builds

        options = replace(for_workspace(options or BuildOptions(), self), workspace=self.model.manifest_path)
        return run_builds(self.plan(environments, mode=mode), options, self.reporters)

    def record(self, plan: BuildPlan, artifacts: Mapping[str, Artifact]) -> tuple[str, ...]:
        """Write the sha256 of ``artifacts`` (by build key) into the lock file; the identifiers that it records now.

        From then on what is built of the same inputs must have these bytes. What the lock says nothing else of (a
        source package that the reference locked) is left out. Raises LockError.
        """
        found = {
            identifier: (key, artifacts[key].record.sha256 or "")
            for identifier, key in plan.keys.items()
            if key in artifacts
        }
        return self._locker.record(found)

    def supported(self) -> tuple[str, ...]:
        """The declared environments that support this machine's platform, or one that it emulates."""
        subdirs = runnable_subdirs(current_platform())
        model = self.model
        return tuple(n for n in model.declared if any(p.subdir in subdirs for p in model.platforms_of(n)))

    def packages(
        self, environment: str = "default", platform: str | None = None, *, mode: LockMode = "update"
    ) -> list[dict[str, object]]:
        """The locked packages of an environment, as the reference's ``list --json`` shows them.

        Source packages have ``is_source``, and ``variant`` where they have variant keys.
        """
        from smelt.api.listing import rows

        name = environment_named(self.model, environment)
        return rows(self.ensure_lock(mode, platform), effective_for(self.model, name, platform))

    def install(
        self,
        environments: Sequence[str] = ("default",),
        *,
        mode: LockMode = "update",
        options: InstallOptions | None = None,
    ) -> tuple[Installed, ...]:
        """Make the prefixes of ``environments`` hold what is locked, building what has to be built.

        An unchanged workspace costs a few stats. Raises what locking and building raise, InstallError,
        ChannelError, CacheError.
        """
        options = options or InstallOptions()
        names = [environment_named(self.model, name) for name in environments]
        for name in names:
            platform_for(self.model, name, options.platform)
        if mode != "frozen" and options == InstallOptions(jobs=options.jobs, look=options.look):
            known = known_installed(self, names, look=options.look)
            if known is not None:
                return known
        return install_environments(self, names, mode, options)

    def check_installed(self, environments: Sequence[str]) -> None:
        """Raise InstallError (``machine-unsuitable``) for one whose packages this machine cannot run.

        ``PIXI_OVERRIDE_PLATFORM`` passes it, as in the reference.
        """
        from smelt.api.machine import check_installed

        if not os.environ.get("PIXI_OVERRIDE_PLATFORM"):
            for name in environments:
                check_installed(name, self.model.prefix(name), current_platform())

    def variables(self, environment: str, outer: Mapping[str, str], *, clean: bool = False) -> Mapping[str, str]:
        """All variables of a process in the installed ``environment``, started from where ``outer`` holds.

        ``clean``: keep hardly anything of ``outer``. Raises InstallError where an activation script fails.
        """
        from smelt.install.activation import ActivationRequest, activate, clean_environment
        from smelt.install.layout import activation_folder

        effective = effective_for(self.model, environment_named(self.model, environment))
        request = ActivationRequest.of(self.model, effective, clean=clean)
        base = clean_environment(outer) if clean else outer
        folder = None if self.settings.force_activate else activation_folder(self.model.state_folder)
        return {**base, **activate(request, base, cache_folder=folder)}

    def digest(self, environment: str) -> str | None:
        """What the prefix of ``environment`` holds (see ``smelt.install.state``); None if it is not installed."""
        state = read_state(self.model.prefix(environment))
        return state.digest if state is not None and state.status == "installed" else None

    def known_files(self, environments: Sequence[str]) -> KnownState | None:
        """Every file that the installed ``environments`` and their activation rest on, as it was when it was read.

        None where the last installation left no record, or where that no longer holds.
        """
        known = read_known(self.model.state_folder, current_platform())
        if known is None or any(name not in known.environments for name in environments):
            return None
        files = dict(known.files)
        for name in environments:
            files |= stamps(watched_paths(self.model.prefix(name)))
            scripts = effective_for(self.model, name).activation.scripts
            files |= stamps(self.model.root / script for script in scripts)
        return replace(known, files=files)

    def plan_of(
        self,
        lock: Lock,
        environments: Sequence[str] | None,
        platform: str | None,
        names: Mapping[str, frozenset[str]] | None = None,
    ) -> BuildPlan:
        """The builds that ``environments`` need by ``lock``. Raises LockError for one that the lock has not.

        ``names``: environment → names of the packages that are wanted of it (None: all).
        """
        from smelt.resolve.dev import with_dev
        from smelt.resolve.plan import BuildPlanner

        require_locked(lock, environments or ())
        loader = self._locker.loader_of(lock)
        planner = BuildPlanner(with_dev(self.model, loader), lock, loader)
        for name in environments if environments is not None else self.supported():
            wanted = names.get(name) if names is not None else None
            planner.add((name, platform_for(self.model, name, platform).name), wanted)
        return planner.finish()
