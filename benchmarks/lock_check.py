"""``smelt lock --check`` of a lock of 3 MB as a whole process: the first time, and when nothing has changed since.

``python -m benchmarks.lock_check [FOLDER]``: without a workspace, a synthetic one of 2 environments on 5 platforms with
4,100 packages is used. FOLDER is copied: a check leaves notes in ``.pixi``.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks.figure import Figure, table
from benchmarks.workspaces import command, environment

COLD_ROUNDS = 7
WARM_ROUNDS = 25
PLATFORMS = ("linux-64", "linux-aarch64", "osx-64", "osx-arm64", "win-64")
PACKAGES = 820
CHANNEL = "https://channel.example/forge"


def synthetic(folder: Path) -> None:
    """A manifest, and a lock that fits it: each package needs nine others."""
    folder.mkdir()
    names = ", ".join(f'"{platform}"' for platform in PLATFORMS)
    (folder / "pixi.toml").write_text(
        f'[workspace]\nname = "bench"\nchannels = ["{CHANNEL}"]\nplatforms = [{names}]\n'
        f'[dependencies]\np{PACKAGES - 1:04} = "*"\n[feature.more.dependencies]\np{PACKAGES - 2:04} = ">=1"\n'
        '[environments]\nmore = ["more"]\n',
        encoding="utf-8",
    )
    lines = ["version: 7", "platforms:", *(f"- name: {platform}" for platform in PLATFORMS), "environments:"]
    for name in ("default", "more"):
        lines += [f"  {name}:", "    channels:", f"    - url: {CHANNEL}/", "    packages:"]
        for platform in PLATFORMS:
            lines.append(f"      {platform}:")
            lines += [f"      - conda: {CHANNEL}/{platform}/p{n:04}-1.{n}.2-h{n:06x}_0.conda" for n in range(PACKAGES)]
    lines.append("packages:")
    for number, platform in enumerate(PLATFORMS):
        for n in range(PACKAGES):
            needs = sorted({n - 1, *(n - 1 - (n * k + number) % 97 for k in range(2, 10))})
            lines += [
                f"- conda: {CHANNEL}/{platform}/p{n:04}-1.{n}.2-h{n:06x}_0.conda",
                f"  sha256: {n:05}{'a' * 58}{number}",
                f"  md5: {n:05}{'a' * 26}{number}",
                *(["  depends:"] if n else []),
                *(f"  - p{need:04} >=1.{need}.0,<2.0a0" for need in needs if need >= 0),
                "  license: Apache-2.0 WITH LLVM-exception",
                "  license_family: Apache",
                f"  size: {12345 + n}",
                "  timestamp: 1700000000000",
            ]
    (folder / "pixi.lock").write_text("\n".join(lines) + "\n", encoding="utf-8")


def measure(source: Path | None = None) -> Iterator[Figure]:
    """Of a copy of the workspace ``source``, or of a synthetic one."""
    with tempfile.TemporaryDirectory(prefix="smelt-bench-") as name, environment(Path(name)) as variables:
        folder = Path(name) / "workspace"
        if source is None:
            synthetic(folder)
        else:
            shutil.copytree(source, folder, ignore=shutil.ignore_patterns(".pixi"))
        size = (folder / "pixi.lock").stat().st_size / 1e6
        check = command("lock", "--check")
        time.sleep(0.2)  # files just made are not trusted by their stats
        cold: list[float] = []
        for number in range(COLD_ROUNDS + 1):
            shutil.rmtree(folder / ".pixi", ignore_errors=True)
            seconds = timed(check, folder, variables)
            cold += [seconds] if number else []  # the first one compiles modules
        timed(check, folder, variables)
        warm: list[float] = []
        bare: list[float] = []
        for _ in range(WARM_ROUNDS):
            warm.append(timed(check, folder, variables))
            bare.append(timed([sys.executable, "-c", "pass"], folder, variables))
        base = statistics.median(bare)
        yield Figure(what="python -c pass", seconds=base)
        yield Figure(what=f"smelt lock --check, {size:.1f} MB", seconds=statistics.median(cold), goal=0.3)
        yield Figure(what="the same, nothing has changed", seconds=statistics.median(warm), goal=base + 0.02)


def timed(words: list[str], folder: Path, variables: Mapping[str, str]) -> float:
    """Seconds of a process. Raises CalledProcessError where it fails."""
    start = time.perf_counter()
    subprocess.run(words, cwd=folder, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    print(table(measure(Path(sys.argv[1]) if len(sys.argv) > 1 else None)), flush=True)
    os._exit(0)
