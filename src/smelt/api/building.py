"""Builds of a workspace: planned from the lock, run, explained."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from smelt.api.build_options import BuildOptions
from smelt.api.build_selection import needed_by, selected, users_of
from smelt.api.reporter import Reporters
from smelt.build.compare import differences
from smelt.build.compiler_cache import CompilerCache, find_compiler_cache
from smelt.build.environment import home_folder
from smelt.build.execute import build_all
from smelt.build.failure import platform_error
from smelt.build.kept import KeptBuilds
from smelt.build.key import explain
from smelt.build.model import Artifact, BuildNode
from smelt.build.roots import remember_use
from smelt.build.sandbox import require_sandbox
from smelt.build.shared import SharedStore, shared_store
from smelt.build.store import Store
from smelt.build.surroundings import Surroundings, builds_here
from smelt.build.tree import Trees
from smelt.build.work_folder import forget_tree
from smelt.config.network import Network
from smelt.errors import BuildError
from smelt.fs import cache_root, hold, remove_tree, smelt_cache
from smelt.install.packages import provide
from smelt.resolve.plan import BuildPlan
from smelt.source.download import fetch
from smelt.types import CondaRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Whether a planned build is in the store, and if not, why it is to be built.

    ``repacks``: nothing is compiled, another build in the store has the same files.
    """

    label: str
    stored: bool
    reasons: tuple[str, ...] = ()
    repacks: bool = False


def store(warn: Callable[[str], None] | None = None) -> Store:
    """The store of this machine's user; ``warn`` hears of entries that were damaged and healed."""
    return Store(smelt_cache(), warn)


def work_folder() -> Path:
    """Where builds work."""
    return smelt_cache() / "work"


def trees_folder() -> Path:
    """Where what compilers made is kept for the next build (see ``smelt.build.tree``)."""
    return smelt_cache() / "build-trees"


def run_builds(
    plan: BuildPlan, options: BuildOptions, reporters: Reporters, trees: Trees | None = None
) -> Mapping[str, Artifact]:
    """Build what of ``plan`` is not in the store; the artifacts by build key.

    ``trees``: which builds keep what their compilers made, and go on with it; none, by default.

    Raises UnknownNameError where no build has the ``variants``, BuildError, and what fetching the packages of build
    environments raises (ChannelError, CacheError, InstallError).
    """
    nodes = selected(plan, options)
    if options.record:
        nodes = tuple(replace(node, recorded=None) for node in nodes)
    if options.workspace is not None:
        remember(plan, options.workspace)
    if not nodes:
        return {}
    artifacts = store(reporters.build.warning)
    rebuild = frozenset(options.rebuild)
    kept = kept_builds(options, reporters)
    _require_runnable(nodes, artifacts, kept, options, rebuild)
    if options.clean:
        rebuild = frozenset(node.variant.name for node in nodes)
        for node in nodes:
            artifacts.forget(node.key, node.label, reporters.build.warning)
            forget_tree(node, trees_folder())
    made = _build(
        nodes,
        artifacts,
        options.work_root or work_folder(),
        options,
        reporters,
        rebuild=rebuild,
        shared=_shared(options, reporters.build.warning),
        trees=trees,
        kept=kept,
    )
    if options.workspace is not None:
        settle(plan, options, reporters)
    return made


def kept_builds(options: BuildOptions, reporters: Reporters) -> KeptBuilds | None:
    """What the workspace keeps, if it does."""
    if options.kept is None:
        return None
    return KeptBuilds(options.kept.folder, reads=options.kept.reads, warn=reporters.build.warning)


def settle(plan: BuildPlan, options: BuildOptions, reporters: Reporters) -> None:
    """Let the workspace keep what its environments need by now, and nothing else."""
    kept = kept_builds(options, reporters)
    if kept is not None and options.kept is not None:
        # what an environment is built with may be for another platform than the environment
        users = {name: [node.key for node in needed_by(plan.nodes, keys)] for name, keys in plan.roots.items()}
        kept.settle(users, options.kept.environments)


def _require_runnable(
    nodes: Sequence[BuildNode],
    artifacts: Store,
    kept: KeptBuilds | None,
    options: BuildOptions,
    rebuild: Collection[str],
) -> None:
    """Raise BuildError (``build-platform``) for what would have to be built on another platform, before anything is."""
    if options.shared_store:  # it may have it
        return
    foreign = [
        node
        for node in nodes
        if not builds_here(node)
        and (options.clean or node.variant.name in rebuild or artifacts.lookup(node.key, tell=False) is None)
        and not (kept is not None and kept.may_have(node))
    ]
    if foreign:
        raise platform_error(foreign)


def _shared(options: BuildOptions, warn: Callable[[str], None]) -> SharedStore | None:
    text = options.shared_store
    if not text or (options.network.offline and text.startswith("s3:")):
        return None
    return shared_store(text, options.network, writes=options.shared_store_writes, warn=warn)


def _surroundings(options: BuildOptions, reporters: Reporters) -> Surroundings:
    cache: CompilerCache | None = None
    if options.compiler_cache not in (None, "", "none"):
        cache = find_compiler_cache(str(options.compiler_cache))
        if cache is None:
            reporters.build.warning(f"the compiler cache `{options.compiler_cache}` is not there; builds go without it")
        else:
            cache.folder.mkdir(parents=True, exist_ok=True)
    if options.sandbox:
        require_sandbox()
    return Surroundings(
        home=home_folder(),
        sandboxed=options.sandbox,
        # backends that are programs
        visible=(smelt_cache() / "backends",),
        compiler_cache=cache,
    )


def remember(plan: BuildPlan, workspace: Path, derived: Mapping[str, Artifact] | None = None) -> None:
    """Write down what the environments of a workspace use of the store. ``derived``: by build key, what is installed
    in the place of a build.
    """
    users = users_of(plan.nodes)
    folders = {node.key: node.checkout.folder for node in plan.nodes}
    sources = {name: [folders[key] for key in keys] for name, keys in users.items()}
    more = {key: artifact.key for key, artifact in (derived or {}).items()}
    used = {name: [*keys, *(more[key] for key in keys if key in more)] for name, keys in users.items()}
    remember_use(workspace, used, sources)


def _build(
    nodes: Sequence[BuildNode],
    artifacts: Store,
    work_root: Path,
    options: BuildOptions,
    reporters: Reporters,
    *,
    rebuild: frozenset[str] = frozenset(),
    repacks: bool = True,
    shared: SharedStore | None = None,
    trees: Trees | None = None,
    kept: KeptBuilds | None = None,
) -> Mapping[str, Artifact]:
    return build_all(
        nodes,
        jobs=options.jobs or os.cpu_count() or 1,
        store=artifacts,
        reporter=reporters.build,
        keep_going=options.keep_going,
        rebuild=rebuild,
        work_root=work_root,
        provide=lambda records: _provide(records, reporters, options.network),
        repacks=repacks,
        log_dir=options.log_dir,
        surroundings=_surroundings(options, reporters),
        fetch_source=lambda url, sha256, md5: fetch(url, sha256, md5, options.network)[0],
        shared=shared,
        trees=trees,
        kept=kept,
        traces=options.traces,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """A build that was made a second time; ``differences`` has a line for each file that is not the same."""

    label: str
    differences: tuple[str, ...]


def verify_builds(
    plan: BuildPlan, options: BuildOptions, reporters: Reporters, artifacts: Mapping[str, Artifact]
) -> tuple[Verification, ...]:
    """Build everything of ``artifacts`` (by build key) once more, from nothing and in another folder, and compare.

    The second builds see each other and are removed afterwards. Raises what ``run_builds`` raises.
    """
    # what differs is told file by file
    nodes = [replace(node, recorded=None) for node in plan.nodes if node.key in artifacts]
    if not nodes:
        return ()
    folder = _second_work_folder()
    try:
        with hold(folder / "lock", "verifying builds"):
            # objects from a compiler cache would hide what compiling again gives
            fresh = replace(options, log_dir=None, compiler_cache="none", traces=None)
            again = _build(nodes, Store(folder / "s"), folder, fresh, reporters, repacks=False)
            return tuple(
                Verification(label=node.label, differences=differences(artifacts[node.key].path, again[node.key].path))
                for node in nodes
            )
    finally:
        remove_tree(folder)


def _second_work_folder() -> Path:
    """A new folder with a path as long as that of ``work_folder``: builds fill paths up to the same length then.

    Raises BuildError where killed verifications have left one under each name.
    """
    root = smelt_cache() / "v"
    root.mkdir(parents=True, exist_ok=True)
    for number in range(256):
        with suppress(FileExistsError):
            folder = root / f"{number:02x}"
            folder.mkdir()
            return folder
    raise BuildError(
        f"there is no room for another verification in {root}",
        code="work-folder",
        help="`smelt cache gc` removes what killed ones have left there",
    )


def matrix(plan: BuildPlan, options: BuildOptions) -> list[dict[str, object]]:
    """One entry for each build, as plain data: what a CI service makes jobs of.

    ``key`` is the build key, ``needs`` those of the builds that must be there before, ``stored`` whether this machine
    or the shared store has it already.
    """
    artifacts, users = store(), users_of(plan.nodes)
    shared = _shared(options, _nothing)
    return [
        {
            "package": node.variant.name,
            "version": node.variant.version,
            "build": node.variant.build,
            "platform": node.subdir,
            "variant": {key: value for key, value in node.variant.variant.items() if key != "target_platform"},
            "environments": [name for name, keys in users.items() if node.key in keys],
            "key": node.key,
            "needs": list(dict.fromkeys(node.needs)),
            "stored": artifacts.lookup(node.key) is not None or (shared is not None and shared.has(node.key)),
        }
        for node in selected(plan, options)
    ]


def _nothing(_: str) -> None:
    """Nobody listens."""


def _provide(records: Sequence[CondaRecord], reporters: Reporters, network: Network) -> None:
    """Bring the packages of a build environment into the cache, whole."""
    asyncio.run(provide(cache_root(), records, reporters.install, network=network))


def explain_builds(
    plan: BuildPlan, packages: Collection[str] | None = None, options: BuildOptions | None = None
) -> tuple[Explanation, ...]:
    """Each planned build (of ``packages``, or what ``options`` select) with why it is to be built; nothing is built."""
    artifacts = store()
    found: list[Explanation] = []
    for node in selected(plan, options or BuildOptions(packages=packages)):
        stored = artifacts.lookup(node.key) is not None
        reasons = () if stored else _reasons(node, artifacts)
        repacks = not stored and artifacts.same_files(node) is not None
        found.append(Explanation(label=node.label, stored=stored, reasons=reasons, repacks=repacks))
    return tuple(found)


def _reasons(node: BuildNode, artifacts: Store) -> tuple[str, ...]:
    previous = artifacts.previous(node)
    if previous is None:
        return ("it was not built before",)
    return tuple(explain(previous, node.inputs)) or ("its artifact is no longer in the store",)
