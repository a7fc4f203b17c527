"""A child with all that it starts: killed as one, never left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from smelt.scheduler.containment import Containment

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc")

CHILD = textwrap.dedent("""
    import os, subprocess, sys, time
    from smelt.scheduler.guard import keep_lifeline
    keep_lifeline()
    grandchild = subprocess.Popen(["sleep", "300"], stdout=subprocess.DEVNULL)
    print(os.getpid(), grandchild.pid, repr(sys.stdin.read()), flush=True)
    {rest}
""")


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def group(pid: int) -> list[int]:
    """The living processes of a process group."""
    found: list[int] = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            fields = (path / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[2]) == pid and fields[0] != "Z":
            found.append(int(path.name))
    return found


def gone(pid: int) -> bool:
    end = time.monotonic() + 10
    while group(pid) and time.monotonic() < end:
        time.sleep(0.01)
    return not group(pid)


def start(rest: str, folder: Path) -> Containment:
    return Containment.start(
        [sys.executable, "-c", CHILD.replace("{rest}", rest)],
        env=dict(os.environ),
        cwd=folder,
        errors=subprocess.DEVNULL,
    )


def test_the_exit_code_and_the_output(tmp_path: Path) -> None:
    child = start("sys.exit(7)", tmp_path)
    words = child.output.read().split()
    assert words[2] == b"''"  # its input is empty, not the lifeline
    assert child.wait() == 7
    assert gone(child.pid)
    assert not alive(int(words[1]))
    child.kill()  # nothing happens


def test_killing_takes_everything(tmp_path: Path) -> None:
    child = start("time.sleep(300)", tmp_path)
    words = child.output.readline().split()
    child.kill()
    assert child.output.read() == b""
    assert child.wait() == -9
    assert gone(child.pid)
    assert not alive(int(words[1]))


def test_the_death_of_the_parent_takes_everything(tmp_path: Path) -> None:
    """Also while the child holds the interpreter's lock, as rattler-build does."""
    parent = textwrap.dedent("""
        import os, sys, time
        sys.path.insert(0, {folder!r})
        from pathlib import Path
        from test_scheduler_process import start
        child = start("import ctypes; ctypes.PyDLL(None).sleep(300)", Path({scratch!r}))
        print(child.pid, *child.output.readline().split()[:2], flush=True)
        time.sleep(300)
    """).format(folder=str(Path(__file__).parent), scratch=str(tmp_path))
    process = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    leader = int(process.stdout.readline().split()[0])
    assert len(group(leader)) == 3
    process.kill()
    process.wait()
    assert gone(leader)


def test_what_cannot_be_started(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Containment.start([str(tmp_path / "nothing")], env={}, cwd=tmp_path, errors=subprocess.DEVNULL)
