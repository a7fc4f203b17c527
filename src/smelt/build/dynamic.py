"""What an ELF file says to the dynamic linker. Source: the System V ABI, "Dynamic Section"."""

from __future__ import annotations

import struct

_LOAD, _DYNAMIC = 1, 2
_NULL, _NEEDED, _STRINGS, _RPATH, _RUNPATH = 0, 1, 5, 15, 29


def dynamic_section(data: bytes) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The libraries that a file needs, and the folders it has them looked for in; nothing for a damaged file."""
    try:
        return _read(data)
    except (struct.error, IndexError, ValueError):
        return (), ()


def _read(data: bytes) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if not data.startswith(b"\x7fELF"):
        return (), ()
    wide, order = data[4] == 2, "<" if data[5] == 1 else ">"
    if wide:
        (table,), (size, count) = struct.unpack_from(order + "Q", data, 32), struct.unpack_from(order + "HH", data, 54)
    else:
        (table,), (size, count) = struct.unpack_from(order + "I", data, 28), struct.unpack_from(order + "HH", data, 42)
    segments: list[tuple[int, int, int]] = []
    dynamic: tuple[int, int] | None = None
    for index in range(count):
        at = table + index * size
        (kind,) = struct.unpack_from(order + "I", data, at)
        if wide:
            offset, address, _, length = struct.unpack_from(order + "QQQQ", data, at + 8)
        else:
            offset, address, _, length = struct.unpack_from(order + "IIII", data, at + 4)
        if kind == _LOAD:
            segments.append((address, offset, length))
        elif kind == _DYNAMIC:
            dynamic = (offset, length)
    if dynamic is None:
        return (), ()
    entries = _entries(data, order, wide, *dynamic)
    address = next((value for tag, value in entries if tag == _STRINGS), None)
    strings = next((o + address - a for a, o, n in segments if address is not None and a <= address < a + n), None)
    if strings is None:
        return (), ()
    needed = tuple(_text(data, strings + value) for tag, value in entries if tag == _NEEDED)
    paths = [_text(data, strings + value) for tag, value in entries if tag in (_RPATH, _RUNPATH)]
    return needed, tuple(folder for path in paths for folder in path.split(":") if folder)


def _entries(data: bytes, order: str, wide: bool, offset: int, length: int) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for tag, value in struct.iter_unpack(order + ("qQ" if wide else "iI"), data[offset : offset + length]):
        if tag == _NULL:
            break
        found.append((tag, value))
    return found


def _text(data: bytes, start: int) -> str:
    return data[start : data.index(b"\0", start)].decode("utf-8", "surrogateescape")
