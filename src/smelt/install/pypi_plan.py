"""What an environment holds of PyPI, and what has to change for that."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from smelt.config.network import Network
from smelt.errors import InstallError
from smelt.install.pypi_prefix import InstalledDistribution, damage, installed_distributions, remove
from smelt.manifest.pypi import PypiOptions
from smelt.types import NOARCH, CondaRecord, digest_json, platform_family, sha256_file

if TYPE_CHECKING:
    from smelt.solve.pypi_distribution import Distribution


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
        from smelt.solve.pypi_project import project_files

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


def check_python(wanted: PypiInstall, *, has_python: bool) -> None:
    """Raise InstallError where there are PyPI packages and no Python."""
    if wanted.distributions and not has_python:
        raise InstallError(
            "the environment is locked with PyPI packages, but without a Python", help="solve again (`smelt lock`)"
        )
