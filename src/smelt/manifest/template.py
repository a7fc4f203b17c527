"""The manifests that ``smelt init`` begins with."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from smelt.manifest.edit.values import toml_key, toml_value
from smelt.manifest.pypi import normalize_pypi_name

GITIGNORE = "# pixi environments\n.pixi/*\n!.pixi/config.toml\n"
GITATTRIBUTES: Mapping[str, str] = MappingProxyType(
    {
        "github": "# SCM syntax highlighting & preventing 3-way merges\n"
        "pixi.lock merge=binary linguist-language=YAML linguist-generated=true -diff\n",
        "gitlab": "# GitLab syntax highlighting & preventing 3-way merges\n"
        "pixi.lock merge=binary gitlab-language=yaml gitlab-generated=true -diff\n",
        "codeberg": "# SCM syntax highlighting & preventing 3-way merges\n"
        "pixi.lock merge=binary linguist-language=YAML linguist-generated=true -diff\n",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewWorkspace:
    """What a new manifest says. ``author``: name and address. ``pypi_map``: as ``conda-pypi-map`` has it."""

    name: str
    channels: Sequence[str]
    platforms: Sequence[str]
    version: str = "0.1.0"
    author: tuple[str, str] | None = None
    pypi_map: bool | Mapping[str, object] | None = None
    index_url: str | None = None
    extra_index_urls: Sequence[str] = ()
    variables: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def pixi_manifest(workspace: NewWorkspace) -> str:
    """A new ``pixi.toml`` (or ``mojoproject.toml``)."""
    entries: dict[str, object] = {}
    if workspace.author is not None:
        entries["authors"] = ["{} <{}>".format(*workspace.author)]
    entries |= {
        "channels": list(workspace.channels),
        "name": workspace.name,
        "platforms": list(workspace.platforms),
        "version": workspace.version,
    }
    sections = [
        _section("workspace", {**entries, **_map(workspace)}),
        *_options(workspace, "pypi-options"),
        _section("tasks", {}),
        _section("dependencies", {}),
    ]
    if workspace.variables:
        sections.append(_section("activation", {"env": dict(workspace.variables)}))
    return "\n".join(sections)


def pyproject_manifest(workspace: NewWorkspace) -> str:
    """A new ``pyproject.toml`` of a Python package that is in its own workspace."""
    project: dict[str, object] = {}
    if workspace.author is not None:
        name, email = workspace.author
        project["authors"] = [{"name": name, "email": email}]
    project |= {
        "dependencies": [],
        "name": safe_name(workspace.name),
        "requires-python": ">= 3.11",
        "version": workspace.version,
    }
    return "\n".join(
        (
            _section("project", project),
            _section("build-system", {"build-backend": "hatchling.build", "requires": ["hatchling"]}),
            _section("tool.pixi.workspace", _tables(workspace)),
            *_options(workspace, "tool.pixi.pypi-options"),
            _section("tool.pixi.pypi-dependencies", {module_name(workspace.name): _OWN}),
            _section("tool.pixi.tasks", {}),
        )
    )


def pyproject_tables(
    workspace: NewWorkspace, *, project: str | None, environments: Mapping[str, str], newline: str = "\n"
) -> str:
    """What makes an existing ``pyproject.toml`` of the package ``project`` a workspace.

    ``environments``: name → the group of dependencies that it is for.
    """
    name = {} if project is not None else {"name": safe_name(workspace.name)}
    sections = [
        _section("tool.pixi.workspace", {**name, **_tables(workspace)}),
        _section("tool.pixi.pypi-dependencies", {project or safe_name(workspace.name): _OWN}),
    ]
    sections += _options(workspace, "tool.pixi.pypi-options")
    if environments:
        entries: dict[str, object] = {"default": {"solve-group": "default"}}
        for environment, group in environments.items():
            entries[environment] = {"features": [group], "solve-group": "default"}
        sections.append(_section("tool.pixi.environments", entries))
    sections.append(_section("tool.pixi.tasks", {}))
    return "\n".join(sections).replace("\n", newline)


_OWN: Mapping[str, object] = MappingProxyType({"path": ".", "editable": True})


def _tables(workspace: NewWorkspace) -> dict[str, object]:
    return {"channels": list(workspace.channels), "platforms": list(workspace.platforms), **_map(workspace)}


def _options(workspace: NewWorkspace, name: str) -> list[str]:
    found: dict[str, object] = {} if workspace.index_url is None else {"index-url": workspace.index_url}
    if workspace.extra_index_urls:
        found["extra-index-urls"] = list(workspace.extra_index_urls)
    return [_section(name, found)] if found else []


def _map(workspace: NewWorkspace) -> dict[str, object]:
    return {} if workspace.pypi_map is None else {"conda-pypi-map": workspace.pypi_map}


def _section(name: str, entries: Mapping[str, object]) -> str:
    return "".join([f"[{name}]\n", *(f"{toml_key(key)} = {toml_value(value)}\n" for key, value in entries.items())])


def safe_name(name: str) -> str:
    """``name`` as the name of a Python package."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", name).strip("_-.") or "workspace"


def module_name(name: str) -> str:
    """The module of the Python package that ``name`` makes."""
    return normalize_pypi_name(safe_name(name)).replace("-", "_")
