"""A workspace and its old lock give a new lock."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from smelt.config.network import Network
from smelt.errors import ErrorGroup, Label, ManifestError, SmeltError, SolveError
from smelt.lock.model import Lock
from smelt.resolve.groups import Pair, context_of, solve_groups, source_requirements
from smelt.resolve.locked import LockBuilder
from smelt.resolve.model import Goal, ResolveReporter, Solution
from smelt.resolve.packages import PackageLoader
from smelt.resolve.previous import LockedInputs
from smelt.resolve.pruning import Pruner
from smelt.resolve.solution import SourceSolver
from smelt.solve.conda import CondaSolver, match_spec
from smelt.source.protocol.tool import BackendTools
from smelt.types import CondaRecord
from smelt.workspace.model import Dependency, EffectiveEnvironment, Workspace

if TYPE_CHECKING:
    from smelt.resolve.pypi import ProvidePython, PypiSolver


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolveRequest:
    """What to solve again.

    ``keep``: environment × platform pairs whose part of ``old`` still fits and is taken over as it is.
    ``unlock``: names of packages that need not stay at their locked version; None unlocks all.
    ``provide_python``: installs a Python where PyPI packages have to be built for their metadata. ``network``: how
    channels and indexes are reached. ``tools``: provides backends that are programs. ``solver``: one for this command
    alone, by somebody who wants to free it himself: the package lists that it has read are large, and freeing them
    takes a while.
    """

    workspace: Workspace
    old: Lock | None = None
    keep: frozenset[Pair] = frozenset()
    unlock: Collection[str] | None = ()
    provide_python: ProvidePython | None = None
    network: Network = field(default_factory=Network)
    tools: BackendTools | None = None
    solver: CondaSolver | None = None


async def resolve(request: ResolveRequest, reporter: ResolveReporter) -> Lock:
    """Solve what is not kept, all pairs at once, and give the whole lock.

    Environments of one solve group are solved together. Raises SolveError headed by environment and platform
    (several: ErrorGroup), ManifestError, SourceError, ChannelError, NotSupportedError.
    """
    loader = PackageLoader(request.workspace, request.old, request.unlock, request.network, request.tools)
    workspace = request.workspace
    if any(each.dev for each in workspace.effective.values()):
        from smelt.resolve.dev import with_dev

        workspace = await asyncio.to_thread(with_dev, workspace, loader)
        request = replace(request, workspace=workspace)
    conda = request.solver or CondaSolver(network=request.network)
    solver = SourceSolver(
        loader,
        conda,
        LockedInputs.from_lock(request.old, request.unlock),
        request.network,
    )
    pypi = (
        _pypi_solver(request, conda) if any(each.pypi_requirements for each in workspace.effective.values()) else None
    )
    builder = LockBuilder(workspace)
    jobs: list[tuple[tuple[EffectiveEnvironment, ...], asyncio.Task[Solution]]] = []
    for group in solve_groups(workspace):
        for platform in workspace.platforms:
            members = tuple(
                workspace.effective[name, platform.name]
                for name in group
                if (name, platform.name) in workspace.effective
            )
            pairs = {(member.environment.name, platform.name) for member in members}
            if members and not (request.old is not None and pairs <= request.keep):
                jobs.append((members, asyncio.ensure_future(_solve(members, request, solver, pypi, reporter))))
    results = await asyncio.gather(*(task for _, task in jobs), return_exceptions=True)
    solved: dict[Pair, Solution] = {}
    pruner = Pruner()
    failures: list[SmeltError] = []
    for (members, _), result in zip(jobs, results, strict=True):
        if isinstance(result, SmeltError):
            failures.append(result)
        elif isinstance(result, BaseException):
            raise result
        else:
            for member in members:
                part = result if len(members) == 1 else _part(result, member, workspace, pruner)
                solved[member.environment.name, member.platform.name] = part
    if failures:
        unique = list({str(each): each for each in failures}.values())
        raise unique[0] if len(unique) == 1 else ErrorGroup(f"{len(unique)} environments cannot be solved", unique)
    for name in workspace.environments:
        for platform in workspace.platforms_of(name):
            solution = solved.get((name, platform.name))
            if solution is not None:
                builder.add(name, platform.name, solution)
            else:
                assert request.old is not None
                builder.keep(name, platform.name, request.old)
    return builder.finish()


def _pypi_solver(request: ResolveRequest, conda: CondaSolver) -> PypiSolver:
    # not every workspace has PyPI requirements, and what they need takes 30 ms to import
    from smelt.resolve.purls import PurlMapper
    from smelt.resolve.pypi import PypiSolver

    return PypiSolver(
        request.workspace,
        request.old,
        request.unlock,
        request.provide_python,
        PurlMapper(request.workspace, request.network),
        request.network,
        conda,
    )


def _part(solution: Solution, member: EffectiveEnvironment, workspace: Workspace, pruner: Pruner) -> Solution:
    """What of the solution of a solve group one of its environments needs."""
    if not member.pypi_requirements:
        return pruner.prune(solution, member, ())
    from smelt.resolve.pypi import part_of

    conda, pypi = part_of(solution, member, workspace.root)
    return replace(pruner.prune(solution, member, conda), pypi=pypi)


async def _solve(
    members: Sequence[EffectiveEnvironment],
    request: ResolveRequest,
    solver: SourceSolver,
    pypi: PypiSolver | None,
    reporter: ResolveReporter,
) -> Solution:
    name = members[0].environment.solve_group or members[0].environment.name
    platform = members[0].platform
    dependencies = tuple(each for member in members for each in member.dependencies)
    constraints = tuple(each for member in members for each in member.constraints)
    for dependency in (*dependencies, *constraints):
        _check_spec(dependency)
    goal = Goal(
        specs=tuple(dict.fromkeys(each.spec.matchspec(each.name) for each in dependencies)),
        constraints=tuple(dict.fromkeys(each.spec.matchspec(each.name) for each in constraints)),
        sources=source_requirements(request.workspace, dependencies),
        locked=_locked(request, members, platform.name),
    )
    reporter.solving(name, platform.name)
    try:
        context = context_of(request.workspace, members)
        try:
            solution = await solver.solve(goal, context)
        except SolveError as error:
            raise await solver.explainer.explain(error, members, context, goal.sources) from error
        if pypi is not None:
            solution = await pypi.complete(solution, members)
    except SmeltError:
        reporter.failed(name, platform.name)
        raise
    for variant in solution.infeasible:
        reporter.infeasible(name, platform.name, variant)
    reporter.solved(name, platform.name, len(solution.records) + len(solution.pypi))
    return solution


def _locked(request: ResolveRequest, members: Sequence[EffectiveEnvironment], platform: str) -> tuple[CondaRecord, ...]:
    """The binary packages to stay with, where they can."""
    if request.old is None or request.unlock is None:
        return ()
    found: dict[str, CondaRecord] = {}
    for member in members:
        for package in request.old.packages_of(member.environment.name, platform) or ():
            if isinstance(package, CondaRecord) and package.name not in request.unlock:
                found.setdefault(package.name, package)
    return tuple(found.values())


def _check_spec(dependency: Dependency) -> None:
    """Raise ManifestError at the place of a requirement that is no MatchSpec."""
    spec = dependency.spec.matchspec(dependency.name)
    try:
        match_spec(spec)
    except SolveError as error:
        labels = [Label(place=dependency.place)] if dependency.place is not None else []
        raise ManifestError(error.message, code="manifest-spec", labels=labels) from error
