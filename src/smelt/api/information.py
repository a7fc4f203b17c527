"""What ``smelt info`` shows, as data."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from smelt import __version__
from smelt.api.workspace import Workspace
from smelt.fs import cache_root
from smelt.types import current_platform
from smelt.workspace.model import Environment, WorkspacePlatform
from smelt.workspace.model import Workspace as Model


def collect(workspace: Workspace | None) -> dict[str, Any]:
    """The machine, the caches, and the workspace if there is one; keys as in the reference's ``info --json``."""
    from smelt.solve.machine import machine_virtual_packages

    data: dict[str, Any] = {
        "platform": current_platform(),
        "virtual_packages": [str(package) for package in machine_virtual_packages()],
        "version": __version__,
        "cache_dir": str(cache_root()),
        "project_info": None,
        "environments_info": [],
    }
    if workspace is not None:
        model = workspace.model
        data["project_info"] = {
            "name": model.name,
            "manifest_path": str(model.manifest_path),
            "last_updated": _last_updated(model),
            "version": model.version,
        }
        data["environments_info"] = [_environment(model, each) for each in model.environments.values()]
    return data


def _last_updated(model: Model) -> str | None:
    try:
        changed = model.lock_path.stat().st_mtime
    except OSError:
        return None
    return datetime.fromtimestamp(changed, tz=UTC).astimezone().strftime("%d-%m-%Y %H:%M:%S")


def _environment(model: Model, environment: Environment) -> dict[str, object]:
    platforms = model.platforms_of(environment.name)
    here = [p for p in platforms if p.subdir == current_platform()] or list(platforms)
    effective = model.effective[environment.name, here[0].name] if here else None
    return {
        "name": environment.name,
        "features": list(environment.features),
        "solve_group": environment.solve_group,
        "profile": effective.profile.name if effective is not None and effective.profile is not None else None,
        "environment_size": None,
        "dependencies": list(dict.fromkeys(d.name for d in effective.dependencies)) if effective is not None else [],
        "pypi_dependencies": list(effective.pypi_dependencies) if effective is not None else [],
        "platforms": [_platform(platform) for platform in platforms],
        "tasks": list(effective.tasks) if effective is not None else [],
        "channels": list(effective.channels) if effective is not None else [],
        "prefix": str(model.prefix(environment.name)),
    }


def _platform(platform: WorkspacePlatform) -> dict[str, object]:
    return {
        "name": platform.name,
        "subdir": platform.subdir,
        "virtual_packages": [str(package) for package in platform.virtual_packages],
    }
