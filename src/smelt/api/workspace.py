"""The façade: a workspace, and what can be done with it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from smelt.api.platforms import effective_for, environment_named, platform_for
from smelt.api.reporter import Reporter, SilentReporter
from smelt.api.state import KnownState, read_known, stamps, write_known
from smelt.errors import Label, LockError, LockOutdatedError, NotSupportedError
from smelt.fs import hold
from smelt.install.state import is_current
from smelt.lock.diff import LockDiff, diff
from smelt.lock.model import Lock, SourcePackage
from smelt.lock.reader import read
from smelt.lock.satisfiability import Mismatch
from smelt.lock.satisfiability import outdated as to_solve
from smelt.lock.writer import write
from smelt.types import CondaRecord, current_platform
from smelt.workspace.load import load_workspace
from smelt.workspace.model import Workspace as Model

if TYPE_CHECKING:
    from smelt.build.model import Artifact, BuildNode
    from smelt.build.store import Store
    from smelt.resolve.plan import BuildPlan

LockMode = Literal["update", "locked", "frozen"]
"""``update``: solve again what does not fit; ``locked``: that is an error; ``frozen``: take the lock as it is."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class LockResult:
    """A lock, and how it differs from the one before. ``written``: whether the file was replaced."""

    lock: Lock
    difference: LockDiff
    written: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """An environment after an installation. ``changed``: whether anything was touched."""

    environment: str
    prefix: Path
    changed: bool
    built: tuple[str, ...] = ()


class Workspace:
    """A workspace on disk. ``model`` is what its manifest says.

    Methods that solve, build or install run an event loop of their own: do not call them from a coroutine.
    """

    def __init__(self, model: Model, reporter: Reporter | None = None) -> None:
        self.model = model
        self.reporter: Reporter = reporter or SilentReporter()

    @classmethod
    def load(cls, path: Path | None = None, reporter: Reporter | None = None) -> Workspace:
        """The workspace whose manifest is ``path`` (file or folder), or the one that the current folder is in.

        Raises ManifestError (all errors of the file together).
        """
        return cls(load_workspace(path), reporter)

    # lock

    def read_lock(self) -> Lock | None:
        """The lock file; None where there is none. Raises LockError for one that cannot be read."""
        return read(self.model.lock_path) if self.model.lock_path.exists() else None

    def check(self, lock: Lock | None) -> tuple[Mismatch, ...]:
        """Why ``lock`` does not fit, the first reason of each environment × platform; empty if it fits."""
        from smelt.resolve.check import check

        return check(self.model, lock)

    def lock(self, *, dry_run: bool = False, unlock: Collection[str] | None = ()) -> LockResult:
        """Solve what does not fit and write ``pixi.lock``; packages stay at their version where they can.

        ``unlock``: names that need not stay (None: all packages may move, every environment is solved).
        The old lock stays as it is when this fails. Raises what ``smelt.resolve.workspace.resolve`` raises.
        """
        with self._exclusive("solving the workspace"):
            return self._lock(self.read_lock(), dry_run=dry_run, unlock=unlock)

    def ensure_lock(self, mode: LockMode = "update") -> Lock:
        """The lock file, made to fit first in mode ``update``.

        Raises LockOutdatedError in mode ``locked`` where it does not fit, LockError where there is none to take.
        """
        if mode == "update":
            return self.lock().lock
        lock = self.read_lock()
        if lock is None:
            raise LockError(
                f"there is no lock file {self.model.lock_path}", code="lock-missing", help="run `smelt lock`"
            )
        if mode == "locked":
            mismatches = self.check(lock)
            if mismatches:
                raise outdated(mismatches)
        return lock

    # build

    def build(
        self,
        environments: Sequence[str] | None = None,
        *,
        mode: LockMode = "update",
        packages: Collection[str] | None = None,
        rebuild: Collection[str] = (),
        jobs: int | None = None,
        keep_going: bool = False,
    ):
        """Build the source packages of ``environments`` (all that support this machine by default).

        ``packages``: only these and what they need. ``rebuild``: names that are built although they are in the
        store. Gives the artifacts in build order. Raises BuildError.
        """
        from smelt.resolve.packages import PackageLoader

        lock = self.ensure_lock(mode)
        loader = PackageLoader(self.model)
        names = environments if environments is not None else self.supported()
        plan = self._plan(lock, loader, names)
        return self._build(plan, packages=packages, rebuild=rebuild, jobs=jobs, keep_going=keep_going)

    def plan(self, environments: Sequence[str] | None = None, *, mode: LockMode = "update"):
        """The builds that ``environments`` need, in order; nothing is built."""
        from smelt.resolve.packages import PackageLoader

        lock = self.ensure_lock(mode)
        names = environments if environments is not None else self.supported()
        return self._plan(lock, PackageLoader(self.model), names)

    # install

    def supported(self) -> tuple[str, ...]:
        """The environments that support this machine's platform."""
        subdir = current_platform()
        return tuple(
            name for name in self.model.environments if any(p.subdir == subdir for p in self.model.platforms_of(name))
        )

    def install(
        self,
        environments: Sequence[str] = ("default",),
        *,
        mode: LockMode = "update",
        platform: str | None = None,
        reinstall: Collection[str] = (),
        verify: bool = False,
        jobs: int | None = None,
    ) -> tuple[Installed, ...]:
        """Make the prefixes of ``environments`` hold what is locked, building what has to be built.

        An unchanged workspace costs a few stats. Raises what locking and building raise, InstallError,
        ChannelError, CacheError.
        """
        names = [environment_named(self.model, name) for name in environments]
        for name in names:
            platform_for(self.model, name, platform)
        plain = platform is None and not reinstall and not verify and mode != "frozen"
        if plain and (known := self._known_installed(names)) is not None:
            return known
        return self._install(names, mode, platform, frozenset(reinstall), verify, jobs)

    # looking

    def explain(self, plan: BuildPlan, *, packages: Collection[str] | None = None) -> list[tuple[str, bool, list[str]]]:
        """For each planned build: its label, whether it is in the store, and if not, why it is to be built."""
        from smelt.build.store import Store
        from smelt.fs import smelt_cache

        store = Store(smelt_cache() / "artifacts")
        nodes = plan.nodes if packages is None else _needed(plan.nodes, packages)
        found: list[tuple[str, bool, list[str]]] = []
        for node in nodes:
            stored = store.lookup(node.key) is not None
            found.append((node.label, stored, [] if stored else _reasons(node, store)))
        return found

    def packages(
        self, environment: str = "default", platform: str | None = None, *, mode: LockMode = "update"
    ) -> list[dict[str, object]]:
        """The locked packages of an environment, as the reference's ``list --json`` shows them.

        Source packages have ``is_source``, and ``variant`` where they have variant keys.
        """
        from smelt.api.listing import rows

        name = environment_named(self.model, environment)
        lock = self.ensure_lock(mode)
        return rows(lock, effective_for(self.model, name, platform))

    # inside

    def _known_installed(self, names: Sequence[str]) -> tuple[Installed, ...] | None:
        """The answer where nothing changed since the last installation; None where that is not certain."""
        known = read_known(self.model.state_folder, current_platform())
        if known is None or any(name not in known.environments for name in names) or not known.holds():
            return None
        if not all(is_current(self.model.prefix(name), known.environments[name]) for name in names):
            return None
        return tuple(Installed(environment=name, prefix=self.model.prefix(name), changed=False) for name in names)

    def _install(
        self,
        names: Sequence[str],
        mode: LockMode,
        platform: str | None,
        reinstall: frozenset[str],
        verify: bool,
        jobs: int | None,
    ) -> tuple[Installed, ...]:
        from smelt.install.prefix import install
        from smelt.install.request import InstallRequest
        from smelt.install.state import environment_digest
        from smelt.resolve.packages import PackageLoader

        before = stamps([*self._manifests()])
        lock = self.ensure_lock(mode)
        before |= stamps([self.model.lock_path])
        loader = PackageLoader(self.model, None)
        plan = self._plan(lock, loader, names, platform)
        before |= stamps([Path(path) for path in plan.files])
        artifacts = self._build(plan, jobs=jobs)
        built = tuple(f"{a.record.name} {a.record.version} {a.record.build}" for a in artifacts.values() if a.built)
        requests: list[InstallRequest] = []
        for name in names:
            where = platform_for(self.model, name, platform)
            records = self._records(lock, name, where.name, plan.keys, artifacts)
            requests.append(
                InstallRequest(
                    prefix=self.model.prefix(name),
                    environment=name,
                    records=records,
                    subdir=where.subdir,
                    digest=environment_digest(records),
                    manifest_path=self.model.manifest_path,
                    state_folder=self.model.state_folder,
                    virtual_packages=where.virtual_packages,
                    reinstall=reinstall,
                    verify=verify,
                )
            )

        async def one_after_another() -> list[Installed]:
            done: list[Installed] = []
            for request in requests:
                self.reporter.installing(request.environment)
                result = await install(request, self.reporter)
                done.append(
                    Installed(
                        environment=request.environment, prefix=request.prefix, changed=result.changed, built=built
                    )
                )
            return done

        installed = _run(one_after_another())
        if platform is None and mode != "frozen":
            self._remember(before, plan.indexes, {r.environment: r.digest for r in requests})
        return tuple(installed)

    def _remember(
        self, files: Mapping[str, tuple[int, ...] | None], trees: Sequence[str], digests: Mapping[str, str]
    ) -> None:
        subdir = current_platform()
        old = read_known(self.model.state_folder, subdir)
        known = KnownState(files=files, trees=tuple(trees), environments=digests)
        if old is not None and old.holds():
            known = KnownState(
                files={**old.files, **files},
                trees=tuple(dict.fromkeys([*old.trees, *trees])),
                environments={**old.environments, **digests},
            )
        write_known(self.model.state_folder, subdir, known)

    def _manifests(self) -> tuple[Path, ...]:
        return (self.model.manifest_path,)

    def _records(
        self,
        lock: Lock,
        environment: str,
        platform: str,
        keys: Mapping[str, str],
        artifacts: Mapping[str, Artifact],
    ) -> tuple[CondaRecord, ...]:
        records: list[CondaRecord] = []
        for package in lock.packages_of(environment, platform) or ():
            if isinstance(package, CondaRecord):
                records.append(package)
            elif isinstance(package, SourcePackage):
                records.append(artifacts[keys[package.identifier]].record)
            else:
                raise NotSupportedError(
                    f"environment `{environment}` is locked with PyPI packages, which smelt cannot install yet",
                    code="pypi-not-supported",
                )
        return tuple(records)

    def _plan(self, lock: Lock, loader, names: Sequence[str], platform: str | None = None):
        from smelt.resolve.plan import BuildPlanner

        planner = BuildPlanner(self.model, lock, loader)
        for name in names:
            planner.add((name, platform_for(self.model, name, platform).name))
        return planner.finish()

    def _build(
        self,
        plan,
        *,
        packages: Collection[str] | None = None,
        rebuild: Collection[str] = (),
        jobs: int | None = None,
        keep_going: bool = False,
    ) -> Mapping[str, Artifact]:
        from smelt.build.execute import build_all
        from smelt.build.store import Store
        from smelt.fs import smelt_cache

        nodes = plan.nodes
        if packages is not None:
            nodes = _needed(nodes, packages)
        if not nodes:
            return {}
        return build_all(
            nodes,
            jobs=jobs or os.cpu_count() or 1,
            store=Store(smelt_cache() / "artifacts"),
            reporter=self.reporter,
            keep_going=keep_going,
            rebuild=frozenset(node.key for node in nodes if node.variant.name in rebuild),
            work_root=smelt_cache() / "work",
        )

    def _exclusive(self, purpose: str):
        return hold(self.model.state_folder / "smelt" / "workspace.lock", purpose, self.reporter.waiting)

    def _lock(self, old: Lock | None, *, dry_run: bool, unlock: Collection[str] | None) -> LockResult:
        from smelt.resolve.workspace import ResolveRequest, resolve

        if unlock == ():
            mismatches = self.check(old)
            if old is not None and not mismatches:
                return LockResult(lock=old, difference=diff(old, old), written=False)
            pairs = frozenset(self.model.effective) - to_solve(self.model, mismatches)
        else:
            pairs = frozenset[tuple[str, str]]()
        request = ResolveRequest(workspace=self.model, old=old, keep=pairs, unlock=unlock)
        new = _run(resolve(request, self.reporter))
        written = False if dry_run else write(new, self.model.lock_path)
        return LockResult(lock=new, difference=diff(old, new), written=written)


def outdated(mismatches: Sequence[Mismatch]) -> LockOutdatedError:
    """The error that says which environments do not fit the lock, and why."""
    first = mismatches[0]
    return LockOutdatedError(
        f"the lock file does not fit: {first}",
        labels=[Label(place=first.place)] if first.place is not None else [],
        notes=[str(each) for each in mismatches[1:]],
        help="run `smelt lock` to update it",
    )


def _needed(nodes, packages: Collection[str]):
    """The builds of ``packages`` and what they need."""
    by_key = {node.key: node for node in nodes}
    wanted: set[str] = set()
    waiting = [node.key for node in nodes if node.variant.name in packages]
    while waiting:
        key = waiting.pop()
        if key not in wanted:
            wanted.add(key)
            waiting += by_key[key].needs
    return tuple(node for node in nodes if node.key in wanted)


def _reasons(node: BuildNode, store: Store) -> list[str]:
    """Why a build that is not in the store is not there: what changed since the last one, or that there is none."""
    from smelt.build.key import explain

    previous = store.previous(node)
    if previous is None:
        return ["it was not built before"]
    return explain(previous, node.inputs) or ["its artifact is no longer in the store"]


def _run(coroutine: Coroutine[object, object, T]) -> T:
    return asyncio.run(coroutine)
