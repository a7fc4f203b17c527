"""Conda packages read one member at a time: what they hold, and how it is to be put into a prefix.

Source: CEP 34 (what ``info/`` holds) and CEP 35 (the two archive formats).
"""

from __future__ import annotations

import json
import shlex
import tarfile
import zipfile
from collections.abc import Collection, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from smelt.archive import DAMAGE, is_damage
from smelt.errors import PackError
from smelt.install.state import is_own_file

_OLD_PLACEHOLDER = "/opt/anaconda1anaconda2anaconda3"
"""What ``info/has_prefix`` of very old packages means where it names no placeholder."""

_INFO = ("info/paths.json", "info/link.json", "info/files", "info/has_prefix", "info/no_link")


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagePath:
    """A file, link or empty folder as the package has it. ``placeholder``: what stands in it for the prefix, if any."""

    path: str
    placeholder: str | None = None
    binary: bool = False
    link: bool = False
    folder: bool = False
    sha256: str | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageInfo:
    """What a package says of its files. ``entry_points``: commands of a noarch Python package (``name = a.b:c``)."""

    paths: tuple[PackagePath, ...]
    entry_points: tuple[str, ...] = ()


def read_info(path: Path) -> PackageInfo:
    """What the package at ``path`` says of its files. Raises PackError (``pack-package``), OSError."""
    texts = read_members(path, _INFO, info=True)
    try:
        if "info/paths.json" in texts:
            paths = tuple(_path(each) for each in json.loads(texts["info/paths.json"])["paths"])
        else:
            paths = _old_paths(texts)
        link = json.loads(texts.get("info/link.json", b"{}"))
        noarch: dict[str, Any] = link.get("noarch") or {}
        points = tuple(str(each) for each in noarch.get("entry_points") or ())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise unreadable(path, f"what it says of its files cannot be understood ({error})") from error
    for each in paths:
        check_path(each.path, path)
    return PackageInfo(paths=paths, entry_points=points)


def _path(data: dict[str, Any]) -> PackagePath:
    placeholder = data.get("prefix_placeholder") or None
    return PackagePath(
        path=str(data["_path"]),
        placeholder=str(placeholder) if placeholder is not None else None,
        binary=data.get("file_mode") == "binary",
        link=data.get("path_type") == "softlink",
        folder=data.get("path_type") == "directory",
        sha256=data.get("sha256"),
        size=data.get("size_in_bytes"),
    )


def _old_paths(texts: dict[str, bytes]) -> tuple[PackagePath, ...]:
    prefixes: dict[str, tuple[str, bool]] = {}
    for line in texts.get("info/has_prefix", b"").decode().splitlines():
        words = shlex.split(line)
        if len(words) == 3:
            prefixes[words[2]] = (words[0], words[1] == "binary")
        elif len(words) == 1:
            prefixes[words[0]] = (_OLD_PLACEHOLDER, False)
    found: list[PackagePath] = []
    for name in texts["info/files"].decode().splitlines():
        if name.strip():
            placeholder, binary = prefixes.get(name, (None, False))
            found.append(PackagePath(path=name, placeholder=placeholder, binary=binary))
    return tuple(found)


def read_members(path: Path, names: Collection[str], *, info: bool) -> dict[str, bytes]:
    """The content of those of ``names`` that the package has. ``info``: they lie in ``info/``."""
    found: dict[str, bytes] = {}
    with members(path, info=info) as entries:
        for entry, stream in entries:
            name = str(PurePosixPath(entry.name))
            if name in names and stream is not None:
                found[name] = stream.read()
                if len(found) == len(names):
                    break
    return found


@contextmanager
def members(path: Path, *, info: bool) -> Generator[Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]]:
    """The members of a package, each to be read before the next: the files of the prefix, or those of ``info/``.

    Folders are passed over. Raises PackError (``pack-package``) also while it is iterated, OSError.
    """
    import zstandard

    try:
        if path.name.endswith(".conda"):
            kind = "info-" if info else "pkg-"
            with zipfile.ZipFile(path) as container:
                name = next(
                    (each for each in container.namelist() if each.startswith(kind) and each.endswith(".tar.zst")), None
                )
                if name is None:
                    raise unreadable(path, f"it has no part {kind}*.tar.zst")
                with (
                    container.open(name) as packed,
                    zstandard.ZstdDecompressor(max_window_size=1 << 31).stream_reader(packed) as plain,
                    tarfile.open(fileobj=cast("IO[bytes]", plain), mode="r|", encoding="utf-8") as tar,
                ):
                    yield _entries(tar)
        else:
            with tarfile.open(path, mode="r|bz2", encoding="utf-8") as tar:
                yield ((entry, stream) for entry, stream in _entries(tar) if entry.name.startswith("info/") == info)
    except DAMAGE as error:
        raise unreadable(path, str(error)) from error
    except zstandard.ZstdError as error:
        raise unreadable(path, str(error)) from error
    except OSError as error:
        if is_damage(error):
            raise unreadable(path, str(error)) from error
        raise


def _entries(tar: tarfile.TarFile) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
    for entry in tar:
        if not entry.isdir():
            yield entry, tar.extractfile(entry) if entry.isreg() else None


def check_path(name: str, package: Path) -> None:
    """Raises PackError for a path that leads out of the prefix or to what is ours there, or that no script can name."""
    parts = name.split("/")
    led_out = any(part in ("", ".", "..") for part in parts)
    if not name.isprintable() or name != name.strip() or led_out or "\\" in name or is_own_file(name):
        raise unreadable(package, f"it holds {name!r}")


def unreadable(path: Path, reason: str) -> PackError:
    """The error that a package cannot be taken apart."""
    return PackError(
        f"{path.name} cannot be taken apart: {reason}",
        code="pack-package",
        notes=[str(path)],
        help="have it built or uploaded again, or pack in a form that keeps packages whole (tar)",
    )
