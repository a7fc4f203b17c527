"""Whether every file of an environment is as it was when it was last looked at, told by one stat for each.

The record lies outside of the environment, in ``.pixi/smelt/contents``. It is a cache: whatever is wrong with it,
the files are compared with the packages' own records, which takes longer (``smelt.install.verify``).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import cast

from smelt.install.state import conda_meta, marker_path, read_state, record_files

FORMAT = 1


def contents_path(state_folder: Path, environment: str) -> Path:
    """Where is kept how the files of an environment were."""
    return state_folder / "smelt" / "contents" / f"{environment}.json"


def is_whole(prefix: Path, environment: str, state_folder: Path) -> bool:
    """Whether every file is there as it was when it was last looked at.

    Where nobody has looked since the last installation, the packages' own records are asked, and the answer is written
    down. Says nothing of what is to be installed (``smelt.install.state.is_current`` does).
    """
    try:
        marker = _marker(prefix)
        known = _read(contents_path(state_folder, environment))
        if known is None or known.get("marker") != marker:
            return _look(prefix, environment, state_folder, marker)
        root = str(prefix)
        for path, stamp in cast("dict[str, list[int] | None]", known["files"]).items():
            found = os.lstat(f"{root}/{path}")
            if stamp is not None and stamp != [found.st_size, found.st_mtime_ns]:
                return False
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return False
    return True


def _read(path: Path) -> dict[str, object] | None:
    try:
        data: object = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    values = cast("dict[str, object]", data) if isinstance(data, dict) else {}
    return values if values.get("format") == FORMAT else None


def _look(prefix: Path, environment: str, state_folder: Path, marker: list[int]) -> bool:
    from smelt.install.pypi_prefix import damage, installed_distributions
    from smelt.install.verify import verify

    since = marker_path(prefix).stat().st_ctime_ns
    state = read_state(prefix)
    if state is None or verify(prefix, content=False, since=since):
        return False
    ours = [each for each in installed_distributions(prefix) if each.is_ours]
    if sorted(each.name for each in ours) != sorted(state.pypi):
        return False
    if any(damage(each, content=False, since=since) is not None for each in ours):
        return False
    with suppress(OSError):  # a workspace may lie where nothing can be written
        remember(prefix, environment, state_folder, marker)
    return _marker(prefix) == marker


def remember(prefix: Path, environment: str, state_folder: Path, marker: list[int] | None = None) -> None:
    """Write down how the files of ``prefix`` are now, all of which were found to be right. Raises OSError.

    ``marker``: the prefix's when that began; None where nobody else can change it.
    """
    from smelt.fs import write_text

    root = str(prefix)
    files: dict[str, list[int] | None] = {}
    for path in _owned(prefix):
        found = os.lstat(f"{root}/{path}")
        # Python writes bytecode anew when it wants to
        files[path] = None if path.endswith(".pyc") else [found.st_size, found.st_mtime_ns]
    data = {"format": FORMAT, "marker": marker or _marker(prefix), "files": files}
    write_text(contents_path(state_folder, environment), json.dumps(data, separators=(",", ":")), durable=False)


def forget(state_folder: Path) -> None:
    """Remove what was written down of all environments. Raises OSError."""
    from smelt.fs import remove_tree

    remove_tree(contents_path(state_folder, "any").parent)


def _marker(prefix: Path) -> list[int]:
    found = marker_path(prefix).stat()
    return [found.st_mtime_ns, found.st_size, found.st_ino]


def _owned(prefix: Path) -> Iterable[str]:
    from smelt.install.pypi_prefix import distribution_files, installed_distributions

    for name in sorted(record_files(prefix)):
        record: object = json.loads((conda_meta(prefix) / name).read_bytes())
        yield f"conda-meta/{name}"
        for path in cast("dict[str, dict[str, list[dict[str, str]]]]", record)["paths_data"]["paths"]:
            yield path["_path"]
    for distribution in installed_distributions(prefix):
        if distribution.is_ours:
            for file in distribution_files(distribution):
                yield os.path.relpath(file, prefix)
