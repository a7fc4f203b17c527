"""Starting a command for its help, and reading a large manifest into the effective model.

``python -m benchmarks start``: the manifest is made here, of about the size of the largest ones in the wild.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figure import Figure, median, processes
from benchmarks.workspaces import command, environment

ROUNDS = 40


def large_manifest(features: int = 60, tasks: int = 200) -> str:
    """A manifest of some 40 kB: features with targets, environments of them, tasks that depend on one another."""
    lines = ["[workspace]", 'name = "large"', 'channels = ["conda-forge"]']
    lines.append('platforms = ["linux-64", "linux-aarch64", "osx-arm64", "win-64"]')
    for number in range(features):
        lines += [f"[feature.f{number}.dependencies]"]
        lines += [f'package-{number}-{each} = ">={each}.1,<{each + 2}"' for each in range(8)]
        lines += [
            f"[feature.f{number}.target.unix.dependencies]",
            f'unix-{number} = {{ version = "*", build = "py*" }}',
        ]
        lines += [f"[feature.f{number}.activation]", f'env = {{ VALUE_{number} = "{number}" }}']
    lines.append("[environments]")
    lines += [f'e{n} = {{ features = ["f{n}", "f{n + 1}"], solve-group = "g{n % 3}" }}' for n in range(features - 1)]
    lines.append("[tasks]")
    for number in range(tasks):
        above = f', depends-on = ["t{number - 1}"]' if number else ""
        lines.append(f't{number} = {{ cmd = "echo {number}", description = "Task {number}"{above} }}')
    return "\n".join(lines) + "\n"


def measure() -> Iterator[Figure]:
    """Whole processes take turns; the model is made in this one."""
    with tempfile.TemporaryDirectory(prefix="smelt-bench-") as name:
        folder = Path(name)
        calls = {"--help": command("--help"), "add --help": command("add", "--help")}
        with environment(folder) as variables:
            times = processes(calls, folder, variables, ROUNDS)
        for what, goal in (("--help", 0.040), ("add --help", 0.050)):
            found = sorted(times[what])
            yield Figure(what=f"smelt {what}", seconds=found[len(found) // 2], goal=goal)
        from smelt.workspace.load import load_workspace

        text = large_manifest()
        path = folder / "pixi.toml"
        path.write_text(text, encoding="utf-8")
        seconds = median(lambda: load_workspace(path), 11)
        yield Figure(what=f"manifest of {len(text) // 1000} kB → effective model", seconds=seconds, goal=0.060)
