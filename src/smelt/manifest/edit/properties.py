"""Single values of the workspace table: name, version, description, requires-pixi, preview."""

from __future__ import annotations

from typing import Literal

from smelt.errors import ManifestError
from smelt.manifest.edit.manifest import ManifestText

Property = Literal["name", "version", "description"]


def set_property(manifest: ManifestText, key: Property, value: str) -> ManifestText:
    """With ``key`` of the workspace set; in a ``pyproject.toml`` with ``[project]`` that is where it stands."""
    in_project = manifest.kind == "pyproject" and manifest.get(("project",)) is not None
    return manifest.set(("project", key) if in_project else (*manifest.workspace, key), value)


def set_requires_pixi(manifest: ManifestText, version: str | None) -> ManifestText:
    """With ``requires-pixi`` set, or (None) without it."""
    path = (*manifest.workspace, "requires-pixi")
    if version is not None:
        return manifest.set(path, version)
    return manifest.remove(path) if manifest.get(path) is not None else manifest


def add_preview(manifest: ManifestText, flag: str) -> ManifestText:
    """With the preview ``flag`` enabled; unchanged if it is."""
    path = (*manifest.workspace, "preview")
    value = manifest.get(path)
    if value is True:
        return manifest
    if value is False:
        return manifest.set(path, [flag])
    return manifest if flag in manifest.array(path) else manifest.insert(path, flag)


def remove_preview(manifest: ManifestText, flag: str) -> ManifestText:
    """Without the preview ``flag``. Raises ManifestError (``manifest-preview``) if all previews are enabled at once."""
    path = (*manifest.workspace, "preview")
    value = manifest.get(path)
    if value is True:
        raise ManifestError(
            "`preview = true` enables all previews: none can be taken out",
            code="manifest-preview",
            help='list those to keep: `preview = ["pixi-build"]`',
        )
    if value in (None, False) or flag not in manifest.array(path):
        return manifest
    manifest = manifest.pop(path, manifest.array(path).index(flag))
    return manifest.remove(path) if manifest.get(path) == [] else manifest
