"""A pack as one tar, plain or compressed; also to a stream.

Byte for byte the same for the same content: entries sorted, no owner, one date, modes 0755 and 0644. Source: the
archives of pixi-pack 0.7, and POSIX ustar.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, cast

from smelt.errors import PackError
from smelt.pack.copying import Copier, folders_of
from smelt.pack.model import PackContent, PackedFile, PackReporter
from smelt.pack.output import output_stream

MTIME = 1_153_704_088
"""The date of every entry: the one that pixi-pack's archives have."""

BLOCK = tarfile.BLOCKSIZE
LEVEL = 3
"""Packages are compressed already: more costs much and gains little."""

_MOST_THREADS = 8
_PADDING = memoryview(bytes(BLOCK))


def write_tar(content: PackContent, target: Path | IO[bytes], reporter: PackReporter) -> int:
    """Write a plain tar; its size in bytes. Raises PackError, InstallError (``hash-mismatch``), OSError."""
    with output_stream(target) as out:
        return _write(content.files(), out.write, reporter)


def write_tar_zst(content: PackContent, target: Path | IO[bytes], reporter: PackReporter, *, level: int = LEVEL) -> int:
    """Write a tar compressed by Zstandard, by several threads; its size. The bytes do not depend on their number."""
    import zstandard

    threads = max(1, min(os.cpu_count() or 1, _MOST_THREADS))
    files = content.files()
    with output_stream(target) as out:
        counted = _Counted(out)
        compressor = zstandard.ZstdCompressor(level=level, threads=threads, write_checksum=True)
        # no `with`: after a failure it would complain that the frame is not whole, in the place of the failure
        stream = cast(
            "IO[bytes]", compressor.stream_writer(cast("IO[bytes]", counted), size=_size(files), closefd=False)
        )
        _write(files, stream.write, reporter)
        stream.close()
        return counted.size


def header(name: str, size: int | None) -> bytes:
    """The blocks that announce a file of ``size`` bytes, or a folder (None). Raises PackError for a hopeless name."""
    entry = tarfile.TarInfo(name)
    entry.mtime = MTIME
    if size is None:
        entry.type = tarfile.DIRTYPE
        entry.mode = 0o755
    else:
        entry.size = size
        entry.mode = 0o644
    try:
        return entry.tobuf(tarfile.GNU_FORMAT, "utf-8", "strict")
    except (ValueError, UnicodeError) as error:
        raise PackError(f"{name!r} cannot be the name of a file in a pack", code="pack-name") from error


def _write(files: Sequence[PackedFile], write: Callable[[memoryview | bytes], object], reporter: PackReporter) -> int:
    reporter.writing(sum(file.size for file in files))
    known: set[str] = set()
    size = 2 * BLOCK
    with Copier(reporter) as copier:
        for file in files:
            start = b"".join(header(folder, None) for folder in folders_of([file]) if folder not in known)
            known.update(folders_of([file]))
            start += header(file.name, file.size)
            write(start)
            copier.copy(file, write)
            rest = -file.size % BLOCK
            write(_PADDING[:rest])
            size += len(start) + file.size + rest
        write(bytes(2 * BLOCK))
    return size


def _size(files: Sequence[PackedFile]) -> int:
    total = 2 * BLOCK + sum(len(header(folder, None)) for folder in folders_of(files))
    return total + sum(len(header(file.name, file.size)) + file.size + -file.size % BLOCK for file in files)


class _Counted:
    """A stream that counts what goes through."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.size = 0

    def write(self, data: bytes) -> int:
        self.size += len(data)
        return self._stream.write(data)
