"""The ``[package]`` table: what is built, and how.

Source: the reference's manifest page, "The package section", and its page "Dependency types".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Generic, TypeVar, cast

from smelt.manifest.build import TomlBackend, TomlBuild, read_build
from smelt.manifest.location import url_problem
from smelt.manifest.platform import selector_problem
from smelt.manifest.positions import KeyPath
from smelt.manifest.reading import Table
from smelt.manifest.requirement import (
    NO_REQUIREMENTS,
    Requirements,
    read_entries,
    read_requirements,
)
from smelt.manifest.version import version_problem
from smelt.types import SourceLocation

T = TypeVar("T")
_NOTHING: Mapping[str, object] = MappingProxyType({})
_NO_SOURCES: Mapping[str, Requirements] = MappingProxyType({})
RUN_EXPORTS = ("noarch", "strong", "weak", "strong-constraints", "weak-constraints")
_GROUP = re.compile(r"[A-Za-z0-9_]+(?:[._-][A-Za-z0-9_]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Inheritable(Generic[T]):
    """A field of a package: its value, or with ``inherited`` that of the workspace."""

    path: KeyPath
    value: T | None = None
    inherited: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TomlPackageTarget:
    """The dependency tables of a package, for all platforms or under one condition."""

    build: Requirements = field(default_factory=lambda: NO_REQUIREMENTS)
    host: Requirements = field(default_factory=lambda: NO_REQUIREMENTS)
    run: Requirements = field(default_factory=lambda: NO_REQUIREMENTS)
    run_constraints: Requirements = field(default_factory=lambda: NO_REQUIREMENTS)
    extra: Mapping[str, Requirements] = field(default_factory=lambda: _NO_SOURCES)
    run_exports: Mapping[str, Requirements] = field(default_factory=lambda: _NO_SOURCES)


@dataclass(frozen=True, slots=True, kw_only=True)
class TomlPackage:
    """A ``[package]`` table. ``conditional``: dependency tables by condition (the text within ``if(…)``)."""

    path: KeyPath
    backend: TomlBackend | None
    name: Inheritable[str] | None = None
    version: Inheritable[str] | None = None
    description: Inheritable[str] | None = None
    authors: Inheritable[tuple[str, ...]] | None = None
    license: Inheritable[str] | None = None
    license_file: Inheritable[str] | None = None
    readme: Inheritable[str] | None = None
    homepage: Inheritable[str] | None = None
    repository: Inheritable[str] | None = None
    documentation: Inheritable[str] | None = None
    publish: bool = False
    source: SourceLocation | None = None
    source_path: KeyPath = ()
    flags: tuple[str, ...] = ()
    config: Mapping[str, object] = field(default_factory=lambda: _NOTHING, hash=False)
    target_config: Mapping[str, Mapping[str, object]] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    build_string_prefix: str | None = None
    build_number: int | None = None
    secrets: tuple[str, ...] = ()
    base: TomlPackageTarget = field(default_factory=TomlPackageTarget)
    conditional: Mapping[str, TomlPackageTarget] = field(default_factory=lambda: MappingProxyType({}))


def read_package(table: Table, *, inline: bool = False) -> TomlPackage:
    """The package that ``table`` describes; ``inline``: beside a source dependency, without name and source."""
    name = _inheritable(table, "name", lambda key: table.string(key))
    version = _inheritable(table, "version", lambda key: table.parsed(key, version_problem))
    description = _inheritable(table, "description", lambda key: table.string(key))
    authors = _inheritable(table, "authors", lambda key: table.strings(key))
    license = _inheritable(table, "license", lambda key: table.parsed(key, license_problem))
    license_file = _inheritable(table, "license-file", lambda key: table.string(key))
    readme = _inheritable(table, "readme", lambda key: table.string(key))
    homepage = _inheritable(table, "homepage", lambda key: table.parsed(key, url_problem))
    repository = _inheritable(table, "repository", lambda key: table.parsed(key, url_problem))
    documentation = _inheritable(table, "documentation", lambda key: table.parsed(key, url_problem))
    sections = _Sections()
    sections.read(table, "host-dependencies", "host", pins=True)
    sections.read(table, "build-dependencies", "build")
    sections.read(table, "run-dependencies", "run", pins=True)
    _read_extra(table, sections)
    sections.read(table, "run-constraints", "run_constraints")
    exports = table.table("run-exports")
    if exports is not None:
        for bucket in RUN_EXPORTS:
            sections.read(exports, bucket, f"run_exports/{bucket}", pins=True)
        exports.finish()
    publish = table.boolean("publish") or False
    build = table.table("build")
    targets = _read_targets(table, sections)
    table.finish()
    if "build" not in table:
        table.missing("build", help='say how it is built: `build = { backend = { name = "pixi-build-python" } }`')
    if inline:
        _refuse_inline(table, name)
    parts = read_build(build, inline=inline) if build is not None else TomlBuild()
    return TomlPackage(
        path=table.path,
        backend=parts.backend,
        name=name,
        version=version,
        description=description,
        authors=authors,
        license=license,
        license_file=license_file,
        readme=readme,
        homepage=homepage,
        repository=repository,
        documentation=documentation,
        publish=publish,
        source=parts.source,
        source_path=build.at("source") if build is not None else (),
        flags=parts.flags,
        config=parts.config,
        target_config=MappingProxyType(parts.target_config),
        build_string_prefix=parts.prefix,
        build_number=parts.number,
        secrets=parts.secrets,
        base=sections.target(None),
        conditional=MappingProxyType(
            {condition: sections.target(condition) for condition in dict.fromkeys((*sections.conditions, *targets))}
        ),
    )


def license_problem(text: str) -> str | None:
    """Why ``text`` is no SPDX expression, or None."""
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    try:
        canonicalize_license_expression(text)
    except InvalidLicenseExpression as error:
        reason = str(error).removeprefix("Invalid license expression: ").strip("'\"")
        return f"`{text}` is not an SPDX license expression" + (
            f": {reason[:1].lower()}{reason[1:]}" if reason != text else ""
        )
    return None


def _inheritable(table: Table, key: str, read: Callable[[str], T | None]) -> Inheritable[T] | None:
    value = table.take(key)
    path = table.at(key)
    if value is None:
        return None
    if not isinstance(value, dict):
        return Inheritable(path=path, value=read(key))
    marker = Table(cast("dict[str, object]", value), path, table.problems)
    inherited = marker.boolean("workspace")
    marker.finish()
    if "workspace" not in marker:
        table.problems.error(
            "inheritance", f"`{key}` is a value or `{{ workspace = true }}`", table.problems.value(path)
        )
    elif inherited is False:
        table.problems.error(
            "inheritance",
            "`workspace` cannot be false",
            table.problems.value(marker.at("workspace")),
            help="nothing is inherited unless it is asked for",
        )
    return Inheritable(path=path, inherited=inherited is True)


def _refuse_inline(table: Table, name: Inheritable[str] | None) -> None:
    if name is not None:
        table.problems.error(
            "inline-package",
            "an inline package has no `name`: it is called as the dependency is",
            table.problems.key(table.at("name")),
        )


class _Sections:
    """The dependency tables while they are read, split by condition (None: always)."""

    def __init__(self) -> None:
        self.conditions: dict[str, None] = {}
        self.entries: dict[tuple[str | None, str], Requirements] = {}
        self.written: dict[str, KeyPath] = {}

    def read(self, outer: Table, key: str, section: str, *, pins: bool = False) -> None:
        """Read the table ``key`` with its ``if(…)`` tables."""
        table = outer.table(key, "a table of dependencies")
        if table is None:
            return
        plain: list[str] = []
        for name in table.data:
            if "(" not in name:
                plain.append(name)
                continue
            condition = condition_of(name)
            inner = table.table(name)
            if condition is None:
                table.problems.error(
                    "condition",
                    f"`{name}` is not a condition",
                    table.problems.key(table.at(name)),
                    help="write `if(…)`, for example `\"if(host_platform == 'linux-64')\"`",
                )
            elif inner is not None:
                self.add(condition, section, read_entries(inner, list(inner.data), pins))
                self.written.setdefault(condition, table.at(name))
        self.entries[None, section] = read_entries(table, plain, pins)

    def add(self, condition: str, section: str, requirements: Requirements) -> None:
        """Put in what holds under ``condition``."""
        self.conditions[condition] = None
        before = self.entries.get((condition, section), NO_REQUIREMENTS)
        self.entries[condition, section] = {**before, **requirements}

    def target(self, condition: str | None) -> TomlPackageTarget:
        """Everything that holds under ``condition``."""
        own = {section: found for (when, section), found in self.entries.items() if when == condition and found}
        return TomlPackageTarget(
            build=own.get("build", NO_REQUIREMENTS),
            host=own.get("host", NO_REQUIREMENTS),
            run=own.get("run", NO_REQUIREMENTS),
            run_constraints=own.get("run_constraints", NO_REQUIREMENTS),
            extra=MappingProxyType(_named(own, "extra/")),
            run_exports=MappingProxyType(_named(own, "run_exports/")),
        )


def _named(own: Mapping[str, Requirements], prefix: str) -> dict[str, Requirements]:
    return {key.removeprefix(prefix): found for key, found in own.items() if key.startswith(prefix)}


def condition_of(key: str) -> str | None:
    """What stands in ``if(…)``, or None if ``key`` is not written so."""
    if not (key.startswith("if(") and key.endswith(")")):
        return None
    return key[3:-1].strip() or None


def _read_extra(table: Table, sections: _Sections) -> None:
    groups = table.table("extra-dependencies", "a table of groups")
    if groups is None:
        return
    for group in groups.data:
        if not _GROUP.fullmatch(group):
            groups.problems.error(
                "value", f"`{group}` cannot name a group of dependencies", groups.problems.key(groups.at(group))
            )
        sections.read(groups, group, f"extra/{group}")


def _read_targets(table: Table, sections: _Sections) -> list[str]:
    """``package.target.<platform>``: deprecated, the same as tables under a condition."""
    targets = table.table("target")
    if targets is None:
        return []
    problems = table.problems
    conditions: list[str] = []
    for selector in targets.data:
        inner = targets.table(selector)
        path = targets.at(selector)
        if any(mark in selector for mark in "*?["):
            problems.error(
                "selector",
                f"`{selector}` is a pattern, and targets of a package take none",
                problems.key(path),
                help="name a platform, such as `linux-64`",
            )
            continue
        complaint = selector_problem(selector)
        if complaint is not None:
            problems.error("selector", complaint, problems.key(path))
            continue
        if inner is None:
            continue
        condition = selector_condition(selector)
        problems.warn(
            "deprecated",
            "`package.target` is deprecated",
            problems.key(path),
            help=f'move the dependencies to tables with a condition: `[package.<table>."if({condition})"]`',
        )
        if condition in sections.written:
            problems.error(
                "duplicate",
                f"`{selector}` means the same as `if({condition})`",
                problems.key(path),
                also=[(problems.key(sections.written[condition]), "which is given here")],
            )
            continue
        sections.conditions[condition] = None
        conditions.append(condition)
        for key, section, pins in (
            ("run-dependencies", "run", True),
            ("run-constraints", "run_constraints", False),
            ("host-dependencies", "host", True),
            ("build-dependencies", "build", False),
        ):
            found = read_requirements(inner, key, pins=pins)
            if found is not None:
                sections.add(condition, section, found)
        groups = inner.table("extra-dependencies")
        for group in groups.data if groups is not None else ():
            found = read_requirements(groups, group) if groups is not None else None
            if found is not None:
                sections.add(condition, f"extra/{group}", found)
        inner.finish()
    return conditions


def selector_condition(selector: str) -> str:
    """The condition that a target selector means."""
    if selector in ("unix", "linux", "win", "osx", "macos"):
        return "osx" if selector == "macos" else selector
    return f"host_platform == '{selector}'"
