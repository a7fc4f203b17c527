"""The output of tasks that run at the same time: whole lines, each with the name of its task.

What a task writes goes through a pipe, or through a pseudo terminal where the stream is one, so that programs keep
their colours. A line is written when it is complete. What a program draws over itself on one line (after a carriage
return) is reduced to its last state on a terminal.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress

from smelt.tasks.model import PlannedTask
from smelt.tasks.shell.launch import Streams, write

_COLORS = ("36", "35", "33", "34", "32")
_LONGEST = 1 << 20  # bytes after which a line is cut: a program may never end one
_PATIENCE = 1.0  # seconds for output that a process left behind may still hold open


def labels(tasks: Sequence[PlannedTask]) -> tuple[str, ...]:
    """A label for each task, all of one width: its name, and as much more as tells it from the others."""
    names = [task.name or "command" for task in tasks]
    for extra in ([str(task.arguments) for task in tasks], [task.environment for task in tasks]):
        doubled = {name for name in names if names.count(name) > 1}
        names = [f"{n} ({e})" if n in doubled and e else n for n, e in zip(names, extra, strict=True)]
    width = max((len(name) for name in names), default=0)
    return tuple(name.ljust(width) for name in names)


class LabelledOutput:
    """Standard output and error of this process, shared by tasks. ``color``: whether labels are coloured."""

    def __init__(self, labels: Sequence[str], *, color: bool) -> None:
        self._labels = labels
        self._color = color
        self._lock = threading.Lock()

    @contextmanager
    def streams(self, index: int) -> Generator[Streams]:
        """What task ``index`` reads (nothing) and writes; at the end all that it wrote has been passed on."""
        source = os.open(os.devnull, os.O_RDONLY)
        outlets: list[_Outlet] = []
        try:
            outlets += [self._outlet(index, target) for target in (1, 2)]
            yield Streams(source, outlets[0].writer, outlets[1].writer)
        finally:
            os.close(source)
            for outlet in outlets:
                outlet.close()

    def _outlet(self, index: int, target: int) -> _Outlet:
        terminal = _is_terminal(target)
        label = self._labels[index]
        painted = (
            f"\x1b[{_COLORS[index % len(_COLORS)]}m{label} |\x1b[0m " if self._color and terminal else f"{label} | "
        )
        return _Outlet(target, os.fsencode(painted), len(label) + 3, self._lock, terminal=terminal)


class _Outlet:
    """One stream of one task: ``writer`` is what the task writes to."""

    def __init__(self, target: int, label: bytes, width: int, lock: threading.Lock, *, terminal: bool) -> None:
        self._target = target
        self._label = label
        self._lock = lock
        self._terminal = terminal
        self._reader, self.writer = _pseudo_terminal(target, width) if terminal else os.pipe()
        self._thread = threading.Thread(target=self._pass_on, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """The task has ended: pass on what is left."""
        os.close(self.writer)
        # a process that the task left behind may keep the stream open for as long as it lives
        self._thread.join(_PATIENCE)

    def _pass_on(self) -> None:
        rest = b""
        try:
            while chunk := self._read():
                *lines, rest = (rest + chunk).split(b"\n")
                if len(rest) > _LONGEST:
                    lines, rest = [*lines, rest], b""
                self._write(lines)
            if rest:
                self._write([rest])
        except OSError:
            pass  # nobody reads our output any more: with the stream closed the task is told so
        finally:
            os.close(self._reader)

    def _read(self) -> bytes:
        try:
            return os.read(self._reader, 65536)
        except OSError:
            return b""  # how a pseudo terminal says on Linux that it was closed on the other side

    def _write(self, lines: Sequence[bytes]) -> None:
        if lines:
            text = b"".join(self._label + self._settled(line) + b"\n" for line in lines)
            with self._lock:
                write(self._target, text)

    def _settled(self, line: bytes) -> bytes:
        line = line.removesuffix(b"\r")
        return line.rpartition(b"\r")[2] if self._terminal else line


def _is_terminal(descriptor: int) -> bool:
    if sys.platform == "win32":
        return False  # it has no pseudo terminals that a process could be given as a file
    try:
        return os.isatty(descriptor)
    except OSError:
        return False


def _pseudo_terminal(target: int, width: int) -> tuple[int, int]:
    """A terminal like ``target``, as much narrower as the label takes, that leaves line ends as they are."""
    import fcntl
    import struct
    import termios

    master, slave = os.openpty()
    attributes = termios.tcgetattr(slave)
    attributes[1] &= ~termios.OPOST
    termios.tcsetattr(slave, termios.TCSANOW, attributes)
    with suppress(OSError):
        size = fcntl.ioctl(target, termios.TIOCGWINSZ, b"\0" * 8)
        rows, columns, *_ = struct.unpack("4H", size)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", rows, max(columns - width, 20), 0, 0))
    return master, slave
