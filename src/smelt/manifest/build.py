"""``[package.build]``: the backend, its configuration, and where the source code is.

Source: the reference's manifest page, "build table".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from smelt.manifest.location import read_location
from smelt.manifest.platform import selector_problem
from smelt.manifest.positions import KeyPath
from smelt.manifest.reading import Table
from smelt.manifest.requirement import NO_REQUIREMENTS, Requirements, read_requirements, read_spec
from smelt.types import CondaSpec, SourceLocation, is_package_name, normalize_name

_NOTHING: Mapping[str, object] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class TomlBackend:
    """``package.build.backend``; ``spec`` is laid over the workspace's entry where ``inherited``."""

    name: str
    path: KeyPath
    spec: CondaSpec = field(default_factory=CondaSpec)
    inherited: bool = False
    channels: tuple[str, ...] | None = None
    additional_dependencies: Requirements = field(default_factory=lambda: NO_REQUIREMENTS)


@dataclass(slots=True, kw_only=True)
class TomlBuild:
    """``[package.build]`` while it is read."""

    backend: TomlBackend | None = None
    source: SourceLocation | None = None
    flags: tuple[str, ...] = ()
    config: Mapping[str, object] = field(default_factory=lambda: _NOTHING)
    target_config: dict[str, Mapping[str, object]] = field(default_factory=dict[str, Mapping[str, object]])
    prefix: str | None = None
    number: int | None = None
    secrets: tuple[str, ...] = ()


def read_build(table: Table, *, inline: bool) -> TomlBuild:
    """``[package.build]``; ``inline``: of a package that is defined beside a dependency."""
    problems = table.problems
    parts = TomlBuild()
    backend = table.table("backend")
    channels = _read_channels(table)
    additional = read_requirements(table, "additional-dependencies", inheritance=False)
    source = table.table("source")
    if source is not None:
        parts.source = read_location(source, lfs=False)
        if inline:
            problems.error(
                "inline-package",
                "an inline package has no `build.source`: its source is that of the dependency",
                problems.key(table.at("source")),
            )
    parts.flags = table.strings("flags") or ()
    parts.config = _read_config(table)
    targets = table.table("target")
    for selector in targets.data if targets is not None else ():
        assert targets is not None
        inner = targets.table(selector)
        complaint = selector_problem(selector)
        if complaint is None and any(mark in selector for mark in "*?["):
            complaint = f"`{selector}` is a pattern, and targets of a package take none"
        if complaint is not None:
            problems.error("selector", complaint, problems.key(targets.at(selector)))
        elif inner is not None:
            parts.target_config[selector] = _read_config(inner)
            inner.finish(hidden=("configuration",))
    parts.prefix = table.string("build-string-prefix")
    parts.number = table.integer("build-number", least=0)
    parts.secrets = table.strings("secrets") or ()
    table.finish(hidden=("configuration",))
    if "backend" not in table:
        table.missing("backend", help='name the build backend: `backend = { name = "pixi-build-python" }`')
    elif backend is not None:
        parts.backend = _read_backend(backend, channels, additional, table)
    return parts


def _read_config(table: Table) -> Mapping[str, object]:
    config = table.table("config")
    old = table.table("configuration")
    if config is None and old is not None:
        table.problems.renamed("configuration", "config", table.at("configuration"))
        config = old
    elif old is not None:
        table.problems.error(
            "conflict",
            "`configuration` means the same as `config`",
            table.problems.key(table.at("configuration")),
        )
    return MappingProxyType(config.data) if config is not None else _NOTHING


def _read_channels(table: Table) -> tuple[str, ...] | None:
    channels = table.strings("channels")
    if channels == () and table.data["channels"] == []:
        table.problems.error("value", "a build backend needs a channel", table.problems.value(table.at("channels")))
    return channels


def _read_backend(
    table: Table, channels: tuple[str, ...] | None, additional: Requirements | None, build: Table
) -> TomlBackend | None:
    problems = table.problems
    name = table.string("name")
    own_channels = _read_channels(table)
    own_additional = read_requirements(table, "additional-dependencies", inheritance=False)
    marker = table.boolean("workspace")
    for key, own in (("channels", own_channels), ("additional-dependencies", own_additional)):
        if key in build:
            problems.warn(
                "deprecated",
                f"`{key}` in `package.build` is deprecated",
                problems.key(build.at(key)),
                "move it to `package.build.backend`" if own is None else "that of `backend` is used",
            )
    if marker is False:
        problems.error("inheritance", "`workspace` cannot be false", problems.value(table.at("workspace")))
    if marker:
        for key in ("version", "path", "git", "url", "pypi"):
            if key in table:
                problems.error(
                    "inheritance",
                    f"`{key}` is mutually exclusive with `workspace`",
                    problems.key(table.at(key)),
                )
    before = len(problems.errors)
    spec = read_spec(
        table,
        inherited=bool(marker),
        hidden=("name", "channels", "additional-dependencies", "workspace"),
    )
    if "name" not in table:
        table.missing("name")
        return None
    if name is None or len(problems.errors) > before:
        return None
    if not is_package_name(name):
        problems.error("package-name", f"`{name}` is not the name of a conda package", problems.value(table.at("name")))
        return None
    if spec.is_source:
        problems.error("source", "a build backend cannot be built from source", table.place)
        return None
    return TomlBackend(
        name=normalize_name(name),
        path=table.path,
        spec=spec,
        inherited=bool(marker),
        channels=own_channels if own_channels is not None else channels,
        additional_dependencies=own_additional or additional or NO_REQUIREMENTS,
    )
