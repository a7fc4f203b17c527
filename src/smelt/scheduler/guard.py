"""The child's side of the lifeline: when the process that started us is gone, we and ours go too.

Imports nothing but what every interpreter has loaded: it runs first in a worker.
"""

from __future__ import annotations

import os
import signal
import sys


def keep_lifeline() -> None:
    """Take standard input as the lifeline; from here on it reads as empty.

    POSIX: a forked guard waits for the other end to close, however that process dies, and kills our whole group.
    A thread would not do: rattler-build holds the interpreter's lock during a build. Call it before any thread is
    started, in the leader of a process group. Windows: nothing to do, the job object does it.
    """
    if sys.platform == "win32":
        return
    lifeline = os.dup(0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    if os.fork() == 0:
        _watch(lifeline)
    os.close(lifeline)


def _watch(lifeline: int) -> None:
    """Never returns."""
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        for descriptor in (1, 2):
            os.close(descriptor)
        while os.read(lifeline, 1):
            pass
    finally:
        os.killpg(0, signal.SIGKILL)
        os._exit(1)
