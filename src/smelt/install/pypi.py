"""PyPI packages into a prefix, after the conda packages, by uv."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from smelt.config.network import Network
from smelt.errors import InstallError
from smelt.fs import remove_tree
from smelt.install.pypi_prefix import (
    InstalledDistribution,
    claim,
    conda_files,
    damage,
    distribution_files,
    installed_distributions,
    remove,
)
from smelt.install.state import is_own_file
from smelt.manifest.pypi import PypiOptions
from smelt.solve.pypi_distribution import Distribution, pylock_text
from smelt.solve.pypi_input import index_addresses, index_arguments, isolation_arguments, option_variables
from smelt.solve.pypi_project import project_files
from smelt.solve.pypi_uv import UvFailed, run_uv
from smelt.types import NOARCH, CondaRecord, current_platform, digest_json, platform_family, sha256_file


@dataclass(frozen=True, slots=True, kw_only=True)
class PypiInstall:
    """What an environment holds of PyPI, and how to build what has no wheel. ``root``: of the workspace.

    ``distributions``: their files are known by hash, or are local. ``options``: where what is needed to build is found.
    """

    distributions: tuple[Distribution, ...] = ()
    options: PypiOptions = field(default_factory=PypiOptions)
    root: Path = field(default_factory=Path)
    environment: Mapping[str, str] = field(default_factory=dict[str, str], hash=False)
    network: Network = field(default_factory=Network)

    def keys(self) -> dict[str, str]:
        """What tells one content of a package from another, by name."""
        return {each.name: _key(each) for each in self.distributions}


def _key(each: Distribution) -> str:
    """The hash of its file; of a local project what uv builds it anew for, and whether it is editable."""
    if each.folder is not None:
        contents = [sha256_file(path) if path.is_file() else None for path in project_files(each.folder)]
        return digest_json([each.location, str(each.folder), each.editable, contents])
    if each.path is not None and each.sha256 is None:
        return digest_json([each.location, _stamp(each.path)])
    return f"{each.location}#{each.sha256}" if each.sha256 is None else each.sha256


def _stamp(path: Path) -> list[int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return [found.st_mtime_ns, found.st_size]


@dataclass(frozen=True, slots=True, kw_only=True)
class PypiChange:
    """What is to be done: names to install, and what goes before anything else is done.

    ``damages``: what was found to be damaged, in words.
    """

    install: tuple[Distribution, ...] = ()
    remove: tuple[InstalledDistribution, ...] = ()
    damages: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.install or self.remove)


def plan(
    prefix: Path,
    wanted: PypiInstall,
    known: Mapping[str, str] | None,
    python: CondaRecord | None,
    *,
    again: Collection[str],
    relink: bool,
    verify: bool,
    since: int | None = None,
) -> PypiChange:
    """What has to change for the prefix to hold ``wanted``.

    ``known``: name → key of what was installed, or None where another tool was at work since. ``python``: the one that
    the prefix will have; nothing stays in the folder of another. ``relink``: whether it is a new one. ``verify``: the
    content of every file is looked at, with ``since`` that of those written to after it. Raises OSError.
    """
    home = prefix / _site_packages(python) if python is not None else None
    python_changes = relink and os.name == "nt"  # there every Python has the same folder
    present: dict[str, list[InstalledDistribution]] = {}
    strays: list[InstalledDistribution] = []
    in_the_way: dict[str, list[InstalledDistribution]] = {}
    for each in installed_distributions(prefix):
        if each.is_ours and each.folder.parent == home:
            present.setdefault(each.name, []).append(each)
        elif each.is_ours:
            strays.append(each)
        elif each.installer != "conda":
            # what a failed installation left, or somebody else brought: uv would be content with it
            in_the_way.setdefault(each.name, []).append(each)
    keys = wanted.keys()
    install: list[Distribution] = []
    damages: list[str] = []
    looked_at = verify or since is not None or known is None
    for distribution in wanted.distributions:
        name = distribution.name
        here = present.get(name, [])
        whole = bool(here)
        if looked_at:
            found = damage(here[0], content=verify, since=since) if here else "it is not there"
            whole = len(here) == 1 and found is None
            if not whole and known is not None and known.get(name) == keys[name]:
                damages.append(f"{name}: {found or 'it is there twice'}")
        if known is not None:
            same = known.get(name) == keys[name]
        else:
            same = not distribution.direct and len(here) == 1 and here[0].version == distribution.version
        if not (same and whole) or name in again or python_changes:
            install.append(distribution)
    leaving = {each.name for each in install} | (present.keys() - keys.keys())
    removed = [each for name in sorted(leaving) for each in present.get(name, ())]
    removed += [each for distribution in install for each in in_the_way.get(distribution.name, ())]
    return PypiChange(install=tuple(install), remove=(*removed, *strays), damages=tuple(damages))


def _site_packages(python: CondaRecord) -> str:
    if python.python_site_packages_path is not None:
        return python.python_site_packages_path
    minor = ".".join(python.version.split(".")[:2])
    windows = os.name == "nt" if python.subdir == NOARCH else platform_family(python.subdir) == "win"
    return "Lib/site-packages" if windows else f"lib/python{minor}/site-packages"


def clear_pypi(prefix: Path, change: PypiChange) -> None:
    """Remove what goes. Before conda packages are linked: one of them may take a place. Raises OSError."""
    remove(prefix, change.remove)


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


def check_python(wanted: PypiInstall, *, has_python: bool) -> None:
    """Raise InstallError where there are PyPI packages and no Python."""
    if wanted.distributions and not has_python:
        raise InstallError(
            "the environment is locked with PyPI packages, but without a Python", help="solve again (`smelt lock`)"
        )
