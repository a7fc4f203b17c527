"""A figure of a benchmark, and how figures are taken and shown."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """``seconds`` that something took; ``ratio`` to ``reference``. ``goal``: at most so many seconds or, with
    ``relative``, times the reference.
    """

    what: str
    seconds: float
    ratio: float | None = None
    reference: str = ""
    goal: float | None = None
    relative: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None where there is none."""
        value = self.ratio if self.relative else self.seconds
        return None if self.goal is None or value is None else value <= self.goal


def against(what: str, times: Sequence[float], reference: str, others: Sequence[float], goal: float) -> Figure:
    """The median of ``times``, and its ratio to that of ``others``."""
    seconds, base = statistics.median(times), statistics.median(others)
    return Figure(what=what, seconds=seconds, ratio=seconds / base, reference=reference, goal=goal, relative=True)


def median(work: Callable[[], object], rounds: int) -> float:
    """The median of ``rounds`` calls, in seconds."""
    times: list[float] = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def processes(
    commands: Mapping[str, Sequence[str]], cwd: Path, environment: Mapping[str, str], rounds: int
) -> dict[str, list[float]]:
    """The times of whole processes that take turns, so that all of them see the same load of the machine.

    Raises CalledProcessError where one of them fails.
    """
    times: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, command in commands.items():
            start = time.perf_counter()
            subprocess.run(
                command, cwd=cwd, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True
            )
            if number:  # the first round fills caches
                times[name].append(time.perf_counter() - start)
    return times


def table(figures: Iterable[Figure]) -> str:
    """The figures as lines of a table."""
    rows = [
        (
            figure.what,
            f"{figure.seconds * 1000:.1f} ms" if figure.seconds < 1 else f"{figure.seconds:.2f} s",
            f"{figure.ratio:.2f} × {figure.reference}" if figure.ratio is not None else "",
            _goal(figure),
        )
        for figure in figures
    ]
    head = ("", "median", "ratio", "goal")
    width = [max(len(row[column]) for row in [head, *rows]) for column in range(4)]
    return "\n".join(
        f"{row[0]:<{width[0]}}  {row[1]:>{width[1]}}  {row[2]:<{width[2]}}  {row[3]}".rstrip() for row in [head, *rows]
    )


def _goal(figure: Figure) -> str:
    if figure.goal is None:
        return ""
    goal = f"≤ {figure.goal:g} ×" if figure.relative else f"≤ {figure.goal * 1000:g} ms"
    return f"{goal}  {'reached' if figure.met else 'MISSED'}"
