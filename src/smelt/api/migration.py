"""From ``system-requirements`` to virtual packages of the workspace's platforms.

A workspace cannot have both, so the first platform with virtual packages of its own ends the tables.
Source: the reference's page "Migrating from [system-requirements]".
"""

from __future__ import annotations

from smelt.errors import NotSupportedError
from smelt.manifest.edit.dependency import all_scopes
from smelt.manifest.edit.manifest import ManifestText
from smelt.manifest.edit.platform import has_system_requirements, replace_system_requirements
from smelt.manifest.edit.scope import Scope
from smelt.manifest.platform import TomlPlatform, customised
from smelt.workspace.feature import default_name
from smelt.workspace.model import DEFAULT, Workspace


def without_system_requirements(manifest: ManifestText, model: Workspace) -> ManifestText:
    """``manifest``, whose meaning is ``model``, with platforms in the place of every ``system-requirements`` table.

    Every environment has at least the platforms that it had, by the names that it had them; those that are limited to
    certain platforms have no others. Raises NotSupportedError for requirements of a feature that no environment has,
    which say of no platform what it is.
    """
    if not has_system_requirements(manifest):
        return manifest
    limits: dict[Scope, tuple[str, ...]] = {}
    for scope in all_scopes(manifest):
        if scope.selector is not None or scope.is_default:
            continue
        has_requirements = bool(manifest.get(manifest.at(*scope.anchor, "system-requirements")))
        if not has_requirements and manifest.get(scope.list_path(manifest, "platforms")) is None:
            continue
        names = _platforms_with(scope, model)
        if names:
            limits[scope] = names
        elif has_requirements:
            raise NotSupportedError(
                f"{scope} has `system-requirements` and is in no environment",
                code="system-requirements-not-supported",
                help="remove the table, or add the feature to an environment, before platforms get virtual packages",
            )
    used = {platform.name for name in model.declared for platform in model.platforms_of(name)}
    covered = {platform.subdir for platform in model.platforms if platform.name in used}
    # Environments without limits get them all: what they had goes first, and so before the others on every machine.
    first = {platform.name for platform in model.platforms_of(DEFAULT)}
    platforms = [
        TomlPlatform(
            name=platform.name, subdir=platform.subdir, declared=customised(platform.subdir, platform.virtual_packages)
        )
        for platform in sorted(model.platforms, key=lambda each: each.name not in first)
        if platform.name in used or platform.subdir not in covered
    ]
    return replace_system_requirements(manifest, platforms, limits)


def _platforms_with(scope: Scope, model: Workspace) -> tuple[str, ...]:
    """The platforms of the environments that have the feature of ``scope``, or of the environment that it is."""
    feature = default_name(scope.environment) if scope.environment is not None else scope.feature
    users = [name for name in model.declared if feature in model.environments[name].features]
    found = {platform.name for name in users for platform in model.platforms_of(name)}
    return tuple(platform.name for platform in model.platforms if platform.name in found)
