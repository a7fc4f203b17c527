"""Solve an environment whose packages may have to be built from source.

Source: DESIGN 3.2 in prose: variants are expanded lazily and guided by the environment, a variant whose build or
host environment cannot be solved is left out with its reason, source packages may need source packages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from smelt.build.metadata import exports_to_host, finalize
from smelt.config.network import Network
from smelt.errors import ErrorGroup, SmeltError, SolveError, SourceError
from smelt.resolve.cycles import check_cycles
from smelt.resolve.explanation import Explainer
from smelt.resolve.model import Candidate, Context, Goal, Infeasible, Solution, SourceRequirement, variant_record
from smelt.resolve.packages import PackageLoader
from smelt.resolve.pins import shown
from smelt.resolve.previous import LockedInputs
from smelt.solve.conda import CondaSolver
from smelt.solve.matching import RattlerMatcher
from smelt.solve.request import SolveRequest
from smelt.solve.run_exports import RunExportsSource
from smelt.source.model import RenderedVariant
from smelt.types import NOARCH, CondaRecord, spec_name


@dataclass(frozen=True, slots=True, kw_only=True)
class _Expansion:
    """The candidates of all source packages that a goal can reach, and the variants left for later."""

    candidates: tuple[Candidate, ...]
    infeasible: tuple[Infeasible, ...]
    deferred: bool


class SourceSolver:
    """Solves goals for one workspace; equal solves and expansions are done once."""

    def __init__(
        self,
        loader: PackageLoader,
        solver: CondaSolver,
        locked: LockedInputs | None = None,
        network: Network | None = None,
    ) -> None:
        self.loader = loader
        self.explainer = Explainer(loader, solver)
        self._solver = solver
        self._locked = locked or LockedInputs()
        self._exports = RunExportsSource(network)
        self._matcher = RattlerMatcher()
        self._expanded: dict[object, asyncio.Task[Candidate | Infeasible]] = {}

    async def solve(self, goal: Goal, context: Context) -> Solution:
        """The packages that satisfy ``goal``.

        Raises SolveError (with what was left out among its notes), SourceError (cycles, unreadable packages), and
        what loading and rendering raise.
        """
        if goal.sources:
            await asyncio.to_thread(check_cycles, self.loader, goal.sources, context)
        return await self._solve(goal, context)

    async def variants(self, requirement: SourceRequirement, context: Context) -> list[Candidate | Infeasible]:
        """Every variant of a source package, whether or not an environment needs it, its environments solved.

        Raises what ``solve`` raises, but for a variant that cannot be built: that is ``Infeasible``.
        """
        await asyncio.to_thread(check_cycles, self.loader, (requirement,), context)
        rendered = await asyncio.to_thread(self.loader.render, requirement, context)
        return await self._expand_variants(requirement, rendered, context)

    async def _solve(self, goal: Goal, context: Context) -> Solution:
        if not goal.sources:
            return Solution(records=await self._records(self._request(goal, context, ())))
        preview = await self._preview(goal, context)
        expansion = await self._expand(goal, context, preview)
        try:
            return await self._solve_with(goal, context, expansion)
        except SolveError:
            if not expansion.deferred:
                raise
        return await self._solve_with(goal, context, await self._expand(goal, context, None))

    async def _solve_with(self, goal: Goal, context: Context, expansion: _Expansion) -> Solution:
        missing = [s.name for s in goal.sources if s.name not in {c.record.name for c in expansion.candidates}]
        notes = [f"left out: {each}" for each in expansion.infeasible]
        if missing:
            raise SolveError(
                f"no variant of source package `{missing[0]}` can be built for {context.subdir}",
                code="no-variant",
                notes=notes,
            )
        request = self._request(goal, context, tuple(c.record for c in expansion.candidates))
        try:
            records = await self._records(request)
        except SolveError as error:
            raise SolveError(
                error.message, code=error.kind, labels=error.labels, help=error.help, notes=[*error.notes, *notes]
            ) from error
        by_url = {candidate.record.url: candidate for candidate in expansion.candidates}
        chosen = {record.name: by_url[record.url] for record in records if record.url in by_url}
        return Solution(records=records, chosen=chosen, infeasible=expansion.infeasible)

    async def _preview(self, goal: Goal, context: Context) -> dict[str, CondaRecord] | None:
        """What the environment would hold by its binary requirements alone: the guide among variants."""
        names = {source.name for source in goal.sources}
        specs = tuple(spec for spec in goal.specs if spec_name(spec) not in names)
        try:
            records = await self._records(self._request(replace(goal, specs=specs), context, ()))
        except SolveError:
            return None
        return {record.name: record for record in records}

    async def _records(self, request: SolveRequest) -> tuple[CondaRecord, ...]:
        """The answer to a request; what stays as it was locked stays with all that was locked of it."""
        solved = await self._solver.solve(request)
        if not request.locked:
            return solved
        locked = {(record.url, record.sha256): record for record in request.locked}
        return tuple(locked.get((r.url, r.sha256), r) for r in solved)

    def _request(self, goal: Goal, context: Context, candidates: tuple[CondaRecord, ...]) -> SolveRequest:
        return SolveRequest(
            specs=goal.specs,
            constraints=goal.constraints,
            channels=context.channels,
            subdir=context.subdir,
            virtual_packages=context.virtual_packages,
            candidates=candidates,
            # a package of a channel or platform that is no longer asked for must not stay
            locked=tuple(
                record
                for record in goal.locked
                if (record.channel is None or record.channel in context.channels)
                and record.subdir in (context.subdir, NOARCH)
            ),
            channel_priority=context.channel_priority,
            strategy=context.strategy,
            exclude_newer=context.exclude_newer,
            channel_cutoffs=context.channel_cutoffs,
            package_cutoffs=context.package_cutoffs,
        )

    async def _expand(self, goal: Goal, context: Context, preview: dict[str, CondaRecord] | None) -> _Expansion:
        """Candidates for every source package that the goal reaches through run requirements.

        With ``preview``, only the variants that agree with it (all of them where none agrees).
        """
        waiting = list(goal.sources)
        seen: dict[str, SourceRequirement] = {}
        candidates: list[Candidate] = []
        infeasible: list[Infeasible] = []
        deferred = False
        while waiting:
            requirement = waiting.pop(0)
            other = seen.get(requirement.name)
            if other is not None:
                if other.identity != requirement.identity:
                    raise _two_places(requirement, other)
                continue
            seen[requirement.name] = requirement
            variants = await asyncio.to_thread(self.loader.render, requirement, context)
            agreeing = [v for v in variants if preview is None or self._agrees(v, preview)]
            results = await self._expand_variants(requirement, agreeing or variants, context)
            found = [each for each in results if isinstance(each, Candidate)]
            infeasible += [each for each in results if isinstance(each, Infeasible)]
            if agreeing and len(agreeing) < len(variants):
                if found:
                    deferred = True
                else:
                    rest = [v for v in variants if v not in agreeing]
                    more = await self._expand_variants(requirement, rest, context)
                    found = [each for each in more if isinstance(each, Candidate)]
                    infeasible += [each for each in more if isinstance(each, Infeasible)]
            candidates += found
            for candidate in found:
                run = {spec_name(spec) for spec in candidate.metadata.depends}
                needs = self.loader.requirements_of(requirement, candidate.variant)
                waiting += [need for need in needs if need.name in run and need not in waiting]
        return _Expansion(candidates=tuple(candidates), infeasible=tuple(infeasible), deferred=deferred)

    def _agrees(self, variant: RenderedVariant, preview: dict[str, CondaRecord]) -> bool:
        """Whether each variant value is what the environment would hold anyway."""
        for key, value in variant.variant.items():
            record = preview.get(key) or preview.get(key.replace("_", "-"))
            if record is not None and not self._matcher.matches(f"{record.name} {value}", record):
                return False
        return True

    async def _expand_variants(
        self,
        requirement: SourceRequirement,
        variants: Sequence[RenderedVariant],
        context: Context,
    ) -> list[Candidate | Infeasible]:
        """Each variant as a candidate, in the order given; one that was expanded before is not done again."""
        tasks: list[asyncio.Task[Candidate | Infeasible]] = []
        for variant in variants:
            key = (requirement.identity, variant.name, variant.build, variant.metadata_digest, context)
            task = self._expanded.get(key)
            if task is None:
                task = asyncio.ensure_future(self._candidate(requirement, variant, context))
                self._expanded[key] = task
            tasks.append(task)
        done = await asyncio.gather(*tasks, return_exceptions=True)
        failures = [each for each in done if isinstance(each, BaseException)]
        for failure in failures:
            if not isinstance(failure, SmeltError):
                raise failure
        if failures:
            unique = {str(f): f for f in failures if isinstance(f, SmeltError)}
            if len(unique) == 1:
                raise failures[0]
            raise ErrorGroup(f"source package `{requirement.name}` cannot be resolved", list(unique.values()))
        return [each for each in done if not isinstance(each, BaseException)]

    async def _candidate(
        self, requirement: SourceRequirement, variant: RenderedVariant, context: Context
    ) -> Candidate | Infeasible:
        loaded = self.loader.load(requirement)
        sources = {need.name: need for need in self.loader.requirements_of(requirement, variant)}
        inner = replace(context, strategy="highest")
        try:
            locked_build, locked_host = self._locked.of(variant.name, variant.variant)
            build = await self._side(variant.build_requirements, sources, inner.of_build, locked_build)
            wanted = (*variant.host_requirements, *exports_to_host(variant, build.records))
            host = await self._side(wanted, sources, inner.of_host(variant), locked_host)
        except SolveError as error:
            reason = "\n".join([error.message, *error.notes])
            return Infeasible(package=variant.name, variant=dict(variant.variant), reason=reason)
        metadata = finalize(variant, build.records, host.records, variant_constraints=context.variant_constraints)
        url = f"smelt:{loaded.location}#{variant.name}={variant.build}"
        return Candidate(
            requirement=requirement,
            package=loaded.package,
            location=loaded.location,
            source=loaded.source,
            checkout=loaded.checkout,
            variant=variant,
            metadata=metadata,
            build=build,
            host=host,
            record=variant_record(variant, metadata, url),
            profile=variant.variant.get("smelt_profile"),
            build_platform=context.build_subdir if variant.noarch is None else None,
        )

    async def _side(
        self,
        requirements: Sequence[object],
        sources: dict[str, SourceRequirement],
        context: Context,
        locked: tuple[CondaRecord, ...],
    ) -> Solution:
        """A build or host environment, with run-exports known for every record."""
        specs = tuple(str(spec) for spec in requirements if isinstance(spec, str))
        if not specs:
            return Solution(records=())
        names = {spec_name(spec) for spec in specs}
        needs = tuple(need for name, need in sources.items() if name in names)
        goal = Goal(specs=specs, sources=needs, locked=locked)
        solution = await self._solve(goal, context)
        return replace(solution, records=await self._exports.complete(solution.records))


def _two_places(one: SourceRequirement, other: SourceRequirement) -> SourceError:
    return SourceError(
        f"source package `{one.name}` is required from two places: {_place(other)} and {_place(one)}",
        code="source-conflict",
        help="an environment can hold one of them only",
    )


def _place(requirement: SourceRequirement) -> str:
    return str(requirement.folder or shown(requirement.location))
