"""The processes that a script runs, and the signals that reach them.

A signal that this process gets is passed to every child, but for those that the terminal has already sent to
the whole foreground group. After a signal that asks to stop, no further command is started. When a script ends
because something in it failed, what still runs in its background is told to stop.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from types import FrameType

WINDOWS = sys.platform == "win32"
_STOPPING = frozenset(("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGABRT", "SIGBREAK"))
_FORWARDED = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGBREAK")
_FROM_TERMINAL = frozenset(("SIGINT", "SIGQUIT"))
_BY_TERMINAL = frozenset((128 + 2, 128 + 3))
"""Exit codes of what SIGINT or SIGQUIT ended."""
_TICK = 0.05
_HEARING = 0.5
"""Seconds in which the main thread hears of a signal that a child has got from the terminal."""


class Stopped(Exception):
    """A signal asked to stop while a built-in command ran in the main thread."""


class Jobs:
    """The running processes of a plan, of one script of it, or of one ``$(…)`` in that.

    ``stopped``: the exit code of commands that are no longer started, once a signal asked to stop.
    ``failure``: the exit code of what failed first, for the whole script.
    """

    def __init__(self, parent: Jobs | None = None) -> None:
        self.stopped: int | None = parent.stopped if parent is not None else None
        self.failure: int | None = None
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._children: list[Jobs] = []
        self._interruptible = False
        self._from_terminal: int | None = None
        self._told = threading.Event()
        self._root: Jobs = parent._root if parent is not None else self
        if parent is not None:
            parent._children.append(self)
        self._parent = parent

    @property
    def interrupted(self) -> int | None:
        """128 + the signal that the terminal has sent to all that runs here; the last one, None if there was none."""
        number = self._root._from_terminal
        return None if number is None else 128 + number

    def close(self) -> None:
        """Forget a script or a ``$(…)`` that has ended."""
        if self._parent is not None:
            self._parent._children.remove(self)

    def wait(self, process: subprocess.Popen[bytes]) -> int:
        """Wait for ``process`` and give its exit code; 128 + the number for one that a signal ended."""
        self._running[process.pid] = process
        with self._waiting():
            try:
                if self.stopped is not None:
                    self._send_to(process, signal.SIGTERM)
                code = process.wait()
            finally:
                del self._running[process.pid]
        code = 128 - code if code < 0 else code
        root = self._root
        if code in _BY_TERMINAL and threading.current_thread() is not threading.main_thread():
            # the terminal has told all at once, and the child may have ended before the main thread has heard of it
            root._told.wait(_HEARING)
        if root._from_terminal is not None and code == 128 + root._from_terminal:
            root.send(root._from_terminal, forward=False)
        return code

    def send(self, number: int, *, forward: bool = True) -> None:
        """Pass a signal to every running process of this script and of the substitutions in it."""
        if signal.Signals(number).name in _STOPPING and self.stopped is None:
            self.stopped = 128 + number
        if forward:
            for process in list(self._running.values()):
                self._send_to(process, number)
        for child in list(self._children):
            child.send(number, forward=forward)

    def fail(self, code: int) -> None:
        """Something failed for good: remember the first code, and stop what still runs."""
        if self.failure is None:
            self.failure = code
        self.send(signal.SIGTERM)

    def sleep(self, seconds: float) -> int:
        """Wait; the exit code is 0, or that of the signal that ended it early."""
        end = time.monotonic() + seconds
        while self.stopped is None:
            left = end - time.monotonic()
            if left <= 0:
                return 0
            time.sleep(min(left, _TICK))
        return self.stopped

    @contextmanager
    def interruptible(self) -> Generator[None]:
        """While a built-in command runs in the main thread, a signal that asks to stop raises Stopped."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        root = self._root
        before = root._interruptible
        root._interruptible = True
        try:
            yield
        finally:
            root._interruptible = before

    @contextmanager
    def _waiting(self) -> Generator[None]:
        """While the main thread waits for a process, nothing is raised: the process is always awaited."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        root = self._root
        before = root._interruptible
        root._interruptible = False
        try:
            yield
        finally:
            root._interruptible = before

    def _any_running(self) -> bool:
        return bool(self._running) or any(child._any_running() for child in list(self._children))

    @contextmanager
    def signals(self) -> Generator[None]:
        """Take the signals of this process and pass them on. Only in the main thread; elsewhere nothing."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        terminal = _is_terminal(0)

        def handle(number: int, frame: FrameType | None) -> None:
            name = signal.Signals(number).name
            if name in _FROM_TERMINAL and (WINDOWS or terminal) and self._any_running():
                # the terminal has sent it to the child as well, which may use it for something else
                # (an interpreter's prompt): only if the child ends by it, the script does
                self._from_terminal = number
                self._told.set()
                return
            self.send(number, forward=not WINDOWS)
            if self._interruptible and name in _STOPPING:
                raise Stopped

        before: dict[int, object] = {}
        for name in _FORWARDED:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, handle)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)  # type: ignore[arg-type]

    def _send_to(self, process: subprocess.Popen[bytes], number: int) -> None:
        with suppress(OSError):
            if WINDOWS:
                process.terminate()
            else:
                process.send_signal(number)


class Background:
    """A part of a script that runs in a thread of its own."""

    def __init__(self, run: Callable[[], int]) -> None:
        self.code = 1
        self._error: BaseException | None = None
        self._run = run
        self._thread = threading.Thread(target=self._main, daemon=True)
        self._thread.start()

    def _main(self) -> None:
        try:
            self.code = self._run()
        except BaseException as error:  # noqa: BLE001 - raised again in `join`, in the thread that waits
            self._error = error

    def join(self) -> int:
        """Wait for its end and give its exit code; what it raised is raised here."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self.code


def _is_terminal(descriptor: int) -> bool:
    try:
        return os.isatty(descriptor)
    except OSError:
        return False
