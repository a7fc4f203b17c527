"""What of the solution of a solve group one of its environments needs.

By the walk that later checks the lock, so that what is locked fits: extra groups count where they are asked for, and
conditions where what they are about is in the environment.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from smelt.lock.matching import Matching
from smelt.lock.model import Lock
from smelt.lock.walk import Walk
from smelt.resolve.model import Solution
from smelt.solve.matching import RattlerMatcher
from smelt.types import CondaRecord
from smelt.workspace.model import Dependency, EffectiveEnvironment

_NOTHING = Lock(version=7, platforms=(), environments={}, packages={})


class Pruner:
    """Prunes the solutions of one resolution; what matches what is asked once."""

    def __init__(self) -> None:
        self._matching = Matching(RattlerMatcher())

    def prune(self, solution: Solution, member: EffectiveEnvironment, more: Iterable[str]) -> Solution:
        """What the requirements of ``member`` and the packages called ``more`` need of ``solution``, themselves too."""
        # a source package is a record like any other here
        dependencies = [replace(each, spec=replace(each.spec, location=None)) for each in member.dependencies]
        held = {record.name.lower(): record for record in solution.records}
        names = [name.lower() for name in more if name.lower() in held]
        while True:
            # with fewer packages fewer conditions hold, and then still fewer packages may be needed
            needed = self._needed(held, dependencies, names, member)
            if len(needed) == len(held):
                break
            held = {name: record for name, record in held.items() if name in needed}
        kept = sorted(held.values(), key=lambda record: record.name)
        chosen = {name: candidate for name, candidate in solution.chosen.items() if name.lower() in held}
        return Solution(records=tuple(kept), chosen=chosen, infeasible=solution.infeasible)

    def _needed(
        self,
        held: dict[str, CondaRecord],
        dependencies: list[Dependency],
        names: list[str],
        member: EffectiveEnvironment,
    ) -> frozenset[str]:
        walk = Walk(held, _NOTHING, member.platform.virtual_packages, self._matching, {})
        problem = walk.requirements(dependencies)
        for name in names:
            problem = walk.follow(name) or problem
        # what the walk does not take for a solution it cannot prune; the check will say why
        return frozenset(held) if problem is not None else walk.visited
