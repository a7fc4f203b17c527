"""Warm ``smelt run`` against bare Python: ``python benchmarks/warm_run.py [workspace [words…]]``.

Prints medians of one run in which all commands take turns, and the ratio to ``python -c pass`` (goal: at most 1.5).
Without a workspace one is made in a temporary folder; with one, ``smelt run true`` (or the given words) is run
there until it is warm.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 60
GOAL = 1.5


def made_workspace(folder: Path) -> Path:
    """A workspace with one task, and the record that a full run would have written."""
    from smelt.tasks.graph import plan_tasks
    from smelt.tasks.model import TaskRequest
    from smelt.tasks.record import write_warm_record
    from smelt.tasks.search import task_scope
    from smelt.types import current_platform
    from smelt.workspace.load import load_workspace

    platform = current_platform()
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


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as scratch:
        arguments = sys.argv[1:]
        folder = Path(arguments[0]).resolve() if arguments else made_workspace(Path(scratch).resolve())
        words = arguments[1:] or ["true"]
        script = Path(sys.executable).with_name("smelt")
        bare = [sys.executable, "-c", "pass"]
        commands = {
            "python -c pass": bare,
            f"python -m smelt run {' '.join(words)}": [sys.executable, "-m", "smelt", "run", *words],
        }
        if script.exists():
            commands[f"smelt run {' '.join(words)}"] = [str(script), "run", *words]
        if not arguments:
            commands["smelt run env true"] = [str(script), "run", "env", "true"]
            commands["env true"] = ["env", "true"]
        for name, command in commands.items():
            if "smelt" in name:
                for _ in range(3):
                    subprocess.run(command, cwd=folder, capture_output=True, check=False)
                if not is_warm(command, folder):
                    print(f"{name}: not warm, the full way is measured")
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(ROUNDS):
            for name, command in commands.items():
                begin = time.perf_counter()
                subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
                times[name].append(time.perf_counter() - begin)
        reference = statistics.median(times["python -c pass"])
        print(f"medians of {ROUNDS} runs; goal: at most {GOAL} × python -c pass")
        for name, values in times.items():
            median = statistics.median(values)
            print(f"  {name:<32} {median * 1000:7.2f} ms  {median / reference:5.2f} ×")


if __name__ == "__main__":
    main()
