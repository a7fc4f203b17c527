"""Paths as messages show them."""

from __future__ import annotations

from pathlib import Path


def shown_path(path: Path) -> str:
    """``path`` as messages call it: relative to the working folder where it is inside of it."""
    try:
        return path.resolve().relative_to(Path.cwd()).as_posix()
    except (ValueError, OSError):
        return str(path)
