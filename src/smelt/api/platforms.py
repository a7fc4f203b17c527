"""Which of a workspace's platforms this machine is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from smelt.errors import LockError, UnknownNameError
from smelt.text import closest
from smelt.types import current_platform, runnable_subdirs
from smelt.workspace.model import EffectiveEnvironment, Workspace, WorkspacePlatform
from smelt.workspace.on_demand import on_demand_name

if TYPE_CHECKING:
    from smelt.lock.model import Lock


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


def require_locked(lock: Lock, environments: Iterable[str]) -> None:
    """Raise LockError for one of ``environments`` that the lock has not."""
    for name in environments:
        if name not in lock.environments:
            raise LockError(
                f"the lock file has no environment `{name}`",
                code="lock-environment-missing",
                help="leave out `--frozen`: then it is solved, and added to the lock file",
            )


def platform_for(workspace: Workspace, environment: str, wanted: str | None = None) -> WorkspacePlatform:
    """The platform of ``environment`` to use: the one called ``wanted``, or the one that this machine is.

    ``wanted`` may be a name of the workspace or a conda subdir. Of several that fit, the first in the manifest whose
    virtual packages this machine has, else the first: whether its packages run here is told by what is locked.
    An environment without dependencies runs anywhere. Raises UnknownNameError where the environment supports none.
    Source: the reference's page "Multi platform support".
    """
    platforms = workspace.platforms_of(environment)
    if wanted is not None:
        found = [p for p in platforms if p.name == wanted] or [p for p in platforms if p.subdir == wanted]
        if found:
            return _suitable(found)
        listed = ", ".join(p.name for p in platforms) or "no platform"
        raise UnknownNameError(
            f"platform '{wanted}' is not part of environment '{environment}'",
            code="unknown-platform",
            help=f"it has {listed}",
        )
    here = current_platform()
    for subdir in runnable_subdirs(here):
        found = [p for p in platforms if p.subdir == subdir]
        if found:
            return _suitable(found)
    for platform in platforms:
        effective = workspace.effective[environment, platform.name]
        if not (effective.dependencies or effective.pypi_dependencies):
            return platform
    raise _unsupported(environment, here, platforms)


def chosen_platforms(workspace: Workspace) -> dict[str, str]:
    """For environments that have several platforms which this machine could be, the one that it is."""
    found: dict[str, str] = {}
    here = current_platform()
    for name in workspace.environments:
        fitting = [platform for platform in workspace.platforms_of(name) if platform.subdir == here]
        if len(fitting) > 1:
            found[name] = _suitable(fitting).name
    return found


def require_platform(workspace: Workspace, environment: str) -> None:
    """Raise UnknownNameError where ``environment`` is not for this machine, even if it needs no packages."""
    here = current_platform()
    name = environment_named(workspace, environment)
    platforms = workspace.platforms_of(name)
    if all(platform.subdir not in runnable_subdirs(here) for platform in platforms):
        raise _unsupported(name, here, platforms)


def _unsupported(environment: str, here: str, platforms: Sequence[WorkspacePlatform]) -> UnknownNameError:
    listed = ", ".join(p.name for p in platforms) or "no platform"
    return UnknownNameError(
        f"environment `{environment}` does not support this machine's platform, {here}",
        code="unsupported-platform",
        help=f"it supports {listed}; add `{here}` to `platforms` of the workspace or of its features",
    )


def _suitable(platforms: Sequence[WorkspacePlatform]) -> WorkspacePlatform:
    if len(platforms) == 1:
        return platforms[0]
    from smelt.api.host import detect_machine  # asks rattler, which only a choice is worth

    machine = detect_machine()
    return next((platform for platform in platforms if machine.supports(platform)), platforms[0])


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
