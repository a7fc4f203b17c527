"""Sources: from what a manifest says to code on disk."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any, cast

from smelt.errors import NotSupportedError, SourceError
from smelt.fs import hold, replace_folder, smelt_cache, staging_folder, write_text
from smelt.lock.model import BuildSource
from smelt.source.download import fetch, file_name, without_credentials
from smelt.source.model import Checkout
from smelt.source.sdist import locate_sdist, split_release
from smelt.types import SourceLocation

_MARKER = "smelt.json"
_CODE = "code"


def pin(location: SourceLocation, base: Path) -> BuildSource:
    """What the lock says of a source, so that every machine takes the same code.

    ``base``: the folder of the manifest that says it. A path stays as it is written; an sdist and an archive
    become a URL (without credentials) and a sha256. Raises SourceError (nothing there), NotSupportedError (git).
    """
    if location.path is not None:
        _existing(base, location.path)
        return BuildSource(path=location.path)
    if location.git is not None:
        raise NotSupportedError(
            f"sources in git repositories are not supported yet: {without_credentials(location.git)}",
            help="clone the repository beside the workspace and name it by `path`",
        )
    if location.pypi is not None:
        split_release(location.pypi)
        url, sha256 = locate_sdist(location.pypi, base)
        if sha256 is None:
            _, sha256 = fetch(url)
        return BuildSource(url=without_credentials(url), sha256=sha256, subdir=location.subdirectory)
    if location.url is not None:
        sha256 = location.sha256
        if sha256 is None:
            _, sha256 = fetch(location.url, md5=location.md5)
        return BuildSource(url=without_credentials(location.url), sha256=sha256.lower(), subdir=location.subdirectory)
    raise SourceError("a source that says neither path nor git, url or pypi", code="source-missing")


def checkout(pinned: BuildSource, base: Path) -> Checkout:
    """The code of a pinned source on disk.

    A path is the user's own folder, relative to ``base``. An archive is unpacked once into ``<smelt cache>/sources``,
    without the folder that wraps it; a checkout that was damaged since is made again.
    Raises SourceError, NotSupportedError (git).
    """
    if pinned.path is not None:
        return Checkout(folder=_existing(base, pinned.path), pinned=pinned)
    if pinned.git is not None:
        raise NotSupportedError(f"sources in git repositories are not supported yet: {without_credentials(pinned.git)}")
    if pinned.url is None or pinned.sha256 is None:
        raise SourceError(
            f"the lock does not say which archive a source is: {pinned.url or 'no url'} has no sha256",
            code="source-missing",
            help="`smelt lock` writes it again",
        )
    digest = pinned.sha256.lower()
    folder = _unpacked(pinned.url, digest)
    if pinned.subdir is not None:
        folder = _inside(folder, pinned.subdir, pinned.url)
    return Checkout(folder=folder, pinned=pinned, digest=digest)


def _existing(base: Path, path: str) -> Path:
    folder = Path(os.path.normpath(base / Path(path).expanduser()))
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise SourceError(
            f"the source folder `{path}` {what}: {folder}",
            code="source-missing",
            help=f"`path` is relative to {base}",
        )
    return folder


def _inside(folder: Path, subdirectory: str, url: str) -> Path:
    found = Path(os.path.normpath(folder / subdirectory))
    if not found.is_relative_to(folder) or not found.resolve().is_relative_to(folder.resolve()):
        raise SourceError(f"the subdirectory `{subdirectory}` is outside of {url}", code="source-missing")
    if not found.is_dir():
        raise SourceError(f"{url} has no folder `{subdirectory}`", code="source-missing")
    return found


def _unpacked(url: str, sha256: str) -> Path:
    target = smelt_cache() / "sources" / sha256[:2] / sha256
    if _is_intact(target):
        return target / _CODE
    from smelt.source.archive import only_folder, unpack

    with hold(target.with_name(f"{sha256}.lock"), f"unpacking {file_name(url)}"):
        if _is_intact(target):
            return target / _CODE
        archive, _ = fetch(url, sha256)
        with staging_folder(target) as staging:
            scratch = staging / "unpacked"
            unpack(archive, scratch, file_name(url))
            only_folder(scratch).replace(staging / _CODE)
            if scratch.exists():
                scratch.rmdir()
            # Written last: a checkout without it is not one.
            write_text(staging / _MARKER, json.dumps({"files": _census(staging / _CODE)}))
            replace_folder(staging, target)
    return target / _CODE


def _is_intact(target: Path) -> bool:
    """Whether every file has the size, time and kind that it was unpacked with, and there is no other."""
    try:
        marker = cast("dict[str, Any]", json.loads((target / _MARKER).read_text(encoding="utf-8")))
        return marker["files"] == _census(target / _CODE)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _census(folder: Path) -> dict[str, list[int]]:
    """Size, modification time and mode of every file below ``folder``, links not followed."""
    found: dict[str, list[int]] = {}
    pending = [""]
    while pending:
        prefix = pending.pop()
        for entry in os.scandir(folder / prefix if prefix else folder):
            path = f"{prefix}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                pending.append(f"{path}/")
                continue
            state = entry.stat(follow_symlinks=False)
            # A link's own time cannot be set on every system.
            is_link = stat.S_ISLNK(state.st_mode)
            found[path] = [state.st_size, 0 if is_link else state.st_mtime_ns, state.st_mode]
    return found
