"""What smelt adds to an installation: prints ratios and milliseconds.

``python benchmarks/install_overhead.py [PACKAGES]`` makes that many tiny packages (100), fills a cache with them, and
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
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "install"))

import rattler
from install_kit import SUBDIR, make_package, request_for

from smelt.install.prefix import install
from smelt.install.state import is_current
from smelt.install.verify import verify
from smelt.solve.records import to_rattler

ROUNDS = 15


async def measure(count: int, root: Path) -> None:
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
    markers: list[float] = []
    for _ in range(200):
        start = time.perf_counter()
        assert is_current(request.prefix, request.digest)
        markers.append(time.perf_counter() - start)
    start = time.perf_counter()
    assert verify(request.prefix) == []
    looked = time.perf_counter() - start
    ratio = statistics.median(ours) / statistics.median(bare)
    print(f"{count} packages of 10 files from a warm cache, median of {ROUNDS}:")
    print(f"  rattler.install        {statistics.median(bare) * 1000:8.1f} ms")
    print(f"  smelt                  {statistics.median(ours) * 1000:8.1f} ms   ratio {ratio:.2f} (goal 1.10)")
    print(f"  nothing to do          {statistics.median(nothing) * 1000:8.2f} ms")
    print(f"  markers alone          {statistics.median(markers) * 1000:8.2f} ms   (goal 5)")
    print(f"  every file verified    {looked * 1000:8.1f} ms")


async def timed(request: object) -> float:
    start = time.perf_counter()
    result = await install(request)  # type: ignore[arg-type]
    assert not result.changed
    return time.perf_counter() - start


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="smelt-benchmark-") as folder:
        asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 100, Path(folder)))
    sys.stdout.flush()
    os._exit(0)  # rattler's runtime may crash while Python shuts down
