"""What environments mean on their platforms.

Source: ``pixi_manifest`` (``features_ext.rs``) and ``pixi_core`` (``workspace/environment.rs``) for the rules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import cast

from smelt.manifest.feature import TomlChannel
from smelt.manifest.manifest import TomlManifest
from smelt.manifest.pypi import PypiRequirement
from smelt.manifest.workspace import TomlWorkspace, Variants
from smelt.types import SourceLocation
from smelt.workspace.channel import by_priority, channel_url
from smelt.workspace.feature import Feature
from smelt.workspace.model import (
    Activation,
    ChannelPriority,
    Dependency,
    EffectiveEnvironment,
    Environment,
    Profile,
    SolveStrategy,
    Task,
)
from smelt.workspace.platform import PlatformPlan
from smelt.workspace.pypi import merge_options


@dataclass(frozen=True, slots=True, kw_only=True)
class Composer:
    """Composes environments of features. ``profiles``: profile by feature."""

    manifest: TomlManifest
    root: Path
    features: Mapping[str, Feature]
    plan: PlatformPlan
    variants: Mapping[str, Variants]
    zip_keys: Mapping[str, tuple[tuple[str, ...], ...]]
    profiles: Mapping[str, Profile]

    @property
    def workspace(self) -> TomlWorkspace:
        """The workspace table."""
        assert self.manifest.workspace is not None
        return self.manifest.workspace

    def compose(self, environment: Environment) -> dict[tuple[str, str], EffectiveEnvironment]:
        """The environment on each platform that it supports."""
        features = [self.features[name] for name in environment.features]
        channels = self._channels(features)
        urls = tuple(dict.fromkeys(channel_url(each.channel, self.root) for each in channels))
        cutoffs = {
            channel_url(each.channel, self.root): each.exclude_newer
            for each in reversed(channels)
            if each.exclude_newer is not None
        }
        options = merge_options(
            [each.table.pypi_options for each in features if each.table.pypi_options is not None],
            self.workspace.pypi_options,
        )
        profile = next((self.profiles[each] for each in environment.features if each in self.profiles), None)
        found: dict[tuple[str, str], EffectiveEnvironment] = {}
        for platform in self.plan.of(environment.features):
            contents = [feature.on(platform) for feature in features if self.plan.supports(feature.name, platform)]
            pypi = _pypi([content.pypi for content in contents])
            found[environment.name, platform.name] = EffectiveEnvironment(
                environment=environment,
                platform=platform,
                channels=urls,
                dependencies=_dependencies([content.dependencies for content in contents]),
                constraints=_dependencies([content.constraints for content in contents]),
                pypi_dependencies=tuple(dict.fromkeys(requirement.name for requirement in pypi)),
                activation=_activation([(content.scripts, content.env) for content in contents]),
                tasks=_tasks([content.tasks for content in contents]),
                variants=self.variants[platform.name],
                zip_keys=self.zip_keys[platform.name],
                profile=profile,
                channel_priority=cast("ChannelPriority", self._priority(features) or "strict"),
                solve_strategy=cast("SolveStrategy", self._strategy(features) or "highest"),
                exclude_newer=self.workspace.exclude_newer,
                pypi_requirements=pypi,
                pypi_options=options,
                dev=_dev([content.dev for content in contents]),
                channel_cutoffs=MappingProxyType(cutoffs),
                package_cutoffs=self.manifest.exclude_newer,
                pypi_package_cutoffs=self.manifest.pypi_exclude_newer,
            )
        return found

    def _channels(self, features: Sequence[Feature]) -> tuple[TomlChannel, ...]:
        """The channels of all features; a feature without any has those of the workspace."""
        return by_priority(
            channel
            for feature in features
            for channel in (feature.table.channels if feature.table.channels is not None else self.workspace.channels)
        )

    def _priority(self, features: Sequence[Feature]) -> str | None:
        return next((each.table.channel_priority for each in features if each.table.channel_priority), None)

    def _strategy(self, features: Sequence[Feature]) -> str | None:
        return next((each.table.solve_strategy for each in features if each.table.solve_strategy), None)


def _dependencies(tables: Sequence[Mapping[str, Dependency]]) -> tuple[Dependency, ...]:
    """All requirements, those on one package together, equal ones once."""
    found: dict[str, list[Dependency]] = {}
    for table in tables:
        for name, dependency in table.items():
            known = found.setdefault(name, [])
            if all(each.spec != dependency.spec for each in known):
                known.append(dependency)
    return tuple(dependency for known in found.values() for dependency in known)


def _pypi(tables: Sequence[Mapping[str, tuple[PypiRequirement, ...]]]) -> tuple[PypiRequirement, ...]:
    found: dict[str, dict[PypiRequirement, None]] = {}
    for table in tables:
        for name, requirements in table.items():
            found.setdefault(name, {}).update(dict.fromkeys(requirements))
    return tuple(requirement for requirements in found.values() for requirement in requirements)


def _dev(tables: Sequence[Mapping[str, SourceLocation]]) -> Mapping[str, SourceLocation]:
    found: dict[str, SourceLocation] = {}
    for table in tables:
        for name, location in table.items():
            found.setdefault(name, location)
    return MappingProxyType(found)


def _activation(parts: Sequence[tuple[tuple[str, ...] | None, Mapping[str, str]]]) -> Activation:
    """Scripts of all features in order; of a variable the first feature's value."""
    env: dict[str, str] = {}
    for _, own in parts:
        for name, value in own.items():
            env.setdefault(name, value)
    scripts = tuple(script for own, _ in parts for script in own or ())
    return Activation(scripts=scripts, env=MappingProxyType(env))


def _tasks(tables: Sequence[Mapping[str, Task]]) -> Mapping[str, Task]:
    """Of tasks of one name the first feature's."""
    found: dict[str, Task] = {}
    for table in reversed(tables):
        found.update(table)
    return MappingProxyType(found)
