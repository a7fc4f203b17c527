"""What smelt knows of a workspace from the last time, so that an unchanged one costs a few stats.

The records lie in ``.pixi/smelt``: ``state.json`` of what was installed, ``fit.json`` of a lock that was found to fit.
They are caches: whatever is wrong with one, the full way is gone.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast, get_args

from smelt import __version__
from smelt.source import stats

FORMAT = 4
_SETTINGS_VARIABLES = frozenset(
    (
        "HOME",
        "USERPROFILE",
        "APPDATA",
        "XDG_CONFIG_HOME",
        "PIXI_HOME",
        "PIXI_NO_CONFIG",
        "PIXI_CONFIG_FILE",
        "BUILD_EDITABLE_PYTHON",
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownState:
    """A state of the files for which each environment's contents are known.

    ``files``: path → stamp (``smelt.source.stats.stamp``) of everything that was read but source trees;
    ``trees``: their stat indexes, and the digest that each had. ``environments``: name → digest of what the prefix
    must hold. ``manifest`` is the workspace's; ``supported``: its environments that this machine can have;
    ``warned``: reading it gives warnings, so it has to be read to give them again.
    """

    manifest: str

    files: Mapping[str, tuple[int, ...] | None]
    trees: Mapping[str, str] = field(default_factory=dict[str, str])
    environments: Mapping[str, str] = field(default_factory=dict[str, str])
    supported: tuple[str, ...] = ()
    warned: bool = False

    def holds(self) -> bool:
        """Whether every file and tree is still as it was."""
        if any(stats.stamp(path) != stamp for path, stamp in self.files.items()):
            return False
        for path, digest in self.trees.items():
            index = stats.read(path)
            # another command may have looked at a changed tree since: then the index is current, but of another tree
            if index is None or index[stats.DIGEST] != digest or not stats.unchanged(index):
                return False
        return True


RecordName = Literal["state", "fit"]


def _path(state_folder: Path, name: RecordName) -> Path:
    return state_folder / "smelt" / f"{name}.json"


def _identity(platform: str) -> list[str]:
    # what overrides the virtual packages of the machine decides whether an environment can run here, these
    # variables say which settings are in force, and uv's which index is the default
    variables = sorted(
        f"{k}={v}"
        for k, v in os.environ.items()
        if k.startswith(("CONDA_OVERRIDE_", "PIXI_BUILD_BACKEND_OVERRIDE", "UV_")) or k in _SETTINGS_VARIABLES
    )
    return [__version__, sys.version, sys.prefix, platform, *variables]


def read_known(state_folder: Path, platform: str, name: RecordName = "state") -> KnownState | None:
    """The record for ``platform``; None where there is none that this smelt wrote."""
    try:
        data: object = json.loads(_path(state_folder, name).read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(data, dict):
        return None
    values = cast("dict[str, object]", data)
    if values.get("format") != FORMAT or values.get("identity") != _identity(platform):
        return None
    try:
        files = cast("dict[str, list[int] | None]", values["files"])
        return KnownState(
            manifest=str(values["manifest"]),
            supported=tuple(cast("list[str]", values["supported"])),
            warned=bool(values["warned"]),
            files={path: tuple(stamp) if stamp is not None else None for path, stamp in files.items()},
            trees=dict(cast("dict[str, str]", values["trees"])),
            environments=dict(cast("dict[str, str]", values["environments"])),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def stamps(paths: Iterable[Path]) -> dict[str, tuple[int, ...] | None]:
    """The stamps of files as they are now; take them *before* the files are read."""
    return {str(path): stats.stamp(str(path)) for path in paths}


def steady_stamps(paths: Iterable[Path], started: int) -> dict[str, tuple[int, ...] | None] | None:
    """The stamps of files that were read, or not found, since ``started``; None where one may have changed since."""
    found = stamps(paths)
    if any(stamp is not None and stats.racy(max(stamp[1], stamp[2]), started) for stamp in found.values()):
        return None
    return found


def stamps_as_read(paths: Iterable[Path], started: int) -> dict[str, tuple[int, ...] | None] | None:
    """The stamps of files that were read since ``started`` (nanoseconds since the epoch).

    None where one is so new that it may have changed after it was read: then its stamp would stand for another content.
    """
    found = stamps(paths)
    for stamp in found.values():
        if stamp is None or stats.racy(max(stamp[1], stamp[2]), started):
            return None
    return found


def forget_known(state_folder: Path) -> None:
    """Remove what was written down: it holds times and numbers of files, which differ from machine to machine."""
    for name in get_args(RecordName):
        _path(state_folder, name).unlink(missing_ok=True)


def write_known(state_folder: Path, platform: str, known: KnownState, name: RecordName = "state") -> None:
    """Replace the record. Raises OSError."""
    from smelt.fs import write_text

    data = {
        "format": FORMAT,
        "identity": _identity(platform),
        "manifest": known.manifest,
        "supported": list(known.supported),
        "warned": known.warned,
        "files": {path: list(stamp) if stamp is not None else None for path, stamp in known.files.items()},
        "trees": dict(known.trees),
        "environments": dict(known.environments),
    }
    write_text(_path(state_folder, name), json.dumps(data) + "\n", durable=False)
