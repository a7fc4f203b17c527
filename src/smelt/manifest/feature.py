"""Features, their targets, and environments.

Source: the reference's manifest page, "The feature and environments tables" and "The target table".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import cast

from smelt.manifest.location import channel_problem, read_location
from smelt.manifest.package import read_package
from smelt.manifest.platform import read_platform_names, selector_problem
from smelt.manifest.positions import KeyPath
from smelt.manifest.pypi import PypiOptions, PypiRequirement, read_pypi_options, read_pypi_requirements
from smelt.manifest.reading import Problems, Table, type_name
from smelt.manifest.requirement import Requirements, read_requirements
from smelt.manifest.task import TomlTask, environment_name_problem, read_tasks
from smelt.manifest.version import exclude_newer_problem, version_problem
from smelt.types import SourceLocation, VirtualPackage, is_package_name, normalize_name

CHANNEL_PRIORITIES = ("strict", "flexible", "disabled")
SOLVE_STRATEGIES = ("highest", "lowest", "lowest-direct")


@dataclass(frozen=True, slots=True, kw_only=True)
class TomlChannel:
    """A channel as written: a name, an address, or a path."""

    channel: str
    path: KeyPath
    priority: int = 0
    exclude_newer: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TomlActivation:
    """``activation``; None where the key is not there."""

    scripts: tuple[str, ...] | None = None
    env: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TomlTarget:
    """What a feature holds, for all platforms or for those of one selector. None: the table is not there."""

    dependencies: Requirements | None = None
    host_dependencies: Requirements | None = None
    build_dependencies: Requirements | None = None
    constraints: Requirements | None = None
    pypi_dependencies: Mapping[str, PypiRequirement] | None = None
    dev: Mapping[str, SourceLocation] | None = None
    activation: TomlActivation | None = None
    tasks: Mapping[str, TomlTask] = field(default_factory=lambda: MappingProxyType({}))
    path: KeyPath = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is there at all."""
        return self == TomlTarget(path=self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class TomlFeature:
    """A feature; the tables at the root of a manifest are the feature ``default``."""

    name: str
    path: KeyPath
    target: TomlTarget = field(default_factory=TomlTarget)
    targets: Mapping[str, TomlTarget] = field(default_factory=lambda: MappingProxyType({}))
    platforms: tuple[str, ...] | None = None
    channels: tuple[TomlChannel, ...] | None = None
    channel_priority: str | None = None
    solve_strategy: str | None = None
    pypi_options: PypiOptions | None = None
    system_requirements: tuple[VirtualPackage, ...] = ()
    archspec: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TomlEnvironment:
    """An environment; ``inline`` is the feature that its own tables make."""

    name: str
    path: KeyPath
    features: tuple[str, ...] = ()
    features_path: KeyPath = ()
    solve_group: str | None = None
    no_default_feature: bool = False
    inline: TomlFeature | None = None


def read_channels(outer: Table, key: str = "channels") -> tuple[TomlChannel, ...] | None:
    """``channels``, or None."""
    values = outer.array(key, "an array of channels")
    if values is None:
        return None
    problems = outer.problems
    found: dict[tuple[object, ...], TomlChannel] = {}
    for index, value in enumerate(values):
        at = (*outer.path, key, index)
        channel = _read_channel(value, at, problems)
        if channel is None:
            continue
        identity = (channel.channel, channel.priority, channel.exclude_newer)
        if identity in found:
            problems.error(
                "duplicate",
                f"the channel `{channel.channel}` is given twice",
                problems.value(at),
                also=[(problems.value(found[identity].path), "first given here")],
            )
        else:
            found[identity] = channel
    return tuple(found.values())


def _read_channel(value: object, at: KeyPath, problems: Problems) -> TomlChannel | None:
    if isinstance(value, str):
        complaint = channel_problem(value)
        if complaint is not None:
            problems.error("channel", complaint, problems.value(at))
            return None
        return TomlChannel(channel=value, path=at)
    if not isinstance(value, dict):
        problems.error("type", f"expected a string or a table, found {type_name(value)}", problems.value(at))
        return None
    table = Table(cast("dict[str, object]", value), at, problems)
    channel = table.parsed("channel", channel_problem)
    priority = table.integer("priority")
    exclude_newer = table.parsed("exclude-newer", exclude_newer_problem)
    table.finish()
    if "channel" not in table:
        table.missing("channel")
    if priority is not None and abs(priority) >= 2**31:
        problems.error("value", "the priority is too big", problems.value(table.at("priority")))
        return None
    if channel is None:
        return None
    return TomlChannel(channel=channel, path=at, priority=priority or 0, exclude_newer=exclude_newer)


def package_table_help(key: str) -> str | None:
    """The advice for a table that stands where only ``[package]`` has it."""
    if key in ("run-dependencies", "run-constraints", "run-exports", "extra-dependencies"):
        return f"`{key}` belongs to a package: `[package.{key}]`"
    return None


def read_target(table: Table, *, is_feature: bool = False, inline: bool = False) -> TomlTarget:
    """The tables that a feature and a target of it have in common.

    ``is_feature``: warn of deprecated tables; ``inline``: the tables of an environment, which has fewer.
    """
    dependencies = read_requirements(table, "dependencies", inline=_read_inline)
    host = build = None
    if not inline:
        host = read_requirements(table, "host-dependencies", inline=_read_inline)
        build = read_requirements(table, "build-dependencies", inline=_read_inline)
        if is_feature:
            for key in ("host-dependencies", "build-dependencies"):
                if key in table:
                    table.problems.renamed(key, "dependencies", table.at(key))
    constraints = read_requirements(table, "constraints")
    pypi = read_pypi_requirements(table, "pypi-dependencies")
    dev = _read_dev(table)
    activation = _read_activation(table)
    tasks = read_tasks(table)
    return TomlTarget(
        dependencies=dependencies,
        host_dependencies=host,
        build_dependencies=build,
        constraints=constraints,
        pypi_dependencies=pypi,
        dev=dev,
        activation=activation,
        tasks=MappingProxyType(tasks),
        path=table.path,
    )


def _read_inline(table: Table) -> object:
    return read_package(table, inline=True)


def read_targets(outer: Table) -> Mapping[str, TomlTarget]:
    """The table ``target`` of a feature."""
    table = outer.table("target", "a table of targets")
    if table is None:
        return MappingProxyType({})
    found: dict[str, TomlTarget] = {}
    for selector in table.data:
        inner = table.table(selector)
        complaint = selector_problem(selector)
        if complaint is not None:
            table.problems.error("selector", complaint, table.problems.key(table.at(selector)))
        elif inner is not None:
            found[selector] = read_target(inner)
            inner.finish(help=package_table_help)
    return MappingProxyType(found)


def _read_activation(outer: Table) -> TomlActivation | None:
    table = outer.table("activation")
    if table is None:
        return None
    scripts = table.strings("scripts")
    env = table.string_map("env")
    table.finish()
    return TomlActivation(scripts=scripts, env=MappingProxyType(env) if env is not None else None)


def _read_dev(outer: Table) -> Mapping[str, SourceLocation] | None:
    table = outer.table("dev")
    if table is None:
        return None
    found: dict[str, SourceLocation] = {}
    for name in table.data:
        entry = table.table(name, 'a source (`{ path = "…" }`)')
        if not is_package_name(name):
            table.problems.error(
                "package-name",
                f"`{name}` is not the name of a conda package",
                table.problems.key(table.at(name)),
            )
        location = read_location(entry) if entry is not None else None
        if location is not None:
            found[normalize_name(name)] = location
    return MappingProxyType(found)


def read_feature(name: str, table: Table) -> TomlFeature:
    """The feature ``name``."""
    feature = _read_common(name, table, inline=False)
    table.finish(help=package_table_help)
    return feature


def _read_common(name: str, table: Table, *, inline: bool) -> TomlFeature:
    platforms = read_platform_names(table)
    channels = read_channels(table)
    priority = table.choice("channel-priority", CHANNEL_PRIORITIES)
    strategy = table.choice("solve-strategy", SOLVE_STRATEGIES)
    targets = read_targets(table)
    target = read_target(table, is_feature=not inline, inline=inline)
    options = read_pypi_options(table)
    requirements: tuple[VirtualPackage, ...] = ()
    archspec = None
    if not inline:
        requirements, archspec = read_system_requirements(table)
    return TomlFeature(
        name=name,
        path=table.path,
        target=target,
        targets=targets,
        platforms=platforms,
        channels=channels,
        channel_priority=priority,
        solve_strategy=strategy,
        pypi_options=options,
        system_requirements=requirements,
        archspec=archspec,
    )


def read_system_requirements(outer: Table) -> tuple[tuple[VirtualPackage, ...], str | None]:
    """``system-requirements`` as virtual packages, and its ``archspec`` (which has no effect)."""
    table = outer.table("system-requirements")
    if table is None:
        return (), None
    problems = table.problems
    linux = table.parsed("linux", version_problem)
    cuda = table.parsed("cuda", version_problem)
    macos = table.parsed("macos", version_problem)
    family, libc = _read_libc(table)
    archspec = table.string("archspec")
    table.finish()
    found = [
        VirtualPackage(name=name, version=version)
        for name, version in (("__linux", linux), ("__cuda", cuda), ("__osx", macos), (f"__{family}", libc))
        if version is not None
    ]
    if found or archspec is not None:
        problems.warn(
            "deprecated",
            "`system-requirements` is deprecated",
            problems.value(table.path),
            "declare virtual packages in `platforms` instead",
            help='for example `platforms = [{ name = "linux-cuda", platform = "linux-64", cuda = "12" }]`',
        )
    return tuple(found), archspec


def _read_libc(table: Table) -> tuple[str, str | None]:
    value = table.take("libc")
    if not isinstance(value, dict):
        return "glibc", table.parsed("libc", version_problem)
    inner = table.table("libc")
    assert inner is not None
    family = inner.string("family")
    version = inner.parsed("version", version_problem)
    inner.finish()
    if "version" not in inner:
        inner.missing("version")
    if family is not None and not is_package_name(f"__{family}"):
        inner.problems.error(
            "value", f"`{family}` is not a family of C libraries", inner.problems.value(inner.at("family"))
        )
        return "glibc", version
    return family or "glibc", version


def read_environments(outer: Table) -> dict[str, TomlEnvironment]:
    """The table ``environments``."""
    table = outer.table("environments", "a table of environments")
    if table is None:
        return {}
    found: dict[str, TomlEnvironment] = {}
    problems = table.problems
    for name in table.data:
        value = table.take(name)
        path = table.at(name)
        complaint = environment_name_problem(name)
        if complaint is not None:
            problems.error("environment-name", complaint, problems.key(path))
        if isinstance(value, list):
            features = table.strings(name) or ()
            found[name] = TomlEnvironment(name=name, path=path, features=features, features_path=path)
        elif isinstance(value, dict):
            found[name] = _read_environment(name, Table(cast("dict[str, object]", value), path, problems))
        else:
            problems.error(
                "type",
                f"expected an array of features or a table, found {type_name(value)}",
                problems.value(path),
            )
    return found


def _read_environment(name: str, table: Table) -> TomlEnvironment:
    features = table.strings("features")
    group = table.string("solve-group")
    no_default = table.boolean("no-default-feature") or False
    inline = _read_common(name, table, inline=True)
    empty = inline == TomlFeature(name=name, path=table.path, target=TomlTarget(path=table.path))
    table.finish(
        help=lambda key: (
            f"`{key}` belongs to a feature"
            if key in ("host-dependencies", "build-dependencies", "system-requirements")
            else None
        )
    )
    if "features" not in table and "solve-group" not in table and empty:
        table.missing("features", help="`features = []` makes an environment of the default feature alone")
    return TomlEnvironment(
        name=name,
        path=table.path,
        features=features or (),
        features_path=table.at("features"),
        solve_group=group,
        no_default_feature=no_default,
        inline=None if empty else inline,
    )
