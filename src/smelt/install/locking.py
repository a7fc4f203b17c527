"""Locks on files that coroutines wait for, and that other programs (rattler, the reference) take too."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

from smelt.fs import note_holder

_FIRST_PAUSE = 0.005
_LONGEST_PAUSE = 0.1


@asynccontextmanager
async def exclusive(
    path: Path, purpose: str | None = None, waiting: Callable[[str], None] | None = None
) -> AsyncGenerator[int]:
    """Hold an exclusive lock on the file ``path`` (made if missing, never removed); gives its descriptor.

    Unlike ``smelt.fs.hold`` it does not block the event loop, and two coroutines of one process exclude each other.
    The operating system frees the lock when the process dies, however it dies. With ``purpose`` the holder is
    written beside the lock; ``waiting`` is called once, with a message that names the holder, if the lock is not
    free. ``flock`` on POSIX, ``LockFile`` of the first byte on Windows: both exclude rattler's own locks.
    Raises OSError where the file cannot be opened.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    holder = path.with_name(path.name + ".holder")
    # never through a link, which may lead to any file of the user
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(path, flags, 0o666)
    try:
        pause = _FIRST_PAUSE
        told = False
        while not _try_lock(descriptor):
            if waiting is not None and not told:
                who = _read(holder)
                told = True
                # another thread of this process: the user need not know how we divide the work
                if not who.startswith(f"process {os.getpid()},"):
                    waiting(f"waiting for {who} ({path})")
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
        try:
            if purpose is not None:
                with suppress(OSError):  # only a courtesy: the disk may be full, and we may be about to free it
                    note_holder(holder, purpose)
            yield descriptor
        finally:
            if purpose is not None:
                with suppress(OSError):
                    holder.unlink()  # while it is ours
            _unlock(descriptor)
    finally:
        os.close(descriptor)


def _read(holder: Path) -> str:
    try:
        return holder.read_text(encoding="utf-8").strip() or "another process"
    except OSError:
        return "another process"


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        os.lseek(descriptor, 0, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


async def peer_lock(path: Path, waiting: Callable[[str], None], stack: AsyncExitStack) -> int:
    """Keep the reference out of a prefix by the lock on its marker ``path``; gives the marker's descriptor.

    On Windows its lock cannot be shared with a writer of the file, so there only its marker is written.
    """
    if sys.platform == "win32":
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_BINARY)
        stack.callback(os.close, descriptor)
        return descriptor
    return await stack.enter_async_context(exclusive(path, None, waiting))
