"""Packages and checkouts made by hand, for tests of the source room."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from smelt.lock.model import BuildSource
from smelt.source.model import Checkout, RenderRequest
from smelt.types import CondaSpec, SourceLocation
from smelt.workspace.model import Profile
from smelt.workspace.package import Backend, Package, PackageRequirements

SETUPTOOLS = """\
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "Demo.Pkg"
version = "1.2.0-rc1"
requires-python = ">=3.10, <4"
license = {text = "mit"}
dependencies = ["numpy"]

[project.scripts]
demo = "demo:main"

[project.urls]
Homepage = "https://demo.example"
"Source Code" = "https://code.example/demo"
"""


def specs(**entries: str | CondaSpec) -> dict[str, CondaSpec]:
    """A dependency table: versions as texts, everything else as specs."""
    return {
        name.replace("_", "-"): CondaSpec(version=value) if isinstance(value, str) else value
        for name, value in entries.items()
    }


def path_source(path: str, version: str | None = None) -> CondaSpec:
    return CondaSpec(version=version, location=SourceLocation(path=path))


def request(
    folder: Path,
    *,
    backend: str = "pixi-build-python",
    name: str | None = None,
    version: str | None = None,
    requirements: PackageRequirements | None = None,
    config: Mapping[str, object] | None = None,
    variants: Mapping[str, tuple[str, ...]] | None = None,
    profile: Profile | None = None,
    subdir: str = "linux-64",
    digest: str | None = None,
    **more: object,
) -> RenderRequest:
    package = Package(
        name=name,
        version=version,
        root=folder,
        manifest_path=folder / "pixi.toml",
        backend=Backend(name=backend),
        base=requirements or PackageRequirements(),
        config=config or {},
        **more,  # type: ignore[arg-type]
    )
    return RenderRequest(
        package=package,
        checkout=Checkout(folder=folder, pinned=BuildSource(path="."), digest=digest),
        subdir=subdir,
        build_subdir=subdir,
        variants=variants or {},
        profile=profile,
    )
