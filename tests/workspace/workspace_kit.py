"""Workspaces from texts."""

from __future__ import annotations

from pathlib import Path

from smelt.errors import ErrorGroup, ManifestError, SmeltError
from smelt.workspace.load import load_workspace
from smelt.workspace.model import EffectiveEnvironment, Workspace


def make(folder: Path, text: str, name: str = "pixi.toml") -> Workspace:
    """The workspace of a manifest with this text."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return load_workspace(folder / name)


def mistakes(folder: Path, text: str, name: str = "pixi.toml") -> list[SmeltError]:
    """What is wrong with a manifest of this text."""
    try:
        make(folder, text, name)
    except ErrorGroup as group:
        return list(group.errors)
    except ManifestError as error:
        return [error]
    return []


def specs(effective: EffectiveEnvironment) -> dict[str, list[str | None]]:
    """The versions that are required, by name."""
    found: dict[str, list[str | None]] = {}
    for dependency in effective.dependencies:
        found.setdefault(dependency.name, []).append(dependency.spec.version)
    return found
