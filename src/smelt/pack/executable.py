"""A pack with the program that unpacks it in one script: the self-extracting form of pixi-pack.

Source: pixi-pack 0.7: a header that ends with a line ``@@END_HEADER@@``, an empty line, the tar in base64 as one line,
a line ``@@END_ARCHIVE@@``, the program in base64. For Windows a PowerShell script with ``__END_…__`` and CRLF.
"""

from __future__ import annotations

import base64
import hashlib
import re
import tempfile
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import IO

from smelt.errors import PackError
from smelt.pack.model import PackContent, PackReporter
from smelt.pack.output import output_stream
from smelt.pack.tarball import write_tar

_FIELD = re.compile(rb"@(ARCHIVE|PROGRAM|SUMS)@")
_PIECE = 3 << 18  # in base64 pieces of 3 bytes can be put together


def extension(platform: str) -> str:
    """How the name of the script ends."""
    return ".ps1" if platform.startswith("win-") else ".sh"


def write_executable(content: PackContent, target: Path | IO[bytes], reporter: PackReporter, *, program: Path) -> int:
    """Write the script with ``program`` in it (a ``pixi-unpack`` for the platform of the pack); its size in bytes.

    Raises PackError (``pack-executable`` for a program that cannot be read or is for another system), InstallError
    (``hash-mismatch``), OSError.
    """
    windows = content.platform.startswith("win-")
    unpacker = _program(program, windows)
    with output_stream(target, mode=0o777) as out, tempfile.TemporaryFile() as tar:
        write_tar(content, tar, reporter)
        tar.seek(0)
        sums = f"{hashlib.file_digest(tar, 'sha256').hexdigest()} {hashlib.sha256(unpacker).hexdigest()}"
        tar.seek(0)
        size = 0
        for piece in _pieces(_header(sums, windows), tar, unpacker, windows):
            size += len(piece)
            out.write(piece)
    return size


def _header(sums: str, windows: bool) -> bytes:
    text = files("smelt.pack").joinpath("executable.ps1" if windows else "executable.sh").read_bytes()
    last = text.count(b"\n")
    values = {b"ARCHIVE": str(last + 2), b"PROGRAM": str(last + 4), b"SUMS": sums}
    filled = _FIELD.sub(lambda found: values[found[1]].encode(), text)
    return filled.replace(b"\n", b"\r\n") if windows else filled


def _pieces(header: bytes, tar: IO[bytes], unpacker: bytes, windows: bool) -> Iterator[bytes]:
    end = b"\r\n" if windows else b"\n"
    yield header + end
    while piece := tar.read(_PIECE):
        yield base64.b64encode(piece)
    yield end + (b"__END_ARCHIVE__" if windows else b"@@END_ARCHIVE@@") + end
    yield base64.b64encode(unpacker)


def _program(path: Path, windows: bool) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _bad(path, error.strerror or str(error)) from error
    if not data:
        raise _bad(path, "it is empty")
    if windows != data.startswith(b"MZ"):
        raise _bad(path, "it is not for Windows" if windows else "it is for Windows")
    return data


def _bad(path: Path, reason: str) -> PackError:
    return PackError(
        f"{path} cannot be the program that unpacks: {reason}",
        code="pack-executable",
        help="`--pixi-unpack-source` names a `pixi-unpack` for the platform of the pack",
    )
