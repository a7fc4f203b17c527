"""Python distributions in a prefix: which are ours, are they whole, and removing them.

Source: the PyPA specification "Recording installed projects"; the reference marks what it installs by the same
``INSTALLER``.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import os
import stat
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import cast

from smelt.fs import write_text
from smelt.install.state import conda_meta, record_files
from smelt.manifest.pypi import normalize_pypi_name

INSTALLER = "uv-pixi"


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledDistribution:
    """One distribution: normalised name, version, and its ``.dist-info``."""

    name: str
    version: str
    folder: Path
    installer: str

    @property
    def is_ours(self) -> bool:
        """Whether we or the reference installed it from an index, and not conda, nor a person by hand."""
        return self.installer == INSTALLER


def installed_distributions(prefix: Path) -> list[InstalledDistribution]:
    """Every distribution in a prefix, also of a Python that is no longer there."""
    found: list[InstalledDistribution] = []
    for site_packages in _site_packages(prefix):
        for folder in sorted(site_packages.glob("*.dist-info")):
            name, _, version = folder.name.removesuffix(".dist-info").partition("-")
            try:
                installer = (folder / "INSTALLER").read_text(encoding="utf-8", errors="replace").strip()
            except OSError:
                installer = ""
            found.append(
                InstalledDistribution(
                    name=normalize_pypi_name(name), version=version, folder=folder, installer=installer
                )
            )
    return found


def _site_packages(prefix: Path) -> Iterator[Path]:
    yield from sorted(prefix.glob("lib/python*/site-packages"))
    if (prefix / "Lib" / "site-packages").is_dir():  # of Windows, or for it
        yield prefix / "Lib" / "site-packages"


def damage(distribution: InstalledDistribution, *, content: bool, since: int | None = None) -> str | None:
    """The first file that is missing, or was changed (``content``: looked at too); None if it is whole.

    ``since``: the content of files that were written to after it (nanoseconds since the epoch) is looked at.
    """
    try:
        rows = list(_record(distribution.folder))
    except OSError:
        return f"{distribution.folder.name}/RECORD is missing"
    for name, digest in rows:
        path = _place(distribution.folder.parent, name)
        try:
            found = path.stat()
        except OSError:
            return f"{name} is missing"
        if not stat.S_ISREG(found.st_mode):
            return f"{name} is no file"
        looked_at = content or (since is not None and found.st_mtime_ns > since)
        if looked_at and digest.startswith("sha256=") and not name.endswith((".pyc", "/INSTALLER")):
            actual = base64.urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest()).rstrip(b"=").decode()
            if actual != digest.removeprefix("sha256="):
                return f"{name} was changed"
    return None


def distribution_files(distribution: InstalledDistribution) -> list[Path]:
    """The files of a distribution, as its RECORD has them. Raises OSError."""
    return [_place(distribution.folder.parent, name) for name, _ in _record(distribution.folder)]


def site_entries(prefix: Path) -> frozenset[str]:
    """What lies in the folders of Python packages, relative to the prefix: it shows whether uv wrote anything."""
    return frozenset(str(path.relative_to(prefix)) for folder in _site_packages(prefix) for path in folder.iterdir())


def pypi_files(prefix: Path) -> frozenset[str]:
    """The files that PyPI packages brought, relative to the prefix (POSIX)."""
    found: set[str] = set()
    for each in installed_distributions(prefix):
        if each.is_ours:
            with suppress(OSError):  # without a RECORD it is damaged, and is looked at anyway
                found.update(os.path.relpath(path, prefix).replace("\\", "/") for path in distribution_files(each))
    return frozenset(found)


def remove(prefix: Path, distributions: Iterable[InstalledDistribution]) -> None:
    """Remove distributions with all their files.

    What their ``RECORD`` names outside of the prefix, or what belongs to a conda package, is not touched.
    Raises OSError.
    """
    going = list(distributions)
    if not going:
        return
    owned = conda_files(prefix)
    root = os.path.normpath(prefix)
    for distribution in going:
        try:
            names = [name for name, _ in _record(distribution.folder)]
        except OSError:
            names = []
        names += [f"{distribution.folder.name}/{path.name}" for path in distribution.folder.iterdir() if path.is_file()]
        folders: set[str] = set()
        for name in names:
            path = os.path.normpath(distribution.folder.parent / name)
            if not path.startswith(root + os.sep) or os.path.relpath(path, root).replace("\\", "/") in owned:
                continue
            if not Path(path).parent.resolve().is_relative_to(Path(root).resolve()):
                continue  # through a link that leads out
            _unlink(Path(path))
            folders.add(str(Path(path).parent))
            if path.endswith(".py"):
                folders.add(str(Path(path).parent / "__pycache__"))
                for compiled in (Path(path).parent / "__pycache__").glob(f"{Path(path).stem}.*.pyc"):
                    _unlink(compiled)
        _remove_empty(folders, distribution.folder.parent)


def claim(distributions: Iterable[InstalledDistribution]) -> None:
    """Write into distributions who installed them. Raises OSError."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(INSTALLER.encode()).digest()).rstrip(b"=").decode()
    for distribution in distributions:
        name = f"{distribution.folder.name}/INSTALLER"
        rows = list(csv.reader(StringIO((distribution.folder / "RECORD").read_text(encoding="utf-8"))))
        rows = [[name, f"sha256={digest}", str(len(INSTALLER))] if row and row[0] == name else row for row in rows]
        text = StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        # beside and renamed: the files may be hard links into uv's cache
        write_text(distribution.folder / "INSTALLER", INSTALLER)
        write_text(distribution.folder / "RECORD", text.getvalue())


def _record(folder: Path) -> Iterator[tuple[str, str]]:
    text = (folder / "RECORD").read_text(encoding="utf-8", errors="surrogateescape")
    for row in csv.reader(StringIO(text)):
        if row and row[0]:
            yield row[0].replace("\\", "/"), row[1] if len(row) > 1 else ""


def _place(site_packages: Path, name: str) -> Path:
    return Path(os.path.normpath(site_packages / name))


def conda_files(prefix: Path) -> Collection[str]:
    """The files that conda packages brought, relative to the prefix."""
    owned: set[str] = set()
    for name in record_files(prefix):
        try:
            data = cast(
                "dict[str, dict[str, list[dict[str, str]]]]", json.loads((conda_meta(prefix) / name).read_bytes())
            )
            owned.update(path["_path"] for path in data["paths_data"]["paths"])
        except (OSError, ValueError, KeyError, TypeError):
            continue  # a record that cannot be read has the prefix made anew
    return owned


def _unlink(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():  # damage; what lies in it is not ours
        with suppress(OSError):
            path.rmdir()


def _remove_empty(folders: Iterable[str], root: Path) -> None:
    for folder in sorted(folders, key=len, reverse=True):
        here = Path(folder)
        while here != root and here.is_relative_to(root):
            try:
                here.rmdir()
            except OSError:
                break  # not empty, or gone
            here = here.parent
