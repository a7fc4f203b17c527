"""Copying the files of a pack, comparing what is copied with its hash on the way."""

from __future__ import annotations

import hashlib
import io
import os
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Protocol

from smelt.errors import InstallError, PackError
from smelt.pack.model import PackedFile, PackReporter

CHUNK = 1 << 20
_BUFFERS = 8


class Digest(Protocol):
    """An object of ``hashlib``."""

    def update(self, data: memoryview, /) -> None:
        """Take more."""

    def hexdigest(self) -> str:
        """Of all so far."""
        ...


class Source(Protocol):
    """A file that is read without a buffer of its own."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Read some bytes."""
        ...


class Copier:
    """Hands out the content of files; the bytes that were handed out are those that were hashed.

    A second thread hashes while the first one writes. Use it as a context manager: at its end, if nothing else failed,
    every file handed out so far is known to be what it must be. Until then write to a place that can be thrown away.
    Memory stays at a few MiB whatever the sizes.
    """

    def __init__(self, reporter: PackReporter | None = None) -> None:
        self._reporter = reporter or PackReporter()
        self._free = deque(bytearray(CHUNK) for _ in range(_BUFFERS))
        self._busy: deque[tuple[Future[None], bytearray]] = deque()
        self._waiting: deque[tuple[PackedFile, Future[str]]] = deque()
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="hash")
        self._done = 0

    def __enter__(self) -> Copier:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.check()
        finally:
            self._pool.shutdown(cancel_futures=True)

    def copy(self, file: PackedFile, write: Callable[[memoryview], object]) -> None:
        """Give the content of ``file`` to ``write``, piece by piece; exactly ``file.size`` bytes.

        A piece is only valid during the call. Raises InstallError (``archive-missing``, ``hash-mismatch``), OSError.
        """
        digest = hashlib.sha256()
        with _opened(file) as source:
            left = file.size
            while left:
                buffer = self._buffer()
                with memoryview(buffer) as view:
                    length = _read_into(source, view[: min(left, CHUNK)])
                    if not length:
                        raise mismatch(file, f"it ends after {file.size - left} of {file.size} bytes")
                    future = self._pool.submit(_update, digest, buffer, length)
                    self._busy.append((future, buffer))
                    write(view[:length])
                left -= length
                self._done += length
                self._reporter.written(self._done)
            if _read_into(source, memoryview(bytearray(1))):
                raise mismatch(file, f"it is longer than {file.size} bytes")
        self._waiting.append((file, self._pool.submit(digest.hexdigest)))
        while self._waiting and self._waiting[0][1].done():
            self._compare_first()

    def check(self) -> None:
        """Wait for all hashes. Raises InstallError (``hash-mismatch``)."""
        while self._waiting:
            self._compare_first()

    def _compare_first(self) -> None:
        file, future = self._waiting.popleft()
        found = future.result()
        if found != file.sha256:
            raise mismatch(file, f"expected sha256 {file.sha256}\nfound    sha256 {found}")

    def _buffer(self) -> bytearray:
        while self._busy and (not self._free or self._busy[0][0].done()):
            future, buffer = self._busy.popleft()
            future.result()
            self._free.append(buffer)
        return self._free.popleft()


def _update(digest: Digest, buffer: bytearray, length: int) -> None:
    with memoryview(buffer) as view:
        digest.update(view[:length])


def _read_into(source: Source, view: memoryview) -> int:
    """Fill ``view`` as far as there is something; the number of bytes."""
    length = 0
    while length < len(view):
        got = source.readinto(view[length:])
        if not got:
            break
        length += got
    return length


def _opened(file: PackedFile) -> io.FileIO | io.BytesIO:
    if file.path is None:
        return io.BytesIO(file.data or b"")
    try:
        return file.path.open("rb", buffering=0)
    except FileNotFoundError as error:
        raise InstallError(
            f"{os.path.basename(file.name)} is no longer there",  # noqa: PTH119
            code="archive-missing",
            notes=[str(file.path)],
            help="solve again (`smelt lock`), or put the file back",
        ) from error


def mismatch(file: PackedFile, reason: str) -> InstallError:
    """The error that ``file`` is not what was locked."""
    notes = [str(file.path)] if file.path is not None else []
    return InstallError(
        f"{os.path.basename(file.name)} is not the file that was locked",  # noqa: PTH119
        code="hash-mismatch",
        notes=[*notes, reason],
        help="the file was replaced: accept the new one (`smelt update`), or put the right file back",
    )


def folders_of(files: Iterable[PackedFile]) -> tuple[str, ...]:
    """The folders that ``files`` lie in, each after its parents. Raises PackError for a name that leads out."""
    found: dict[str, None] = {}
    for file in files:
        parts = file.name.split("/")
        if any(part in ("", ".", "..") for part in parts):
            raise PackError(f"{file.name!r} cannot be the name of a file in a pack", code="pack-name")
        for end in range(1, len(parts)):
            found["/".join(parts[:end])] = None
    return tuple(found)
