"""Locks between processes, with a word on who holds them."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def hold(path: Path, purpose: str, waiting: Callable[[str], None] | None = None) -> Generator[None]:
    """Hold the lock file ``path`` (made if missing, never removed) while the block runs.

    The operating system frees the lock when the process dies, however it dies. ``purpose`` says what the
    holder does (``installing environment 'default'``). If another process holds the lock, ``waiting`` is
    called once with a message naming it, then the call blocks.
    Not re-entrant between different calls in one process. Raises OSError where the folder cannot be written.
    """
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
        lock.acquire()
    try:
        holder.write_text(f"process {os.getpid()}, {purpose}\n", encoding="utf-8")
        yield
    finally:
        lock.release()
