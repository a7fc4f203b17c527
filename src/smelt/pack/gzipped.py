"""Compression by gzip with several threads: the bytes depend on nothing but the content and the version of zlib.

Each piece is a member of its own, which every reader of gzip accepts (RFC 1952, 2.2).
"""

from __future__ import annotations

import os
import struct
import zlib
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

LEVEL = 6
PIECE = 1 << 22
_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # no name, no time, no system
_MOST_THREADS = 8


class GzipWriter:
    """Compresses what is written to it and hands it on in order. A context manager; complete at its end."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        threads = max(1, min(os.cpu_count() or 1, _MOST_THREADS))
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="gzip")
        self._waiting: deque[Future[bytes]] = deque()
        self._most = 2 * threads
        self._piece = bytearray()
        self._any = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                if self._piece or not self._any:
                    self._submit(bytes(self._piece))
                while self._waiting:
                    self._write(self._waiting.popleft().result())
        finally:
            self._pool.shutdown(cancel_futures=True)

    def write(self, data: bytes | memoryview) -> int:
        """Take more."""
        self._piece += data
        while len(self._piece) >= PIECE:
            self._submit(bytes(memoryview(self._piece)[:PIECE]))
            del self._piece[:PIECE]
        return len(data)

    def _submit(self, data: bytes) -> None:
        self._any = True
        self._waiting.append(self._pool.submit(_member, data))
        while len(self._waiting) > self._most or (self._waiting and self._waiting[0].done()):
            self._write(self._waiting.popleft().result())


def _member(data: bytes) -> bytes:
    compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = compressor.compress(data) + compressor.flush()
    return _HEADER + body + struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF)
