"""Whether source trees are as they were: stats of known files and folders, and nothing else.

The warm path of ``smelt run`` imports this module, so it imports only ``os`` and ``marshal``. The index that it
reads is written by ``smelt.source.tree``.
"""

import marshal
import os

TYPE_CHECKING = False  # ``typing`` costs the warm path more than all of this module
if TYPE_CHECKING:
    from typing import Final, cast

SCHEMA = 3
"""Changes whenever the layout of an index changes; an index of another schema is not an index."""

MARGIN = 50_000_000
"""Nanoseconds by which the clock of a file system may lag behind the system clock (a few scheduler ticks)."""

COARSE_MARGIN = 2_000_000_000
"""The same where a file system keeps whole seconds only (FAT even two of them)."""

# The fields of an index, in order: an index is a tuple, which marshal reads fastest.
ROOT: "Final" = 1
STARTED: "Final" = 2
DIGEST: "Final" = 3
FILES: "Final" = 4
FOLDERS: "Final" = 5
WATCHED: "Final" = 6
GIT_INDEX: "Final" = 7

Stamp = tuple[int, int, int, int, int]
FileEntry = tuple[str, int, int, int, int, int, str]
FolderEntry = tuple[str, int]
WatchEntry = tuple[str, Stamp | None]
Index = tuple[int, str, int, str, list[FileEntry], list[FolderEntry], list[WatchEntry], list[WatchEntry]]


def read(path: str) -> Index | None:
    """The index stored at ``path``; None where there is none, or one that cannot be used."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - pathlib costs the warm path its budget
            data: object = marshal.loads(file.read())
    except (OSError, ValueError, EOFError, TypeError):
        return None
    if not isinstance(data, tuple):
        return None
    if TYPE_CHECKING:
        data = cast("Index", data)
    if len(data) != 8 or data[0] != SCHEMA:
        return None
    return data


def racy(mtime_ns: int, started: int) -> bool:
    """Whether something last changed at ``mtime_ns`` may have changed again after it was read.

    ``started``: when reading began. As in git's index, what is as new as the index itself is not to be trusted.
    """
    margin = COARSE_MARGIN if mtime_ns % 1_000_000_000 == 0 else MARGIN
    return mtime_ns >= started - margin


def stamp(path: str) -> Stamp | None:
    """What tells that the file at ``path`` was replaced or changed; None where there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_mode


def unchanged(index: Index) -> bool:
    """Whether the tree of ``index`` has the digest that the index says, as far as stats tell.

    True is certain but for changes that keep size, times, inode and mode; False means only that the tree has to
    be looked at (``smelt.source.tree.tree_digest``). Never raises for a tree that is gone.
    """
    root = index[ROOT]
    started = index[STARTED]
    lstat = os.lstat
    try:
        for path, mtime in index[FOLDERS]:
            if lstat(root + path).st_mtime_ns != mtime or racy(mtime, started):
                return False
        for path, size, mtime, ctime, inode, mode, _ in index[FILES]:
            found = lstat(root + path)
            if (
                found.st_mtime_ns != mtime
                or found.st_size != size
                or found.st_ctime_ns != ctime
                or found.st_ino != inode
                or found.st_mode != mode
            ):
                return False
            if racy(mtime, started):
                return False
    except OSError:
        return False
    return all(stamp(path) == expected for path, expected in index[WATCHED])


def git_index_unchanged(index: Index) -> bool:
    """Whether git's own list of files (``.git/index``) is the one that the index was made from.

    Apart from ``unchanged`` because nearly every git command rewrites it without any change of files.
    """
    return all(stamp(path) == expected for path, expected in index[GIT_INDEX])
