"""Environments that are the same in every bit, times included, where ``SOURCE_DATE_EPOCH`` is set.

Source: the convention of reproducible-builds.org; the reference stamps folders, ``conda-meta`` and ``CACHEDIR.TAG``.
Here every file gets a fixed time: what a package brings keeps the time that it has in its archive, what is newer than
the variable says gets that time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

VARIABLE = "SOURCE_DATE_EPOCH"
_OLDEST = 315_532_800  # 1980-01-01: FAT and zip archives know nothing older


def reproducible_time(variables: Mapping[str, str], warn: Callable[[str], None]) -> int | None:
    """The time of ``SOURCE_DATE_EPOCH`` in seconds, 1980 at least; None where it is not set, or is no number.

    ``warn`` is told of the latter.
    """
    text = variables.get(VARIABLE, "").strip()
    if not text:
        return None
    try:
        return max(int(text), _OLDEST)
    except ValueError:
        warn(f"{VARIABLE} is no number of seconds, and is passed over: {text!r}")
        return None


def stamp(state_folder: Path, prefixes: Sequence[Path], seconds: int) -> None:
    """Give fixed times to all that lies in ``prefixes``, and to the state folder around them. Raises OSError.

    Folders, ``conda-meta`` and ``CACHEDIR.TAG`` get the time itself, other files get it where they are newer. Files
    with several hard links are in a cache as well: they have the times of their archive and keep them.
    """
    time = seconds * 1_000_000_000
    for prefix in prefixes:
        meta = os.path.join(prefix, "conda-meta")  # noqa: PTH118
        for folder, _, files in os.walk(prefix, topdown=False):
            inside = folder == meta or folder.startswith(meta + os.sep)
            for name in files:
                path = os.path.join(folder, name)  # noqa: PTH118
                found = os.lstat(path)
                newer = found.st_mtime_ns > time and found.st_nlink == 1
                if newer or inside or (name == "CACHEDIR.TAG" and folder == str(prefix)):
                    _set(path, time)
            _set(folder, time)
    for folder in dict.fromkeys(prefix.parent for prefix in prefixes):
        _set(str(folder), time)
    if state_folder.is_dir():
        own = state_folder / "smelt"
        for folder, _, files in os.walk(own, topdown=False):
            for name in files:
                _set(os.path.join(folder, name), time)  # noqa: PTH118
            _set(folder, time)
        for path in state_folder.iterdir():
            if path.is_file():
                _set(str(path), time)
        _set(str(state_folder), time)


def _set(path: str, time: int) -> None:
    try:
        if os.utime in os.supports_follow_symlinks:
            os.utime(path, ns=(time, time), follow_symlinks=False)
        elif not os.path.islink(path):  # noqa: PTH114
            os.utime(path, ns=(time, time))
    except FileNotFoundError:
        return  # another process had it for a moment
