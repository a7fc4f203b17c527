"""What smelt adds to an installation from a warm cache, against ``rattler.install`` alone.

``python -m benchmarks.install_overhead [PACKAGES]`` makes that many tiny packages (100), fills a cache with them, and
installs them in turn with ``rattler.install`` alone and with smelt, each into fresh prefixes; then it measures the
installation that has nothing to do.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks.figure import Figure, against, median, table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "install"))

import rattler
from install_kit import SUBDIR, make_package, request_for

from smelt.install.prefix import install
from smelt.install.state import is_current
from smelt.install.verify import verify
from smelt.solve.records import to_rattler

ROUNDS = 15


async def _measure(count: int, root: Path) -> list[Figure]:
    channel = root / "channel"
    records = [
        make_package(channel, f"p{n}", files={f"lib/p{n}/{i}.py": b"x = 1\n" * 20 for i in range(10)})
        for n in range(count)
    ]
    request = request_for(root, *records)
    await install(request)
    bare: list[float] = []
    ours: list[float] = []
    for number in range(ROUNDS):
        prefix = root / f"bare{number}"
        start = time.perf_counter()
        await rattler.install(
            [to_rattler(record) for record in records],
            prefix,
            cache_dir=root / "cache" / "pkgs",
            platform=rattler.Subdir(SUBDIR),
            show_progress=False,
        )
        bare.append(time.perf_counter() - start)
        shutil.rmtree(prefix)
        fresh = replace(request, prefix=root / f"ours{number}", environment=f"ours{number}")
        start = time.perf_counter()
        await install(fresh)
        ours.append(time.perf_counter() - start)
        shutil.rmtree(fresh.prefix)
    nothing = [await timed(request) for _ in range(200)]
    start = time.perf_counter()
    assert verify(request.prefix) == []
    looked = time.perf_counter() - start
    reference = "rattler.install"
    return [
        Figure(what=f"rattler.install, {count} packages of 10 files", seconds=statistics.median(bare)),
        against("smelt, the same", ours, reference, bare, 1.1),
        Figure(what="nothing to do", seconds=statistics.median(nothing)),
        Figure(
            what="markers alone", seconds=median(lambda: is_current(request.prefix, request.digest), 200), goal=0.005
        ),
        Figure(what="every file verified", seconds=looked),
    ]


async def timed(request: object) -> float:
    start = time.perf_counter()
    result = await install(request)  # type: ignore[arg-type]
    assert not result.changed
    return time.perf_counter() - start


def measure(count: int = 100) -> Iterator[Figure]:
    """Of that many packages."""
    with tempfile.TemporaryDirectory(prefix="smelt-bench-") as folder:
        yield from asyncio.run(_measure(count, Path(folder)))


if __name__ == "__main__":
    print(table(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 100)), flush=True)
    os._exit(0)  # rattler's runtime may crash while Python shuts down
