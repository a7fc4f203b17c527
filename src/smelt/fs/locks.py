"""Locks between processes, with a word on who holds them."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filelock import BaseFileLock


@contextmanager
def hold(
    path: Path,
    purpose: str,
    waiting: Callable[[str], None] | None = None,
    check: Callable[[], None] | None = None,
) -> Generator[None]:
    """Hold the lock file ``path`` (made if missing, never removed) while the block runs.

    The operating system frees the lock when the process dies, however it dies. ``purpose`` says what the
    holder does (``installing environment 'default'``). If another process holds the lock, ``waiting`` is
    called once with a message naming it, then the call blocks; ``check`` is called every now and then meanwhile, and
    may raise to give up.
    Not re-entrant between different calls in one process. Raises OSError where the folder cannot be written.
    """
    from filelock import FileLock, Timeout  # 15 ms that a command without locks need not pay

    path.parent.mkdir(parents=True, exist_ok=True)
    holder = path.with_name(path.name + ".holder")
    lock = FileLock(path, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if waiting is not None:
            try:
                who = holder.read_text(encoding="utf-8").strip()
            except OSError:
                who = "another process"
            waiting(f"waiting for {who} ({path})")
        _acquire(lock, check)
    try:
        note_holder(holder, purpose)
        yield
    finally:
        with suppress(OSError):
            holder.unlink()  # while it is ours
        lock.release()


def note_holder(path: Path, purpose: str) -> None:
    """Write down who holds a lock. Raises OSError.

    Never through a link: a workspace that somebody else made may hold one to any file of the user.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
    with os.fdopen(os.open(path, flags, 0o666), "wb") as file:
        file.write(f"process {os.getpid()}, {purpose}\n".encode())


@contextmanager
def hold_if_free(path: Path) -> Generator[bool]:
    """Like ``hold``, but never waits: the block is told whether the lock is held. Raises OSError."""
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _acquire(lock: BaseFileLock, check: Callable[[], None] | None) -> None:
    from filelock import Timeout

    if check is None:
        lock.acquire()
        return
    while True:
        try:
            lock.acquire(timeout=0.2)
        except Timeout:
            check()
        else:
            return
