"""Does a prefix hold what its records say? And clearing away what does not."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from smelt.fs import remove_tree
from smelt.install.state import FINGERPRINT, MARKER, conda_meta, record_files
from smelt.types import sha256_file

DamageKind = Literal["missing", "kind", "size", "content", "record", "duplicate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """One thing in a prefix that is not as it was installed.

    ``path`` is relative to the prefix. ``package`` is None where it cannot be told (an unreadable record), and then
    only a new installation helps.
    """

    kind: DamageKind
    path: str
    package: str | None

    def __str__(self) -> str:
        words = {
            "missing": "is missing",
            "kind": "is something else",
            "size": "has another size",
            "content": "was changed",
            "record": "cannot be read",
            "duplicate": "describes a package that another record describes too",
        }
        owner = f" ({self.package})" if self.package else ""
        return f"{self.path} {words[self.kind]}{owner}"


def verify(prefix: Path, *, content: bool = True, since: int | None = None) -> list[Damage]:
    """Compare every file of every package in ``prefix`` with its record in ``conda-meta``.

    ``content`` False looks at presence, kind and size only, and reads what was written to after ``since``
    (nanoseconds since the epoch); bytecode, which Python itself writes anew, need only be there then. Files that no
    package owns are not damage. Reads only; links are not followed. Records that cannot be read come first.
    """
    records: list[Damage] = []
    files: list[Damage] = []
    seen: set[str] = set()
    for name in sorted(record_files(prefix)):
        shown = f"conda-meta/{name}"
        try:
            data: object = json.loads((conda_meta(prefix) / name).read_bytes())
            package, paths = _record(data)
        except (OSError, ValueError, TypeError, KeyError):
            records.append(Damage(kind="record", path=shown, package=None))
            continue
        if package in seen:
            records.append(Damage(kind="duplicate", path=shown, package=None))
        seen.add(package)
        files.extend(_damages(str(prefix), package, paths, content, since))
    return records + files


def _record(data: object) -> tuple[str, list[dict[str, object]]]:
    if not isinstance(data, dict):
        raise TypeError("a record is an object")
    record = cast("dict[str, object]", data)
    name = record["name"]
    paths = cast("dict[str, object]", record["paths_data"])["paths"]
    if not isinstance(name, str) or not isinstance(paths, list):
        raise TypeError("name and paths")
    return name, cast("list[dict[str, object]]", paths)


def _damages(
    prefix: str, package: str, paths: Iterable[dict[str, object]], content: bool, since: int | None
) -> Iterator[Damage]:
    for path in paths:
        name = str(path["_path"])
        kind = _damage(f"{prefix}/{name}", path, content, since)
        if kind is not None:
            yield Damage(kind=kind, path=name, package=package)


def _damage(file: str, path: dict[str, object], content: bool, since: int | None) -> DamageKind | None:
    try:
        found = os.lstat(file)
    except OSError:
        return "missing"
    path_type = path.get("path_type")
    expected = path.get("sha256_in_prefix") or path.get("sha256")
    if path_type == "softlink":
        if stat.S_ISLNK(found.st_mode):
            # rattler records the hash of the link's text
            text = os.readlink(file).encode("utf-8", "surrogateescape")  # noqa: PTH115 - the text as it is
            changed = expected is not None and hashlib.sha256(text).hexdigest() != expected
            return "content" if changed and path.get("sha256_in_prefix") else None
        if os.name != "nt":
            return "kind"
        return None  # where links are not allowed, rattler copies their target
    if path_type == "directory":
        return None if stat.S_ISDIR(found.st_mode) else "kind"
    if not stat.S_ISREG(found.st_mode):
        return "kind"
    if since is not None and file.endswith(".pyc"):
        return None
    size = path.get("size_in_bytes")
    if size is not None and found.st_size != size:
        return "size"
    if (content or (since is not None and found.st_mtime_ns > since)) and expected is not None:
        try:
            return None if sha256_file(Path(file)) == expected else "content"
        except OSError:
            return "content"
    return None


def clear(prefix: Path, damages: Iterable[Damage]) -> None:
    """Remove what lies at the places of ``damages``, so that the packages can be linked anew.

    A folder in the way goes with all it holds; a link in the way goes, what it points to stays. Nothing outside the
    prefix is touched, nor is a file written to: it may be a hard link into the cache. Raises OSError.
    """
    root = prefix.resolve()
    for damage in damages:
        parts = Path(damage.path).parts
        if not parts or Path(damage.path).is_absolute() or ".." in parts:
            continue
        here = prefix
        for part in parts[:-1]:
            here = here / part
            leaves = here.is_symlink() and not here.resolve().is_relative_to(root)
            if leaves or (os.path.lexists(here) and not here.is_dir()):
                remove_tree(here)
                break
        else:
            remove_tree(prefix / damage.path)


def wipe(prefix: Path) -> None:
    """Remove everything in ``prefix`` but the markers that say it is unfinished; so it may be cut off, too.

    Raises OSError.
    """
    folder = conda_meta(prefix)
    for path in prefix.iterdir():
        if path != folder:
            remove_tree(path)
    for path in folder.iterdir():
        if path.name not in (MARKER, FINGERPRINT):
            remove_tree(path)
