"""Locks and workspaces as data, and the question whether one fits the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rattler import MatchSpec, PackageRecord
from rattler.package.build_string import BuildString

from smelt.lock.model import (
    Lock,
    LockedEnvironment,
    LockedPackage,
    LockedPlatform,
    Reference,
    SourceLock,
    SourcePackage,
)
from smelt.lock.platforms import align
from smelt.lock.satisfiability import Checks, Mismatch, check, check_target
from smelt.types import CondaRecord, CondaSpec, VirtualPackage, default_virtual_packages
from smelt.workspace.model import Dependency, EffectiveEnvironment, Environment, Workspace, WorkspacePlatform

CHANNEL = "https://channel.example/forge/"


LINUX = WorkspacePlatform(name="linux-64", subdir="linux-64", virtual_packages=default_virtual_packages("linux-64"))


CUDA = replace(
    LINUX, name="gpu", virtual_packages=(*LINUX.virtual_packages, VirtualPackage(name="__cuda", version="12.0"))
)


class Rattler:
    """MatchSpecs as rattler matches them, and how often it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def matches(self, spec: str, record: CondaRecord) -> bool:
        self.asked.append(spec)
        build = BuildString.new_unchecked(record.build)
        return MatchSpec(spec).matches(
            PackageRecord(record.name, record.version, build, record.build_number, record.subdir)
        )

    def matches_virtual(self, spec: str, package: VirtualPackage) -> bool:
        record = PackageRecord(package.name, package.version, BuildString.new_unchecked(package.build), 0, "noarch")
        self.asked.append(spec)
        return MatchSpec(spec).matches(record)


def no_cutoff(text: str) -> datetime | timedelta:
    return timedelta(days=7) if text == "7d" else datetime.fromisoformat(text)


def checks(matcher: Rattler | None = None, **more: object) -> Checks:
    return Checks(matcher=matcher or Rattler(), cutoff=no_cutoff, now=datetime(2026, 1, 1, tzinfo=UTC), **more)  # type: ignore[arg-type]


def record(text: str, *depends: str, **more: object) -> CondaRecord:
    """A record from ``name version build``."""
    name, version, build = (*text.split(), "h0_0")[:3]
    file_name = f"{name}-{version}-{build}.conda"
    return CondaRecord(
        name=name,
        version=version,
        build=build,
        build_number=0,
        subdir="linux-64",
        url=f"{CHANNEL}linux-64/{file_name}",
        file_name=file_name,
        channel=CHANNEL,
        depends=depends,
        **more,  # type: ignore[arg-type]
    )


def source(name: str, location: str = ".", *depends: str, **more: object) -> SourcePackage:
    return SourcePackage(name=name, hash="00000001", location=location, depends=depends, **more)  # type: ignore[arg-type]


def rendered(version: str = "1.0", digest: str = "one", pypi: str | None = None) -> SourceLock:
    return SourceLock(
        version=version,
        build="h0_0",
        build_number=0,
        subdir="linux-64",
        backend="pixi-build-python",
        backend_version="0.1",
        metadata_digest=digest,
        pypi=pypi,
    )


def named(package: LockedPackage) -> Reference:
    return Reference(kind="conda", value=package.url) if isinstance(package, CondaRecord) else package.reference


def dependency(text: str, **more: object) -> Dependency:
    name, _, version = text.partition(" ")
    return Dependency(name=name, spec=CondaSpec(version=version or None, **more))  # type: ignore[arg-type]


def environment(
    *dependencies: Dependency | str,
    name: str = "default",
    platform: WorkspacePlatform = LINUX,
    solve_group: str | None = None,
    **more: object,
) -> EffectiveEnvironment:
    return EffectiveEnvironment(
        environment=Environment(name=name, features=("default",), solve_group=solve_group),
        platform=platform,
        dependencies=tuple(dependency(item) if isinstance(item, str) else item for item in dependencies),
        **{"channels": (CHANNEL,), **more},  # type: ignore[arg-type]
    )


def lock_of(
    *packages: LockedPackage,
    built_with: Sequence[LockedPackage] = (),
    sources: Mapping[str, SourceLock] | None = None,
    platform: WorkspacePlatform = LINUX,
    options: Mapping[str, object] | None = None,
    channels: Sequence[str] = (CHANNEL,),
    name: str = "default",
) -> Lock:
    row = LockedPlatform(
        name=platform.name,
        subdir=platform.subdir,
        virtual_packages=tuple(str(package) for package in platform.virtual_packages),
    )
    locked = LockedEnvironment(
        channels=tuple(channels), packages={platform.name: tuple(map(named, packages))}, options=options or {}
    )
    return Lock(
        version=7,
        platforms=(row,),
        environments={name: locked},
        packages={named(package): package for package in (*packages, *built_with)},
        sources=sources or {},
    )


def workspace_of(*effective: EffectiveEnvironment) -> Workspace:
    environments = {one.environment.name: one.environment for one in effective}
    groups: dict[str, list[str]] = {}
    for one in environments.values():
        if one.solve_group is not None:
            groups.setdefault(one.solve_group, []).append(one.name)
    return Workspace(
        root=Path("/nowhere"),
        manifest_path=Path("/nowhere/pixi.toml"),
        name="test",
        version=None,
        platforms=tuple({one.platform.name: one.platform for one in effective}.values()),
        environments=environments,
        effective={(one.environment.name, one.platform.name): one for one in effective},
        solve_groups={group: tuple(members) for group, members in groups.items()},
        profiles={},
        package=None,
    )


def why(effective: EffectiveEnvironment, lock: Lock, **more: object) -> Mismatch:
    found = check_target(effective, align(lock, workspace_of(effective)), checks(**more))
    assert found is not None
    assert check(workspace_of(effective), lock, checks(**more))
    return found


def fits(effective: EffectiveEnvironment, lock: Lock, **more: object) -> bool:
    found = check_target(effective, align(lock, workspace_of(effective)), checks(**more))
    assert (found is None) == (not check(workspace_of(effective), lock, checks(**more))), found
    return found is None


PYTHON = record("python 3.12.1", "zlib >=1.2.13,<2.0a0", "__glibc >=2.17,<3.0.a0", "__unix")


ZLIB = record("zlib 1.3")
