"""Whether a wheel is what it says of itself: the only check there is in a pack that says no hashes of wheels.

Source: the PyPA specification "Binary distribution format" (``RECORD``).
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import zipfile
from pathlib import Path

from smelt.archive import DAMAGE
from smelt.errors import PackError
from smelt.pack.archive import damaged

_LARGEST_RECORD = 64 * 1024 * 1024


def check_wheel(path: Path) -> None:
    """Compare every file of a wheel with its ``RECORD``. Raises PackError (``pack-damaged``)."""
    try:
        with zipfile.ZipFile(path) as archive:
            _check(path.name, archive)
    except DAMAGE as error:
        raise damaged(f"{path.name} is not a readable wheel ({error})") from error


def _check(name: str, archive: zipfile.ZipFile) -> None:
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    records = [e for e in entries if e.filename.count("/") == 1 and e.filename.endswith(".dist-info/RECORD")]
    if len(records) != 1 or records[0].file_size > _LARGEST_RECORD:
        raise damaged(f"{name} is not a wheel: it has no RECORD")
    text = archive.read(records[0]).decode("utf-8", "replace")
    rows = {row[0]: row[1] for row in csv.reader(io.StringIO(text)) if len(row) > 1}
    for entry in entries:
        if entry.filename not in rows:
            if entry.filename.endswith((".jws", ".p7s")):
                continue  # signatures are not in it
            raise _changed(name, entry.filename)
        expected = rows[entry.filename]
        if not expected:
            if entry is records[0]:
                continue
            raise _changed(name, entry.filename)
        algorithm, _, value = expected.partition("=")
        if algorithm not in ("sha256", "sha384", "sha512"):
            raise _changed(name, entry.filename)
        digest = hashlib.new(algorithm)
        with archive.open(entry) as content:
            while block := content.read(1 << 20):
                digest.update(block)
        if base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode() != value:
            raise _changed(name, entry.filename)


def _changed(wheel: str, name: str) -> PackError:
    return damaged(f"{wheel}: {name} is not as its RECORD says")
