"""Building what is not in the store, each after what it is built with."""

from __future__ import annotations

import functools
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from smelt.build.cleanup import Cleanup
from smelt.build.described import compare_described
from smelt.build.elsewhere import OtherStores
from smelt.build.environment import padded_length
from smelt.build.failure import build_error, platform_error
from smelt.build.freeze import freeze, freeze_staging
from smelt.build.job import JobSpec, Placement
from smelt.build.kept import KeptBuilds
from smelt.build.model import Artifact, BuildNode
from smelt.build.record import check_recorded, is_recorded
from smelt.build.repack import description_job, with_files_of
from smelt.build.reporter import BuildReporter, SerialReporter
from smelt.build.run import BuiltPackage, WorkerFailure, run_worker
from smelt.build.shared import SharedStore
from smelt.build.staging import StagingOutputs
from smelt.build.store import Store, log_name
from smelt.build.surroundings import FetchSource, Surroundings, builds_here, with_local_sources
from smelt.build.trace import trace_build
from smelt.build.tree import Trees, tree_key
from smelt.build.unpacked import unpacked_exports
from smelt.build.work_folder import explained, lock_of, output_folder_of, work_name
from smelt.errors import ErrorGroup, SmeltError
from smelt.fs import cache_root, hold, hold_if_free
from smelt.scheduler.cancellation import Cancellation, interruptible
from smelt.scheduler.graph import run_graph
from smelt.types import CondaRecord, RunExports, sha256_file

Provide = Callable[[Sequence[CondaRecord]], None]
"""Sees to it that the package cache holds these packages whole; called from several threads at once."""


def build_all(
    nodes: Sequence[BuildNode],
    *,
    jobs: int,
    store: Store,
    reporter: BuildReporter,
    work_root: Path,
    keep_going: bool = False,
    rebuild: frozenset[str] = frozenset(),
    package_cache: Path | None = None,
    provide: Provide | None = None,
    repacks: bool = True,
    log_dir: Path | None = None,
    surroundings: Surroundings | None = None,
    fetch_source: FetchSource | None = None,
    shared: SharedStore | None = None,
    trees: Trees | None = None,
    kept: KeptBuilds | None = None,
    traces: Path | None = None,
) -> Mapping[str, Artifact]:
    """The artifact of every node, by build key; what the store has is not built.

    What differs from a stored build only in what the package says of itself is repacked, not built, unless it is
    in ``rebuild`` or ``repacks`` is off. ``log_dir``: a folder that gets a copy of every log, of failed builds too.

    At most ``jobs`` builds run at once. ``rebuild``: names of packages that are built though they are stored.
    ``trees``: which builds keep what their compilers made, and go on with it (see ``smelt.build.tree``).
    ``work_root``: the folder below which builds work (one folder per package and variant, removed afterwards).
    ``package_cache``: rattler's cache (default: the shared one). ``provide`` is called before each build with all
    packages of its two environments, to fetch them into that cache and to heal what is damaged there: rattler-build
    itself neither checks archives on disk nor what was unpacked from them, and does not say what it cannot fetch.
    ``surroundings``: what of this machine builds see. ``fetch_source`` brings the archives that a recipe names into a
    sandboxed build. ``shared``: a store of many machines, which is asked before anything is built and is given what is.
    ``kept``: what the workspace keeps; it is asked before that, and is given everything. ``traces``: the folder for
    what is said to backends and by them.

    A failing build stores nothing and stops the others; with ``keep_going`` all that do not need it go on.
    Raises BuildError (ErrorGroup, with several): the end of the log, the whole log kept in ``store.logs``; and
    what freezing and storing raise. An interrupt leaves no process and no partial file.
    """
    unique = {node.key: node for node in nodes}
    cleanup = Cleanup(work_root)
    builder = _Builder(
        store=store,
        reporter=SerialReporter(reporter),
        work_root=work_root.resolve(),
        rebuild=rebuild,
        package_cache=(package_cache or cache_root()).absolute(),
        cleanup=cleanup,
        provide=provide,
        repacks=repacks,
        log_dir=log_dir,
        surroundings=surroundings or Surroundings(),
        fetch_source=fetch_source,
        others=OtherStores(store, work_root.resolve(), cleanup, kept=kept, shared=shared),
        trees=trees,
        traces=traces,
    )
    try:
        result = run_graph(
            {key: builder.job(node) for key, node in unique.items()},
            {key: node.needs for key, node in unique.items()},
            slots=max(jobs, 1),
            keep_going=keep_going,
        )
    finally:
        cleanup.close()
    if not result.failures:
        return {key: result.values[key] for key in unique}
    errors: list[SmeltError] = []
    for error in result.failures.values():
        if not isinstance(error, SmeltError):
            raise error
        errors.append(error)
    if len(errors) == 1 and not (keep_going and result.skipped):
        raise errors[0]
    left = f", {len(result.skipped)} not tried" if result.skipped else ""
    # the logs above may be long: what it comes to is said once more
    notes = ["\n".join(["failed:", *(f"  {unique[key].label}" for key in result.failures)])]
    if result.skipped:
        notes.append("\n".join(["not tried:", *(f"  {unique[key].label}" for key in result.skipped)]))
    raise ErrorGroup(f"{len(errors)} of {len(unique)} builds failed{left}", errors, notes)


class _Builder:
    """What the jobs of one run share."""

    def __init__(
        self,
        *,
        store: Store,
        reporter: SerialReporter,
        work_root: Path,
        rebuild: frozenset[str],
        package_cache: Path,
        cleanup: Cleanup,
        provide: Provide | None,
        repacks: bool,
        log_dir: Path | None,
        surroundings: Surroundings,
        fetch_source: FetchSource | None,
        others: OtherStores,
        trees: Trees | None,
        traces: Path | None,
    ) -> None:
        self._store = store
        self._reporter = reporter
        self._work_root = work_root
        self._rebuild = rebuild
        self._package_cache = package_cache
        self._cleanup = cleanup
        self._provide = provide
        self._repacks = repacks
        self._log_dir = log_dir
        self._surroundings = surroundings
        self._fetch_source = fetch_source
        self._others = others
        self._trees = trees
        self._traces = traces
        self._records: dict[str, CondaRecord] = {}
        self._stagings = StagingOutputs(store.staged, work_root, cleanup)

    def job(self, node: BuildNode):
        """The job that makes the artifact of ``node``."""

        def run(cancellation: Cancellation) -> Artifact:
            started = time.monotonic()
            try:
                with explained(node, self._work_root):
                    artifact = self._make(node, cancellation, started)
                    if not self._resumes(node):
                        self._others.keep(node, artifact)
                    self._deliver_log(node, artifact.log)
            except SmeltError as error:
                self._reporter.failed(node, error, time.monotonic() - started)
                raise
            self._records[node.key] = artifact.record
            return artifact

        return run

    def _make(self, node: BuildNode, cancellation: Cancellation, started: float) -> Artifact:
        again = node.variant.name in self._rebuild
        found = None if again else self._known(node, tell=False)
        if found is None:
            with self._store.building(
                node.key,
                node.label,
                waiting=lambda message: self._reporter.waiting(node, message),
                check=cancellation.check,
            ):
                cancellation.check()
                stored = self._known(node)
                if stored is None and not again and not self._resumes(node):
                    stored = self._others.fetch(node, cancellation)
                if stored is None or again:
                    with self._first_of_its_content(node, cancellation):
                        artifact = self._build(node, stored, cancellation, started)
                    if not self._resumes(node):
                        self._others.offer(node, artifact, cancellation)
                    return artifact
                found = stored
        self._store.mark_used(node.key)
        self._sweep(node)
        self._reporter.cached(node, found)
        return found

    def _known(self, node: BuildNode, *, tell: bool = True) -> Artifact | None:
        """What the store has of ``node``, if it is what the lock records."""
        artifact = self._store.lookup(node.key, tell=tell)
        if artifact is None or is_recorded(node, artifact.record.sha256):
            return artifact
        if tell:
            self._reporter.warning(f"{node.label} in the store is not the one that the lock records: it is made again")
        return None

    def _sweep(self, node: BuildNode) -> None:
        """Remove what a process left that was killed between storing its artifact and clearing up."""
        folder = self._work_root / work_name(node)
        if folder.exists():
            with hold_if_free(lock_of(folder)) as free:
                if free:
                    self._cleanup.discard(folder)

    def _first_of_its_content(self, node: BuildNode, cancellation: Cancellation) -> AbstractContextManager[None]:
        """Hold back builds that would have the same files: they are repacked from those of the first.

        Taken after the lock of the build key and before that of the work folder, so nobody waits in a circle.
        """
        if not node.content or not self._repacks or node.variant.name in self._rebuild:
            return nullcontext()
        return self._store.building(
            f"content-{node.content}",
            node.label,
            waiting=lambda message: self._reporter.waiting(node, message),
            check=cancellation.check,
        )

    def _build(self, node: BuildNode, stored: Artifact | None, cancellation: Cancellation, started: float) -> Artifact:
        self._reporter.started(node)
        inputs = self._inputs(node)
        spec = freeze(node, inputs)
        again = node.variant.name in self._rebuild
        files = self._store.same_files(node) if self._repacks and not again else None
        if files is None and not builds_here(node):
            raise platform_error([node])
        if self._provide is not None and files is None:
            items = (*node.build_inputs, *node.host_inputs)
            records = [item if isinstance(item, CondaRecord) else inputs[item.key] for item in items]
            interruptible(functools.partial(self._provide, records), cancellation)
        around = self._surroundings
        visible = around.visible
        if around.sandboxed and files is None:
            spec, archives = with_local_sources(spec, self._fetch_source)
            visible = (*visible, *archives)
        # the reference's words: scripts look for them to see whether a package is made anew
        name = f"{node.variant.name}-{node.variant.version}-{node.variant.build}"
        self._reporter.line(node, f"Running build for recipe: {name}")
        folder = self._work_root / work_name(node)
        placement = self._placement(folder, node, visible)
        if node.variant.staging is not None and files is None:
            placement = self._with_staging(node, spec, inputs, placement, cancellation)
        with hold(
            lock_of(folder),
            f"building {node.label}",
            waiting=lambda message: self._reporter.waiting(node, message),
            check=cancellation.check,
        ):
            try:
                built = run_worker(
                    spec if files is None else description_job(spec),
                    placement,
                    cancellation=cancellation,
                    line=lambda text: self._reporter.line(node, text),
                )
                if self._traces is not None:
                    trace_build(self._traces, node, inputs, spec, placement, built)
                if not isinstance(built, BuiltPackage):
                    kept = self._store.keep_log(node, placement.log)
                    self._deliver_log(node, kept)
                    raise build_error(node, built, kept)
                if files is not None:
                    built = with_files_of(built, files, spec, placement)
                compare_described(node, built.index, built.run_exports)
                if node.recorded is not None:
                    check_recorded(node, sha256_file(built.archive))
                repacked = files is not None
                artifact = self._store.put(
                    node, built.archive, built.index, placement.log, repacked=repacked, undeclared=built.undeclared
                )
            finally:
                self._cleanup.discard(folder)
        if stored is not None and stored.record.sha256 != artifact.record.sha256:
            self._reporter.warning(
                f"{node.label} is not reproducible: it was built again from equal inputs and differs from before"
            )
        for line in artifact.undeclared:
            self._reporter.warning(f"{node.label}: {line}")
        self._reporter.finished(node, artifact, time.monotonic() - started)
        return artifact

    def _with_staging(
        self,
        node: BuildNode,
        spec: JobSpec,
        inputs: Mapping[str, CondaRecord],
        placement: Placement,
        cancellation: Cancellation,
    ) -> Placement:
        """``placement`` with the staging output that ``node`` inherits, which is built now if nobody did before."""
        staging = node.variant.staging
        assert staging is not None
        label = f"Running build for staging output: {staging.name}"

        def run(job: JobSpec, folder: Path, output: Path) -> BuiltPackage | tuple[WorkerFailure, Path]:
            self._reporter.line(node, label)
            visible = placement.visible
            if self._surroundings.sandboxed:
                job, archives = with_local_sources(job, self._fetch_source)
                visible = (*visible, *archives)
            where = replace(placement, folder=folder, output=output, visible=visible, kept=None, resume=False)
            built = run_worker(job, where, cancellation=cancellation, line=lambda text: self._reporter.line(node, text))
            if isinstance(built, BuiltPackage):
                return built
            kept = self._store.keep_log(node, where.log)
            self._deliver_log(node, kept)
            return built, kept

        length = padded_length(placement.output, node.variant.name)
        staged = self._stagings.provide(
            node,
            freeze_staging(node, spec, inputs, exports=self._exports, length=length),
            run,
            length=length,
            again=node.variant.name in self._rebuild,
            waiting=lambda message: self._reporter.waiting(node, message),
            check=cancellation.check,
        )
        return replace(placement, staged=staged, visible=(*placement.visible, staged.parent))

    def _exports(self, record: CondaRecord) -> RunExports:
        """The run-exports of a package, which a lock does not hold; it is in the package cache."""
        if record.run_exports is not None:
            return record.run_exports
        found = unpacked_exports(self._package_cache, record.name, record.version, record.build)
        return RunExports.from_dict(found or {})

    def _placement(self, folder: Path, node: BuildNode, visible: tuple[Path, ...]) -> Placement:
        output = output_folder_of(folder, node)
        around, trees = self._surroundings, self._trees
        kept = trees.root / folder.name if trees is not None and node.key in trees.keep else None
        return Placement(
            folder=folder,
            output=output,
            checkout=node.checkout.folder,
            package_cache=self._package_cache,
            tool=_tool(node),
            home=around.home,
            sandboxed=around.sandboxed,
            visible=visible,
            compiler_cache=around.compiler_cache.to_dict() if around.compiler_cache is not None else None,
            kept=kept,
            kept_key=tree_key(node, output) if kept is not None else "",
            resume=self._resumes(node),
        )

    def _resumes(self, node: BuildNode) -> bool:
        """Whether what is built is not what a build from nothing has to be: nobody else may have it."""
        return self._trees is not None and node.key in self._trees.resume

    def _deliver_log(self, node: BuildNode, log: Path) -> None:
        if self._log_dir is not None and log.is_file():
            self._log_dir.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(log, self._log_dir / log_name(node))

    def _inputs(self, node: BuildNode) -> Mapping[str, CondaRecord]:
        """Records of the source packages that the build is made with: from this run, else from the store."""
        found: dict[str, CondaRecord] = {}
        for key in node.needs:
            record = self._records.get(key)
            if record is None:
                artifact = self._store.lookup(key)
                record = artifact.record if artifact is not None else None
            if record is not None:
                found[key] = record
        return found


def _tool(node: BuildNode) -> Mapping[str, Any] | None:
    if node.variant.foreign is None:
        return None
    from smelt.build.foreign import tool_data

    return tool_data(node.variant.foreign)
