"""Solving, checking and writing the lock of a workspace.

What an unchanged workspace does not need is imported inside the methods that need it.
"""

from __future__ import annotations

from collections.abc import Collection, Coroutine, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeVar

from smelt.api.outdated import outdated
from smelt.api.pypi import project_stamps, python_provider
from smelt.api.state import KnownState, stamps_as_read, write_known
from smelt.errors import InstallError, LockError
from smelt.fs import hold
from smelt.source.stats import racy
from smelt.text import shown_path
from smelt.types import current_platform

if TYPE_CHECKING:
    from smelt.api.workspace import Workspace
    from smelt.lock.diff import LockDiff
    from smelt.lock.model import Lock
    from smelt.lock.satisfiability import Mismatch
    from smelt.resolve.packages import PackageLoader
    from smelt.solve.conda import CondaSolver
    from smelt.workspace.model import Workspace as Model

LockMode = Literal["update", "locked", "frozen"]
"""``update``: solve again what does not fit; ``locked``: that is an error; ``frozen``: take the lock as it is."""

LockScope = Literal["all", "locked"] | Collection[str]
"""The platforms that a lock has to fit: ``all`` of the workspace; those that are ``locked``, which is all but for a
partial lock, and this machine's; or those of these names."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class LockOptions:
    """What of a lock is solved again, and what is done with it: see ``Workspace.lock``."""

    dry_run: bool = False
    unlock: Collection[str] | None = ()
    only: Collection[tuple[str, str]] | None = None
    complete: bool = True
    platforms: LockScope = "all"
    also: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LockResult:
    """A lock, and how it differs from the one before. ``written``: whether the file was replaced.

    ``changed``: whether its text is another, which of a dry run says what would be; it may be with no other package.
    """

    lock: Lock
    difference: LockDiff
    written: bool
    changed: bool = False


class Locker:
    """The lock of one workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        # what the check of a lock has read of source packages, for the plan that follows it
        self._checked: tuple[Lock, PackageLoader] | None = None
        self._solver: CondaSolver | None = None

    def loader_of(self, lock: Lock) -> PackageLoader:
        """The source packages of ``lock``, with what the check before has read of them; given away once."""
        from smelt.resolve.packages import PackageLoader

        checked, self._checked = self._checked, None
        if checked is not None and checked[0] is lock:
            return checked[1]
        return PackageLoader(self._workspace.model, lock, network=self._workspace.network, tools=self._workspace.tools)

    def check(
        self, lock: Lock | None, *, remember: bool = True, platforms: LockScope = "locked"
    ) -> tuple[Mismatch, ...]:
        """See ``Workspace.check``."""
        if lock is not None and (lock.partial or not isinstance(platforms, str)):
            from smelt.lock.partial import about_platforms, left_out, without_platforms

            model = self._workspace.model
            missing = left_out(lock, model)
            asked = self._scope(platforms, lock)
            found = self._check(lock, remember=remember and not lock.partial)
            found = about_platforms(found, model, asked.difference(missing))
            return (*found, *without_platforms(model, [name for name in missing if name in asked]))
        return self._check(lock, remember=remember)

    def _scope(self, platforms: LockScope, lock: Lock | None) -> frozenset[str]:
        """The names of platforms."""
        model = self._workspace.model
        if not isinstance(platforms, str):
            return frozenset(platforms)
        every = frozenset(platform for _, platform in model.effective)
        if platforms == "all" or lock is None or not lock.partial:
            return every
        from smelt.api.platforms import platform_for

        here = {platform_for(model, name).name for name in self._workspace.supported()}
        return every & ({row.name for row in lock.platforms} | here)

    def _check(self, lock: Lock | None, *, remember: bool) -> tuple[Mismatch, ...]:
        from smelt.lock.document import NEWEST_VERSION
        from smelt.resolve.check import check, has_sources

        if lock is None or not has_sources(self._workspace.model, lock):
            mismatches = check(self._workspace.model, lock)
            if remember and lock is not None and not mismatches and lock.version == NEWEST_VERSION:
                self._remember_fit(project_stamps(lock, self._workspace.model.root))
            return mismatches
        from smelt.resolve.packages import PackageLoader
        from smelt.resolve.unrecorded import unrecorded

        loader = PackageLoader(
            self._workspace.model, lock, network=self._workspace.network, tools=self._workspace.tools
        )
        mismatches = check(self._workspace.model, lock, loader)
        if remember and not mismatches:
            self._checked = (lock, loader)
        if remember and not mismatches and not unrecorded(lock) and lock.version == NEWEST_VERSION:
            self._remember_fit({**loader.files, **project_stamps(lock, self._workspace.model.root)})
        return mismatches

    def _remember_fit(self, definitions: Mapping[str, tuple[int, ...] | None]) -> None:
        """Write down what the lock was found to fit, where that can be told again by stats alone."""
        own = stamps_as_read([self._workspace.model.lock_path], self._workspace.started)
        unsure = any(
            stamp is not None and racy(max(stamp[1:3]), self._workspace.started) for stamp in definitions.values()
        )
        dated = any(effective.exclude_newer is not None for effective in self._workspace.model.effective.values())
        if self._workspace.read is None or own is None or unsure or dated:
            return
        known = KnownState(
            manifest=str(self._workspace.model.manifest_path),
            files={**self._workspace.read, **own, **definitions},
            warned=bool(self._workspace.model.warnings),
        )
        # only a courtesy to the next call: a workspace may lie where nothing can be written
        with suppress(OSError):
            write_known(self._workspace.model.state_folder, current_platform(), known, "fit")

    def lock(self, options: LockOptions) -> LockResult:
        """See ``Workspace.lock``."""
        model = self._workspace.model
        with self._exclusive("solving the workspace"):
            old, before = self._old_lock(merge=options.complete)
            platforms, fitting, current = self._fitting(options, old, before)
            if old is not None and old is before and current and options.unlock == ():
                from smelt.lock.diff import diff

                return LockResult(lock=old, difference=diff(old, old), written=False)

            from smelt.solve.conda import CondaSolver

            partial = not platforms.issuperset(platform for _, platform in model.effective)
            if partial:
                from smelt.lock.partial import of_platforms, workspace_of_platforms

                model = workspace_of_platforms(model, platforms)
                old, before = (of_platforms(each, platforms) if each is not None else None for each in (old, before))
            keep = fitting.intersection(model.effective).difference(options.only or ())
            # freed with the workspace, which for a command is never: freeing takes as long as writing the lock
            self._solver = CondaSolver(network=self._workspace.network)
            solved = _run(self._resolve(model, old, keep, options.unlock, self._solver))

            from smelt.lock.diff import diff
            from smelt.lock.identity import canonical
            from smelt.lock.platforms import shorten
            from smelt.lock.writer import differs, write

            new = _with_records(canonical(replace(solved, partial=partial)), old)
            short = shorten(new, self._workspace.model)
            written = False if options.dry_run else write(short, self._workspace.model.lock_path)
            changed = written or (options.dry_run and differs(short, self._workspace.model.lock_path))
            return LockResult(lock=new, difference=diff(before, new), written=written, changed=changed)

    def _fitting(
        self, options: LockOptions, old: Lock | None, before: Lock | None
    ) -> tuple[frozenset[str], frozenset[tuple[str, str]], bool]:
        """What of ``old`` may stay: the platforms of the new lock, the pairs that fit, and whether all does.

        Where there is no lock, nothing is looked at, and nothing imported for it.
        """
        if old is None:
            return self._platforms(options, None, ()), frozenset(), False
        from smelt.lock.document import NEWEST_VERSION
        from smelt.lock.partial import about_platforms
        from smelt.lock.satisfiability import outdated as to_solve
        from smelt.resolve.unrecorded import unrecorded

        model = self._workspace.model
        mismatches: tuple[Mismatch, ...] = ()
        looked = options.unlock == () or options.only is not None
        if looked:
            mismatches = self._check(old, remember=old is before and not old.partial)
        platforms = self._platforms(options, old, mismatches)
        mismatches = about_platforms(mismatches, model, platforms)
        if options.complete:
            mismatches = (*mismatches, *unrecorded(old))
        aged = options.complete and old.version < NEWEST_VERSION
        completed = old.partial and options.platforms == "all"
        fitting: frozenset[tuple[str, str]] = frozenset()
        if looked:
            fitting = frozenset(model.effective) - to_solve(model, mismatches)
            if aged:
                fitting -= {pair for pair, each in model.effective.items() if each.pypi_requirements}
        return platforms, fitting, not (mismatches or aged or completed)

    async def _resolve(
        self,
        model: Model,
        old: Lock | None,
        keep: frozenset[tuple[str, str]],
        unlock: Collection[str] | None,
        solver: CondaSolver,
    ) -> Lock:
        """The new lock. Package lists are read while Python still loads what solves."""
        import asyncio

        for pair, each in model.effective.items():
            binary = any(needed.spec.location is None for needed in each.dependencies)
            dated = each.channel_cutoffs or each.package_cutoffs
            if binary and pair not in keep and not dated and not self._workspace.network.offline:
                solver.begin(each.channels, each.platform.subdir)
        await asyncio.sleep(0)
        from smelt.resolve.workspace import ResolveRequest, resolve

        request = ResolveRequest(
            workspace=model,
            old=old,
            keep=keep,
            unlock=unlock,
            provide_python=python_provider(model, self._workspace.reporters, self._workspace.network),
            network=self._workspace.network,
            tools=self._workspace.tools,
            solver=solver,
        )
        return await resolve(request, self._workspace.reporters.resolve)

    def record(self, builds: Mapping[str, tuple[str, str]]) -> tuple[str, ...]:
        """See ``Workspace.record``."""
        from smelt.lock.platforms import shorten
        from smelt.lock.writer import write

        with self._exclusive("recording builds"):
            lock = self._workspace.read_lock()
            if lock is None:
                return ()
            sources = dict(lock.sources)
            done = tuple(identifier for identifier in builds if identifier in sources)
            for identifier in done:
                key, sha256 = builds[identifier]
                sources[identifier] = replace(sources[identifier], build_key=key, artifact_sha256=sha256)
            write(shorten(replace(lock, sources=sources), self._workspace.model), self._workspace.model.lock_path)
            return done

    def _platforms(self, options: LockOptions, old: Lock | None, mismatches: Sequence[Mismatch]) -> frozenset[str]:
        """The platforms that the new lock has: those that are asked for, and others whose part still fits."""
        model = self._workspace.model
        asked = self._scope(options.platforms, old) | {
            each.name for each in model.platforms if options.also in (each.name, each.subdir)
        }
        kept: set[str] = set()
        if old is not None:
            from smelt.lock.satisfiability import outdated as to_solve

            kept = {row.name for row in old.platforms} - {platform for _, platform in to_solve(model, mismatches)}
        return (asked | kept) & {platform for _, platform in model.effective}

    def _old_lock(self, *, merge: bool) -> tuple[Lock | None, Lock | None]:
        """The lock to start from, and the one to compare with: the same but after a merge with conflicts."""
        try:
            old = self._workspace.read_lock()
        except LockError as error:
            if error.kind != "lock-conflict" or not merge:
                raise
            from smelt.api.merging import merged

            return merged(self._workspace)
        return old, old

    def ensure(self, mode: LockMode = "update", platform: str | None = None) -> Lock:
        """See ``Workspace.ensure_lock``."""
        self._checked = None
        if mode == "update":
            return self.lock(LockOptions(complete=False, platforms="locked", also=platform)).lock
        lock = self._workspace.read_lock()
        if lock is None:
            path = shown_path(self._workspace.model.lock_path)
            raise LockError(f"there is no lock file {path}", code="lock-missing", help="run `smelt lock`")
        if mode == "locked":
            mismatches = self.check(lock)
            if mismatches:
                raise outdated(mismatches)
        return lock

    @contextmanager
    def _exclusive(self, purpose: str) -> Generator[None]:
        folder = self._workspace.model.state_folder
        with ExitStack() as stack:
            try:
                stack.enter_context(
                    hold(folder / "smelt" / "workspace.lock", purpose, self._workspace.reporters.install.waiting)
                )
            except OSError as error:
                raise InstallError(
                    f"cannot write {folder}: {error.strerror or error}",
                    code="not-writable",
                    help="smelt keeps environments and what it knows of them there: see who owns the folder, and "
                    "whether its file system is mounted read-only",
                ) from error
            yield


def _with_records(new: Lock, old: Lock | None) -> Lock:
    """``new`` with what ``old`` records of builds: each says itself of which inputs that holds."""
    if old is None:
        return new
    sources = dict(new.sources)
    for identifier, before in old.sources.items():
        if identifier in sources and before.artifact_sha256 is not None:
            sources[identifier] = replace(
                sources[identifier], build_key=before.build_key, artifact_sha256=before.artifact_sha256
            )
    return replace(new, sources=sources)


def _run(coroutine: Coroutine[object, object, T]) -> T:
    import asyncio  # 20 ms that an unchanged workspace does not pay

    results: list[T] = []

    async def work() -> None:
        # not returned: asyncio makes a text of the task and its result when it resets the handler of Ctrl-C, and the
        # text of a large lock takes 0.2 s
        results.append(await coroutine)

    asyncio.run(work())
    return results[0]
