"""Which backends there are: smelt's own, those that installed packages bring, and programs from channels."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, cast

from smelt.errors import Label, SourceError
from smelt.source.backends.interface import Backend
from smelt.source.protocol.tool import override_of
from smelt.workspace.package import Package

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

NATIVE = ("pixi-build-cmake", "pixi-build-python", "pixi-build-rattler-build", "pixi-build-rust")
"""Backends that are part of smelt: nothing is downloaded or started for them."""

GROUP = "smelt.backends"


def backend_of(package: Package) -> Backend | None:
    """The backend that ``package`` names; None where that is a program, which is talked to.

    A program that the environment puts in the place of a backend goes before all others.
    Raises SourceError (``backend-plugin``) for one that an installed package brings and that cannot be used,
    UsageError for an override that cannot be read.
    """
    name = package.backend.name
    if override_of(name) is not None:
        return None
    if name == "pixi-build-python":
        from smelt.source.backends.python import PythonBackend

        return PythonBackend()
    if name == "pixi-build-cmake":
        from smelt.source.backends.cmake import CmakeBackend

        return CmakeBackend()
    if name == "pixi-build-rattler-build":
        from smelt.source.backends.rattler_build import RattlerBuildBackend

        return RattlerBuildBackend()
    if name == "pixi-build-rust":
        from smelt.source.backends.rust import RustBackend

        return RustBackend()
    return _installed(name, package)


def installed_backends() -> tuple[str, ...]:
    """The names of the backends that installed packages bring."""
    from importlib.metadata import entry_points

    return tuple(sorted({point.name for point in entry_points(group=GROUP)}))


def plugin_file(name: str) -> str | None:
    """The file of the module that brings the backend ``name``; None where no installed package does."""
    from importlib.metadata import entry_points

    for point in entry_points(group=GROUP):
        if point.name == name:
            return getattr(sys.modules.get(point.module), "__file__", None)
    return None


def _installed(name: str, package: Package) -> Backend | None:
    from importlib.metadata import entry_points

    for point in entry_points(group=GROUP):
        if point.name == name:
            return _loaded(point, package)
    return None


def _loaded(point: EntryPoint, package: Package) -> Backend:
    try:
        loaded: object = point.load()
    except Exception as error:
        # whatever the module of somebody else does when it is imported
        raise _unusable(point, package, f"cannot be loaded: {type(error).__name__}: {error}") from error
    for attribute in ("name", "version"):
        if not isinstance(getattr(loaded, attribute, None), str):
            raise _unusable(point, package, f"has no text `{attribute}`")
    if isinstance(loaded, type) or not callable(getattr(loaded, "recipe", None)):
        raise _unusable(point, package, "is no object with a method `recipe`")
    return cast("Backend", loaded)


def _unusable(point: EntryPoint, package: Package, problem: str) -> SourceError:
    from_package = f" of {point.dist.name} {point.dist.version}" if point.dist is not None else ""
    return SourceError(
        f"the backend `{point.name}` ({point.value}{from_package}) {problem}",
        code="backend-plugin",
        labels=[Label(place=package.backend.place)] if package.backend.place is not None else [],
        help="what a backend must be is said in `smelt.api.plugin`",
    )
