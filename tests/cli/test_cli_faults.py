"""Commands that are killed, interrupted, or run at the same time."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from spine_kit import Channel, environment, manifest, package, partial, posix, recipe, smelt

pytestmark = [pytest.mark.build, posix]

KILLS = int(os.environ.get("SMELT_TEST_KILLS", "6"))
SLOW = [
    "mkdir -p $PREFIX/bin $PREFIX/share/slow",
    "for i in 1 2 3 4 5 6 7 8 9 10; do echo $i > $PREFIX/share/slow/$i; sleep 0.05; done",
    "printf '#!/bin/sh\\necho slow\\n' > $PREFIX/bin/slow",
    "chmod +x $PREFIX/bin/slow",
]


@pytest.fixture
def slow(tmp_path: Path, channel: Channel, cache: Path) -> Path:
    """A workspace whose installation builds two packages, the first for a second."""
    root = tmp_path / "ws"
    recipe(root, "slow", host=["library"], script=SLOW)
    at = {"slow": "../slow"}
    package(root, "top", host=["slow"], run=["slow"], sources={"host": at, "run": at})
    manifest(
        root,
        [channel.url],
        '[dependencies]\ntool = "*"\ntop = { path = "top" }\n[tasks]\ncheck = "slow && tool"\n',
    )
    return root


def start(root: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "smelt", *arguments],
        cwd=root,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def building(root: Path) -> bool:
    """Whether the build script of ``slow`` is at work."""
    return any((root.parent / "cache" / "smelt" / "work").glob("slow-*/*/**/share/slow/2"))


def processes_of(root: Path) -> list[str]:
    """Processes that have to do with ``root`` (its command line or its working folder)."""
    found: list[str] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                where = str((entry / "cwd").readlink())
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if state != "Z" and (str(root) in line or where.startswith(str(root))):
                found.append(f"{entry.name} {line}")
    return found


def left_in_work(root: Path) -> list[str]:
    work = root.parent / "cache" / "smelt" / "work"
    return [path.name for path in work.iterdir() if not path.name.endswith((".lock", ".holder"))]


def test_killed_at_any_moment(slow: Path) -> None:
    """``kill -9``; then the next installation succeeds, and the environment works."""
    begin = time.monotonic()
    assert smelt(slow, "install").returncode == 0
    whole = time.monotonic() - begin
    moments = random.Random(20_200_101)
    for number in range(KILLS):
        if number % 3 != 2:  # now and then go on from what is there
            shutil.rmtree(slow / ".pixi", ignore_errors=True)
            shutil.rmtree(slow.parent / "cache", ignore_errors=True)
            (slow / "pixi.lock").unlink(missing_ok=True)
        else:
            recipe(slow, "slow", host=["library"], script=[*SLOW, f"touch $PREFIX/share/{number}"])
        process = start(slow, "install")
        delay = whole * (number + moments.random()) / KILLS
        time.sleep(delay)
        process.kill()
        process.communicate()
        again = smelt(slow, "install")
        assert again.returncode == 0, f"killed after {delay:.2f} s of {whole:.2f}: {again.stderr}"
        assert smelt(slow, "run", "check").stdout == "slow\ntool 2.0\n"
        assert partial(slow.parent) == []
        assert left_in_work(slow) == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_a_build_does_not_outlive_who_started_it(slow: Path) -> None:
    process = start(slow, "install")
    wait_for(lambda: building(slow))
    process.kill()
    process.communicate()
    wait_for(lambda: processes_of(slow.parent) == [], seconds=3)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_during_a_build(slow: Path, number: signal.Signals) -> None:
    """Nothing is left: no process, no work folder, no artifact, no prefix; the lock was written and stays."""
    process = start(slow, "install")
    wait_for(lambda: building(slow))
    lock = (slow / "pixi.lock").read_bytes()
    os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)
    _, said = process.communicate(timeout=20)
    assert "Traceback" not in said
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert said.endswith("interrupted\n")
        assert left_in_work(slow) == []
    wait_for(lambda: processes_of(slow.parent) == [], seconds=3)
    assert not any((slow.parent / "cache" / "smelt" / "artifacts").rglob("*.conda"))
    assert not (slow / ".pixi" / "envs" / "default").exists()
    assert (slow / "pixi.lock").read_bytes() == lock
    assert smelt(slow, "install").returncode == 0
    assert partial(slow.parent) == []
    assert smelt(slow, "run", "check").stdout == "slow\ntool 2.0\n"


def test_interrupted_while_solving_or_waiting(slow: Path) -> None:
    """Before anything is built: the lock is whole or not there."""
    for delay in (0.05, 0.15, 0.3):
        shutil.rmtree(slow / ".pixi", ignore_errors=True)
        process = start(slow, "lock")
        while process.poll() is None and not (slow / ".pixi").exists():
            time.sleep(0.01)
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
        assert "Traceback" not in said
        assert process.returncode in (0, 130, -signal.SIGINT)
        path = slow / "pixi.lock"
        if path.exists():
            assert smelt(slow, "lock", "--check").returncode == 0
            path.unlink()


def test_two_installations_at_once(slow: Path) -> None:
    """Both succeed, and each package is built once."""
    both = [start(slow, "install") for _ in range(2)]
    said = [process.communicate(timeout=60)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    for name in ("slow", "top"):
        assert sum(text.count(f"✔ built {name} 1.0") for text in said) == 1, said
    assert smelt(slow, "run", "check").stdout == "slow\ntool 2.0\n"
    assert partial(slow.parent) == []
    assert left_in_work(slow) == []


def test_different_commands_at_once(slow: Path) -> None:
    commands = (("install",), ("run", "check"), ("build",), ("list",), ("lock",))
    running = [start(slow, *arguments) for arguments in commands]
    said = [process.communicate(timeout=90) for process in running]
    assert [process.returncode for process in running] == [0] * len(running), said
    assert said[1][0] == "slow\ntool 2.0\n"
    assert sum(text.count("✔ built slow 1.0") for _, text in said) == 1, said


def test_two_workspaces_with_one_package_at_once(slow: Path) -> None:
    """The same build for two workspaces: one makes it, the other takes it."""
    other = slow.parent / "other"
    shutil.copytree(slow, other)
    both = [start(root, "install") for root in (slow, other)]
    said = [process.communicate(timeout=60)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sum(text.count("✔ built slow 1.0") for text in said) == 1, said
    for root in (slow, other):
        assert smelt(root, "run", "check").stdout == "slow\ntool 2.0\n"
