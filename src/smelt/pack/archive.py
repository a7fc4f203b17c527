"""The tar of a pack, read from a stream and trusted in nothing.

Only files and folders with plain names are accepted, each once; header, padding and end must be as a tar has them. What
was written by us must be so byte for byte (``TarReader.canonical``). Source: POSIX ustar, GNU long names, pax paths.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any, cast

from smelt.errors import PackError
from smelt.pack.copying import EndedEarly, Source, read_into
from smelt.pack.tarball import BLOCK, header

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_LARGEST_WINDOW = 1 << 27
_LONGEST_NAME = 4096
_READ = 1 << 18
_MARK = 32
_ZEROS = bytes(BLOCK)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A file of ``size`` bytes, or a folder (None). ``name`` has no slash at its end."""

    name: str
    size: int | None


class PackStream:
    """The bytes of the tar inside a pack, uncompressed. Reads ahead of nothing but a little."""

    def __init__(self, raw: IO[bytes]) -> None:
        start = bytearray(len(ZSTD_MAGIC))
        got = read_into(cast("Source", raw), memoryview(start))
        self._raw = cast("Source", raw)
        self.is_empty = not got
        self._ready = memoryview(bytes(start[:got]))
        self.is_compressed = bytes(start) == ZSTD_MAGIC
        self._frames: _Frames | None = None
        if self.is_compressed:
            self._frames, self._ready = _Frames(bytes(start), raw), memoryview(b"")

    def readinto(self, buffer: memoryview) -> int:
        """Read some bytes; 0 at the end. Raises PackError where the compression is damaged, or ends too early."""
        if self._frames is not None:
            return self._frames.readinto(buffer)
        if not self._ready:
            return self._raw.readinto(buffer) or 0
        length = min(len(self._ready), len(buffer))
        buffer[:length] = self._ready[:length]
        self._ready = self._ready[length:]
        return length

    @property
    def descriptor(self) -> int | None:
        """The file, if what it holds can be passed over and read later; None for a stream and what is compressed."""
        if self.is_compressed or not isinstance(self._raw, io.FileIO) or not self._raw.seekable():
            return None
        return self._raw.fileno()

    def skip(self, size: int) -> int:
        """Pass over ``size`` bytes, where there is a ``descriptor``: where they begin. Raises EndedEarly."""
        file = cast("io.FileIO", self._raw)
        start = file.tell() - len(self._ready)
        left = os.fstat(file.fileno()).st_size - start
        if size > left:
            raise EndedEarly(size - left)
        file.seek(start + size)
        self._ready = memoryview(b"")
        return start


class _Frames:
    """What zstandard frames hold, decompressed straight into the reader's buffer.

    The decompressor does not say whether it was in the middle of a frame when its input ended. So a frame of ours
    follows the last one: if what it holds does not come out, whole and at the end, something was missing before it.
    """

    def __init__(self, start: bytes, raw: IO[bytes]) -> None:
        import zstandard

        self._read: Callable[[int], bytes | None] = getattr(
            raw, "read1", raw.read
        )  # what is there, waiting for no more
        self._next = [start]
        self._mark = os.urandom(_MARK)
        self._ended = False
        self._held = memoryview(b"")
        self._error = zstandard.ZstdError
        decompressor = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW)
        self._reader: Any = decompressor.stream_reader(cast("Any", self), read_size=_READ, read_across_frames=True)

    def read(self, size: int) -> bytes:
        """Compressed bytes, for the decompressor."""
        if not self._next and not self._ended:
            if block := self._read(size):
                return block
            import zstandard

            self._ended = True
            frame = zstandard.ZstdCompressor(write_checksum=True).compress(self._mark)
            # in two pieces: libzstd forgets five bytes of a frame's header where a whole frame follows at once
            self._next = [frame[:1], frame[1:]]
        return self._next.pop(0) if self._next else b""

    def readinto(self, buffer: memoryview) -> int:
        """Decompressed bytes; 0 at the end. Raises PackError."""
        try:
            if not self._ended:
                length: int = self._reader.readinto(buffer)
                if not self._ended:
                    return length
                self._held = memoryview(bytes(buffer[:length]))
            while len(self._held) < len(buffer) + _MARK and (more := self._reader.read(_READ)):
                self._held = memoryview(bytes(self._held) + more)
        except self._error as error:
            if self._ended:
                raise damaged("it ends too early") from error
            raise damaged(f"it cannot be decompressed ({error})") from error
        if len(self._held) <= _MARK:
            if bytes(self._held) != self._mark:
                raise damaged("it ends too early")
            return 0
        length = min(len(self._held) - _MARK, len(buffer))
        buffer[:length], self._held = self._held[:length], self._held[length:]
        return length


class TarReader:
    """The entries of a tar, one after the other.

    ``canonical`` is False from the moment on where something is not as ``smelt.pack.tarball`` writes it.
    """

    def __init__(self, stream: Source) -> None:
        self._stream = stream
        self.canonical = True

    def entries(self) -> Iterator[Entry]:
        """The entries. After each file its ``size`` bytes must be read from the stream. Raises PackError."""
        name: str | None = None
        size: int | None = None
        while True:
            block = self._block()
            if block == _ZEROS:
                self._end()
                return
            try:
                info = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
            except (tarfile.HeaderError, ValueError, UnicodeError) as error:
                raise damaged(f"a header is not readable ({error})") from error
            if info.type == tarfile.GNUTYPE_LONGNAME:
                name = self._text(info).rstrip("\0")
                continue
            if info.type == tarfile.XHDTYPE:
                found = _pax(self._text(info))
                name, size = found.get("path", name), int(found["size"]) if "size" in found else size
                continue
            entry = _entry(info, name, size)
            expected = header(entry.name, entry.size)
            self.canonical = self.canonical and name is None and expected == block
            name = size = None
            yield entry
            if entry.size:
                self._padding(entry.size)

    def _block(self) -> bytes:
        block = bytearray(BLOCK)
        if read_into(self._stream, memoryview(block)) != BLOCK:
            raise damaged("it ends too early")
        return bytes(block)

    def _padding(self, size: int) -> None:
        rest = bytearray(-size % BLOCK)
        if read_into(self._stream, memoryview(rest)) != len(rest):
            raise damaged("it ends too early")
        if any(rest):
            raise damaged("there is something between two files")

    def _text(self, info: tarfile.TarInfo) -> str:
        if not 0 <= info.size <= _LONGEST_NAME:
            raise damaged("a name is impossibly long")
        data = bytearray(info.size)
        if read_into(self._stream, memoryview(data)) != info.size:
            raise damaged("it ends too early")
        self._padding(info.size)
        try:
            return data.decode("utf-8")
        except UnicodeError as error:
            raise damaged("a name is not readable") from error

    def _end(self) -> None:
        """Two blocks of zeros, and nothing but zeros after them (GNU tar fills up its records)."""
        if self._block() != _ZEROS:
            raise damaged("its end is not readable")
        rest = bytearray(1 << 16)
        while length := read_into(self._stream, memoryview(rest)):
            self.canonical = False
            if any(memoryview(rest)[:length]):
                raise damaged("there is something after its end")


def _entry(info: tarfile.TarInfo, name: str | None, size: int | None) -> Entry:
    name = info.name if name is None else name
    if info.type == tarfile.DIRTYPE:
        return Entry(name=name.removesuffix("/"), size=None)
    if info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
        kind = {tarfile.SYMTYPE: "a symbolic link", tarfile.LNKTYPE: "a link"}.get(info.type, "a special file")
        raise hostile(f"it holds {kind}: {name!r}")
    size = info.size if size is None else size
    if size < 0:
        raise damaged(f"{name} has an impossible size")
    return Entry(name=name, size=size)


def _pax(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    while text:
        length, _, _ = text.partition(" ")
        if not length.isdigit() or not len(length) < int(length) <= len(text.encode()):
            raise damaged("a header is not readable")
        raw = text.encode()
        record = raw[len(length) + 1 : int(length)].decode("utf-8", "replace").removesuffix("\n")
        key, _, value = record.partition("=")
        found[key] = value
        text = raw[int(length) :].decode("utf-8", "replace")
    if "size" in found and not found["size"].isdigit():
        raise damaged("a header is not readable")
    return found


def damaged(reason: str) -> PackError:
    """The error that the archive is not whole."""
    return PackError(
        f"the pack is damaged: {reason}",
        code="pack-damaged",
        help="copy it here again, and compare its checksum; if that does not help, pack again",
    )


def hostile(reason: str) -> PackError:
    """The error that the archive holds what no pack holds."""
    return PackError(
        f"this is not a pack, or one that somebody changed: {reason}",
        code="pack-hostile",
        help="do not unpack it before you know where it comes from",
    )
