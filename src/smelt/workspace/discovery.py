"""Finding the manifest of a workspace, and of a package.

Source: the reference's manifest page, "Manifest discovery".
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from smelt.errors import ManifestError
from smelt.manifest.document import Document, read_document
from smelt.manifest.manifest import Kind, has_manifest_tables, manifest_kind
from smelt.text import shown_path

MANIFESTS = ("pixi.toml", "pyproject.toml", "mojoproject.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundManifest:
    """The manifest of a workspace: where it is and what is in it. ``ignored``: a workspace that another goes before.

    ``root``, ``state`` and ``lock_file``: where they are not beside the manifest (scripts).
    """

    path: Path
    kind: Kind
    document: Document
    ignored: Path | None = None
    root: Path | None = None
    state: Path | None = None
    lock_file: Path | None = None


def manifest_in(folder: Path) -> Path | None:
    """The manifest in ``folder`` that goes before the others, or None."""
    return next((path for name in MANIFESTS if (path := folder / name).is_file()), None)


def find_workspace(
    path: Path | None = None, *, start: Path | None = None, environ: Mapping[str, str] | None = None
) -> FoundManifest:
    """The workspace that is meant.

    ``path``: a manifest or its folder (``--manifest-path``); a manifest of a package leads to the workspace above
    it. Otherwise ``start`` (the working folder) and the folders above are searched; if there is none,
    ``PIXI_PROJECT_MANIFEST`` of ``environ`` tells. Raises ManifestError (``manifest-not-found`` and those of
    ``read_document``).
    """
    environ = os.environ if environ is None else environ
    if path is not None:
        return _explicit(path)
    folder = _absolute(start if start is not None else Path.cwd())
    found = _search(folder)
    variable = environ.get("PIXI_PROJECT_MANIFEST")
    if found is None and variable:
        return _from_environment(Path(variable))
    if found is None:
        raise _not_found(folder)
    if variable and environ.get("PIXI_IN_SHELL") and Path(variable) != found.path:
        return FoundManifest(path=found.path, kind=found.kind, document=found.document, ignored=Path(variable))
    return found


def _absolute(path: Path) -> Path:
    try:
        return path.expanduser().resolve(strict=True)
    except (OSError, RuntimeError):
        raise ManifestError(f"could not find {shown_path(path)}", code="manifest-missing") from None


def _explicit(path: Path) -> FoundManifest:
    absolute = _absolute(path)
    if absolute.is_dir():
        manifest = manifest_in(absolute)
        if manifest is None:
            raise ManifestError(
                f"{shown_path(path)} has no manifest",
                code="manifest-not-found",
                help=f"expected one of {', '.join(MANIFESTS)}",
            )
    else:
        manifest = absolute
    kind = manifest_kind(manifest)
    document = read_document(manifest)
    if _has_workspace(document, kind):
        return FoundManifest(path=manifest, kind=kind, document=document)
    if not has_manifest_tables(document, kind):
        raise _no_tables(manifest, kind, document)
    found = _search(manifest.parent.parent)
    if found is None:
        raise ManifestError(
            f"{shown_path(manifest)} describes a package, and no folder above it has a workspace",
            code="manifest-not-found",
            help="add a `[workspace]` table to it, or put it into a folder of a workspace",
        )
    return found


def _search(folder: Path) -> FoundManifest | None:
    """The nearest workspace in ``folder`` and above. A manifest that is neither workspace nor package is an error."""
    for each in (folder, *folder.parents):
        manifest = manifest_in(each)
        if manifest is None:
            continue
        kind = manifest_kind(manifest)
        document = read_document(manifest)
        if _has_workspace(document, kind):
            return FoundManifest(path=manifest, kind=kind, document=document)
        if kind == "pixi" and not has_manifest_tables(document, kind):
            raise _no_tables(manifest, kind, document)
        if kind == "pyproject" and _tool_table(document) is not None and not has_manifest_tables(document, kind):
            raise _no_tables(manifest, kind, document)
    return None


def _tool_table(document: Document) -> object | None:
    tool = document.data.get("tool")
    return tool.get("pixi") if isinstance(tool, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


def _has_workspace(document: Document, kind: Kind) -> bool:
    data = document.data if kind == "pixi" else _tool_table(document)
    return isinstance(data, dict) and ("workspace" in data or "project" in data)


def _no_tables(manifest: Path, kind: Kind, document: Document) -> ManifestError:
    prefix = "tool.pixi." if kind == "pyproject" else ""
    return ManifestError(
        f"{document.source.path} is neither a workspace nor a package",
        code="manifest-no-tables",
        help=f"it needs a table `[{prefix}workspace]` or `[{prefix}package]`",
    )


def _from_environment(path: Path) -> FoundManifest:
    absolute = _absolute(path)
    kind = manifest_kind(absolute)
    return FoundManifest(path=absolute, kind=kind, document=read_document(absolute))


def _not_found(folder: Path) -> ManifestError:
    if (folder / "pyproject.toml").is_file():
        return ManifestError(
            f"{shown_path(folder / 'pyproject.toml')} has no table `[tool.pixi.workspace]`",
            code="manifest-not-found",
            help="add one, with `channels` and `platforms`, or make a pixi.toml",
        )
    return ManifestError(
        f"there is no workspace in {folder} or above",
        code="manifest-not-found",
        help=f"expected {MANIFESTS[0]}, or {MANIFESTS[1]} with `[tool.pixi.workspace]`",
    )
