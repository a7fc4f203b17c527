"""From a command's name to a running process: what differs between systems is here."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

WINDOWS = sys.platform == "win32"
_ENV_SHEBANG = b"#!/usr/bin/env "
_DEFAULT_PATHEXT = ".EXE;.CMD;.BAT;.COM"


@dataclass(frozen=True, slots=True)
class Streams:
    """The descriptors a command reads from and writes to; the command does not own them."""

    stdin: int = 0
    stdout: int = 1
    stderr: int = 2


class LaunchError(Exception):
    """A command that cannot be started; ``code`` is its exit code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def write(descriptor: int, data: bytes) -> None:
    """Write all of ``data``. Raises OSError (BrokenPipeError where the reader is gone)."""
    if WINDOWS and descriptor in (1, 2) and os.isatty(descriptor):
        # the console takes text, not bytes in whatever encoding
        console = sys.stdout if descriptor == 1 else sys.stderr
        console.write(data.decode("utf-8", "replace"))
        console.flush()
        return
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def find_executable(name: str, cwd: str, environment: Mapping[str, str]) -> str:
    """The path of the executable that ``name`` means, searched along ``PATH``. Raises LaunchError.

    A name with a separator is a path, seen from ``cwd``.
    """
    if not name:
        raise LaunchError("command name was empty", 1)
    if os.path.isabs(name):  # noqa: PTH117
        return _with_extension(name, environment) or name
    if "/" in name or (WINDOWS and "\\" in name):
        path = os.path.join(cwd, name)  # noqa: PTH118
        return _with_extension(path, environment) or path
    for folder in environment.get("PATH", "").split(os.pathsep):
        if folder:
            found = _with_extension(os.path.join(cwd, folder, name), environment)  # noqa: PTH118
            if found is not None:
                return found
    raise LaunchError(f"{name}: command not found", 127)


def _with_extension(path: str, environment: Mapping[str, str]) -> str | None:
    if not WINDOWS:
        return path if os.path.isfile(path) and os.access(path, os.X_OK) else None  # noqa: PTH113
    extensions = [e for e in (environment.get("PATHEXT") or _DEFAULT_PATHEXT).split(";") if e.startswith(".")]
    if os.path.splitext(path)[1].upper() in {e.upper() for e in extensions} and os.path.isfile(path):  # noqa: PTH113, PTH122
        return path
    return next((path + e for e in extensions if os.path.isfile(path + e)), None)  # noqa: PTH113


def env_shebang(path: str) -> tuple[str, bool] | None:
    """What follows ``#!/usr/bin/env`` in a script, and whether it is to be split (``-S``).

    Followed by us, not by the kernel, so that such scripts run on every system.
    """
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            start = file.read(len(_ENV_SHEBANG))
            if start != _ENV_SHEBANG:
                return None
            line = file.readline(4096).decode("utf-8", "replace").strip()
    except OSError:
        return None
    if not line:
        return None
    return (line[3:].strip(), True) if line.startswith("-S ") else (line, False)


def spawn(
    path: str, argv: list[str], cwd: str, environment: Mapping[str, str], streams: Streams
) -> subprocess.Popen[bytes]:
    """Start ``path`` with ``argv`` (its first is the name it sees). Raises LaunchError."""

    def start(command: list[str], executable: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            executable=executable,
            cwd=cwd,
            env=dict(environment),
            stdin=None if streams.stdin == 0 else streams.stdin,
            stdout=None if streams.stdout == 1 else streams.stdout,
            stderr=None if streams.stderr == 2 else streams.stderr,
        )

    try:
        if WINDOWS:
            return start([path, *argv[1:]], path)
        return start(argv, path)
    except OSError as error:
        if error.errno == errno.ENOEXEC and not WINDOWS:
            # a script without a `#!` line: what every shell does
            return start(["sh", path, *argv[1:]], "/bin/sh")
        raise LaunchError(f"error launching '{argv[0]}': {error.strerror or error}", 1) from error


def replace_process(path: str, argv: list[str], cwd: str, environment: Mapping[str, str], streams: Streams) -> None:
    """Become ``path`` (never returns). Raises LaunchError where that fails; not on Windows.

    Signals that Python ignores for itself get their default meaning back, as children expect it.
    """
    for number in _ignored_by_python():
        signal.signal(number, signal.SIG_DFL)
    try:
        for source, target in ((streams.stdin, 0), (streams.stdout, 1), (streams.stderr, 2)):
            if source != target:
                os.dup2(source, target, inheritable=True)
        os.chdir(cwd)
        try:
            os.execve(path, argv, dict(environment))
        except OSError as error:
            if error.errno != errno.ENOEXEC:
                raise
            os.execve("/bin/sh", ["sh", path, *argv[1:]], dict(environment))
    except OSError as error:
        raise LaunchError(f"error launching '{argv[0]}': {error.strerror or error}", 1) from error


def _ignored_by_python() -> Iterable[int]:
    for name in ("SIGPIPE", "SIGXFSZ", "SIGXFZ"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            yield number
