"""Redirects: where a command reads from and writes to."""

from __future__ import annotations

import os

from smelt.tasks.shell.builtins import BuiltinError
from smelt.tasks.shell.launch import Streams
from smelt.tasks.shell.syntax import Redirect

_FLAGS = {
    "<": os.O_RDONLY,
    ">": os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
    ">>": os.O_WRONLY | os.O_CREAT | os.O_APPEND,
}


def redirected(redirect: Redirect, names: list[str], streams: Streams, cwd: str) -> tuple[Streams, int | None]:
    """``streams`` after ``redirect``, and the descriptor that was opened for it and is to be closed.

    ``names``: what the word of the target stands for. Raises BuiltinError.
    """
    if redirect.operator == "<" and redirect.descriptor is not None:
        raise BuiltinError("input redirects with file descriptors are not supported")
    if redirect.operator != "<" and redirect.descriptor not in (None, 1, 2, "both"):
        raise BuiltinError("only redirecting to stdout (1) and stderr (2) is supported")
    if isinstance(redirect.target, int):
        return _applied(redirect, streams, _descriptor(redirect, streams)), None
    opened = _open(redirect, names, cwd)
    return _applied(redirect, streams, opened), opened


def _applied(redirect: Redirect, streams: Streams, target: int) -> Streams:
    if redirect.operator == "<":
        return Streams(target, streams.stdout, streams.stderr)
    if redirect.descriptor == "both":
        return Streams(streams.stdin, target, target)
    if redirect.descriptor == 2:
        return Streams(streams.stdin, streams.stdout, target)
    return Streams(streams.stdin, target, streams.stderr)


def _descriptor(redirect: Redirect, streams: Streams) -> int:
    if redirect.operator == "<":
        raise BuiltinError("input redirecting file descriptors is not implemented")
    if redirect.target == 1:
        return streams.stdout
    if redirect.target == 2:
        return streams.stderr
    raise BuiltinError("output redirecting file descriptors beyond stdout and stderr is not implemented")


def _open(redirect: Redirect, names: list[str], cwd: str) -> int:
    if not names:
        raise BuiltinError("redirect path must be 1 argument, but found 0")
    if len(names) > 1:
        text = " ".join(names)
        raise BuiltinError(
            f"redirect path must be 1 argument, but found {len(names)} ({text}). "
            f'Did you mean to quote it (ex. "{text}")?'
        )
    path = os.devnull if names[0] == "/dev/null" else os.path.join(cwd, names[0])  # noqa: PTH118
    try:
        return os.open(path, _FLAGS[redirect.operator] | getattr(os, "O_BINARY", 0), 0o666)
    except OSError as error:
        raise BuiltinError(f"error opening file for redirect ({path}). {error.strerror or error}") from error
