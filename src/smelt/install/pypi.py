"""PyPI packages into a prefix, after the conda packages, by uv."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from smelt.errors import InstallError
from smelt.fs import remove_tree
from smelt.install.pypi_plan import PypiChange, PypiInstall
from smelt.install.pypi_prefix import (
    InstalledDistribution,
    claim,
    conda_files,
    distribution_files,
    installed_distributions,
)
from smelt.install.state import is_own_file
from smelt.solve.pypi_distribution import Distribution, pylock_text
from smelt.solve.pypi_input import index_addresses, index_arguments, isolation_arguments, option_variables
from smelt.solve.pypi_uv import UvFailed, run_uv
from smelt.types import CondaRecord, current_platform


async def install_pypi(
    prefix: Path,
    wanted: PypiInstall,
    change: PypiChange,
    *,
    copy: bool,
    python: CondaRecord | None,
    subdir: str,
    warn: Callable[[str], None],
    lock: int,
) -> None:
    """Install the distributions of ``change`` into a prefix that holds its ``python``.

    For another ``subdir`` than this machine's, wheels are only unpacked; ``warn`` is told what is left out. ``copy``:
    hard links into uv's cache must not be used. ``lock``: the descriptor of the prefix's lock, which uv holds too: it
    goes on if this process is killed. Raises InstallError with uv's words (wrong hashes, failed builds, no connection),
    what ``smelt.install.foreign`` raises, OSError.
    """
    if not change.install:
        return
    if subdir == current_platform():
        await asyncio.to_thread(_install, prefix, wanted, change.install, copy, lock)
        marks = ("uv",)
    else:
        from smelt.install.foreign import unpack_wheels

        if python is None:
            raise InstallError("the environment is locked with PyPI packages, but without a Python")
        await asyncio.to_thread(unpack_wheels, prefix, change.install, python, subdir, wanted.network, warn)
        marks = ("conda",)
    names = {each.name for each in change.install}
    fresh = [each for each in installed_distributions(prefix) if each.name in names and each.installer in marks]
    _check_brought(prefix, fresh, warn)
    claim(fresh)
    missing = names - {each.name for each in installed_distributions(prefix) if each.installer}
    if missing:
        raise InstallError(
            f"{', '.join(sorted(missing))} cannot be found in {prefix} after installing",
            help="another program changed it meanwhile; try again",
        )


def _check_brought(prefix: Path, fresh: Sequence[InstalledDistribution], warn: Callable[[str], None]) -> None:
    """Raise InstallError where a wheel wrote what says what is installed; tell of files of conda packages."""
    owned = conda_files(prefix)
    for each in fresh:
        brought = {os.path.relpath(path, prefix).replace("\\", "/"): path for path in distribution_files(each)}
        own = sorted(path for path in brought if is_own_file(path))
        if own:
            for path in own:
                brought[path].unlink(missing_ok=True)
            raise InstallError(
                f"the PyPI package {each.name} wrote {own[0]}, which belongs to the environment itself",
                code="hostile-package",
                help="do not use it, and tell whoever keeps the index",
            )
        replaced = sorted(path for path in brought if path in owned)
        if replaced:
            more = f" and {len(replaced) - 1} more" if len(replaced) > 1 else ""
            warn(f"the PyPI package {each.name} replaced files of conda packages: {replaced[0]}{more}")


def _install(prefix: Path, wanted: PypiInstall, distributions: Sequence[Distribution], copy: bool, lock: int) -> None:
    folder = Path(tempfile.mkdtemp(prefix="smelt-uv-"))
    try:
        (folder / "pylock.toml").write_text(pylock_text(distributions), encoding="utf-8")
        command = [
            *(
                "pip",
                "install",
                "--quiet",
                "--no-deps",
                "--preview-features",
                "pylock",
                "--requirements",
                "pylock.toml",
            ),
            *("--python", str(python_of(prefix)), *index_arguments(wanted.options, wanted.root)),
            *isolation_arguments(wanted.options),
            *(("--link-mode", "copy") if copy else ()),
            # what uv built of a project's folder before may be of other files with the same times
            *(word for each in distributions if each.folder is not None for word in ("--refresh-package", each.name)),
        ]
        run_uv(
            command,
            folder=folder,
            environment=_environment(prefix, wanted),
            network=wanted.network,
            addresses=index_addresses(wanted.options),
            lock=lock,
        )
    except UvFailed as error:
        raise _explained(error.text, distributions) from error
    finally:
        remove_tree(folder)


def python_of(prefix: Path) -> Path:
    """The interpreter of a prefix."""
    return prefix / "python.exe" if os.name == "nt" else prefix / "bin" / "python"


def _environment(prefix: Path, wanted: PypiInstall) -> dict[str, str]:
    """Builds find the programs of the environment first."""
    folders = [prefix, prefix / "Library" / "bin", prefix / "Scripts"] if os.name == "nt" else [prefix / "bin"]
    path = os.pathsep.join([*map(str, folders), os.environ.get("PATH", "")])
    return {**option_variables(wanted.options), **wanted.environment, "PATH": path, "CONDA_PREFIX": str(prefix)}


def _explained(text: str, distributions: Sequence[Distribution]) -> InstallError:
    text = text.removeprefix("error: ")
    words = " ".join(text.split())  # uv breaks lines
    if "Hash mismatch" in words:
        return InstallError(
            "a PyPI package is not what was locked",
            code="hash-mismatch",
            notes=[text],
            help="the index, or something on the way to it, changed the file: do not use it before you know why; "
            "`smelt update` accepts the new file",
        )
    if "No space left" in words:
        return InstallError("no space left for PyPI packages", code="disk-full", notes=[text], help="free some space")
    names = ", ".join(each.name for each in distributions[:5]) + (", …" if len(distributions) > 5 else "")
    return InstallError(
        f"PyPI packages cannot be installed ({names})",
        code="pypi-install",
        notes=[text],
        help="run the command again when that is mended: what was left half-installed is cleared away",
    )
