"""Solving what a publish builds: every variant of its packages, for no environment in particular."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from smelt.build.model import BuildNode
from smelt.config.network import Network
from smelt.errors import SolveError
from smelt.lock.model import Lock
from smelt.resolve.model import Candidate, Context, Infeasible, SourceRequirement
from smelt.resolve.packages import PackageLoader
from smelt.resolve.plan import BuildPlan, BuildPlanner
from smelt.resolve.previous import LockedInputs
from smelt.resolve.solution import SourceSolver
from smelt.solve.conda import CondaSolver
from smelt.workspace.variant import VariantFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """``plan``: all builds; ``keys``: those of them that are published, in the order asked for."""

    plan: BuildPlan
    keys: tuple[str, ...]


async def solve_variants(
    requirements: Sequence[SourceRequirement],
    loader: PackageLoader,
    context: Context,
    lock: Lock | None,
    network: Network,
) -> Publication:
    """The builds of every variant of ``requirements``, in their order.

    Build and host environments that ``lock`` has stay as they are where they can. Raises SolveError with each variant
    that cannot be built and why, and what loading, rendering and solving raise.
    """
    solver = SourceSolver(loader, CondaSolver(network=network), LockedInputs.from_lock(lock, ()), network)
    results = await asyncio.gather(*(solver.variants(each, context) for each in requirements))
    found = [each for result in results for each in result]
    infeasible = [each for each in found if isinstance(each, Infeasible)]
    if infeasible:
        names = ", ".join(dict.fromkeys(each.package for each in infeasible))
        raise SolveError(
            f"{len(infeasible)} of {len(found)} variants cannot be built for {context.subdir}: {names}",
            code="no-variant",
            notes=["\n".join(str(each) for each in infeasible)],
            help="`--variant KEY=VALUE` publishes only those with other values",
        )
    planner = BuildPlanner(loader.workspace, _NO_LOCK if lock is None else lock, loader)
    nodes: dict[str, BuildNode] = {}
    for each in found:
        if isinstance(each, Candidate):
            node = planner.add_candidate(each, context, "publish")
            nodes[node.key] = node
    return Publication(plan=planner.finish(), keys=tuple(nodes))


_NO_LOCK = Lock(version=7, platforms=(), environments={}, packages={})


def with_variants(
    context: Context,
    given: Mapping[str, Sequence[str]],
    files: Sequence[VariantFile],
    declared: frozenset[str],
) -> Context:
    """``context`` with other build variants: ``given`` goes before everything, ``files`` (the last first) before all
    but what the manifest itself says of the keys ``declared``.

    Keys that go together no longer do where they have different numbers of values.
    """
    values = dict(context.variants)
    fixed = {_folded(key) for key in declared}
    for file in files:
        for key, found in file.values.items():
            if _folded(key) not in fixed:
                _put(values, key, found)
    for key, found in given.items():
        _put(values, key, tuple(found))
    groups = [*context.zip_keys, *(group for file in files for group in file.zip_keys)]
    folded = {_folded(key): items for key, items in values.items()}
    zipped = tuple(g for g in dict.fromkeys(groups) if len({len(folded.get(_folded(key), ())) for key in g}) == 1)
    return replace(context, variants=tuple(sorted(values.items())), zip_keys=zipped)


def _put(values: dict[str, tuple[str, ...]], key: str, found: tuple[str, ...]) -> None:
    """Replace ``key``, however it is spelled."""
    for other in [each for each in values if _folded(each) == _folded(key)]:
        del values[other]
    values[key] = found


def _folded(key: str) -> str:
    return key.replace("-", "_").replace(".", "_")
