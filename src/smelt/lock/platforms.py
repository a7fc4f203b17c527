"""Platforms of a lock and platforms of a workspace: the same by what they are, not by what they are called.

In the file, platforms that are more than a subdir are called ``p1``, ``p2``… by their order in the manifest; after
reading they get the names of the workspace back. So renaming a platform does not make a lock out of date.
Source: the reference's ``platform_rename``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from smelt.lock.model import Lock, LockedEnvironment, LockedPlatform, Reference
from smelt.types import VirtualPackage, default_virtual_packages
from smelt.workspace.model import Workspace, WorkspacePlatform

Identity = frozenset[tuple[str, str, str]]


def align(lock: Lock, workspace: Workspace) -> Lock:
    """``lock`` with the platform names of ``workspace``: what a lock that was read needs.

    A row is renamed where exactly one platform of the workspace is the same and neither name is in use already. Locks
    before version 7 know platforms only by their subdir: such a row becomes a row for every platform of that subdir,
    unless it says that it was solved for other virtual packages.
    """
    taken = {row.name for row in lock.platforms}
    wanted = {platform.name for platform in workspace.platforms}
    names: dict[str, str] = {}
    for row in lock.platforms:
        same = [p for p in workspace.platforms if p.subdir == row.subdir and identity(p) == locked_identity(row)]
        if len(same) == 1 and row.name not in wanted and same[0].name not in taken:
            names[row.name] = same[0].name
    return _divided(_renamed(lock, names), workspace)


def shorten(lock: Lock, workspace: Workspace) -> Lock:
    """``lock`` with the platform names that are written: what a lock needs before it is written."""
    rich = [platform.name for platform in workspace.platforms if platform.name != platform.subdir]
    return _renamed(lock, {name: f"p{number}" for number, name in enumerate(rich, 1)})


def find_row(lock: Lock, name: str) -> LockedPlatform | None:
    """The platform of the lock that is called ``name``."""
    return next((row for row in lock.platforms if row.name == name), None)


def identity(platform: WorkspacePlatform) -> Identity:
    """What makes a platform more than its subdir: virtual packages that are not the defaults."""
    return _special(platform.virtual_packages, platform.subdir)


def locked_identity(row: LockedPlatform) -> Identity:
    """The same for a platform of a lock."""
    return _special([VirtualPackage.parse(text) for text in row.virtual_packages], row.subdir)


def listed(packages: Identity) -> str:
    """Virtual packages for messages."""
    return ", ".join(
        f"{name}={version}" if build == "0" else f"{name}={version}={build}"
        for name, version, build in sorted(packages)
    )


def _special(packages: Sequence[VirtualPackage], subdir: str) -> Identity:
    defaults = {_normal(package) for package in default_virtual_packages(subdir)}
    return frozenset({_normal(package) for package in packages} - defaults)


def _normal(package: VirtualPackage) -> tuple[str, str, str]:
    version = package.version or "0"
    while version.endswith(".0"):
        version = version[:-2]
    return package.name.lower(), version, package.build or "0"


def _divided(lock: Lock, workspace: Workspace) -> Lock:
    """``lock`` with a row for each platform that the row of its subdir counts for."""
    rows = {row.name: row for row in lock.platforms}
    sources: dict[str, list[WorkspacePlatform]] = {}
    for platform in workspace.platforms:
        row = rows.get(platform.subdir) if platform.name not in rows else None
        if row is not None and _counts_for(row, platform):
            sources.setdefault(row.name, []).append(platform)
    if not sources:
        return lock
    kept = {platform.name for platform in workspace.platforms}
    made = [
        LockedPlatform(name=each.name, subdir=each.subdir, virtual_packages=tuple(map(str, each.virtual_packages)))
        for platforms in sources.values()
        for each in platforms
    ]
    return replace(
        lock,
        platforms=(*(row for row in lock.platforms if row.name in kept or row.name not in sources), *made),
        environments=MappingProxyType(
            {
                name: replace(environment, packages=_divided_packages(environment, sources, kept))
                for name, environment in lock.environments.items()
            }
        ),
    )


def _counts_for(row: LockedPlatform, platform: WorkspacePlatform) -> bool:
    known = {_normal(VirtualPackage.parse(text)) for text in row.virtual_packages}
    return not known or known >= {_normal(package) for package in platform.virtual_packages}


def _divided_packages(
    environment: LockedEnvironment, sources: Mapping[str, Sequence[WorkspacePlatform]], kept: Collection[str]
) -> Mapping[str, tuple[Reference, ...]]:
    found: dict[str, tuple[Reference, ...]] = {}
    for name, held in environment.packages.items():
        if name in kept or name not in sources:
            found[name] = held
        found.update({platform.name: held for platform in sources.get(name, ())})
    return MappingProxyType(found)


def _renamed(lock: Lock, names: Mapping[str, str]) -> Lock:
    if not names:
        return lock
    return replace(
        lock,
        platforms=tuple(replace(row, name=names.get(row.name, row.name)) for row in lock.platforms),
        environments=MappingProxyType(
            {
                name: replace(
                    environment,
                    packages=MappingProxyType(
                        {names.get(platform, platform): held for platform, held in environment.packages.items()}
                    ),
                )
                for name, environment in lock.environments.items()
            }
        ),
    )
