"""``Lock`` → ``pixi.lock``."""

from __future__ import annotations

from pathlib import Path

from smelt.errors import LockError
from smelt.fs import write_text
from smelt.lock.codec import to_text
from smelt.lock.model import Lock


def write(lock: Lock, path: Path) -> bool:
    """Write ``lock`` to ``path`` in one step; whether the file changed.

    A file that already holds the same text is not touched, so its time stamp stays; a link stays one. Raises LockError
    (``lock-value``: what no lock file can hold; ``lock-unwritable``).
    """
    text = to_text(lock)
    if not _other(text, path):
        return False
    try:
        write_text(path.resolve() if path.is_symlink() else path, text)
    except OSError as error:
        raise LockError(
            f"{path} cannot be written: {error.strerror or error}",
            code="lock-unwritable",
            help="check the permissions of its folder and that the disk is not full",
        ) from None
    return True


def differs(lock: Lock, path: Path) -> bool:
    """Whether ``write`` would change the file. Raises LockError (``lock-value``)."""
    return _other(to_text(lock), path)


def _other(text: str, path: Path) -> bool:
    try:
        return path.read_bytes() != text.encode("utf-8")
    except OSError:
        return True  # missing or unreadable: writing will tell
