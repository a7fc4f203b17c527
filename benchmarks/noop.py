"""Commands that have nothing to do, as whole processes, in a workspace with three source packages of 100 files."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator

from benchmarks.figure import Figure, against, processes
from benchmarks.workspaces import command, source_workspace

ROUNDS = 15
BARE = "python -c pass"


def measure() -> Iterator[Figure]:
    """Each command, the bare interpreter among them."""
    goals = {
        "smelt --help": None,
        "smelt install": 0.150,
        "smelt install --all --locked": 0.150,
        "smelt lock --check": 0.150,
        "smelt build --why": None,
        "smelt list": None,
    }
    with source_workspace(3, 100) as (folder, variables):
        commands = {
            BARE: [sys.executable, "-c", "pass"],
            "smelt run nothing": command("run", "nothing"),
            **{name: command(*name.split()[1:]) for name in goals},
        }
        times = processes(commands, folder, variables, ROUNDS)
    bare = times[BARE]
    yield Figure(what=BARE, seconds=statistics.median(bare))
    yield against("smelt run nothing (warm)", times["smelt run nothing"], BARE, bare, 1.5)
    for name, goal in goals.items():
        seconds = statistics.median(times[name])
        yield Figure(what=name, seconds=seconds, ratio=seconds / statistics.median(bare), reference=BARE, goal=goal)
