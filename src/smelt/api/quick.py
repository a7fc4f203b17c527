"""Whether there is nothing to do, told from the last time and a few stats: no manifest is read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from smelt.api.state import KnownState, RecordName, read_known
from smelt.install.state import is_current
from smelt.types import current_platform

MANIFESTS = ("pixi.toml", "pyproject.toml", "mojoproject.toml")


def unchanged(
    manifest_path: Path | None, environments: Sequence[str] | None, *, every: bool = False, look: bool = False
) -> tuple[str, ...] | None:
    """The environments that were asked for, if each is certain to hold what it must; None if that is not certain.

    ``environments`` None or empty: the default one; ``every``: all that this machine can have.
    ``look``: also that each of their files is there as it was.
    """
    found = _known(manifest_path)
    if found is None:
        return None
    root, known = found
    if known.warned:
        return None
    names = known.supported if every else tuple(environments or ("default",))
    if any(name not in known.environments for name in names) or not known.holds():
        return None
    envs = root / ".pixi" / "envs"
    if not all(is_current(envs / name, known.environments[name]) for name in names):
        return None
    if look:
        from smelt.install.contents import is_whole

        if not all(is_whole(envs / name, name, root / ".pixi") for name in names):
            return None
    return names


def lock_fits(manifest_path: Path | None) -> KnownState | None:
    """What the lock file was found to fit, if nothing of that has changed; None where that is not certain."""
    found = _known(manifest_path, "fit")
    return found[1] if found is not None and not found[1].warned and found[1].holds() else None


def _known(manifest_path: Path | None, name: RecordName = "state") -> tuple[Path, KnownState] | None:
    """The record of the workspace that the nearest manifest belongs to; None where only reading it can tell."""
    if manifest_path is not None:
        path = Path(os.path.abspath(manifest_path))  # noqa: PTH100 - without following links, as the manifest's own
        folders = [path if path.is_dir() else path.parent]
    else:
        here = Path.cwd()
        folders = [here, *here.parents]
    for folder in folders:
        present = [name for name in MANIFESTS if (folder / name).exists()]
        if present:
            known = read_known(folder / ".pixi", current_platform(), name)
            if known is not None and known.manifest in {str(folder / name) for name in present}:
                return folder, known
            return None
    return None
