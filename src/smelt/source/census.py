"""Folders that are made once and never changed: whether they still are what was made.

A sealed folder holds ``code`` and a marker, written last, with the size, time and mode of every file in ``code``.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any, cast

from smelt.fs import write_text

CODE = "code"
_MARKER = "smelt.json"


def seal(folder: Path) -> None:
    """Write the marker of ``folder``, whose ``code`` is complete. Raises OSError."""
    write_text(folder / _MARKER, json.dumps({"files": _census(folder / CODE)}))


def is_intact(folder: Path) -> bool:
    """Whether every file has the size, time and kind that it was sealed with, and there is no other."""
    try:
        marker = cast("dict[str, Any]", json.loads((folder / _MARKER).read_text(encoding="utf-8")))
        return marker["files"] == _census(folder / CODE)
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
