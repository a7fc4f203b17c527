"""Loading workspaces and packages: from files to the model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from smelt.errors import Label, ManifestError, NotSupportedError
from smelt.manifest.document import read_document
from smelt.manifest.manifest import TomlManifest, has_manifest_tables, manifest_kind, parse_manifest
from smelt.manifest.positions import KeyPath
from smelt.manifest.version import version_matches, version_spec_problem
from smelt.text import shown_path
from smelt.workspace.assembly import BUILD_PREVIEW, Assembly
from smelt.workspace.definition import PackageDefinition
from smelt.workspace.discovery import FoundManifest, find_workspace, manifest_in
from smelt.workspace.model import Workspace
from smelt.workspace.package import Backend, Package
from smelt.workspace.properties import WorkspaceProperties
from smelt.workspace.requirements import config_for, requirements_for

__all__ = ["config_for", "load_package", "load_workspace", "requirements_for", "workspace_of"]

REFERENCE_VERSION = "0.77.0"
"""The version of Pixi whose manifests are understood, which ``requires-pixi`` is about."""

RECIPES = ("recipe.yaml", "recipe.yml", "recipe/recipe.yaml", "recipe/recipe.yml")


def load_workspace(path: Path | None = None, *, start: Path | None = None, asked: Sequence[str] = ()) -> Workspace:
    """The workspace that is meant by ``path`` (a manifest or its folder) or that is found from ``start`` upwards.

    Without ``path`` the search begins in ``start`` (the working folder) and may end at what
    ``PIXI_PROJECT_MANIFEST`` names. ``asked``: environments on demand, as in ``workspace_of``.
    Raises ManifestError, or ErrorGroup with every mistake of the manifest.
    """
    return workspace_of(find_workspace(path, start=start), asked=asked)


def workspace_of(found: FoundManifest, *, asked: Sequence[str] = (), remembered: Sequence[str] = ()) -> Workspace:
    """The workspace of a manifest that was found.

    ``asked``: environments on demand that it shall have (``py312+cu13``). ``remembered``: such that were asked for
    before; those that can no longer be composed are left out. Raises as ``load_workspace``, and UnknownNameError for
    features of ``asked`` that do not exist, NotSupportedError for a folder whose name is no text.
    """
    _check_path(found.path)
    _check_requires_pixi(found)
    manifest = parse_manifest(found.document, found.kind)
    if manifest.workspace is None:
        manifest.problems.raise_errors()
        raise ManifestError(
            f"{found.document.source.path} has no table `[{'.'.join([*map(str, manifest.base), 'workspace'])}]`",
            code="manifest-no-tables",
        )
    try:
        model = Assembly(
            manifest=manifest,
            path=found.path,
            folder=found.root,
            ignored=found.ignored,
            asked=asked,
            remembered=remembered,
        ).load()
    except RecursionError:
        raise ManifestError(f"{found.document.source.path} is nested too deeply", code="manifest-syntax") from None
    return model if found.state is None else replace(model, state=found.state, lock_file=found.lock_file)


def _check_path(path: Path) -> None:
    """Locks, recipes and scripts are UTF-8, and rattler takes nothing else: told before anything is written."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise NotSupportedError(
            f"the path {os.fsencode(path)!r} is not UTF-8",
            help="rename the folder: its name is in another encoding than that of today's systems",
        ) from None


def _check_requires_pixi(found: FoundManifest) -> None:
    """Told before everything else: a manifest for another version may hold what this one cannot read."""
    data: object = found.document.data
    path: KeyPath = ("workspace", "requires-pixi")
    if found.kind == "pyproject":
        path = ("tool", "pixi", *path)
    for key in path:
        data = data.get(key) if isinstance(data, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    if not isinstance(data, str):
        return
    label = found.document.value(path)
    complaint = version_spec_problem(data)
    if complaint is not None:
        raise ManifestError(complaint, code="manifest-requires-pixi", labels=[Label(place=label)])
    if not version_matches(data, REFERENCE_VERSION):
        raise ManifestError(
            f"this workspace requires pixi {data}, and smelt stands for pixi {REFERENCE_VERSION}",
            code="manifest-requires-pixi",
            labels=[Label(place=label)],
            help="use another version of smelt, or change `requires-pixi`",
        )


def load_package(folder_or_manifest: Path, workspace: Workspace | None = None) -> Package:
    """The package that a folder or manifest defines.

    A ``[package]`` table in pixi.toml, pyproject.toml or mojoproject.toml, with what it inherits from
    ``workspace``; or a recipe (``recipe.yaml``), which makes a package of the backend pixi-build-rattler-build.
    Raises ManifestError or ErrorGroup.
    """
    path = Path(folder_or_manifest).expanduser().absolute()
    shown = shown_path(path)
    if not path.exists():
        raise ManifestError(f"there is no package at {shown}: it does not exist", code="manifest-missing")
    if path.is_file() and path.name in ("recipe.yaml", "recipe.yml"):
        return _recipe_package(path)
    manifest = path if path.is_file() else manifest_in(path)
    if manifest is not None:
        if workspace is not None and workspace.package is not None and manifest == workspace.manifest_path:
            return workspace.package
        kind = manifest_kind(manifest)
        document = read_document(manifest)
        if path.is_file() or has_manifest_tables(document, kind) or kind == "pixi":
            return _read_package(parse_manifest(document, kind), manifest, workspace)
    for name in RECIPES:
        if (path / name).is_file():
            return _recipe_package(path / name)
    raise ManifestError(
        f"{shown} is not a package: there is nothing that says how it is built",
        code="manifest-not-a-package",
        help="add a pixi.toml with a `[package]` table, or a recipe.yaml",
    )


def _read_package(manifest: TomlManifest, path: Path, workspace: Workspace | None) -> Package:
    problems = manifest.problems
    if manifest.package is None:
        problems.raise_errors()
        raise ManifestError(
            f"{manifest.document.source.path} has no table `[{'.'.join([*map(str, manifest.base), 'package'])}]`",
            code="manifest-not-a-package",
            help="a source package needs one: it says how the package is built",
        )
    if workspace is not None and BUILD_PREVIEW not in workspace.previews:
        problems.error(
            "preview",
            f"`[package]` needs the preview `{BUILD_PREVIEW}`",
            problems.value(manifest.package.path),
            help=f'add `preview = ["{BUILD_PREVIEW}"]` to `[workspace]` of {shown_path(workspace.manifest_path)}',
        )
    definition = PackageDefinition(
        table=manifest.package,
        problems=problems,
        folder=path.parent,
        manifest_path=path,
        workspace=workspace.properties if workspace is not None else WorkspaceProperties(root=path.parent),
        project=manifest.project,
    )
    package = definition.package()
    problems.raise_errors()
    return package


def _recipe_package(recipe: Path) -> Package:
    """A recipe without a manifest. The recipe knows name and version; only its backend reads it."""
    root = recipe.parent.parent if recipe.parent.name == "recipe" else recipe.parent
    return Package(
        name=None,
        version=None,
        root=root,
        manifest_path=recipe,
        backend=Backend(name="pixi-build-rattler-build"),
    )
