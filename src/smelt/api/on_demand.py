"""Workspaces with their environments on demand: those that are asked for, and those that the lock file remembers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from smelt.lock.names import locked_environment_names
from smelt.workspace.discovery import FoundManifest, find_workspace
from smelt.workspace.load import workspace_of
from smelt.workspace.model import Workspace
from smelt.workspace.on_demand import is_on_demand


def load_model(path: Path | None, asked: Sequence[str] = ()) -> Workspace:
    """The workspace at ``path``. Of ``asked`` only the names of environments on demand count.

    Raises what ``smelt.workspace.load.workspace_of`` raises.
    """
    return model_of(find_workspace(path), asked)


def model_of(found: FoundManifest, asked: Sequence[str] = ()) -> Workspace:
    """As ``load_model``, of a manifest that was read."""
    locked = locked_environment_names(found.path.parent / "pixi.lock")
    return workspace_of(
        found,
        asked=[name for name in asked if is_on_demand(name)],
        remembered=[name for name in locked if is_on_demand(name)],
    )
