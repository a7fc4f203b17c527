"""Extracted packages as rattler's cache has them: how one gets there, and whether it is what its record says."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from smelt.errors import InstallError
from smelt.install.inspection import check_names
from smelt.types import CondaRecord, sha256_file

PACKAGES = "pkgs"
REVISION_LENGTH = 8
_KIND = 0o170000
_IMPOSSIBLE = re.compile(r"[/\\:\x00-\x1f]")


def segment(record: CondaRecord) -> str:
    """The name of a package's folder in the cache. Raises InstallError for one that is no plain file name."""
    name = f"{record.name}-{record.version}-{record.build}"
    if name in (".", "..") or _IMPOSSIBLE.search(name) is not None:
        raise InstallError(
            f"the channel describes a package with the impossible name {name!r}",
            code="hostile-package",
            notes=[record.url],
            help="do not install from this channel, and tell whoever keeps it",
        )
    return name


def lock_file(entry: Path) -> Path:
    """What says of which archive the folder ``entry`` is."""
    return Path(f"{entry}.lock")


def seal(folder: Path, sha256: str) -> None:
    """Write down beside an extracted package which archive it is from, as ``adopt`` needs it. Raises OSError."""
    lock_file(folder).write_bytes((1).to_bytes(REVISION_LENGTH, "big") + bytes.fromhex(sha256))


def adopt(cache: Path, extracted: Sequence[tuple[CondaRecord, Path]]) -> None:
    """Move packages into a cache that nobody else knows.

    Each was extracted from an archive whose hash was compared, was inspected and sealed; the folders are on the file
    system of ``cache``. Without the locks and the second look that a shared cache needs. If this fails the cache is to
    be thrown away. Raises InstallError (``hostile-package``) and OSError.
    """
    packages = cache / PACKAGES
    packages.mkdir(parents=True, exist_ok=True)
    for record, folder in extracted:
        entry = packages / segment(record)
        lock_file(folder).replace(lock_file(entry))
        folder.replace(entry)


def entry_problem(cache: Path, record: CondaRecord, *, thorough: bool = False) -> str | None:
    """Why the cache's entry for ``record`` cannot be used, or None if it is whole.

    Every file is looked at (there, right kind, right size); content is read only of files that changed after they
    were extracted, or of all with ``thorough``.
    """
    entry = os.path.join(cache, PACKAGES, segment(record))  # noqa: PTH118 - pathlib would double the time
    try:
        extracted_at = os.stat(entry).st_ctime_ns  # noqa: PTH116
        lock, recorded_at = _read(entry + ".lock")
    except OSError:
        return "not there"
    if record.sha256 is not None and lock[REVISION_LENGTH:].hex() != record.sha256:
        return "of another build"
    if extracted_at < recorded_at:
        return "left half-replaced by a process that was killed"
    return _contents_problem(entry, extracted_at, thorough)


def _contents_problem(entry: str, extracted_at: int, thorough: bool) -> str | None:
    try:
        found = os.stat(entry + "/info/index.json")  # noqa: PTH116
        if thorough or found.st_mtime_ns > extracted_at or not found.st_size:
            json.loads(_read(entry + "/info/index.json")[0])  # rattler reads it
        paths = cast("list[dict[str, object]]", json.loads(_read(entry + "/info/paths.json")[0])["paths"])
        names = [cast(str, path["_path"]) for path in paths]
        check_names(names, entry)
        root = entry + "/"
        lstat = os.lstat
        for name, path in zip(names, paths, strict=True):
            found = lstat(root + name)
            if (
                found.st_size == path.get("size_in_bytes")
                and found.st_mtime_ns <= extracted_at
                and not thorough
                and found.st_mode & _KIND == stat.S_IFREG
                and path.get("path_type") == "hardlink"
            ):
                continue  # the usual case, without a call
            problem = _file_problem(root + name, path, found, extracted_at, thorough)
            if problem is not None:
                return f"changed ({name} {problem})"
    except FileNotFoundError as error:
        missing = Path(str(error.filename))
        if missing == Path(entry, "info", "paths.json") and Path(entry, "info", "files").is_file():
            return None  # a package from before paths.json says nothing to compare with
        return f"without {missing}"
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return f"unreadable ({error})"
    return None


def _read(path: str) -> tuple[bytes, int]:
    """Content and mtime of a small file, at a third of what ``open`` costs."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        found = os.fstat(descriptor)
        data = os.read(descriptor, found.st_size)
        while len(data) < found.st_size and (more := os.read(descriptor, found.st_size - len(data))):
            data += more
        return data, found.st_mtime_ns
    finally:
        os.close(descriptor)


def _file_problem(
    file: str, path: dict[str, object], found: os.stat_result, extracted_at: int, thorough: bool
) -> str | None:
    kind = path.get("path_type", "hardlink")
    if kind == "softlink":
        return None if stat.S_ISLNK(found.st_mode) else "is no link"
    if kind == "directory":
        return None if stat.S_ISDIR(found.st_mode) else "is no folder"
    if stat.S_ISLNK(found.st_mode):  # a link that is packaged as the file it points to
        return None
    size = path.get("size_in_bytes")
    if size is not None and found.st_size != size:
        return f"has {found.st_size} bytes instead of {size}"
    expected = path.get("sha256")
    if (thorough or found.st_mtime_ns > extracted_at) and expected is not None:
        return None if sha256_file(Path(file)) == expected else "is not what was packed"
    return None
