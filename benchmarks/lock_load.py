"""Reading a lock of 20 environments and checking that it fits, against rattler's own reader.

``python -m benchmarks.lock_load [PIXI_LOCK]``: without a file, a synthetic lock of 20 environments on 3 platforms with
300 packages each is used. If a manifest lies beside the file, the check is measured too.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rattler import LockFile

from benchmarks.figure import Figure, median, table
from smelt.lock.codec import to_text
from smelt.lock.model import Lock
from smelt.lock.reader import parse, read

ROUNDS = 9
PLATFORMS = ("linux-64", "osx-arm64", "win-64")


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


def fits(path: Path, lock: Lock) -> Iterator[Figure]:
    """How long the check takes, if there is a manifest."""
    from smelt.lock.satisfiability import Checks, check
    from smelt.solve.cutoff import parse_cutoff
    from smelt.solve.matching import RattlerMatcher
    from smelt.workspace.load import load_workspace

    if any((path.parent / name).exists() for name in ("pixi.toml", "pyproject.toml")):
        workspace = load_workspace(path.parent)
        checks = Checks(matcher=RattlerMatcher(), cutoff=parse_cutoff)
        yield Figure(
            what="check that it fits", seconds=median(lambda: check(workspace, lock, checks), ROUNDS), goal=0.15
        )


def measure(path: Path | None = None) -> Iterator[Figure]:
    """Of the lock in ``path``, or a synthetic one."""
    with tempfile.TemporaryDirectory(prefix="smelt-bench-") as folder:
        if path is None:
            path = Path(folder) / "pixi.lock"
            path.write_text(synthetic(), encoding="utf-8")
            (path.parent / "pixi.toml").write_text(manifest(), encoding="utf-8")
        text = path.read_text(encoding="utf-8")
        lock = read(path)
        theirs = median(lambda: LockFile.from_path(path), ROUNDS)
        ours = median(lambda: parse(text, "pixi.lock"), ROUNDS)
        lines = text.count("\n")
        yield Figure(what=f"rattler reads {lines} lines", seconds=theirs)
        yield Figure(what="smelt reads them", seconds=ours, ratio=ours / theirs, reference="rattler")
        if lock.version == 7:
            yield Figure(what="smelt makes the text", seconds=median(lambda: to_text(lock), ROUNDS))
        yield from fits(path, lock)


def manifest() -> str:
    """The manifest that the synthetic lock fits: each environment requires the last package of its range."""
    lines = [
        '[workspace]\nname = "bench"\nchannels = ["https://channel.example/forge"]',
        f"platforms = {list(PLATFORMS)}",
        "[environments]",
        *(f'e{n:02} = {{ features = ["e{n:02}"], no-default-feature = true }}' for n in range(20)),
        *(f'[feature.e{n:02}.dependencies]\np{n + 299:04} = "*"' for n in range(20)),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(measure(Path(sys.argv[1]) if len(sys.argv) > 1 else None)), flush=True)
    os._exit(0)  # rattler's runtime may crash while Python shuts down
