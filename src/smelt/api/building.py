"""Builds of a workspace: planned from the lock, run, explained."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from smelt.api.reporter import Reporters
from smelt.build.execute import build_all
from smelt.build.key import explain
from smelt.build.model import Artifact, BuildNode
from smelt.build.store import Store
from smelt.fs import cache_root, smelt_cache
from smelt.install.packages import provide
from smelt.resolve.plan import BuildPlan
from smelt.types import CondaRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """What to build of a plan, and how.

    ``packages``: only these and what they need (None: all). ``rebuild``: names that are built although they are
    in the store. ``jobs``: builds at the same time, by default as many as there are cores. ``keep_going``: a
    failed build stops only those that need it.
    """

    packages: Collection[str] | None = None
    rebuild: Collection[str] = ()
    jobs: int | None = None
    keep_going: bool = False


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


def run_builds(plan: BuildPlan, options: BuildOptions, reporters: Reporters) -> Mapping[str, Artifact]:
    """Build what of ``plan`` is not in the store; the artifacts by build key.

    Raises BuildError, and what fetching the packages of build environments raises (ChannelError, CacheError,
    InstallError).
    """
    nodes = needed(plan.nodes, options.packages)
    if not nodes:
        return {}
    return build_all(
        nodes,
        jobs=options.jobs or os.cpu_count() or 1,
        store=store(reporters.build.warning),
        reporter=reporters.build,
        keep_going=options.keep_going,
        rebuild=frozenset(options.rebuild),
        work_root=smelt_cache() / "work",
        provide=lambda records: _provide(records, reporters),
    )


def _provide(records: Sequence[CondaRecord], reporters: Reporters) -> None:
    """Bring the packages of a build environment into the cache, whole."""
    asyncio.run(provide(cache_root(), records, reporters.install))


def explain_builds(plan: BuildPlan, packages: Collection[str] | None = None) -> tuple[Explanation, ...]:
    """Each planned build with the reasons for building it; nothing is built."""
    artifacts = store()
    found: list[Explanation] = []
    for node in needed(plan.nodes, packages):
        stored = artifacts.lookup(node.key) is not None
        reasons = () if stored else _reasons(node, artifacts)
        repacks = not stored and artifacts.same_files(node) is not None
        found.append(Explanation(label=node.label, stored=stored, reasons=reasons, repacks=repacks))
    return tuple(found)


def needed(nodes: Sequence[BuildNode], packages: Collection[str] | None) -> tuple[BuildNode, ...]:
    """The builds of ``packages`` and what they need, in the same order; all of them for None."""
    if packages is None:
        return tuple(nodes)
    by_key = {node.key: node for node in nodes}
    wanted: set[str] = set()
    waiting = [node.key for node in nodes if node.variant.name in packages]
    while waiting:
        key = waiting.pop()
        if key not in wanted:
            wanted.add(key)
            waiting += by_key[key].needs
    return tuple(node for node in nodes if node.key in wanted)


def _reasons(node: BuildNode, artifacts: Store) -> tuple[str, ...]:
    previous = artifacts.previous(node)
    if previous is None:
        return ("it was not built before",)
    return tuple(explain(previous, node.inputs)) or ("its artifact is no longer in the store",)
