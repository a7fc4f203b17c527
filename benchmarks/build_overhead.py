"""What smelt adds to a build: a C extension, against ``run_build`` of rattler-build alone (needs PyPI).

``python -m benchmarks.build_overhead [ROUNDS]`` makes a channel of this machine's Python and compiler with pip and
setuptools, and builds one package with a C extension in turn with rattler-build alone (imported already,
in this process, same requirements and cache) and with smelt: key, frozen recipe, process, normalised package, store.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.figure import Figure, against, table
from benchmarks.workspaces import environment

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "build"))

from build_kit import SUBDIR, build, channel_records, node, render, write_source
from test_build_python import ARCH, PROJECT, closure

GOAL = 1.10


def made_channel(folder: Path) -> Path:
    """Python, compilers, pip, setuptools and wheel."""
    from smelt.channel.folder import create
    from smelt.channel.python import add_python
    from smelt.channel.toolchain import add_toolchain
    from smelt.channel.wheels import add_wheels

    create(folder)
    add_python(folder)
    add_toolchain(folder)
    add_wheels(folder, ["pip", "setuptools", "wheel"])
    return folder


def worked() -> float:
    """Seconds of the processor, of this process and of all that it started and that has ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def alone(recipe: str, source: Path, output: Path, channel: Path, variants: dict[str, list[str]]) -> float:
    """Seconds that rattler-build takes by itself."""
    import rattler_build

    engine: Any = rattler_build
    shutil.rmtree(output, ignore_errors=True)
    stage0 = engine.Stage0Recipe.from_yaml(recipe.replace("path: .", f"path: {source}"))
    rendered = stage0.render(engine.VariantConfig(variants))[0]
    start = time.perf_counter()
    rendered.run_build(output_dir=output, channels=[channel.as_uri()], no_include_recipe=True)
    return time.perf_counter() - start


def measure(rounds: int = 5) -> Iterator[Figure]:
    """In turn."""
    with tempfile.TemporaryDirectory(prefix="smelt-bench-") as name:
        root = Path(name)
        with environment(root):
            channel = made_channel(root / "channel")
            records = channel_records(channel / SUBDIR, channel / "noarch")
            compiler = next(name for name in records if name.startswith(("gcc_", "clang_")))
            variants = {"c_compiler": [compiler.partition("_")[0]]}
            files = {name: textwrap.dedent(text).lstrip("\n") for name, text in PROJECT.items()}
            source = write_source(root / "source", files)
            variant = render(ARCH, source, variants)[0]
            inputs = {"build": closure(records, compiler), "host": closure(records, "python", "pip", "setuptools")}
            bare: list[float] = []
            ours: list[float] = []
            stored: list[float] = []
            bare_work: list[float] = []
            our_work: list[float] = []
            for number in range(rounds + 1):
                before = worked()
                bare.append(alone(ARCH, source, root / "output", channel, variants))
                bare_work.append(worked() - before)
                before, start = worked(), time.perf_counter()
                one = node(variant, source, **inputs)
                build([one], root, rebuild=frozenset({"fastmath"}))
                ours.append(time.perf_counter() - start)
                our_work.append(worked() - before)
                start = time.perf_counter()
                build([node(variant, source, **inputs)], root)
                stored.append(time.perf_counter() - start)
                if number == 0:  # fills the caches
                    for each in (bare, ours, stored, bare_work, our_work):
                        each.clear()
    yield Figure(what="rattler-build alone", seconds=statistics.median(bare))
    yield against("smelt", ours, "rattler-build alone", bare, GOAL)
    yield Figure(what="rattler-build alone, processor", seconds=statistics.median(bare_work))
    yield against("smelt, processor", our_work, "rattler-build alone, processor", bare_work, GOAL)
    yield Figure(what="smelt, already built", seconds=statistics.median(stored))


if __name__ == "__main__":
    print(table(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 5)), flush=True)
    os._exit(0)  # rattler's runtime may crash while Python shuts down
