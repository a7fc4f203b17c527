"""What Python's own readers raise for an archive that is damaged, or none at all: no page of theirs lists it."""

from __future__ import annotations

import errno
import struct
import tarfile
import zipfile
import zlib
from contextlib import suppress


def _damage() -> tuple[type[Exception], ...]:
    found: list[type[Exception]] = [zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, struct.error]
    # names that are no text, unknown ways of compression, encryption, sizes beyond all bounds
    found += [ValueError, NotImplementedError, RuntimeError, OverflowError]
    with suppress(ImportError):  # a Python may be built without it
        import lzma

        found.append(lzma.LZMAError)
    return tuple(found)


DAMAGE = _damage()
"""Exceptions that tell of the archive, whatever it was compressed with (but for zstandard's own, which is ours)."""


def is_damage(error: OSError) -> bool:
    """Whether the content is at fault, not the system: bz2 gives no number, and a place before the start is none."""
    return error.errno in (None, errno.EINVAL)
