"""The ``[package]`` table: how a source package is built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from smelt.text import Place
from smelt.types import CondaSpec, SourceLocation

_NOTHING: Mapping[str, object] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """A pin expression in a dependency table (``pin-compatible``/``pin-subpackage``).

    Source: the reference's manifest page, "pin-subpackage and pin-compatible".
    """

    kind: Literal["compatible", "subpackage"]
    name: str
    lower_bound: str | None = "x.x.x.x.x.x"
    upper_bound: str | None = "x"
    exact: bool = False
    build: str | None = None


Requirement = CondaSpec | Pin


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """``package.build.backend``: which backend builds the package, and in which version."""

    name: str
    spec: CondaSpec = field(default_factory=CondaSpec)
    channels: tuple[str, ...] = ()
    additional_dependencies: Mapping[str, CondaSpec] = field(default_factory=lambda: MappingProxyType({}))
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageRequirements:
    """The dependency tables of a package on one platform (targets merged).

    ``conditional``: what holds under conditions that only a backend can decide (on variants), by condition.
    """

    build: Mapping[str, Requirement] = field(default_factory=lambda: MappingProxyType({}))
    host: Mapping[str, Requirement] = field(default_factory=lambda: MappingProxyType({}))
    run: Mapping[str, Requirement] = field(default_factory=lambda: MappingProxyType({}))
    run_constraints: Mapping[str, Requirement] = field(default_factory=lambda: MappingProxyType({}))
    extra: Mapping[str, Mapping[str, Requirement]] = field(default_factory=lambda: MappingProxyType({}))
    run_exports: Mapping[str, Mapping[str, Requirement]] = field(default_factory=lambda: MappingProxyType({}))
    ignore_run_exports_by_name: tuple[str, ...] = ()
    ignore_run_exports_from: tuple[str, ...] = ()
    conditional: Mapping[str, PackageRequirements] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One source package as its manifest defines it.

    ``root`` is the folder of the defining manifest (absolute); ``source`` where its source code is (None: in
    ``root``), with ``path`` relative to ``root``. ``name``/``version`` None: the backend must find them.
    ``base`` holds always, ``target_requirements`` by condition (the text within ``if(…)``), ``target_config`` by
    target selector: ``smelt.workspace.requirements`` says what that means on a platform. ``secrets``: names of
    environment variables that the build script may see. ``publish``: whether a publish of all takes it.
    """

    name: str | None
    version: str | None
    root: Path
    manifest_path: Path
    backend: Backend
    source: SourceLocation | None = None
    build_string_prefix: str | None = None
    build_number: int | None = None
    description: str | None = None
    license: str | None = None
    license_file: str | None = None
    homepage: str | None = None
    repository: str | None = None
    documentation: str | None = None
    readme: str | None = None
    flags: tuple[str, ...] = ()
    base: PackageRequirements = field(default_factory=PackageRequirements)
    target_requirements: Mapping[str, PackageRequirements] = field(default_factory=lambda: MappingProxyType({}))
    config: Mapping[str, object] = field(default_factory=lambda: _NOTHING, hash=False)
    target_config: Mapping[str, Mapping[str, object]] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    authors: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    publish: bool = False
    place: Place | None = field(default=None, compare=False)
