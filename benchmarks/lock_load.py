"""Reading a lock file and checking that it fits: prints milliseconds, and the ratio to rattler's own reader.

``python benchmarks/lock_load.py [PIXI_LOCK]``: without a file, a synthetic lock of 20 environments on 3 platforms with
300 packages each is used. If a manifest lies beside the file, the check is measured too.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rattler import LockFile

from smelt.lock.codec import to_text
from smelt.lock.model import Lock
from smelt.lock.reader import parse, read

ROUNDS = 9
PLATFORMS = ("linux-64", "osx-arm64", "win-64")


def measure(work: Callable[[], object]) -> float:
    """The median of some rounds, in milliseconds."""
    times: list[float] = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times)


def synthetic() -> str:
    """The text of a lock with 20 environments."""
    base = "https://channel.example/forge"
    lines = ["version: 7", "platforms:", *(f"- name: {platform}" for platform in PLATFORMS), "environments:"]
    for environment in range(20):
        lines += [f"  e{environment:02}:", "    channels:", f"    - url: {base}/", "    packages:"]
        for platform in PLATFORMS:
            lines.append(f"      {platform}:")
            lines += [
                f"      - conda: {base}/{platform}/p{n:04}-1.{n}-h0_0.conda"
                for n in range(environment, environment + 300)
            ]
    lines.append("packages:")
    for platform in PLATFORMS:
        for n in range(319):
            lines += [
                f"- conda: {base}/{platform}/p{n:04}-1.{n}-h0_0.conda",
                f"  sha256: a{n:063}",
                f"  md5: a{n:031}",
                *(["  depends:", f"  - p{n - 1:04} >=1.0,<2.0a0"] if n else []),
                "  license: MIT",
                "  size: 12345",
                "  timestamp: 1700000000000",
            ]
    return "\n".join(lines) + "\n"


def fits(path: Path, lock: Lock) -> None:
    """Print how long the check takes, if there is a manifest."""
    from smelt.errors import NotSupportedError
    from smelt.lock.satisfiability import Checks, check
    from smelt.solve.cutoff import parse_cutoff
    from smelt.solve.matching import RattlerMatcher
    from smelt.workspace.load import load_workspace

    if not any((path.parent / name).exists() for name in ("pixi.toml", "pyproject.toml")):
        return
    workspace = load_workspace(path.parent)
    try:
        took = measure(lambda: check(workspace, lock, Checks(matcher=RattlerMatcher(), cutoff=parse_cutoff)))
    except NotSupportedError as error:
        print(f"check: {error}")
        return
    print(f"check that it fits:   {took:7.1f} ms")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        if len(sys.argv) > 1:
            path = Path(sys.argv[1])
        else:
            path = Path(folder) / "pixi.lock"
            path.write_text(synthetic(), encoding="utf-8")
        text = path.read_text(encoding="utf-8")
        lock = read(path)
        print(f"{path.name}: {text.count(chr(10))} lines, {len(lock.packages)} packages, "
              f"{len(lock.environments)} environments")  # fmt: skip
        ours = measure(lambda: parse(text, "pixi.lock"))
        theirs = measure(lambda: LockFile.from_path(path))
        print(f"read:                 {ours:7.1f} ms")
        print(f"read by rattler:      {theirs:7.1f} ms   ratio {ours / theirs:.2f}")
        if lock.version == 7:
            print(f"write (to text):      {measure(lambda: to_text(lock)):7.1f} ms")
        fits(path, lock)


if __name__ == "__main__":
    main()
