"""Environments that share packages, over a network: the second one, and four of them by 16 processes at once.

``python -m benchmarks.sharing [PROCESSES]``: every environment has 150 packages of 20 files, 90 % of them the same; the
channel is on a loopback port, and each round begins with an empty cache.
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

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "network"))

from network_kit import Server, serving

from spine_kit import Channel, manifest

ROUNDS = 3
ENVIRONMENTS = ("default", "one", "two", "three")
COMMON, OWN, FILES = 135, 15, 20


def _fill(folder: Path) -> None:
    channel = Channel(folder)
    names = [f"common{n}" for n in range(COMMON)] + [f"{e}{n}" for e in ENVIRONMENTS for n in range(OWN)]
    for name in names:
        channel.add(name, files={f"lib/{name}/{n}.py": f"# {name} {n}\n" + "x = 1\n" * 500 for n in range(FILES)})
    channel.add("common", depends=names[:COMMON])
    for each in ENVIRONMENTS:
        channel.add(each, depends=["common", *(f"{each}{n}" for n in range(OWN))])
    channel.index()


def _workspace(root: Path, url: str) -> None:
    text = "[environments]\n"
    text += "".join(f'{name} = {{ features = ["{name}"], no-default-feature = true }}\n' for name in ENVIRONMENTS[1:])
    text += '[dependencies]\ndefault = "*"\n'
    text += "".join(f'[feature.{name}.dependencies]\n{name} = "*"\n' for name in ENVIRONMENTS[1:])
    manifest(root, [url], text)


def _disk(*folders: Path) -> int:
    """Bytes on the disk, hard links counted once."""
    seen: dict[int, int] = {}
    for folder in folders:
        for path in folder.rglob("*"):
            found = path.lstat()
            seen[found.st_ino] = found.st_blocks * 512
    return sum(seen.values())


class _Rounds:
    """Installations of the workspace in ``root``, whose lock is written."""

    def __init__(self, root: Path, server: Server, variables: Mapping[str, str]) -> None:
        self.root = root
        self.server = server
        self.variables = variables
        self.cache = Path(variables["PIXI_CACHE_DIR"])

    def empty(self) -> None:
        """No environments, and an empty cache."""
        shutil.rmtree(self.root / ".pixi", ignore_errors=True)
        shutil.rmtree(self.cache, ignore_errors=True)
        self.server.asked.clear()

    def run(self, *commands: list[str]) -> float:
        """The time of commands that run at the same time. Raises RuntimeError where one fails."""
        start = time.perf_counter()
        running = [
            subprocess.Popen(each, cwd=self.root, env=self.variables, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            for each in commands
        ]
        said = [process.communicate()[1] for process in running]
        if any(process.returncode for process in running):
            raise RuntimeError(said)
        return time.perf_counter() - start

    def fetched_twice(self) -> int:
        """How many packages were fetched more than once since the cache was emptied."""
        packages = [path for path in self.server.asked if path.endswith(".conda")]
        return len(packages) - len(set(packages))


def measure(count: int = 16) -> Iterator[Figure]:
    """``count`` processes."""
    with (
        tempfile.TemporaryDirectory(prefix="smelt-bench-") as name,
        environment(Path(name).resolve()) as variables,
        serving(Path(name) / "served") as server,
    ):
        root = Path(name).resolve() / "workspace"
        _fill(server.folder)
        _workspace(root, server.url)
        rounds = _Rounds(root, server, variables)
        rounds.run(command("lock"))
        first: list[float] = []
        second: list[float] = []
        disks: list[int] = []
        alone: list[float] = []
        many: list[float] = []
        for _ in range(ROUNDS):
            rounds.empty()
            first.append(rounds.run(command("install", "--frozen")))
            disks = [_disk(root / ".pixi", rounds.cache)]
            second.append(rounds.run(command("install", "--frozen", "-e", "one")))
            disks.append(_disk(root / ".pixi", rounds.cache))
            rounds.empty()
            alone.append(rounds.run(command("install", "--all")))
            rounds.empty()
            each = [command("install", "-e", ENVIRONMENTS[n % len(ENVIRONMENTS)]) for n in range(count)]
            many.append(rounds.run(*each))
            if rounds.fetched_twice():
                raise RuntimeError(f"{rounds.fetched_twice()} packages were fetched twice")
    base = statistics.median(first)
    yield Figure(what=f"first environment, {disks[0] / 1e6:.1f} MB with the cache", seconds=base)
    seconds = statistics.median(second)
    more = f"second, 90 % shared, {(disks[1] - disks[0]) / 1e6:.1f} MB more"
    yield Figure(what=more, seconds=seconds, ratio=seconds / base, reference="first")
    base, seconds = statistics.median(alone), statistics.median(many)
    yield Figure(what="one process, 4 environments", seconds=base)
    ratio = seconds / base
    what = f"{count} processes at once, the same"
    yield Figure(what=what, seconds=seconds, ratio=ratio, reference="one process", goal=1.5, relative=True)


if __name__ == "__main__":
    print(table(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 16)), flush=True)
    os._exit(0)  # rattler's runtime may crash while Python shuts down
