"""The digest of a source tree that its owner may edit at any time.

A tree is the set of files that a build may read: what git tracks or does not ignore (without git: what the
``.gitignore`` files do not exclude), never ``.git``, ``.pixi``, ``__pycache__`` and ``*.pyc``; then, glob by glob,
what ``globs`` add or take away. Its digest covers paths, contents, exec bits and targets of symbolic links, and
nothing else: not times, owners, other permissions, order, or where the folder is.
"""

from __future__ import annotations

import hashlib
import marshal
import os
import stat
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from smelt.errors import SourceError
from smelt.fs import smelt_cache, write_bytes
from smelt.source import stats
from smelt.types import digest_json, sha256_text

if TYPE_CHECKING:
    from smelt.source.listing import Listing

_REGULAR, _EXECUTABLE, _LINK = "f", "x", "l"


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeFile:
    """One file of a tree.

    ``kind``: ``f`` regular, ``x`` executable, ``l`` symbolic link (then ``sha256`` is of its target).
    ``path`` is relative to the tree, POSIX.
    """

    path: str
    kind: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeDigest:
    """The identity of a tree. ``index_path``: the index that ``smelt.source.stats.unchanged`` takes."""

    digest: str
    index_path: Path
    files: tuple[TreeFile, ...]


def tree_digest(folder: Path, globs: Sequence[str] = ()) -> TreeDigest:
    """The digest of the tree at ``folder`` (which may also be one file).

    ``globs`` in gitignore syntax, relative to ``folder``, later ones win: a pattern adds matching files even if
    they are ignored, ``!pattern`` takes files away, ``&pattern`` takes those back that are not ignored.
    Only files whose stats changed since the last call are read.
    Raises SourceError where the folder or a file cannot be read.
    """
    root = folder.resolve()
    index_path = _index_path(root, globs)
    index = stats.read(str(index_path))
    if index is not None and stats.unchanged(index) and stats.git_index_unchanged(index):
        return _from_index(index, index_path)
    started = time.time_ns()
    from smelt.source.listing import list_tree  # builds only copy what was listed

    listing = list_tree(root, tuple(globs))
    known = _known(index)
    files = [_entry(listing.root, path, known) for path in listing.files]
    found = [entry for entry in files if entry is not None]
    index = (
        stats.SCHEMA,
        listing.root,
        started,
        digest_json([[entry[0], _kind(entry[5]), entry[6]] for entry in found]),
        found,
        _folders(listing),
        [(path, stats.stamp(path)) for path in listing.watched],
        [(path, stats.stamp(path)) for path in listing.git_index],
    )
    write_bytes(index_path, marshal.dumps(index), durable=False)
    return _from_index(index, index_path)


def export_tree(folder: Path, tree: TreeDigest, target: Path) -> None:
    """Copy exactly the files of ``tree`` from ``folder`` into the new folder ``target``.

    Modes become 0644 or 0755, modification times are kept. Raises SourceError if a file no longer is what the
    digest says, so that a build never runs on anything but what its key names.
    """
    root = folder.resolve()
    for file in tree.files:
        if root.is_file():
            source, copy = root, target / root.name
        else:
            source, copy = root / file.path, target / file.path
        copy.parent.mkdir(parents=True, exist_ok=True)
        try:
            if file.kind == _LINK:
                text = str(source.readlink())
                actual = sha256_text(text)
                copy.symlink_to(text)
            else:
                found = source.stat()
                actual = _copy(source, copy)
                copy.chmod(0o755 if file.kind == _EXECUTABLE else 0o644)
                os.utime(copy, ns=(found.st_mtime_ns, found.st_mtime_ns))
        except OSError as error:
            raise _unreadable(source, error) from error
        if actual != file.sha256:
            raise SourceError(
                f"`{source}` changed while its package was being built",
                code="source-changed",
                help="run the command again when nothing edits the source",
            )


def _copy(source: Path, copy: Path) -> str:
    digest = hashlib.sha256()
    with source.open("rb") as reader, copy.open("xb") as writer:
        while chunk := reader.read(1 << 20):
            digest.update(chunk)
            writer.write(chunk)
    return digest.hexdigest()


def _index_path(root: Path, globs: Sequence[str]) -> Path:
    name = digest_json([str(root), list(globs)])
    return smelt_cache() / "trees" / name[:2] / f"{name[2:40]}.index"


def _from_index(index: stats.Index, index_path: Path) -> TreeDigest:
    files = tuple(TreeFile(path=entry[0], kind=_kind(entry[5]), sha256=entry[6]) for entry in index[stats.FILES])
    return TreeDigest(digest=index[stats.DIGEST], index_path=index_path, files=files)


def _known(index: stats.Index | None) -> dict[tuple[str, int, int, int, int, int], str]:
    if index is None:
        return {}
    started = index[stats.STARTED]
    return {entry[:6]: entry[6] for entry in index[stats.FILES] if not stats.racy(entry[2], started)}


def _kind(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return _LINK
    # Windows has no exec bit: os.stat makes one up from the suffix, which must not enter a digest.
    return _EXECUTABLE if mode & 0o100 and os.name != "nt" else _REGULAR


def _entry(root: str, path: str, known: dict[tuple[str, int, int, int, int, int], str]) -> stats.FileEntry | None:
    name = root + path
    try:
        found = os.lstat(name)
        mode = found.st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
            return None  # a socket, pipe or device: nothing that a build could read twice
        state = (path, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, mode)
        digest = known.get(state)
        if digest is None:
            if stat.S_ISLNK(mode):
                digest = sha256_text(str(Path(name).readlink()))
            else:
                with Path(name).open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None  # deleted since it was listed, or tracked by git and deleted
    except OSError as error:
        raise _unreadable(Path(name), error) from error
    return (*state, digest)


def _folders(listing: Listing) -> list[stats.FolderEntry]:
    entries: list[stats.FolderEntry] = []
    for folder in listing.folders:
        try:
            entries.append((folder, os.lstat(listing.root + folder).st_mtime_ns))
        except OSError:
            # Gone since it was listed: an impossible time makes the next look a full one.
            entries.append((folder, -1))
    return entries


def _unreadable(path: Path, error: OSError) -> SourceError:
    return SourceError(
        f"cannot read `{path}`: {error.strerror or error}",
        code="source-unreadable",
        help="every file of a source package must be readable; exclude it with `extra-input-globs` or `.gitignore`",
    )
