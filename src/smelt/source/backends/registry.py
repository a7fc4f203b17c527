"""Which backends there are."""

from __future__ import annotations

from typing import cast

from smelt.errors import Label, NotSupportedError, SourceError
from smelt.source.backends.interface import Backend
from smelt.text import closest
from smelt.workspace.package import Package

NATIVE = ("pixi-build-cmake", "pixi-build-python", "pixi-build-rattler-build", "pixi-build-rust")
"""Backends that are part of smelt: nothing is downloaded or started for them."""

PLANNED = ("pixi-build-mojo", "pixi-build-r", "pixi-build-ros")
"""The reference's other backends."""

GROUP = "smelt.backends"


def backend_of(package: Package) -> Backend:
    """The backend that ``package`` names.

    Raises NotSupportedError for those of the reference that smelt does not have yet, SourceError for unknown ones.
    """
    name = package.backend.name
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
    labels = [Label(place=package.backend.place)] if package.backend.place is not None else []
    if name in PLANNED:
        raise NotSupportedError(
            f"the backend `{name}` is not supported yet",
            labels=labels,
            help="write a recipe.yaml and use `pixi-build-rattler-build`",
        )
    return _installed(name, package, labels)


def _installed(name: str, package: Package, labels: list[Label]) -> Backend:
    from importlib.metadata import entry_points

    found = entry_points(group=GROUP)
    for point in found:
        if point.name == name:
            return cast("Backend", point.load())
    known = sorted({*NATIVE, *PLANNED, *(point.name for point in found)})
    guess = closest(name, known)
    raise SourceError(
        f"there is no backend `{name}` for package `{package.name or package.root.name}`",
        code="unknown-backend",
        labels=labels,
        help=f"did you mean `{guess}`?" if guess else f"known backends: {', '.join(known)}",
        notes=[f"known backends: {', '.join(known)}"] if guess else [],
    )
