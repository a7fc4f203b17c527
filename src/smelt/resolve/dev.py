"""Development dependencies: what packages are built, hosted and run with, without the packages themselves.

Source: the reference's page "Using the `[dev]` table".
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from smelt.resolve.groups import Pair, context_of, members_of
from smelt.resolve.model import SourceRequirement
from smelt.resolve.packages import PackageLoader
from smelt.resolve.pins import inner_location
from smelt.solve.matching import RattlerMatcher
from smelt.solve.specification import parse_spec
from smelt.source.model import RenderedVariant
from smelt.types import CondaRecord, SourceLocation, spec_name
from smelt.workspace.model import Dependency, EffectiveEnvironment, Workspace


def with_dev(workspace: Workspace, loader: PackageLoader) -> Workspace:
    """``workspace`` with what the packages of its ``dev`` tables need as dependencies of the environments.

    Packages are rendered for that; their sources are not built. Raises what loading and rendering raise.
    """
    if not any(effective.dev for effective in workspace.effective.values()):
        return workspace
    expanded = {
        pair: replace(effective, dependencies=(*effective.dependencies, *_needed(workspace, pair, loader)), dev={})
        for pair, effective in workspace.effective.items()
    }
    return replace(workspace, effective=MappingProxyType(expanded))


def _needed(workspace: Workspace, pair: Pair, loader: PackageLoader) -> list[Dependency]:
    effective = workspace.effective[pair]
    found: dict[tuple[str, str], Dependency] = {}
    for name, location in effective.dev.items():
        requirement = SourceRequirement(name=name, location=location, base=workspace.root)
        variants = loader.render(requirement, context_of(workspace, members_of(workspace, pair)))
        variant = _fitting(variants, effective)
        root = loader.load(requirement).package.root
        for each in (*variant.build_requirements, *variant.host_requirements, *variant.run_requirements):
            dependency = _dependency(each, variant, location, root, workspace.root)
            if dependency is not None and dependency.name not in effective.dev:
                found[dependency.name, str(dependency.spec)] = dependency
    return list(found.values())


def _fitting(variants: Sequence[RenderedVariant], effective: EffectiveEnvironment) -> RenderedVariant:
    """The first variant whose values are what the environment asks for; the first of all where none is."""
    matcher = RattlerMatcher()

    def fits(variant: RenderedVariant) -> bool:
        for dependency in effective.dependencies:
            value = variant.variant.get(dependency.name) or variant.variant.get(dependency.name.replace("-", "_"))
            version = value.split()[0].rstrip(".*") if value is not None else ""
            if not version[:1].isdigit():
                continue
            record = CondaRecord(
                name=dependency.name,
                version=version,
                build="0",
                build_number=0,
                subdir="noarch",
                url=f"variant:{dependency.name}",
                file_name=f"{dependency.name}-{version}-0.conda",
                channel=None,
            )
            if not matcher.matches(f"{dependency.name} {dependency.spec.version or '*'}", record):
                return False
        return True

    return next((variant for variant in variants if fits(variant)), variants[0])


def _dependency(
    requirement: str | Mapping[str, object],
    variant: RenderedVariant,
    location: SourceLocation,
    package: Path,
    root: Path,
) -> Dependency | None:
    """A requirement of the package as one of the environment; None for pins on the package's own outputs."""
    if not isinstance(requirement, str):
        pinned = requirement.get("pin_compatible")
        name = pinned.get("name") if isinstance(pinned, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        if not isinstance(name, str):
            return None
        requirement = name
    if spec_name(requirement).startswith("__"):
        return None
    name, spec = parse_spec(requirement)
    source = variant.source_requirements.get(name)
    if source is not None:
        if source.path is not None and location.path is not None:
            source = replace(source, path=os.path.relpath(package / source.path, root))
        else:
            source = inner_location(location, source, name)
        spec = replace(spec, location=source)
    return Dependency(name=name, spec=spec)
