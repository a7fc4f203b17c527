"""Workspaces with their environments on demand: those that are asked for, and those that the lock file remembers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from smelt.lock.names import locked_environment_names
from smelt.workspace.discovery import FoundManifest, find_workspace
from smelt.workspace.load import workspace_of
from smelt.workspace.model import Workspace
from smelt.workspace.on_demand import is_on_demand

if TYPE_CHECKING:
    from smelt.config.files import ConfigSource
    from smelt.workspace.script import ScriptSource


def load_model(path: Path | None, asked: Sequence[str] = ()) -> Workspace:
    """The workspace at ``path``. Of ``asked`` only the names of environments on demand count.

    Raises what ``smelt.workspace.load.workspace_of`` raises.
    """
    return model_of(find_workspace(path), asked)


def model_of(found: FoundManifest, asked: Sequence[str] = ()) -> Workspace:
    """As ``load_model``, of a manifest that was read."""
    if found.state is not None:  # a script has one environment
        return workspace_of(found)
    locked = locked_environment_names(found.path.parent / "pixi.lock")
    return workspace_of(
        found,
        asked=[name for name in asked if is_on_demand(name)],
        remembered=[name for name in locked if is_on_demand(name)],
    )


def script_model(
    script: ScriptSource,
    *,
    source: ConfigSource | None = None,
    given: Mapping[str, object] | None = None,
    lock: bool = False,
) -> Workspace:
    """The workspace that a script is; where it names no channels, it has those of the settings."""
    from smelt.config.settings import load_settings

    settings = load_settings(None, source=source, given=given)
    return workspace_of(script.found(settings.default_channels, lock=lock))
