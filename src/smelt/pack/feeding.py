"""The bytes of packages on their way from a pack to where they are extracted.

rattler extracts what it finds under a file name. Where a pipe can have one (``/dev/fd``) that is the name of a pipe, so
that no archive of a package is written to the disk only to be read once; elsewhere (Windows) it is that of a file.
"""

from __future__ import annotations

import errno
import hashlib
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from smelt.pack.copying import CHUNK

HEAD = 8
_STEP = 1 << 24
_KEPT = 32 * CHUNK
_NO_SENDFILE = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)

Send = Callable[[int], None]
"""Writes all bytes of one archive to a file descriptor. Raises OSError, Stopped."""


class Stopped(Exception):
    """Nobody needs the bytes any more, because something else failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """So many bytes of an open file (``descriptor``, at ``path``), whose position is not moved.

    A file that became shorter meanwhile gives less: whoever takes the bytes compares their hash.
    """

    descriptor: int
    path: Path
    offset: int
    size: int

    def send(self, target: int) -> None:
        """Write the bytes to ``target``."""
        with self._opened() as source:
            done = self._send_within_kernel(source, target) if sys.platform == "linux" else 0
            self._pieces(source, lambda piece: _write(target, piece), done)

    def head(self) -> bytes:
        """The first bytes."""
        length = min(self.size, HEAD)
        if sys.platform != "win32":
            return os.pread(self.descriptor, length, self.offset)
        with self._opened() as source:
            os.lseek(source, self.offset, os.SEEK_SET)
            return os.read(source, length)

    def digest(self) -> str:
        """Their sha256."""
        digest = hashlib.sha256()
        with self._opened() as source:
            self._pieces(source, digest.update, 0)
        return digest.hexdigest()

    @contextmanager
    def _opened(self) -> Generator[int]:
        """The file, opened anew: systems read ahead for each open file, and regions are read at the same time."""
        own = os.dup(self.descriptor)
        try:
            with suppress(OSError):
                flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
                other = os.open(self.path, flags)
                if os.path.samestat(os.fstat(other), os.fstat(own)):  # else somebody replaced it
                    own, other = other, own
                os.close(other)
            if sys.platform == "linux":
                with suppress(OSError):
                    os.posix_fadvise(own, self.offset, self.size, os.POSIX_FADV_SEQUENTIAL)
            yield own
        finally:
            os.close(own)

    def _send_within_kernel(self, source: int, target: int) -> int:
        """How many bytes could be sent without copying them: all, or none where the file system cannot."""
        done = 0
        while done < self.size:
            try:
                sent = os.sendfile(target, source, self.offset + done, min(self.size - done, _STEP))
            except OSError as error:
                if error.errno in _NO_SENDFILE:
                    return done
                raise
            if not sent:
                break
            done += sent
        return self.size

    def _pieces(self, source: int, take: Callable[[bytes], object], done: int) -> None:
        if done == self.size:
            return
        if sys.platform == "win32":
            os.lseek(source, self.offset + done, os.SEEK_SET)
        while done < self.size:
            length = min(CHUNK, self.size - done)
            if sys.platform == "win32":
                piece = os.read(source, length)
            else:
                piece = os.pread(source, length, self.offset + done)
            if not piece:
                return
            take(piece)
            done += len(piece)


class Store:
    """What was read of a stream and not yet taken, of all packages together: a little, whatever their sizes."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.room = _KEPT
        self.stopped = False
        self._free: deque[bytearray] = deque()

    def check(self, length: int = 0) -> None:
        """Raises Stopped once that was said."""
        if self.stopped:
            raise Stopped

    def buffer(self) -> bytearray:
        """A buffer of ``CHUNK`` bytes, of any content; what is put from it comes back by itself."""
        try:
            return self._free.pop()
        except IndexError:
            return bytearray(CHUNK)

    def give_back(self, piece: memoryview) -> None:
        """Nobody needs ``piece`` any more."""
        buffer = piece.obj
        piece.release()
        if isinstance(buffer, bytearray) and len(buffer) == CHUNK:
            self._free.append(buffer)

    def stop(self) -> None:
        """Let everybody who waits, and who will wait, raise Stopped."""
        with self.changed:
            self.stopped = True
            self.changed.notify_all()


class Feed:
    """One package of a stream: pieces are put in by the thread that reads it, and sent by another."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pieces: deque[memoryview] = deque()
        self._whole = False

    def put(self, piece: memoryview) -> None:
        """Add a piece, as soon as there is room for it. It must not be changed afterwards. Raises Stopped."""
        store = self._store
        with store.changed:
            store.changed.wait_for(lambda: store.stopped or store.room >= len(piece))
            if store.stopped:
                raise Stopped
            store.room -= len(piece)
            self._pieces.append(piece)
            store.changed.notify_all()

    def end(self) -> None:
        """There will be no more pieces."""
        with self._store.changed:
            self._whole = True
            self._store.changed.notify_all()

    def head(self) -> bytes:
        """The first bytes, as soon as they are there. Raises Stopped."""
        store = self._store
        with store.changed:
            store.changed.wait_for(lambda: store.stopped or self._whole or bool(self._pieces))
            if store.stopped:
                raise Stopped
            return bytes(self._pieces[0][:HEAD]) if self._pieces else b""

    def send(self, target: int) -> None:
        """Write the pieces to ``target`` as they come."""
        store = self._store
        while True:
            with store.changed:
                store.changed.wait_for(lambda: store.stopped or self._whole or bool(self._pieces))
                if store.stopped:
                    raise Stopped
                if not self._pieces:
                    return
                piece = self._pieces.popleft()
            length = len(piece)
            _write(target, piece)
            store.give_back(piece)
            with store.changed:
                store.room += length
                store.changed.notify_all()


def pipes_have_names(folder: Path) -> bool:
    """Whether a link in ``folder`` to a descriptor's name opens it: not on Windows, nor without ``/dev/fd``."""
    if sys.platform == "win32":
        return False
    out, into = os.pipe()
    probe = folder / "pipe"
    try:
        probe.symlink_to(f"/dev/fd/{out}")
        opened = os.open(probe, os.O_RDONLY | os.O_NONBLOCK)
        try:
            return os.path.samestat(os.fstat(opened), os.fstat(out))
        finally:
            os.close(opened)
    except OSError:
        return False
    finally:
        os.close(out)
        os.close(into)
        with suppress(OSError):
            probe.unlink()


def head_of(source: Path | Region | Feed) -> bytes:
    """Its first bytes, fewer where it has not as many. Raises OSError, Stopped."""
    if not isinstance(source, Path):
        return source.head()
    with source.open("rb", buffering=0) as file:
        return file.read(HEAD)


def send_to_file(path: Path, send: Send) -> None:
    """Write the bytes into the new file ``path``. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    try:
        send(descriptor)
    finally:
        os.close(descriptor)


def _write(target: int, piece: bytes | memoryview) -> None:
    done = os.write(target, piece)
    if done < len(piece):
        with memoryview(piece) as view:
            while done < len(view):
                done += os.write(target, view[done:])
