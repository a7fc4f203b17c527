"""Warm ``smelt run`` against bare Python.

``python -m benchmarks.warm_run [workspace [words…]]``: without a workspace one is made in a temporary folder; with one,
``smelt run true`` (or the given words) is run there until it is warm.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.figure import Figure, against, processes, table
from benchmarks.workspaces import command, environment

ROUNDS = 60
GOAL = 1.5
BARE = "python -c pass"


def made_workspace(folder: Path) -> Path:
    """A workspace with one task, and the record that a full run would have written."""
    from smelt.tasks.graph import plan_tasks
    from smelt.tasks.model import TaskRequest
    from smelt.tasks.record import write_warm_record
    from smelt.tasks.search import task_scope
    from smelt.types import current_platform
    from smelt.workspace.load import load_workspace

    platform = current_platform()
    folder.mkdir()
    (folder / "pixi.toml").write_text(f'[workspace]\nname = "b"\nchannels = []\nplatforms = ["{platform}"]\n')
    (folder / "pixi.lock").write_text("version: 7\n")
    old = time.time() - 100
    for path in folder.iterdir():
        os.utime(path, (old, old))
    for words in (("true",), ("env", "true")):
        model = load_workspace(folder / "pixi.toml")
        request = TaskRequest(words=words, init_cwd=folder)
        outer = dict(os.environ)
        written = write_warm_record(
            ["run", *words],
            plan_tasks(request, task_scope(model)),
            model,
            {"default": {**outer, "CONDA_PREFIX": str(folder)}},
            init_cwd=folder,
            outer=outer,
            files={},
            trees=(),
            started=time.time_ns(),
        )
        assert written, words
    return folder


def is_warm(command: list[str], folder: Path) -> bool:
    """Whether ``command`` gets by without the command line of smelt."""
    options = command[1:] if command[0] == sys.executable else command
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *options], cwd=folder, capture_output=True, text=True, check=False
    )
    return "smelt.cli" not in done.stderr


def measure(workspace: Path | None = None, words: Sequence[str] = ("true",)) -> Iterator[Figure]:
    """All commands take turns."""
    with tempfile.TemporaryDirectory() as scratch, environment(Path(scratch).resolve()) as variables:
        folder = workspace or made_workspace(Path(scratch).resolve() / "workspace")
        run = " ".join(words)
        commands = {
            BARE: [sys.executable, "-c", "pass"],
            f"smelt run {run}": command("run", *words),
            f"python -m smelt run {run}": [sys.executable, "-m", "smelt", "run", *words],
        }
        if workspace is None:
            commands |= {"env true": ["env", "true"], "smelt run env true": command("run", "env", "true")}
        for name, words_of in commands.items():
            if "smelt" in name:
                for _ in range(3):
                    subprocess.run(words_of, cwd=folder, capture_output=True, check=False)
                if not is_warm(words_of, folder):
                    raise RuntimeError(f"{name} is not warm: the full way would be measured")
        times = processes(commands, folder, variables, ROUNDS)
    for name, taken in times.items():
        if "smelt" in name:
            yield against(name, taken, BARE, times[BARE], GOAL)
        else:
            yield Figure(what=name, seconds=statistics.median(taken))


if __name__ == "__main__":
    arguments = sys.argv[1:]
    print(table(measure(Path(arguments[0]).resolve() if arguments else None, arguments[1:] or ["true"])))
