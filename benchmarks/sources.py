"""The check that source packages need no build, within one process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.figure import Figure, median
from benchmarks.workspaces import source_workspace

ROUNDS = 30


def measure() -> Iterator[Figure]:
    """Three packages of 100 files, and twenty of 500."""
    for packages, files, goal in ((3, 100, 0.030), (20, 500, 0.100)):
        with source_workspace(packages, files) as (folder, _):
            size = f"{packages} packages, {packages * files} files"
            yield from _checks(folder, size, goal)


def _checks(folder: Path, size: str, goal: float) -> Iterator[Figure]:
    from smelt.api.state import read_known
    from smelt.api.workspace import Workspace
    from smelt.types import current_platform

    workspace = Workspace.load(folder)
    known = read_known(workspace.model.state_folder, current_platform())
    assert known is not None and known.holds()
    assert not workspace.install(["default"])[0].changed
    yield Figure(what=f"KnownState.holds ({size})", seconds=median(known.holds, ROUNDS), goal=goal)
    yield Figure(
        what=f"Workspace.install, unchanged ({size})",
        seconds=median(lambda: workspace.install(["default"]), ROUNDS),
        goal=goal,
    )
    yield Figure(what=f"keys of all builds ({size})", seconds=median(workspace.plan, 5))
