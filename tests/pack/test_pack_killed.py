"""Unpacking that is killed or interrupted at any moment."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pack_kit import unpacked

from spine_kit import environment, tree

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")


def start(pack: Path, out: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "smelt", "unpack", str(pack), "-o", str(out)]
    return subprocess.Popen(command, env=environment(), stderr=subprocess.DEVNULL, start_new_session=True)


def wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    while not path.exists() and process.poll() is None:
        time.sleep(0.001)


def test_killed_and_repaired(small_pack: Path, tmp_path: Path) -> None:
    chance = random.Random(3)
    unpacked(small_pack, tmp_path / "good")
    names = {name.partition("/")[0] for name in tree(tmp_path / "good")}
    out = tmp_path / "out"
    for _ in range(5):
        process = start(small_pack, out)
        wait_for(out / ".env.unpacking", process)
        time.sleep(chance.random() * 0.1)
        process.kill()
        process.wait()
    unpacked(small_pack, out)
    assert {name.partition("/")[0] for name in tree(out)} == names
    assert tree(out / "env").keys() == tree(tmp_path / "good" / "env").keys()


def test_what_was_there_comes_back(small_pack: Path, tmp_path: Path) -> None:
    """Killed while the older environment is moved aside: the next call finds it, whatever becomes of its own pack."""
    out = tmp_path / "out"
    unpacked(small_pack, out)
    before = tree(out)
    (out / ".env.unpacking" / "work" / "old").mkdir(parents=True)
    (out / "env").rename(out / ".env.unpacking" / "work" / "old" / "env")
    (out / "env" / "half").mkdir(parents=True)
    damaged = tmp_path / "damaged.tar"
    damaged.write_bytes(small_pack.read_bytes()[:2000])
    with pytest.raises(Exception, match="ends"):
        unpacked(damaged, out)
    assert tree(out) == before


def test_interrupted(small_pack: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = start(small_pack, out)
    wait_for(out / ".env.unpacking" / "work", process)
    process.send_signal(signal.SIGINT)
    if process.wait(timeout=30) == 0:
        pytest.skip("it was faster")
    assert not out.exists()


def test_two_at_once(small_pack: Path, tmp_path: Path) -> None:
    from smelt.errors import PackError
    from smelt.fs import hold

    with hold(tmp_path / ".env.unpacking" / "lock", "unpacking"), pytest.raises(PackError, match="another process"):
        unpacked(small_pack, tmp_path)
    assert (tmp_path / ".env.unpacking" / "lock").exists()  # not ours to remove
