"""What ``smelt info`` shows, as data."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from smelt import __version__
from smelt.config.files import pixi_home
from smelt.config.settings import Settings, credentials_file
from smelt.fs import cache_root
from smelt.manifest.edit.platform import platform_entries
from smelt.text import Place
from smelt.types import VirtualPackage, current_platform
from smelt.workspace.channel import CHANNEL_ALIAS
from smelt.workspace.feature import default_name
from smelt.workspace.model import EffectiveEnvironment, Environment, WorkspacePlatform
from smelt.workspace.model import Workspace as Model

if TYPE_CHECKING:
    from smelt.api.workspace import Workspace


def collect(workspace: Workspace | None, settings: Settings, *, sizes: bool = False) -> dict[str, Any]:
    """The machine, the caches, and the workspace if there is one.

    Keys as in the reference's ``info --json``; what smelt adds is under ``smelt``: its environments' effective
    model by environment and platform. ``sizes``: measure folders, which takes time.
    """
    from smelt.solve.machine import machine_virtual_packages

    model = workspace.model if workspace is not None else None
    home = pixi_home(os.environ)
    data: dict[str, Any] = {
        "platform": current_platform(),
        "virtual_packages": [str(package) for package in machine_virtual_packages()],
        "version": __version__,
        "tls_backend": "rustls",
        "cache_dir": str(cache_root()),
        "cache_size": _size(cache_root()) if sizes else None,
        "auth_dir": str(credentials_file(settings, os.environ)),
        "global_info": {
            "bin_dir": str(home / "bin"),
            "env_dir": str(home / "envs"),
            "manifest": str(home / "manifests" / "pixi-global.toml"),
        },
        "project_info": None,
        "environments_info": [],
        "config_locations": [str(path) for path in settings.files],
    }
    if model is not None:
        data["project_info"] = {
            "name": model.name,
            "manifest_path": str(model.manifest_path),
            "last_updated": _last_updated(model),
            "pixi_folder_size": _size(model.state_folder) if sizes else None,
            "version": model.version,
        }
        data["environments_info"] = [_environment(model, each, sizes) for each in model.environments.values()]
        data["smelt"] = {"environments": {name: _effective(model, name) for name in model.environments}}
    return data


def _size(folder: Path) -> str | None:
    """What the files of a folder take; links are not followed."""
    total = 0
    try:
        for root, _, files in os.walk(folder, onerror=_raise):
            total += sum(os.lstat(os.path.join(root, name)).st_size for name in files)  # noqa: PTH118 - thousands
    except OSError:
        return None
    return f"{total // 1024 // 1024} MiB"


def _raise(error: OSError) -> None:
    raise error


def _last_updated(model: Model) -> str | None:
    try:
        changed = model.lock_path.stat().st_mtime
    except OSError:
        return None
    return datetime.fromtimestamp(changed, tz=UTC).astimezone().strftime("%d-%m-%Y %H:%M:%S")


def _environment(model: Model, environment: Environment, sizes: bool) -> dict[str, object]:
    effective = _here(model, environment.name)
    prefix = model.prefix(environment.name)
    resolved, minimum = _installed_platforms(prefix)
    return {
        "name": environment.name,
        "features": [name for name in environment.features if name != default_name(environment.name)],
        "solve_group": environment.solve_group,
        "environment_size": _size(prefix) if sizes else None,
        "dependencies": list(dict.fromkeys(d.name for d in effective.dependencies)) if effective is not None else [],
        "pypi_dependencies": list(effective.pypi_dependencies) if effective is not None else [],
        "platforms": [_platform(platform) for platform in model.platforms_of(environment.name)],
        "resolved_platform": resolved,
        "minimum_supported_platform": minimum,
        "tasks": list(effective.tasks) if effective is not None else [],
        "channels": [channel_name(url) for url in effective.channels] if effective is not None else [],
        "prefix": str(prefix),
    }


def _here(model: Model, environment: str) -> EffectiveEnvironment | None:
    """The environment on the platform that this machine is, else on the first that it has."""
    platforms = model.platforms_of(environment)
    fitting = [p for p in platforms if p.subdir == current_platform()] or list(platforms)
    return model.effective[environment, fitting[0].name] if fitting else None


def channel_name(url: str) -> str:
    """A channel as manifests name it."""
    return url.removeprefix(f"{CHANNEL_ALIAS}/").rstrip("/")


def _platform(platform: WorkspacePlatform) -> dict[str, object]:
    return {
        "name": platform.name,
        "subdir": platform.subdir,
        "virtual_packages": friendly_packages(platform.subdir, platform.virtual_packages),
    }


def friendly_packages(subdir: str, packages: tuple[VirtualPackage, ...]) -> list[str]:
    """Virtual packages as a platform of a manifest declares them, without those that ``subdir`` has anyway."""
    found: list[str] = []
    for key, value in platform_entries(subdir, packages):
        if isinstance(value, dict):
            inner = ", ".join(f'{name} = "{each}"' for name, each in cast("dict[str, str]", value).items())
            found.append(f"{key} = {{ {inner} }}")
        else:
            found.append(key if value == "0" else f"{key}={value}")
    return found


def _installed_platforms(prefix: Path) -> tuple[dict[str, object] | None, dict[str, object] | None]:
    """For which platform an environment was installed, and which it needs at least; None where that is unknown."""
    try:
        data: object = json.loads((prefix / "conda-meta" / "pixi").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None, None
    if not isinstance(data, dict):
        return None, None
    marker = cast("dict[str, object]", data)
    return _marked(marker.get("resolved_platform"), specs=False), _marked(
        marker.get("minimum_supported_platform"), specs=True
    )


def _marked(value: object, *, specs: bool) -> dict[str, object] | None:
    if not isinstance(value, dict):
        return None
    marker = cast("dict[str, object]", value)
    subdir = str(marker.get("subdir", ""))
    texts = [str(each) for each in cast("list[object]", marker.get("requirements") or [])]
    packages = [str(each) for each in cast("list[object]", marker.get("virtual_packages") or [])]
    if specs:
        return {"name": subdir, "subdir": subdir, "virtual_packages": texts or packages}
    # `noarch` assumes nothing, so that all of them are shown.
    split = [(*each.split("="), "0", "0")[:3] for each in packages]
    shown = tuple(VirtualPackage(name=name, version=version, build=build) for name, version, build in split)
    return {"name": subdir, "subdir": subdir, "virtual_packages": friendly_packages("noarch", shown)}


def _effective(model: Model, environment: str) -> dict[str, object]:
    return {
        platform.name: _plain_effective(model.effective[environment, platform.name])
        for platform in model.platforms_of(environment)
    }


def _plain_effective(effective: EffectiveEnvironment) -> dict[str, object]:
    """An environment on a platform: every requirement with where it comes from, and all that goes with it."""
    data = cast("dict[str, object]", plain(effective))
    del data["environment"], data["platform"]
    data["virtual_packages"] = [str(package) for package in effective.platform.virtual_packages]
    data["dependencies"] = [_requirement(each) for each in effective.dependencies]
    data["constraints"] = [_requirement(each) for each in effective.constraints]
    data.pop("pypi_dependencies", None)
    data["pypi_dependencies"] = data.pop("pypi_requirements", [])
    data["profile"] = effective.profile.name if effective.profile is not None else None
    return data


def _requirement(dependency: Any) -> dict[str, object]:
    return {
        "name": dependency.name,
        **cast("dict[str, object]", plain(dependency.spec)),
        "feature": dependency.feature,
        **({"place": str(dependency.place)} if dependency.place is not None else {}),
    }


def plain(value: object) -> object:
    """A frozen value as JSON can hold it; what says nothing (None, empty) is left out of objects."""
    if isinstance(value, Place | Path):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return {name: plain(each) for name, each in fields.items() if each not in (None, (), "") and each != {}}
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in cast("Mapping[object, object]", value).items()}
    if isinstance(value, tuple | list | frozenset | set):
        return [plain(each) for each in cast("tuple[object, ...]", value)]
    return value if isinstance(value, bool | int | float | str) or value is None else str(value)
