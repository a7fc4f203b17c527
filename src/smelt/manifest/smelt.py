"""``[tool.smelt]``: what is smelt's own in a manifest.

``profile.<name>`` (``env``, ``config.<backend>``, ``packages``, ``activation.env``), ``feature.<name>.profile``,
``matrix.<name>`` (axes of features, ``exclude``, ``solve-group``, ``no-default-feature``), ``on-demand``
(``no-default-feature``), ``variant-constraints``, ``compiler-cache``, ``build-platform.<platform>``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import cast

from smelt.manifest.positions import KeyPath
from smelt.manifest.reading import Table, type_name
from smelt.types import is_package_name, normalize_name

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_COMPILER_CACHES = ("ccache", "sccache")
_PROFILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class TomlProfile:
    """A way to build source packages; ``packages`` None means all."""

    name: str
    path: KeyPath
    env: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    config: Mapping[str, Mapping[str, object]] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    packages: tuple[str, ...] | None = None
    activation_env: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class TomlMatrix:
    """A product of features: one environment for each combination of one feature per axis.

    ``exclude``: combinations (axis → feature, not necessarily all axes) that are left out.
    """

    name: str
    path: KeyPath
    axes: Mapping[str, tuple[str, ...]]
    exclude: tuple[Mapping[str, str], ...] = ()
    no_default_feature: bool = False
    solve_group: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TomlOnDemand:
    """How environments on demand are composed."""

    path: KeyPath
    no_default_feature: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TomlSmelt:
    """The whole table. ``feature_profiles``: feature → (profile, where it is said).

    ``build_platforms``: conda platform → the one that packages for it are built on.
    """

    profiles: Mapping[str, TomlProfile] = field(default_factory=lambda: MappingProxyType({}))
    feature_profiles: Mapping[str, tuple[str, KeyPath]] = field(default_factory=lambda: MappingProxyType({}))
    matrices: Mapping[str, TomlMatrix] = field(default_factory=lambda: MappingProxyType({}))
    variant_constraints: bool = True
    compiler_cache: str | None = None
    on_demand: TomlOnDemand | None = None
    build_platforms: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    build_platforms_path: KeyPath = ()


def read_smelt(table: Table) -> TomlSmelt:
    """``[tool.smelt]``."""
    profiles = {inner.name: _read_profile(inner) for inner in table.tables("profile") or ()}
    features: dict[str, tuple[str, KeyPath]] = {}
    for inner in table.tables("feature") or ():
        profile = inner.string("profile")
        inner.finish()
        if profile is not None:
            features[inner.name] = (profile, inner.at("profile"))
    matrices = {inner.name: _read_matrix(inner) for inner in table.tables("matrix") or ()}
    constraints = table.boolean("variant-constraints")
    compiler_cache = table.string("compiler-cache")
    if compiler_cache is not None and compiler_cache not in _COMPILER_CACHES:
        table.problems.error(
            "value",
            f"`{compiler_cache}` is no compiler cache that builds can use",
            table.problems.value(table.at("compiler-cache")),
            help=f"write {' or '.join(f'`{name}`' for name in _COMPILER_CACHES)}; where it is on a machine, its "
            "configuration tells",
        )
    demand: TomlOnDemand | None = None
    inner = table.table("on-demand")
    if inner is not None:
        demand = TomlOnDemand(path=inner.path, no_default_feature=inner.boolean("no-default-feature") or False)
        inner.finish()
    build_platforms = table.string_map("build-platform") or {}
    table.finish()
    return TomlSmelt(
        profiles=MappingProxyType(profiles),
        feature_profiles=MappingProxyType(features),
        matrices=MappingProxyType(matrices),
        variant_constraints=constraints is not False,
        compiler_cache=compiler_cache,
        on_demand=demand,
        build_platforms=MappingProxyType(dict(build_platforms)),
        build_platforms_path=(*table.path, "build-platform"),
    )


def _read_profile(table: Table) -> TomlProfile:
    problems = table.problems
    if not _PROFILE.fullmatch(table.name):
        problems.error("value", f"`{table.name}` cannot name a profile", problems.key(table.path))
    env = _read_env(table)
    config = {inner.name: MappingProxyType(inner.data) for inner in table.tables("config") or ()}
    packages = table.strings(
        "packages", lambda name: None if is_package_name(name) else f"`{name}` is not the name of a conda package"
    )
    activation = table.table("activation")
    activation_env: Mapping[str, str] = {}
    if activation is not None:
        activation_env = _read_env(activation)
        activation.finish()
    table.finish()
    return TomlProfile(
        name=table.name,
        path=table.path,
        env=env,
        config=MappingProxyType(config),
        packages=tuple(normalize_name(name) for name in packages) if packages is not None else None,
        activation_env=activation_env,
    )


def _read_env(table: Table) -> Mapping[str, str]:
    env = table.string_map("env") or {}
    for name in env:
        if not _VARIABLE.fullmatch(name):
            table.problems.error(
                "value",
                f"`{name}` cannot name an environment variable",
                table.problems.key((*table.path, "env", name)),
            )
    return MappingProxyType(env)


def _read_matrix(table: Table) -> TomlMatrix:
    problems = table.problems
    no_default = table.boolean("no-default-feature") or False
    group = table.string("solve-group")
    excluded = table.array("exclude")
    axes: dict[str, tuple[str, ...]] = {}
    for axis in table.data:
        if axis in ("no-default-feature", "solve-group", "exclude"):
            continue
        features = table.strings(axis)
        if features:
            axes[axis] = features
        elif features is not None:
            problems.error("value", f"the axis `{axis}` has no features", problems.value(table.at(axis)))
    if not axes and not problems.errors:
        problems.error("value", f"the matrix `{table.name}` has no axes", table.place)
    exclude: list[Mapping[str, str]] = []
    for index, value in enumerate(excluded or ()):
        at = (*table.path, "exclude", index)
        if not isinstance(value, dict):
            problems.error("type", f"expected a table, found {type_name(value)}", problems.value(at))
            continue
        entry = Table(cast("dict[str, object]", value), at, problems)
        combination = {axis: feature for axis in axes if (feature := entry.string(axis)) is not None}
        entry.finish()
        for axis, feature in combination.items():
            if feature not in axes[axis]:
                problems.error(
                    "unknown-name",
                    f"the axis `{axis}` has no feature `{feature}`",
                    problems.value(entry.at(axis)),
                )
        exclude.append(MappingProxyType(combination))
    return TomlMatrix(
        name=table.name,
        path=table.path,
        axes=MappingProxyType(axes),
        exclude=tuple(exclude),
        no_default_feature=no_default,
        solve_group=group,
    )
