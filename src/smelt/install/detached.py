"""Environments that are kept outside of their workspace: ``.pixi/envs`` is a link to where they are.

Source: the reference's setting ``detached-environments``.
"""

from __future__ import annotations

from pathlib import Path

from smelt.errors import InstallError
from smelt.types import digest_json


def detached_folder(root: Path, name: str, base: Path) -> Path:
    """Where the environments of the workspace ``name`` in ``root`` are, below ``base``."""
    return base / f"{name}-{digest_json([str(root)])[:16]}" / "envs"


def link_environments(state_folder: Path, target: Path) -> None:
    """Make ``envs`` of a workspace's ``.pixi`` a link to ``target``, which is made; nothing happens where it is.

    Raises InstallError: ``detached-conflict`` where environments are there already, ``not-writable``, and where the
    system makes no links.
    """
    envs = state_folder / "envs"
    try:
        target.mkdir(parents=True, exist_ok=True)
        if envs.is_symlink():
            if envs.readlink() == target:
                return
            envs.unlink()
        elif envs.is_dir():
            if any(not path.name.startswith(".") for path in envs.iterdir()):
                raise InstallError(
                    f"the environments are to be in {target} (`detached-environments`), and there are some in {envs}",
                    code="detached-conflict",
                    help="`smelt clean` removes those; the next installation makes them where they are to be",
                )
            for path in envs.iterdir():
                path.unlink()
            envs.rmdir()
        state_folder.mkdir(parents=True, exist_ok=True)
        envs.symlink_to(target, target_is_directory=True)
    except FileExistsError:
        if not (envs.is_symlink() and envs.readlink() == target):  # else another process was faster
            raise
    except OSError as error:
        raise InstallError(
            f"cannot keep the environments in {target}: {error.strerror or error}",
            code="not-writable",
            notes=[str(error)],
            help="see the setting `detached-environments` (`smelt config list`)",
        ) from error
