"""Removing environments, and what else ``.pixi`` holds that can be made again."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from smelt.errors import InstallError
from smelt.fs import remove_tree
from smelt.install.layout import activation_folder, lock_path
from smelt.install.locking import exclusive

# Folders of the reference below `.pixi`, besides `envs`, that its own `clean` removes.
_REFERENCE = ("solve-group-envs", "task-cache-v0", "activation-env-v0", "bld", "artifacts-v0")


async def remove_environment(state_folder: Path, environment: str, waiting: Callable[[str], None]) -> int | None:
    """Remove an environment with what is remembered of its activation; gives the bytes, None if it is not there.

    It leaves its place in one step, so a process that is killed here leaves no half environment behind. Waits for an
    installation that is going on. Raises InstallError where something cannot be removed.
    """
    prefix = state_folder / "envs" / environment
    if not os.path.lexists(prefix):
        _remove(activation_folder(state_folder) / f"{environment}.json")
        return None
    try:
        async with exclusive(
            lock_path(prefix, environment, state_folder), f"removing environment '{environment}'", waiting
        ):
            aside = Path(tempfile.mkdtemp(prefix=f".{environment}.", suffix=".part", dir=prefix.parent))
            prefix.replace(aside / "old")
            size = _remove(aside)
            for cache in _activation_files(state_folder, environment):
                _remove(cache)
    except OSError as error:
        raise _error(prefix, error) from error
    return size


async def remove_everything(state_folder: Path, waiting: Callable[[str], None]) -> list[tuple[Path, int]]:
    """Remove all environments and all that is only remembered; gives what was removed and its bytes.

    Configuration (``.pixi/config.toml``) and locks stay. Raises InstallError.
    """
    removed: list[tuple[Path, int]] = []
    envs = state_folder / "envs"
    for path in _children(envs):
        if path.name.startswith("."):
            removed.append((path, _remove(path)))  # left by a process that was killed
            continue
        size = await remove_environment(state_folder, path.name, waiting)
        if size is not None:
            removed.append((path, size))
    memory = [path for path in _children(state_folder / "smelt") if not _is_lock(path)]
    if envs.is_symlink():  # environments that are kept elsewhere
        target = envs.readlink()
        envs.unlink()
        removed.append((target, _remove(target)))
    for path in [envs, *(state_folder / name for name in _REFERENCE), *memory]:
        if os.path.lexists(path):
            removed.append((path, _remove(path)))
    return removed


def remove_activation_caches(state_folder: Path, environment: str | None = None) -> int:
    """Forget what activation scripts answered, of one environment or of all; gives the bytes."""
    if environment is None:
        return sum(_remove(path) for path in (activation_folder(state_folder), state_folder / "activation-env-v0"))
    return sum(_remove(path) for path in _activation_files(state_folder, environment))


def _activation_files(state_folder: Path, environment: str) -> tuple[Path, ...]:
    theirs = state_folder / "activation-env-v0" / f"activation_{environment}.json"
    return (activation_folder(state_folder) / f"{environment}.json", theirs)


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []


def _is_lock(path: Path) -> bool:
    """A lock file must never be removed: whoever waits for it would hold a lock that nobody else sees."""
    return path.name == "locks" or ".lock" in path.suffixes


def _remove(path: Path) -> int:
    try:
        size = _size(path)
        remove_tree(path)
    except OSError as error:
        raise _error(path, error) from error
    return size


def _size(path: Path) -> int:
    if path.is_symlink() or not path.is_dir():
        return path.lstat().st_size if os.path.lexists(path) else 0
    size = 0
    for folder, _, files in os.walk(path):
        size += sum(os.lstat(f"{folder}/{file}").st_size for file in files)
    return size


def _error(path: Path, error: OSError) -> InstallError:
    return InstallError(
        f"cannot remove {path}",
        code="not-writable",
        notes=[str(error)],
        help="see who owns the folder and whether a program still uses it",
    )
