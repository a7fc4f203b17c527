"""Which of a workspace's platforms this machine is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from smelt.errors import UnknownNameError
from smelt.text import closest
from smelt.types import current_platform
from smelt.workspace.model import EffectiveEnvironment, Workspace, WorkspacePlatform
from smelt.workspace.on_demand import on_demand_name


def environment_named(workspace: Workspace, name: str) -> str:
    """The environment that ``name`` means (see ``smelt.workspace.on_demand`` for those on demand).

    Raises UnknownNameError with a suggestion where the workspace has none.
    """
    normal = on_demand_name(name)
    if normal in workspace.environments:
        return normal
    guess = closest(name, workspace.environments)
    known = ", ".join(workspace.environments)
    raise UnknownNameError(
        f"there is no environment `{name}` in workspace `{workspace.name}`",
        code="unknown-environment",
        help=f"did you mean `{guess}`?" if guess else f"its environments are {known}",
    )


def platform_for(workspace: Workspace, environment: str, wanted: str | None = None) -> WorkspacePlatform:
    """The platform of ``environment`` to use: the one called ``wanted``, or the one that this machine is.

    ``wanted`` may be a name of the workspace or a conda subdir. Of several that fit, the first in the manifest.
    Raises UnknownNameError where the environment supports none.
    """
    platforms = workspace.platforms_of(environment)
    name = wanted or current_platform()
    found = [p for p in platforms if p.name == name] or [p for p in platforms if p.subdir == name]
    if found:
        return found[0]
    listed = ", ".join(p.name for p in platforms) or "no platform"
    if wanted is not None:
        raise UnknownNameError(
            f"environment `{environment}` has no platform `{wanted}`",
            code="unknown-platform",
            help=f"it has {listed}",
        )
    raise UnknownNameError(
        f"environment `{environment}` does not support this machine's platform, {name}",
        code="unsupported-platform",
        help=f"it supports {listed}; add `{name}` to `platforms` of the workspace or of its features",
    )


def active_environment(workspace: Workspace, outer: Mapping[str, str]) -> str | None:
    """The environment that is active where smelt was called, if it is one of ``workspace``.

    Source: the reference's ``-e`` default: in ``pixi shell`` and tasks, the environment that is active there.
    """
    if "PIXI_IN_SHELL" not in outer or Path(outer.get("PIXI_PROJECT_ROOT", ".")) != workspace.root:
        return None
    name = outer.get("PIXI_ENVIRONMENT_NAME")
    return name if name in workspace.environments else None


def effective_for(workspace: Workspace, environment: str, wanted: str | None = None) -> EffectiveEnvironment:
    """What ``environment`` means on the platform that ``platform_for`` gives."""
    return workspace.effective[environment, platform_for(workspace, environment, wanted).name]
