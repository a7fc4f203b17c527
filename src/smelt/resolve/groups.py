"""Which environments are solved together, and what their solves share.

Apart from the solving itself (``smelt.resolve.workspace``), because a check of a lock needs only this.
"""

from __future__ import annotations

from collections.abc import Sequence

from smelt.errors import ManifestError
from smelt.resolve.model import Context, SourceRequirement
from smelt.types import VirtualPackage, default_virtual_packages
from smelt.workspace.model import Dependency, EffectiveEnvironment, Workspace

Pair = tuple[str, str]
"""The names of an environment and of a platform."""


def solve_groups(workspace: Workspace) -> list[tuple[str, ...]]:
    """The environments by what is solved together: each solve group, and each environment without one."""
    groups: dict[str, list[str]] = {}
    for name, environment in workspace.environments.items():
        group = f"group {environment.solve_group}" if environment.solve_group else f"environment {name}"
        groups.setdefault(group, []).append(name)
    return [tuple(names) for names in groups.values()]


def members_of(workspace: Workspace, pair: Pair) -> tuple[EffectiveEnvironment, ...]:
    """The environments that are solved together with ``pair``, itself included, on its platform."""
    group = next(names for names in solve_groups(workspace) if pair[0] in names)
    return tuple(workspace.effective[name, pair[1]] for name in group if (name, pair[1]) in workspace.effective)


def context_of(workspace: Workspace, members: Sequence[EffectiveEnvironment]) -> Context:
    """What the solves for environments that are solved together share. Raises ManifestError for two profiles."""
    first = members[0]
    profiles = {member.profile.name if member.profile else None for member in members}
    if len(profiles) > 1:
        names = ", ".join(sorted(f"`{profile}`" if profile else "none" for profile in profiles))
        raise ManifestError(
            f"the environments of solve group `{first.environment.solve_group}` have different profiles: {names}",
            code="manifest-profile-conflict",
            help="give environments with different profiles different solve groups",
        )
    variants: dict[str, tuple[str, ...]] = {}
    for member in members:
        variants.update({key: tuple(values) for key, values in member.variants.items()})
    builder = workspace.build_platforms.get(first.platform.subdir)
    return Context(
        channels=tuple(dict.fromkeys(channel for member in members for channel in member.channels)),
        subdir=first.platform.subdir,
        virtual_packages=first.platform.virtual_packages,
        channel_priority=first.channel_priority,
        strategy=first.solve_strategy,
        exclude_newer=first.exclude_newer,
        variants=tuple(sorted(variants.items())),
        zip_keys=first.zip_keys,
        profile=first.profile,
        variant_constraints=workspace.variant_constraints,
        channel_cutoffs=tuple(sorted(first.channel_cutoffs.items())),
        package_cutoffs=tuple(sorted(first.package_cutoffs.items())),
        build_subdir=builder,
        build_virtual_packages=virtual_packages_of(workspace, builder) if builder is not None else (),
    )


def virtual_packages_of(workspace: Workspace, subdir: str) -> tuple[VirtualPackage, ...]:
    """What is assumed of a machine of platform ``subdir``: what the workspace says of it, if it has it."""
    declared = next((each for each in workspace.platforms if each.subdir == subdir), None)
    return declared.virtual_packages if declared is not None else default_virtual_packages(subdir)


def source_requirements(workspace: Workspace, dependencies: Sequence[Dependency]) -> tuple[SourceRequirement, ...]:
    """The source packages among the dependencies of an environment."""
    found: dict[tuple[str, str], SourceRequirement] = {}
    for dependency in dependencies:
        location = dependency.spec.location
        if location is not None:
            requirement = SourceRequirement(
                name=dependency.name, location=location, base=workspace.root, inline=dependency.package
            )
            found[requirement.name, requirement.identity] = requirement
    return tuple(found.values())
