"""A pack as a folder, which is brought up to date instead of written anew."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from smelt.errors import PackError
from smelt.fs import replace_folder, staging_folder
from smelt.pack.copying import Copier, folders_of
from smelt.pack.model import CHANNEL, ENVIRONMENT, METADATA, PYPI, PackContent, PackedFile, PackReporter
from smelt.pack.output import alone, unwritable
from smelt.types import sha256_file


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderResult:
    """What was done: numbers of files. ``size``: bytes of all that is there."""

    written: int
    reused: int
    removed: int
    size: int


def write_folder(content: PackContent, target: Path, reporter: PackReporter) -> FolderResult:
    """Make ``target`` hold the pack. Files that are right are not touched, files of an older pack are removed.

    A new folder is there whole or not at all. In an existing one ``pixi-pack.json`` is removed first and written last,
    so that a folder that was left half-way is no pack; the next call completes it. Raises PackError
    (``pack-output``) for a folder that holds something else, InstallError (``hash-mismatch``), OSError.
    """
    files = content.files()
    folders = folders_of(files)
    try:
        with alone(target, reporter):
            if not target.exists():
                with staging_folder(target) as staging:
                    result = _fill(files, folders, staging, reporter)
                    replace_folder(staging, target)
                return result
            _check_ours(target)
            return _fill(files, folders, target, reporter)
    except OSError as error:
        raise unwritable(target, error) from error


def _fill(
    files: tuple[PackedFile, ...], folders: tuple[str, ...], target: Path, reporter: PackReporter
) -> FolderResult:
    size = sum(file.size for file in files)
    missing = [file for file in files if not _is_there(target / file.name, file)]
    stale = _others(target, {file.name for file in files})
    if not missing and not stale:
        return FolderResult(written=0, reused=len(files), removed=0, size=size)
    (target / METADATA).unlink(missing_ok=True)
    for path in stale:
        path.unlink()
    for folder in folders:
        (target / folder).mkdir(exist_ok=True)
    for path in sorted((p for p in target.rglob("*") if p.is_dir() and not p.is_symlink()), reverse=True):
        if path.relative_to(target).as_posix() not in folders:
            path.rmdir()
    last = next(file for file in files if file.name == METADATA)
    todo = [*(file for file in missing if file is not last), last]
    reporter.writing(sum(file.size for file in todo))
    parts: list[tuple[Path, Path]] = []
    try:
        with Copier(reporter) as copier:
            for file in todo:
                path = target / file.name
                part = path.with_name(f".{path.name}.{os.getpid()}.part")
                parts.append((part, path))
                with part.open("wb", buffering=0) as stream:
                    copier.copy(file, stream.write)
        for part, path in parts:
            part.replace(path)
    finally:
        for part, _ in parts:
            part.unlink(missing_ok=True)
    return FolderResult(written=len(todo), reused=len(files) - len(missing), removed=len(stale), size=size)


def _is_there(path: Path, file: PackedFile) -> bool:
    try:
        return not path.is_symlink() and path.stat().st_size == file.size and sha256_file(path) == file.sha256
    except OSError:
        return False


def _others(target: Path, names: set[str]) -> list[Path]:
    """Files of a pack that the new one has not."""
    found: list[Path] = []
    for path in target.rglob("*"):
        if (path.is_file() or path.is_symlink()) and path.relative_to(target).as_posix() not in names:
            found.append(path)
    return found


def _check_ours(target: Path) -> None:
    """Only a folder that is a pack, was to become one, or is empty may be changed."""
    entries = {entry.name for entry in target.iterdir()} if target.is_dir() else {"."}
    known = {CHANNEL, PYPI, ENVIRONMENT, METADATA, *packed_names(target)}
    others = {name for name in entries - known if not (name.startswith(".") and name.endswith(".part"))}
    if not entries or (not others and CHANNEL in entries):
        return
    raise PackError(
        f"cannot write the pack to {target}: it holds something else",
        code="pack-output",
        notes=[", ".join(sorted(others)[:5])],
        help="name another folder with `-o`; only the folder of an older pack is brought up to date",
    )


def packed_names(target: Path) -> set[str]:
    """The top folders and files that a pack of ours in ``target`` says it has; none where it says nothing."""
    try:
        data: object = json.loads((target / METADATA).read_bytes())
    except (OSError, ValueError):
        return set()
    section = cast("dict[str, object]", data).get("smelt") if isinstance(data, dict) else None
    files = cast("dict[str, object]", section).get("files") if isinstance(section, dict) else None
    return (
        {str(name).partition("/")[0] for name in cast("dict[str, object]", files)} if isinstance(files, dict) else set()
    )
