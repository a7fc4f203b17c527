"""Source packages that need each other to be built."""

from __future__ import annotations

from collections.abc import Sequence

from smelt.errors import SourceError
from smelt.resolve.model import Context, SourceRequirement
from smelt.resolve.packages import PackageLoader
from smelt.types import spec_name

_Node = tuple[str, str]


def check_cycles(loader: PackageLoader, roots: Sequence[SourceRequirement], context: Context) -> None:
    """Raise SourceError (``source-cycle``) if a package is needed to build itself, showing the way round.

    A package needs what is in its build and host requirements, and what those need at run time.
    Also raises what loading and rendering raise.
    """
    graph = _Graph(loader, context)
    for root in _closure(graph, roots):
        start = (root.name, root.identity)
        _walk(graph, root, start, (root,), set())


class _Graph:
    """Needs between packages, over all of their variants."""

    def __init__(self, loader: PackageLoader, context: Context) -> None:
        self._loader = loader
        self._context = context
        self._needs: dict[_Node, tuple[tuple[SourceRequirement, ...], tuple[SourceRequirement, ...]]] = {}

    def needs(
        self, requirement: SourceRequirement
    ) -> tuple[tuple[SourceRequirement, ...], tuple[SourceRequirement, ...]]:
        """What a package needs to be built, and what it needs to run."""
        key = (requirement.name, requirement.identity)
        found = self._needs.get(key)
        if found is None:
            built: dict[str, SourceRequirement] = {}
            run: dict[str, SourceRequirement] = {}
            # a compiler that is built for this platform may be needed to build another of its name for that one
            for variant, _ in self._loader.render_anywhere(requirement, self._context):
                for_build = _names((*variant.build_requirements, *variant.host_requirements))
                for_run = _names(variant.run_requirements)
                for need in self._loader.requirements_of(requirement, variant):
                    if need.name in for_build:
                        built[need.name] = need
                    if need.name in for_run:
                        run[need.name] = need
            found = (tuple(built.values()), tuple(run.values()))
            self._needs[key] = found
        return found


def _names(requirements: Sequence[object]) -> set[str]:
    return {spec_name(spec) for spec in requirements if isinstance(spec, str)}


def _closure(graph: _Graph, roots: Sequence[SourceRequirement]) -> list[SourceRequirement]:
    seen: dict[_Node, SourceRequirement] = {}
    waiting = list(roots)
    while waiting:
        requirement = waiting.pop()
        key = (requirement.name, requirement.identity)
        if key not in seen:
            seen[key] = requirement
            for needs in graph.needs(requirement):
                waiting.extend(needs)
    return list(seen.values())


def _walk(
    graph: _Graph,
    requirement: SourceRequirement,
    start: _Node,
    path: tuple[SourceRequirement, ...],
    seen: set[_Node],
    *,
    at_run: bool = False,
) -> None:
    """Follow build needs (and the run needs of what is needed) back to ``start``."""
    built, run = graph.needs(requirement)
    for need in (*built, *(run if at_run else ())):
        key = (need.name, need.identity)
        if key == start:
            names = [each.name for each in (*path, need)]
            raise SourceError(
                f"source packages need each other to be built: {' → '.join(names)}",
                code="source-cycle",
                help="a package cannot be in its own build or host environment; remove one of these requirements",
            )
        if key not in seen:
            seen.add(key)
            _walk(graph, need, start, (*path, need), seen, at_run=True)
