"""What a package's manifest says for the platform of a request (its targets merged)."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, cast

from smelt.source.model import RenderRequest
from smelt.workspace.package import PackageRequirements


def requirements_of(request: RenderRequest) -> PackageRequirements:
    """The dependency tables of the package on ``request.subdir``."""
    try:
        load: Any = import_module("smelt.workspace.load")
    except ImportError:
        return request.package.base
    return cast("PackageRequirements", load.requirements_for(request.package, request.subdir))


def config_of(request: RenderRequest) -> Mapping[str, object]:
    """The backend configuration of the package on ``request.subdir``."""
    try:
        load: Any = import_module("smelt.workspace.load")
    except ImportError:
        return request.package.config
    return cast("Mapping[str, object]", load.config_for(request.package, request.subdir))
