"""Builds and the processes that they start: killed, interrupted, at the same time."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
from build_kit import Recorder, build, hello, left_in, script
from process_kit import SLOW, alive, drive, needs_proc, started_processes, wait_until

pytestmark = pytest.mark.build
posix = pytest.mark.skipif(os.name != "posix", reason="the build scripts are for a POSIX shell")


@posix
@needs_proc
def test_killing_the_parent_leaves_no_process(tmp_path: Path) -> None:
    driver = drive(tmp_path, f"script(root / 'source', {SLOW!r})")
    processes = started_processes(driver)
    workers = [int(path.name) for path in Path("/proc").glob("[0-9]*") if _is_worker(path, tmp_path)]
    assert workers
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    assert wait_until(lambda: not any(alive(pid) for pid in (*processes, *workers)))
    # and the next build works, in what was left
    one = script(tmp_path / "source", "true")
    assert build([one], tmp_path)[one.key].built
    assert left_in(tmp_path / "work") == []


def _is_worker(path: Path, root: Path) -> bool:
    try:
        return (
            str(root).encode() in (path / "cmdline").read_bytes()
            and b"smelt.build.worker" in (path / "cmdline").read_bytes()
        )
    except (FileNotFoundError, ProcessLookupError):
        return False


@posix
@needs_proc
def test_an_interrupt_leaves_nothing(tmp_path: Path) -> None:
    driver = drive(tmp_path, f"script(root / 'source', {SLOW!r})", stderr=subprocess.PIPE)
    processes = started_processes(driver)
    driver.send_signal(signal.SIGINT)
    _, errors = driver.communicate(timeout=20)  # the script would take minutes
    assert "KeyboardInterrupt" in errors
    assert wait_until(lambda: not any(alive(pid) for pid in processes), 1)
    assert left_in(tmp_path / "work") == []
    assert not (tmp_path / "store" / "artifacts").exists()


@posix
def test_two_processes_one_build(tmp_path: Path) -> None:
    hello(tmp_path / "source")
    make = "script(root / 'source', 'sleep 1', 'mkdir -p $PREFIX/share', 'date +%N > $PREFIX/share/now')"
    drivers = [drive(tmp_path, make) for _ in range(2)]
    said = [driver.communicate(timeout=60)[0].splitlines()[-1].split() for driver in drivers]
    assert sorted(words[0] for words in said) == ["built", "cached"]
    assert said[0][1] == said[1][1]


@posix
@needs_proc
def test_an_interrupt_while_another_process_builds(tmp_path: Path) -> None:
    make = f"script(root / 'source', {SLOW!r})"
    first = drive(tmp_path, make)
    started_processes(first)
    second = drive(tmp_path, make.replace("script(", "print('waits', flush=True) or script("), stderr=subprocess.PIPE)
    try:
        assert second.stdout is not None
        assert second.stdout.readline() == "waits\n"
        time.sleep(0.5)
        second.send_signal(signal.SIGINT)
        assert "KeyboardInterrupt" in second.communicate(timeout=5)[1]
        assert first.poll() is None
    finally:
        first.send_signal(signal.SIGINT)
        first.wait(timeout=10)


@posix
def test_threads_of_one_process_build_once(tmp_path: Path) -> None:
    one = script(tmp_path / "source", "sleep 0.5")
    recorders = [Recorder(), Recorder()]
    threads = [threading.Thread(target=build, args=([one], tmp_path, recorder)) for recorder in recorders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(recorder.events[-1][0] for recorder in recorders) == ["cached", "finished"]
