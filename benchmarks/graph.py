"""A graph of 200 tiny source packages of depth 10: locked, built with two jobs, and asked again.

What scheduling costs is the time in which a job slot had no build process, for each package: the graph, the key, the
frozen recipe, the packages of the environments, the store.

``python -m benchmarks.graph [LAYERS WIDTH]`` for another size.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.figure import Figure, processes, table
from benchmarks.workspaces import command, environment
from smelt.types import current_platform

JOBS = 2


def measure(layers: int = 10, width: int = 20) -> Iterator[Figure]:
    """Lock, build, again."""
    count = layers * width
    with tempfile.TemporaryDirectory(prefix="smelt-bench-") as name:
        root = Path(name).resolve()
        with environment(root) as variables:
            folder = root / "workspace"
            write_graph(folder, layers, width)
            subprocess.run(command("channel", "create", "channel"), cwd=folder, check=True, stdout=subprocess.DEVNULL)
            start = time.perf_counter()
            subprocess.run(command("lock", "-q"), cwd=folder, env=variables, check=True, stdout=subprocess.DEVNULL)
            yield Figure(what=f"smelt lock, {count} packages", seconds=time.perf_counter() - start)
            wall, inside, own = build(folder, count)
            yield Figure(what=f"smelt build --jobs {JOBS}, {count} packages", seconds=wall)
            yield Figure(what="of it in build processes, for a package", seconds=inside / count)
            yield Figure(what="scheduling, for a package", seconds=(wall * JOBS - inside) / count, goal=0.050)
            yield Figure(what="work of smelt's own process, for a package", seconds=own / count)
            commands = {"smelt build": command("build", "-q"), "smelt lock --check": command("lock", "--check", "-q")}
            times = processes(commands, folder, variables, 3)
            for what, seconds in times.items():
                yield Figure(what=f"{what}, nothing to do", seconds=statistics.median(seconds), goal=1.0)
            subprocess.run(command("install", "-q"), cwd=folder, env=variables, check=True, stdout=subprocess.DEVNULL)
            times = processes({"smelt install": command("install", "-q")}, folder, variables, 3)
            yield Figure(
                what="smelt install, nothing to do", seconds=statistics.median(times["smelt install"]), goal=1.0
            )


def build(folder: Path, count: int) -> tuple[float, float, float]:
    """Seconds of the whole, of all build processes together, and of the processor for this process."""
    from smelt.api.build_options import BuildOptions
    from smelt.api.workspace import Workspace
    from smelt.build import execute

    inside: list[float] = []
    whole: Any = execute.run_worker

    def timed(*arguments: Any, **named: Any) -> Any:
        start = time.perf_counter()
        try:
            return whole(*arguments, **named)
        finally:
            inside.append(time.perf_counter() - start)

    execute.run_worker = timed
    try:
        start, worked = time.perf_counter(), time.process_time()
        built = Workspace.load(folder).build(["default"], options=BuildOptions(jobs=JOBS))
        wall, own = time.perf_counter() - start, time.process_time() - worked
    finally:
        execute.run_worker = whole
    assert len(built) == len(inside) == count
    return wall, sum(inside), own


def write_graph(folder: Path, layers: int, width: int) -> None:
    """Packages in layers; each is built with two of the layer below, and the last layer is what is asked for."""
    folder.mkdir()
    wanted = [f'p{layers - 1}x{place} = {{ path = "packages/p{layers - 1}x{place}" }}' for place in range(width)]
    lines = ["[workspace]", 'name = "graph"', 'channels = ["./channel"]', f'platforms = ["{current_platform()}"]']
    lines += ['preview = ["pixi-build"]', "[dependencies]", *wanted, ""]
    (folder / "pixi.toml").write_text("\n".join(lines), encoding="utf-8")
    for layer in range(layers):
        for place in range(width):
            below = [f"p{layer - 1}x{(place + step) % width}" for step in range(min(2, width))] if layer else []
            _write_package(folder / "packages" / f"p{layer}x{place}", below)


def _write_package(folder: Path, below: list[str]) -> None:
    folder.mkdir(parents=True)
    lines = ["[package]", f'name = "{folder.name}"', 'version = "1.0"', "[package.build]"]
    lines += ['backend = { name = "pixi-build-rattler-build", version = "*" }', "[package.host-dependencies]"]
    lines += [f'{name} = {{ path = "../{name}" }}' for name in below]
    (folder / "pixi.toml").write_text("\n".join([*lines, ""]), encoding="utf-8")
    host = "".join(f"    - {name}\n" for name in below)
    host = f"requirements:\n  host:\n{host}" if host else ""
    (folder / "recipe.yaml").write_text(
        f"package:\n  name: {folder.name}\n  version: 1.0.0\nsource:\n  path: .\n{host}build:\n  script:\n"
        f"    - mkdir -p $PREFIX/share\n    - cp text.txt $PREFIX/share/{folder.name}.txt\n",
        encoding="utf-8",
    )
    (folder / "text.txt").write_text(f"{folder.name}\n", encoding="utf-8")


if __name__ == "__main__":
    sizes = [int(each) for each in sys.argv[1:3]] or [10, 20]
    print(table(measure(*sizes)), flush=True)
    os._exit(0)  # rattler's runtime may crash while Python shuts down
