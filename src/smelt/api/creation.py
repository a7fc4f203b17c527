"""Making a workspace in a folder."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from smelt.api.importing import Imported, read_environment_file
from smelt.errors import ManifestError, UsageError
from smelt.fs import write_bytes, write_text
from smelt.manifest.document import read_document
from smelt.manifest.edit.dependency import add_dependency
from smelt.manifest.edit.manifest import ManifestText
from smelt.manifest.edit.requirement import add_requirement
from smelt.manifest.edit.scope import Scope
from smelt.manifest.edit.sequence import newline_of
from smelt.manifest.manifest import has_manifest_tables
from smelt.manifest.template import (
    GITATTRIBUTES,
    GITIGNORE,
    NewWorkspace,
    module_name,
    pixi_manifest,
    pyproject_manifest,
    pyproject_tables,
)
from smelt.text import shown_path
from smelt.types import KNOWN_PLATFORMS, current_platform

Format = Literal["pixi", "pyproject", "mojoproject"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CreationRequest:
    """What to make. ``channels`` and ``platforms`` empty: ``default_channels``, and this machine's.

    ``index_url`` and ``extra_index_urls``: the PyPI indexes that the manifest names.
    """

    folder: Path
    format: Format = "pixi"
    channels: Sequence[str] = ()
    platforms: Sequence[str] = ()
    environment_file: Path | None = None
    scm: Literal["github", "gitlab", "codeberg"] = "github"
    pypi_map: bool | Mapping[str, object] | None = None
    default_channels: Sequence[str] = ("conda-forge",)
    index_url: str | None = None
    extra_index_urls: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """What was made. ``extended``: tables were added to a ``pyproject.toml`` that was there; ``notes``: what to say."""

    manifest_path: Path
    extended: bool = False
    changed: bool = True
    notes: tuple[str, ...] = ()


def create_workspace(request: CreationRequest) -> Created:
    """Make a workspace. A manifest that is there is never overwritten.

    Raises ManifestError (``manifest-exists``), UsageError, and what reading an environment file raises.
    """
    folder = request.folder.expanduser()
    for platform in request.platforms:
        if platform not in KNOWN_PLATFORMS:
            raise UsageError(f"`{platform}` is not a conda platform", help=f"known are {', '.join(KNOWN_PLATFORMS)}")
    _refuse_home(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be made: {error.strerror or error}") from error
    folder = folder.resolve()
    imported = read_environment_file(request.environment_file) if request.environment_file is not None else None
    channels = request.channels or (imported.channels if imported is not None else ()) or request.default_channels
    workspace = NewWorkspace(
        name=(imported.name if imported is not None else None) or folder.name or "new_workspace",
        channels=tuple(dict.fromkeys(channels)),
        platforms=tuple(dict.fromkeys(request.platforms)) or (current_platform(),),
        author=_author(),
        pypi_map=request.pypi_map,
        index_url=request.index_url,
        extra_index_urls=request.extra_index_urls,
        variables=imported.variables if imported is not None else {},
    )
    path = folder / f"{request.format}.toml"
    if request.format == "pyproject" and path.is_file():
        created = _extend(path, workspace)
    elif path.exists():
        raise ManifestError(f"{shown_path(path)} already exists", code="manifest-exists")
    elif request.format == "pyproject":
        write_text(path, pyproject_manifest(workspace))
        module = folder / "src" / module_name(workspace.name) / "__init__.py"
        if not module.exists():
            write_text(module, "")
        created = Created(manifest_path=path)
    else:
        manifest = ManifestText.parse(pixi_manifest(workspace), "pixi", shown_path(path))
        if imported is not None:
            manifest = import_into(manifest, Scope(), imported)
        write_text(path, manifest.text)
        created = Created(manifest_path=path, notes=imported.warnings if imported is not None else ())
    _append(folder / ".gitignore", GITIGNORE)
    _append(folder / ".gitattributes", GITATTRIBUTES[request.scm])
    return created


def import_into(manifest: ManifestText, scope: Scope, imported: Imported) -> ManifestText:
    """``manifest`` with the dependencies of ``imported`` in ``scope``."""
    for name, spec in imported.dependencies:
        manifest, _ = add_dependency(manifest, scope, "dependencies", name, spec, overwrite=True)
    for requirement in imported.requirements:
        manifest, _ = add_requirement(manifest, scope, requirement, overwrite=True)
    return manifest


def _extend(path: Path, workspace: NewWorkspace) -> Created:
    """Add what makes the Python project at ``path`` a workspace."""
    document = read_document(path)
    if has_manifest_tables(document, "pyproject"):
        note = f"nothing to do: {path.name} already has `[tool.pixi.workspace]`"
        return Created(manifest_path=path, extended=True, changed=False, notes=(note,))
    raw = path.read_bytes().decode("utf-8")
    manifest = ManifestText.parse(raw, "pyproject", shown_path(path))
    name = manifest.get(("project", "name")) or manifest.get(("tool", "poetry", "name"))
    groups = [*manifest.table(("project", "optional-dependencies")), *manifest.table(("dependency-groups",))]
    environments = {group.replace("_", "-").lower(): group for group in groups}
    newline = newline_of(raw)
    tables = pyproject_tables(
        workspace, project=str(name) if name is not None else None, environments=environments, newline=newline
    )
    head = raw if raw.endswith("\n") or not raw else raw + newline
    new = f"{head}{newline}{tables}"
    ManifestText.parse(new, "pyproject", shown_path(path))
    write_bytes(path, new.encode("utf-8"))
    notes = [f"added package `{name or workspace.name}` as an editable dependency"]
    if environments:
        notes.append(f"added environments for its groups of dependencies: {', '.join(environments)}")
    return Created(manifest_path=path, extended=True, notes=tuple(notes))


def _refuse_home(folder: Path) -> None:
    """In the folder that holds ``PIXI_HOME``, ``.pixi`` would be both."""
    home = Path(os.environ.get("PIXI_HOME") or Path.home() / ".pixi")
    if folder.exists() and home.parent.exists() and folder.samefile(home.parent):
        raise UsageError(
            f"{folder} holds {home.name}, the folder of globally installed tools: it cannot be a workspace",
            help="give it a folder of its own: `smelt init my_workspace` (as `pixi init my_workspace`)",
        )


def _append(path: Path, text: str) -> None:
    """Make sure that the file at ``path`` contains ``text``."""
    old = path.read_bytes().decode("utf-8", "surrogateescape") if path.is_file() else ""
    if text in old.replace("\r\n", "\n"):
        return
    newline = newline_of(old)
    head = old if old.endswith("\n") or not old else old + newline
    write_bytes(path, (head + text.replace("\n", newline)).encode("utf-8", "surrogateescape"))


def _author() -> tuple[str, str] | None:
    """Name and address that git knows of the user; None without git."""
    git = shutil.which("git")
    if git is None:
        return None
    asked = [git, "config", "--get-regexp", r"^user\.(name|email)$"]
    answer = subprocess.run(asked, capture_output=True, check=False, encoding="utf-8", errors="replace")
    found = dict(line.split(" ", 1) for line in answer.stdout.splitlines() if " " in line)
    name = found.get("user.name")
    return (name, found.get("user.email", "")) if name else None
