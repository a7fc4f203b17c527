"""A whole manifest: ``pixi.toml``, ``mojoproject.toml`` or ``pyproject.toml`` as surface tables.

Source: the reference's manifest page. What the tables mean together is told by the room ``workspace``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal, cast

from smelt.errors import ManifestError
from smelt.manifest.document import Document
from smelt.manifest.feature import (
    TomlEnvironment,
    TomlFeature,
    package_table_help,
    read_environments,
    read_feature,
    read_system_requirements,
    read_target,
    read_targets,
)
from smelt.manifest.package import TomlPackage, read_package
from smelt.manifest.positions import KeyPath
from smelt.manifest.project import TomlProject, read_project
from smelt.manifest.pypi import read_pypi_options
from smelt.manifest.reading import Problems, Table, type_name
from smelt.manifest.smelt import TomlSmelt, read_smelt
from smelt.manifest.workspace import TomlWorkspace, read_cutoffs, read_workspace

Kind = Literal["pixi", "pyproject"]
_CONDA_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_PYPI_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class TomlManifest:
    """The surface of a manifest.

    ``base`` is the path of its tables (``tool.pixi`` in a ``pyproject.toml``); ``default`` the feature that the
    tables at its root make. ``problems`` holds what is wrong so far, for the next room to add to and to raise.
    """

    kind: Kind
    base: KeyPath
    problems: Problems = field(compare=False, repr=False)
    workspace: TomlWorkspace | None = None
    package: TomlPackage | None = None
    default: TomlFeature
    features: Mapping[str, TomlFeature] = field(default_factory=lambda: MappingProxyType({}))
    environments: Mapping[str, TomlEnvironment] = field(default_factory=lambda: MappingProxyType({}))
    exclude_newer: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    pypi_exclude_newer: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    smelt: TomlSmelt = field(default_factory=TomlSmelt)
    project: TomlProject | None = None

    @property
    def document(self) -> Document:
        """The text it was read from."""
        return self.problems.document


def manifest_kind(path: Path) -> Kind:
    """What a manifest of this name is. Raises ManifestError (``manifest-unknown-format``)."""
    if path.name == "pyproject.toml":
        return "pyproject"
    if path.name in ("pixi.toml", "mojoproject.toml"):
        return "pixi"
    raise ManifestError(
        f"{path.name} is not the name of a manifest",
        code="manifest-unknown-format",
        help="manifests are called pixi.toml, pyproject.toml or mojoproject.toml",
    )


def has_manifest_tables(document: Document, kind: Kind) -> bool:
    """Whether there is anything for us in the file: a workspace or a package."""
    data: object = document.data
    if kind == "pyproject":
        tool = document.data.get("tool")
        data = cast("dict[str, object]", tool).get("pixi") if isinstance(tool, dict) else None
    return isinstance(data, dict) and any(key in data for key in ("workspace", "project", "package"))


def parse_manifest(document: Document, kind: Kind, problems: Problems | None = None) -> TomlManifest:
    """The surface tables of ``document``; its mistakes go to ``problems``."""
    problems = problems or Problems(document)
    root = Table(document.data, (), problems)
    if kind == "pixi":
        smelt = _read_tool(root)
        return _read_body(root, kind, problems, smelt, None)
    project = read_project(root)
    tool = root.table("tool")
    body: Table | None = None
    smelt = TomlSmelt()
    if tool is not None:
        body = tool.table("pixi")
        own = tool.table("smelt")
        if own is not None:
            smelt = read_smelt(own)
    if body is None:
        if not problems.errors:
            problems.error(
                "missing-key",
                f"{document.source.path} has no table `[tool.pixi]`",
                help="`[tool.pixi.workspace]` makes it a manifest",
            )
        body = Table({}, ("tool", "pixi"), problems)
    return _read_body(body, kind, problems, smelt, project)


def _read_tool(root: Table) -> TomlSmelt:
    """``[tool]``: everything but our own table belongs to others."""
    value = root.data.get("tool")
    if value is None:
        return TomlSmelt()
    tool = root.table("tool")
    own = tool.table("smelt") if tool is not None else None
    return read_smelt(own) if own is not None else TomlSmelt()


def _read_body(
    table: Table, kind: Kind, problems: Problems, smelt: TomlSmelt, project: TomlProject | None
) -> TomlManifest:
    workspace_table = table.table("workspace")
    old = table.table("project") if "workspace" not in table else None
    if old is not None:
        problems.renamed("project", "workspace", table.at("project"))
        workspace_table = old
    workspace = read_workspace(workspace_table) if workspace_table is not None else None
    package_table = table.table("package")
    package = read_package(package_table) if package_table is not None else None
    targets = read_targets(table)
    target = read_target(table, is_feature=True)
    cutoffs = read_cutoffs(table, "exclude-newer", _CONDA_NAME)
    pypi_cutoffs = read_cutoffs(table, "pypi-exclude-newer", _PYPI_NAME)
    features = _read_features(table)
    environments = read_environments(table)
    options = read_pypi_options(table)
    requirements, archspec = read_system_requirements(table)
    hidden = ["tool", "project", "$schema"]
    if "tool" in table:
        tool = table.take("tool")
        if kind == "pyproject" and not isinstance(tool, dict):
            table.wrong_type(table.at("tool"), "a table", tool)
    if "$schema" in table:
        schema = table.take("$schema")
        if not isinstance(schema, str):
            problems.error("type", f"expected a string, found {type_name(schema)}", problems.value(table.at("$schema")))
    table.finish(hidden=hidden, help=_root_help)
    default = TomlFeature(
        name="default",
        path=table.path,
        target=target,
        targets=targets,
        channel_priority=workspace.channel_priority if workspace is not None else None,
        solve_strategy=workspace.solve_strategy if workspace is not None else None,
        pypi_options=options,
        system_requirements=requirements,
        archspec=archspec,
    )
    return TomlManifest(
        kind=kind,
        base=table.path,
        problems=problems,
        workspace=workspace,
        package=package,
        default=default,
        features=MappingProxyType(features),
        environments=MappingProxyType(environments),
        exclude_newer=cutoffs,
        pypi_exclude_newer=pypi_cutoffs,
        smelt=smelt,
        project=project,
    )


def _read_features(table: Table) -> dict[str, TomlFeature]:
    outer = table.table("feature", "a table of features")
    if outer is None:
        return {}
    problems = table.problems
    found: dict[str, TomlFeature] = {}
    for name in outer.data:
        inner = outer.table(name)
        if name == "default":
            problems.error(
                "feature",
                "the feature `default` cannot be defined",
                problems.key(outer.at(name)),
                help="the tables at the root of the manifest are the feature `default`: put its content there",
            )
            continue
        found[name] = read_feature(name, inner if inner is not None else Table({}, outer.at(name), problems))
    return found


def _root_help(key: str) -> str | None:
    if key in ("build-system", "build-backend"):
        return f"`{key}` is now `[package.build]`"
    if key in ("name", "channels", "platforms", "preview"):
        return f"`{key}` belongs to `[workspace]`"
    return package_table_help(key)
