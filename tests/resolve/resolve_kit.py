"""Locking small workspaces in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from smelt.api.reporter import Reporters
from smelt.api.workspace import LockResult, Workspace
from smelt.lock.model import Lock, SourcePackage
from smelt.resolve.model import Infeasible
from smelt.resolve.workspace import ResolveRequest, resolve
from smelt.types import CondaRecord
from smelt.workspace.load import load_workspace
from spine_kit import SUBDIR


@dataclass
class Heard:
    """A reporter that remembers: which solves began, and which variants were left out."""

    solves: list[tuple[str, str]] = field(default_factory=list)
    left_out: list[Infeasible] = field(default_factory=list)

    def solving(self, environment: str, platform: str) -> None:
        self.solves.append((environment, platform))

    def solved(self, environment: str, platform: str, packages: int) -> None:
        assert (environment, platform) in self.solves

    def failed(self, environment: str, platform: str) -> None:
        assert (environment, platform) in self.solves

    def infeasible(self, environment: str, platform: str, variant: Infeasible) -> None:
        self.left_out.append(variant)


def solve(root: Path, heard: Heard | None = None) -> Lock:
    """Resolve from nothing, without writing anything."""
    request = ResolveRequest(workspace=load_workspace(root / "pixi.toml"))
    return asyncio.run(resolve(request, heard or Heard()))


def lock(root: Path, heard: Heard | None = None, *, unlock: Collection[str] | None = ()) -> LockResult:
    """``smelt lock``."""
    reporters = Reporters(resolve=heard) if heard is not None else None
    return Workspace.load(root / "pixi.toml", reporters).lock(unlock=unlock)


def problems(root: Path) -> list[str]:
    """Why the lock file does not fit, as ``smelt lock --check`` sees it."""
    workspace = Workspace.load(root / "pixi.toml")
    return [str(each) for each in workspace.check(workspace.read_lock())]


def here(lock: Lock, environment: str) -> str:
    """The platform of an environment that this machine is (it may have a name of its own)."""
    subdirs = {platform.name: platform.subdir for platform in lock.platforms}
    return next(name for name in lock.environments[environment].packages if subdirs[name] == SUBDIR)


def versions(lock: Lock, environment: str = "default", platform: str | None = None) -> dict[str, str]:
    """Name → version of what an environment is locked with."""
    found: dict[str, str] = {}
    for package in lock.packages_of(environment, platform or here(lock, environment)) or ():
        if isinstance(package, SourcePackage):
            found[package.name] = lock.sources[package.identifier].version
        else:
            assert isinstance(package, CondaRecord)
            found[package.name] = package.version
    return found


def source(lock: Lock, name: str, environment: str = "default", platform: str | None = None) -> SourcePackage:
    """The source package of that name in an environment."""
    for package in lock.packages_of(environment, platform or here(lock, environment)) or ():
        if package.name == name:
            assert isinstance(package, SourcePackage)
            return package
    raise AssertionError(f"{environment} has no {name}")


def names(lock: Lock, references: tuple[object, ...]) -> list[str]:
    """The names of the packages behind references of a lock."""
    return sorted(lock.packages[reference].name for reference in references)  # type: ignore[index]
