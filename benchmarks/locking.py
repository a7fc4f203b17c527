"""What ``smelt lock`` costs around rattler's solves: 12 environments × 4 platforms, a channel of 100,000 records.

``python -m benchmarks.locking [RECORDS [ROUNDS]]`` writes the index of a channel (no archives), and takes turns, each
in a process of its own: the same solves by a bare script of rattler's (one gateway, as many solves at once), which
writes the same lock through rattler, and ``smelt lock`` where nothing is locked. The figures are of whole processes,
memory at its peak.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.figure import Figure, against, table

PLATFORMS = ("linux-64", "linux-aarch64", "osx-arm64", "win-64")
ENVIRONMENTS = 12
ROUNDS = 7
VERSIONS = 10
WANTED = 25
GROUP = 40  # packages need such of their own group: an environment comes to some 300

_BARE = """
import asyncio, json, os, sys
import rattler

async def main():
    data = json.load(open(sys.argv[1]))
    gateway = rattler.Gateway(cache_dir=sys.argv[2])
    gate = asyncio.Semaphore(os.cpu_count())
    async def solve(job):
        async with gate:
            return await rattler.solve(
                sources=job["channels"], specs=[rattler.MatchSpec(s) for s in job["specs"]], gateway=gateway,
                platforms=[job["subdir"], "noarch"], virtual_packages=[])
    solved = await asyncio.gather(*map(solve, data))
    platforms = {job["subdir"]: rattler.LockPlatform(job["subdir"]) for job in data}
    lock = rattler.LockFile(list(platforms.values()))
    for job, records in zip(data, solved):
        lock.set_channels(job["environment"], [rattler.LockChannel(url) for url in job["channels"]])
        for record in records:
            lock.add_conda_package(job["environment"], platforms[job["subdir"]], record)
    lock.to_path(sys.argv[3])
    print(sum(map(len, solved)))
    sys.stdout.flush()
    os._exit(0)  # as smelt does: without freeing the package lists, and without a crash of rattler's runtime

asyncio.run(main())
"""


def write_channel(folder: Path, records: int) -> int:
    """The index of a channel with so many records; how many names it has. Every package can be installed."""
    chance = random.Random(1)
    names = records // VERSIONS // (len(PLATFORMS) + 1)
    for subdir in (*PLATFORMS, "noarch"):
        packages: dict[str, object] = {}
        prefix = "n" if subdir == "noarch" else "p"
        for number in range(names):
            for version in range(VERSIONS):
                later = [number + chance.randint(1, 40) for _ in range(3)]
                depends = [
                    f"p{each} >=1.{chance.randint(0, 3)},<2"
                    for each in later
                    if each < names and each // GROUP == number // GROUP
                ]
                if subdir != "noarch" and number % 3 == 0:
                    depends.append(f"n{number}")
                record = {
                    "name": f"{prefix}{number}",
                    "version": f"1.{version}",
                    "build": f"h{number % 97:07x}_{version}",
                    "build_number": version,
                    "depends": depends if subdir != "noarch" else [],
                    "sha256": f"{number * VERSIONS + version:064x}",
                    "md5": f"{number * VERSIONS + version:032x}",
                    "size": 1000 + number,
                    "subdir": subdir,
                    "timestamp": 1_700_000_000_000 + number * 1000 + version,
                    "license": "BSD-3-Clause",
                }
                packages[f"{record['name']}-{record['version']}-{record['build']}.conda"] = record
        (folder / subdir).mkdir(parents=True, exist_ok=True)
        data = {"info": {"subdir": subdir}, "packages": {}, "packages.conda": packages, "repodata_version": 1}
        (folder / subdir / "repodata.json").write_text(json.dumps(data), encoding="utf-8")
    return names


def write_workspace(root: Path, url: str, names: int) -> list[dict[str, object]]:
    """A manifest with the environments, and the same solves for the bare script."""
    chance = random.Random(2)
    lines = ["[workspace]", 'name = "bench"', f'channels = ["{url}"]', f"platforms = {json.dumps(PLATFORMS)}"]
    jobs: list[dict[str, object]] = []
    environments = ["[environments]"]
    for number in range(ENVIRONMENTS):
        wanted = sorted({f"p{chance.randint(0, names - 1)}" for _ in range(WANTED)})
        lines += [f"[feature.f{number}.dependencies]", *(f'{name} = ">=1.2"' for name in wanted)]
        environments.append(f'e{number} = {{ features = ["f{number}"], no-default-feature = true }}')
        shared = {"environment": f"e{number}", "channels": [url], "specs": [f"{n} >=1.2" for n in wanted]}
        jobs += [{**shared, "subdir": each} for each in PLATFORMS]
    root.mkdir(parents=True, exist_ok=True)
    (root / "pixi.toml").write_text("\n".join([*lines, *environments]) + "\n", encoding="utf-8")
    return jobs


def run(command: Sequence[str], folder: Path, environment: dict[str, str]) -> tuple[float, float, float]:
    """Seconds, peak megabytes and seconds of processors of a process."""
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    words = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status != 0:
        raise RuntimeError(words.decode("utf-8", "replace"))
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
    return seconds, peak, usage.ru_utime + usage.ru_stime


def measure(records: int = 100_000, rounds: int = ROUNDS) -> Iterator[Figure]:
    """Of a channel with so many records."""
    if not hasattr(os, "wait4"):
        return
    with tempfile.TemporaryDirectory(prefix="smelt-bench-") as name:
        root = Path(name)
        names = write_channel(root / "channel", records)
        jobs = root / "jobs.json"
        jobs.write_text(json.dumps(write_workspace(root / "ws", (root / "channel").as_uri(), names)), encoding="utf-8")
        (root / "bare.py").write_text(_BARE, encoding="utf-8")
        bare: list[tuple[float, float, float]] = []
        ours: list[tuple[float, float, float]] = []
        for number in range(rounds):
            cache = root / f"cache{number}"
            environment = {**os.environ, "PIXI_CACHE_DIR": str(cache)}
            command = [sys.executable, str(root / "bare.py"), str(jobs), str(cache / "bare"), str(root / "bare.lock")]
            bare.append(run(command, root / "ws", environment))
            (root / "ws/pixi.lock").unlink(missing_ok=True)
            ours.append(run([sys.executable, "-m", "smelt", "lock"], root / "ws", environment))
        what = f"rattler alone, {len(PLATFORMS) * ENVIRONMENTS} solves, {records:,} records"
        yield Figure(what=what, seconds=statistics.median(each[0] for each in bare))
        yield against("smelt lock", [each[0] for each in ours], "rattler", [each[0] for each in bare], 1.1)
        peak = [statistics.median(each[1] for each in kind) for kind in (bare, ours)]
        work = [statistics.median(each[2] for each in kind) for kind in (bare, ours)]
        yield Figure(what="the same, of processors", seconds=work[1], ratio=work[1] / work[0], reference="rattler")
        print(f"peak memory: rattler alone {peak[0]:.0f} MB, smelt lock {peak[1]:.0f} MB")


if __name__ == "__main__":
    print(table(measure(*map(int, sys.argv[1:]))))
