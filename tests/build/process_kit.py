"""Processes that build, and what is left of them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

SLOW = 'echo "started $$"; sleep 300 & echo "child $!"; sleep 300'


_DRIVER = """
import os
import sys
sys.path.insert(0, {kit!r})
from pathlib import Path
from build_kit import Recorder, build, hello, script
from smelt.build.surroundings import Surroundings
root = Path({root!r})

class Printing(Recorder):
    def line(self, node, text):
        print(text, flush=True)

one = {make}
around = Surroundings(sandboxed="SANDBOXED" in os.environ)
artifact = build([one], root, Printing(), surroundings=around)[one.key]
print("built" if artifact.built else "cached", artifact.record.sha256, flush=True)
"""


def drive(root: Path, make: str, **options: object) -> subprocess.Popen[str]:
    """A process of its own that builds."""
    code = _DRIVER.format(kit=str(Path(__file__).parent), root=str(root), make=make)
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, **options)  # pyright: ignore


def started_processes(driver: subprocess.Popen[str]) -> list[int]:
    """Wait until the build script runs; the processes of it."""
    found: list[int] = []
    assert driver.stdout is not None
    for line in driver.stdout:
        if line.startswith(("started", "child")):
            found.append(int(line.split()[1]))
        if len(found) == 2:
            return found
    raise AssertionError("the build script did not start")


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc")
