"""Copying the files of a pack, comparing what is copied with its hash on the way."""

from __future__ import annotations

import hashlib
import io
import os
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Protocol, Self

from smelt.errors import InstallError, PackError
from smelt.pack.model import PackedFile, PackReporter, SilentReporter

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


class EndedEarly(Exception):
    """A source has fewer bytes than it must have; ``left`` are missing."""

    def __init__(self, left: int) -> None:
        super().__init__(f"{left} bytes are missing")
        self.left = left


class Pump:
    """Moves bytes from a source to a writer; a second thread hashes them meanwhile.

    The bytes that were written are those that were hashed. Memory stays at a few MiB whatever the sizes. A context
    manager.
    """

    def __init__(self) -> None:
        self._free = deque(bytearray(CHUNK) for _ in range(_BUFFERS))
        self._busy: deque[tuple[Future[None], bytearray]] = deque()
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="hash")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def move(
        self,
        source: Source,
        size: int,
        write: Callable[[memoryview], object],
        moved: Callable[[int], object] | None = None,
    ) -> Future[str]:
        """Move exactly ``size`` bytes; gives their sha256, as soon as that is known.

        A piece is only valid during the call of ``write``. ``moved`` is told the length of each. Raises EndedEarly.
        """
        digest = hashlib.sha256()
        left = size
        while left:
            buffer = self._buffer()
            with memoryview(buffer) as view:
                length = read_into(source, view[: min(left, CHUNK)])
                if not length:
                    self._free.append(buffer)
                    raise EndedEarly(left)
                self._busy.append((self._pool.submit(_update, digest, buffer, length), buffer))
                write(view[:length])
            left -= length
            if moved is not None:
                moved(length)
        return self._pool.submit(digest.hexdigest)

    def _buffer(self) -> bytearray:
        while self._busy and (not self._free or self._busy[0][0].done()):
            future, buffer = self._busy.popleft()
            future.result()
            self._free.append(buffer)
        return self._free.popleft()


class Copier(Pump):
    """Hands out the content of the files of a pack.

    Use it as a context manager: at its end, if nothing else failed, every file handed out so far is known to be what
    it must be (else InstallError ``hash-mismatch``). Until then write to a place that can be thrown away.
    """

    def __init__(self, reporter: PackReporter | None = None) -> None:
        super().__init__()
        self._reporter = reporter or SilentReporter()
        self._waiting: deque[tuple[PackedFile, Future[str]]] = deque()
        self._done = 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.check()
        finally:
            super().__exit__(kind, error, trace)

    def copy(self, file: PackedFile, write: Callable[[memoryview], object]) -> None:
        """Give the content of ``file`` to ``write``, piece by piece; exactly ``file.size`` bytes.

        A piece is only valid during the call. Raises InstallError (``archive-missing``, ``hash-mismatch``), OSError.
        """
        with _opened(file) as source:
            try:
                future = self.move(source, file.size, write, self._moved)
            except EndedEarly as error:
                raise mismatch(file, f"it ends after {file.size - error.left} of {file.size} bytes") from error
            if read_into(source, memoryview(bytearray(1))):
                raise mismatch(file, f"it is longer than {file.size} bytes")
        self._waiting.append((file, future))
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

    def _moved(self, length: int) -> None:
        self._done += length
        self._reporter.written(self._done)


def _update(digest: Digest, buffer: bytearray, length: int) -> None:
    with memoryview(buffer) as view:
        digest.update(view[:length])


def read_into(source: Source, view: memoryview) -> int:
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
