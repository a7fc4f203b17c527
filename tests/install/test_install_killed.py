"""Installations that are killed, and many at once."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from install_kit import PLACEHOLDER, Content, Text, assert_exact, make_package, request_for

from smelt.install.cache_entry import entry_problem
from smelt.install.prefix import install
from smelt.install.state import is_current
from smelt.types import CondaRecord

KILLS = int(os.environ.get("SMELT_TEST_KILLS", "24"))

# Installs one set of packages after the other, for ever, until it is killed.
CHILD = """
import asyncio, json, os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import rattler, rattler.networking.client, rattler.package_streaming
from install_kit import request_for
from smelt.install.prefix import install
from smelt.types import CondaRecord
root, sets = Path(sys.argv[2]), json.loads(Path(sys.argv[3]).read_text())
sets = [[CondaRecord(**{**r, "depends": tuple(r["depends"])}) for r in records] for records in sets]
rounds = int(sys.argv[4])
print("ready", flush=True)
sys.stdin.readline()
async def main():
    for number in range(rounds):
        await install(request_for(root, *sets[number % len(sets)], environment=sys.argv[5]))
asyncio.run(main())
sys.stdout.flush()
os._exit(0)
"""


def packages(channel: Path, version: str, numbers: range) -> list[CondaRecord]:
    """Packages that change places: a file that is a hard link in one version is rewritten text in the next."""

    def files(number: int) -> dict[str, Content]:
        other = number + (version != "1")
        odd = (number % 2 == 0) == (version == "1")
        shared: Content = Text(f"{PLACEHOLDER} {number}\n") if odd else f"{version} {number}".encode() * 40
        return {f"lib/shared{other}.txt": shared} | {
            f"lib/p{number}/{version}-{n}.py": f"{version} {number} {n}".encode() * 20 for n in range(15)
        }

    return [make_package(channel, f"p{number}", version, files=files(number)) for number in numbers]


@pytest.fixture
def sets(tmp_path: Path) -> list[list[CondaRecord]]:
    channel = tmp_path / "channel"
    return [
        packages(channel, "1", range(12)),
        packages(channel, "2", range(4, 18)),
        packages(channel, "3", range(6)),
    ]


def child(root: Path, sets: list[list[CondaRecord]], rounds: int, environment: str) -> subprocess.Popen[str]:
    described = root / f"sets-{random.getrandbits(60):x}.json"
    described.write_text(json.dumps([[_plain(record) for record in records] for records in sets]))
    arguments = [str(Path(__file__).parent), str(root), str(described), str(rounds), environment]
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def _plain(record: CondaRecord) -> dict[str, object]:
    keep = (
        "name",
        "version",
        "build",
        "build_number",
        "subdir",
        "url",
        "file_name",
        "channel",
        "depends",
        "sha256",
    )
    return {key: getattr(record, key) for key in (*keep, "md5", "size")}


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None and process.stdin is not None
    assert process.stdout.readline() == "ready\n"
    process.stdin.write("go\n")
    process.stdin.flush()


def moments() -> Iterator[float]:
    """Seconds after the start: at first in the fetching of a cold cache, then anywhere."""
    chance = random.Random(20)
    for number in range(KILLS):
        yield chance.uniform(0.0, 0.08 if number % 3 == 0 else 0.3)


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")
def test_killed_at_any_moment_the_next_install_repairs(tmp_path: Path, sets: list[list[CondaRecord]]) -> None:
    finish = random.Random(7)
    cut_off = 0
    for number, moment in enumerate(moments()):
        if number % 3 == 0:
            shutil.rmtree(tmp_path / "cache", ignore_errors=True)
        process = child(tmp_path, sets, 10_000, "default")
        go(process)
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)
        process.wait()
        request = request_for(tmp_path, *finish.choice(sets))
        result = asyncio.run(install(request))
        cut_off += result.repaired is not None
        assert_exact(request)
        problems = {entry_problem(tmp_path / "cache", record, thorough=True) for record in request.records}
        assert problems <= ({None} if result.changed else {None, "not there"})
        assert asyncio.run(install(request)).changed is False
    assert cut_off > 0 or KILLS < 10


def test_many_processes_one_cold_cache(tmp_path: Path, sets: list[list[CondaRecord]]) -> None:
    environments = ["one", "two", "three"]
    children = [child(tmp_path, [sets[n % 3]], 1, environments[n % 3]) for n in range(6)]
    for process in children:
        go(process)
    for process in children:
        assert process.wait(60) == 0
    for environment, records in zip(environments, sets, strict=True):
        request = request_for(tmp_path, *records, environment=environment)
        assert_exact(request)
        assert asyncio.run(install(request)).changed is False


def test_one_environment_pulled_to_and_fro_by_processes(tmp_path: Path, sets: list[list[CondaRecord]]) -> None:
    children = [child(tmp_path, sets[n:] + sets[:n], 6, "default") for n in range(3)]
    for process in children:
        go(process)
    for process in children:
        assert process.wait(60) == 0
    requests = [request_for(tmp_path, *records) for records in sets]
    [current] = [request for request in requests if is_current(request.prefix, request.digest)]
    assert_exact(current)
