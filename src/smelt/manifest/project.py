"""What ``pyproject.toml`` says beside ``[tool.pixi]``: PEP 621, PEP 735, and Poetry's name and version.

Source: PEP 621, PEP 735, and the reference's page "pyproject.toml".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import cast

from smelt.manifest.positions import KeyPath
from smelt.manifest.pypi import (
    PypiRequirement,
    normalize_pypi_name,
    parse_requirement,
    pypi_name_problem,
    specifier_problem,
)
from smelt.manifest.reading import Problems, Table, type_name

Groups = Mapping[str, tuple[PypiRequirement, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TomlProject:
    """The parts that mean something here. ``groups``: optional dependencies and dependency groups, expanded."""

    name: str | None = None
    version: str | None = None
    description: str | None = None
    authors: tuple[str, ...] | None = None
    requires_python: str | None = None
    requires_python_path: KeyPath = ()
    dependencies: tuple[PypiRequirement, ...] = ()
    groups: Groups = field(default_factory=lambda: MappingProxyType({}))


def read_project(root: Table) -> TomlProject:
    """``[project]``, ``[dependency-groups]`` and ``[tool.poetry]`` of a ``pyproject.toml``."""
    project = root.table("project")
    poetry = _poetry(root)
    groups: dict[str, tuple[PypiRequirement, ...]] = {}
    found = TomlProject(name=poetry.get("name"), version=poetry.get("version"), description=poetry.get("description"))
    if project is not None:
        name = project.parsed("name", pypi_name_problem)
        if "name" not in project:
            project.missing("name")
        version = project.string("version")
        description = project.string("description")
        requires = project.parsed("requires-python", specifier_problem)
        optional = project.table("optional-dependencies")
        raw: dict[str, tuple[PypiRequirement, ...]] = {}
        for group in optional.data if optional is not None else ():
            assert optional is not None
            raw[group] = _requirements(optional, group)
        groups.update(_expand_extras(raw, name))
        found = TomlProject(
            name=name or found.name,
            version=version or found.version,
            description=description or found.description,
            authors=_authors(project) or found.authors,
            requires_python=requires,
            requires_python_path=project.at("requires-python"),
            dependencies=_requirements(project, "dependencies"),
        )
    groups.update(_dependency_groups(root))
    return TomlProject(
        name=found.name,
        version=found.version,
        description=found.description,
        authors=found.authors,
        requires_python=found.requires_python,
        requires_python_path=found.requires_python_path,
        dependencies=found.dependencies,
        groups=MappingProxyType(groups),
    )


def _poetry(root: Table) -> dict[str, str]:
    tool = root.data.get("tool")
    poetry = cast("dict[str, object]", tool).get("poetry") if isinstance(tool, dict) else None
    if not isinstance(poetry, dict):
        return {}
    entries = cast("dict[str, object]", poetry)
    return {key: value for key in ("name", "version", "description") if isinstance(value := entries.get(key), str)}


def _authors(project: Table) -> tuple[str, ...] | None:
    authors = project.array("authors")
    if authors is None:
        return None
    found: list[str] = []
    for index, value in enumerate(authors):
        at = (*project.path, "authors", index)
        if not isinstance(value, dict):
            project.problems.error("type", f"expected a table, found {type_name(value)}", project.problems.value(at))
            continue
        author = Table(cast("dict[str, object]", value), at, project.problems)
        name, email = author.string("name"), author.string("email")
        author.finish()
        found.append(f"{name} <{email}>" if name and email else name or email or "")
    return tuple(found)


def _requirements(table: Table, key: str) -> tuple[PypiRequirement, ...]:
    values = table.array(key, "an array of requirements")
    found: list[PypiRequirement] = []
    for index, value in enumerate(values or ()):
        at = (*table.path, key, index)
        if isinstance(value, str):
            requirement = _parse(value, at, table.problems)
            if requirement is not None:
                found.append(requirement)
        else:
            table.wrong_type(at, "a requirement", value)
    return tuple(found)


def _parse(text: str, at: KeyPath, problems: Problems) -> PypiRequirement | None:
    parsed = parse_requirement(text, at)
    if isinstance(parsed, str):
        problems.error("requirement", parsed, problems.value(at))
        return None
    return parsed


def _expand_extras(
    raw: Mapping[str, tuple[PypiRequirement, ...]], project: str | None
) -> dict[str, tuple[PypiRequirement, ...]]:
    """Optional dependencies with references to the project's own extras (``project[extra]``) put in place."""
    own = normalize_pypi_name(project) if project else None
    by_name = {normalize_pypi_name(name): name for name in raw}

    def expand(group: str, on_the_way: tuple[str, ...]) -> dict[PypiRequirement, None]:
        found: dict[PypiRequirement, None] = {}
        for requirement in raw[group]:
            if requirement.name != own or not requirement.extras:
                found[requirement] = None
                continue
            for extra in requirement.extras:
                inner = by_name.get(normalize_pypi_name(extra))
                if inner is not None and inner not in on_the_way:
                    found.update(expand(inner, (*on_the_way, inner)))
        return found

    return {group: tuple(expand(group, (group,))) for group in raw}


def _dependency_groups(root: Table) -> dict[str, tuple[PypiRequirement, ...]]:
    table = root.table("dependency-groups")
    if table is None:
        return {}
    problems = table.problems
    entries: dict[str, list[PypiRequirement | tuple[str, KeyPath]]] = {}
    for group in table.data:
        entries[group] = []
        for index, value in enumerate(table.array(group, "an array of requirements") or ()):
            at = (*table.path, group, index)
            if isinstance(value, str):
                requirement = _parse(value, at, problems)
                if requirement is not None:
                    entries[group].append(requirement)
            elif isinstance(value, dict):
                inner = Table(cast("dict[str, object]", value), at, problems)
                included = inner.string("include-group")
                inner.finish()
                if "include-group" not in inner:
                    inner.missing("include-group")
                elif included is not None:
                    entries[group].append((included, inner.at("include-group")))
            else:
                table.wrong_type(at, "a requirement or a table", value)
    by_name = {normalize_pypi_name(name): name for name in entries}

    def expand(group: str, on_the_way: tuple[str, ...]) -> dict[PypiRequirement, None]:
        found: dict[PypiRequirement, None] = {}
        for entry in entries[group]:
            if isinstance(entry, PypiRequirement):
                found[entry] = None
                continue
            name, at = entry
            inner = by_name.get(normalize_pypi_name(name))
            if inner is None:
                if len(on_the_way) == 1:
                    problems.error("unknown-name", f"there is no dependency group `{name}`", problems.value(at))
            elif inner in on_the_way:
                if inner == on_the_way[0]:
                    circle = " → ".join((*on_the_way, inner))
                    problems.error("cycle", f"dependency groups include each other: {circle}", problems.value(at))
            else:
                found.update(expand(inner, (*on_the_way, inner)))
        return found

    return {group: tuple(expand(group, (group,))) for group in entries}
