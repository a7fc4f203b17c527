"""What the tables of a manifest mean together: contradictions, and what has no effect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from smelt.manifest.feature import TomlFeature
from smelt.manifest.manifest import TomlManifest
from smelt.manifest.platform import selects
from smelt.manifest.reading import Problems
from smelt.manifest.workspace import TomlWorkspace
from smelt.text import closest
from smelt.types import KNOWN_PLATFORMS, NOARCH
from smelt.workspace.model import Environment, Profile
from smelt.workspace.platform import combine_requirements
from smelt.workspace.pypi import options_conflict


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """The manifest of a workspace in ``root``; what is found is added to its ``problems``."""

    manifest: TomlManifest
    root: Path

    @property
    def problems(self) -> Problems:
        """What is wrong with it so far."""
        return self.manifest.problems

    @property
    def workspace(self) -> TomlWorkspace:
        """The workspace table, which must be there."""
        assert self.manifest.workspace is not None
        return self.manifest.workspace

    def check_selectors(self, tables: Sequence[TomlFeature]) -> None:
        """Warn of targets that apply nowhere."""
        declared = self.workspace.platforms
        for feature in tables:
            for selector in feature.targets:
                matching = [each for each in declared if selects(selector, each.name, each.subdir)]
                if not matching:
                    where, at = "the workspace", self.workspace.at("platforms")
                elif feature.platforms is not None and not any(each.name in feature.platforms for each in matching):
                    where, at = f"the feature `{feature.name}`", (*feature.path, "platforms")
                else:
                    continue
                self.problems.warn(
                    "selector",
                    f"the target `{selector}` matches no platform of {where}",
                    self.problems.key((*feature.path, "target", selector)),
                    "this target",
                    help=_selector_help(selector, [each.name for each in matching]),
                    also=[(self.problems.value(at), "the platforms are given here")],
                )

    def check_environments(self, environments: Mapping[str, Environment], tables: Sequence[TomlFeature]) -> None:
        """Report environments whose features contradict each other."""
        by_name = {table.name: table for table in tables}
        for environment in environments.values():
            table = self.manifest.environments.get(environment.name)
            place = self.problems.value(table.features_path or table.path) if table is not None else environment.place
            for complaint in self._conflicts(environment, by_name):
                self.problems.error("conflict", f"environment `{environment.name}`: {complaint}", place)

    def contradictions(self, environment: Environment, tables: Sequence[TomlFeature]) -> list[str]:
        """Why the features of ``environment`` cannot be had together; empty if they can. Nothing is reported."""
        found = self._conflicts(environment, {table.name: table for table in tables})
        chosen = self.manifest.smelt.feature_profiles
        profiles = {chosen[feature][0]: None for feature in environment.features if feature in chosen}
        return [*found, "these features have different profiles"] if len(profiles) > 1 else found

    def _conflicts(self, environment: Environment, tables: Mapping[str, TomlFeature]) -> list[str]:
        features = [tables[name] for name in environment.features]
        priorities = list(dict.fromkeys(each.channel_priority for each in features if each.channel_priority))
        complaints = [
            combine_requirements(features),
            options_conflict([each.pypi_options for each in features if each.pypi_options is not None]),
            f"these features want different `channel-priority`: `{priorities[0]}` and `{priorities[1]}`"
            if len(priorities) > 1
            else None,
        ]
        return [complaint for complaint in complaints if complaint is not None]

    def profile(self, name: str) -> Profile:
        """The profile ``name``."""
        table = self.manifest.smelt.profiles[name]
        return Profile(
            name=name,
            env=table.env,
            config=table.config,
            packages=table.packages,
            activation_env=table.activation_env,
        )

    def feature_profiles(
        self,
        tables: Sequence[TomlFeature],
        profiles: Mapping[str, Profile],
        environments: Mapping[str, Environment],
    ) -> dict[str, Profile]:
        """The profile of each feature that has one. Two in one environment are an error."""
        problems = self.problems
        found: dict[str, Profile] = {}
        names = [table.name for table in tables if "(" not in table.name]
        for feature, (profile, path) in self.manifest.smelt.feature_profiles.items():
            if feature not in names:
                guess = closest(feature, names)
                problems.error(
                    "unknown-name",
                    f"the feature `{feature}` is not defined",
                    problems.key(path[:-1]),
                    help=f"did you mean `{guess}`?" if guess else f"add `[feature.{feature}]`",
                )
            if profile not in profiles:
                guess = closest(profile, profiles)
                problems.error(
                    "unknown-name",
                    f"there is no profile `{profile}`",
                    problems.value(path),
                    help=f"did you mean `{guess}`?" if guess else f"add `[tool.smelt.profile.{profile}]`",
                )
            elif feature in names:
                found[feature] = profiles[profile]
        paths = self.manifest.smelt.feature_profiles
        for environment in environments.values():
            chosen = [feature for feature in environment.features if feature in found]
            if len({found[feature].name for feature in chosen}) > 1:
                problems.error(
                    "profile",
                    f"environment `{environment.name}` would have two profiles: "
                    + " and ".join(f"`{found[each].name}` (feature `{each}`)" for each in chosen),
                    environment.place or problems.value(paths[chosen[0]][1]),
                    help="an environment is built in one way: use one of these features, or join the profiles",
                    also=[(problems.value(paths[each][1]), "") for each in chosen],
                )
        return found

    def check_unused(self, environments: Mapping[str, Environment]) -> None:
        """Warn of features that no environment has, but where they are there to be composed on demand."""
        if self.manifest.smelt.on_demand is not None:
            return
        used = {feature for environment in environments.values() for feature in environment.features}
        for name, feature in self.manifest.features.items():
            if name not in used:
                self.problems.warn(
                    "unused-feature",
                    f"the feature `{name}` is not used in any environment, so its dependencies are never solved",
                    self.problems.key(feature.path),
                    help="add it to an environment, or remove it",
                )

    def check_build_platforms(self) -> None:
        """What is built on which platform: both must be conda platforms."""
        problems, smelt = self.problems, self.manifest.smelt
        platforms = [each for each in KNOWN_PLATFORMS if each != NOARCH]
        for target, builder in smelt.build_platforms.items():
            at = (*smelt.build_platforms_path, target)
            for name, place in ((target, problems.key(at)), (builder, problems.value(at))):
                if name not in platforms:
                    guess = closest(name, platforms)
                    problems.error(
                        "value",
                        f"`{name}` is no platform",
                        place,
                        help=f"did you mean `{guess}`?" if guess else "write a conda platform, such as `linux-64`",
                    )

    def check_files(self) -> None:
        """Warn of files that are not there; a variant file that is not there is an error."""
        problems, workspace = self.problems, self.workspace
        for key, name in (("license-file", workspace.license_file), ("readme", workspace.readme)):
            if name is not None and not (self.root / name).is_file():
                problems.warn("missing-file", f"the file `{name}` does not exist", problems.value(workspace.at(key)))
        for index, name in enumerate(workspace.build_variants_files):
            if not (self.root / name).is_file():
                problems.error(
                    "missing-file",
                    f"the variant file `{name}` does not exist",
                    problems.value((*workspace.at("build-variants-files"), index)),
                )


def _selector_help(selector: str, names: list[str]) -> str:
    if any(mark in selector for mark in "*?["):
        return f"add a platform whose name matches `{selector}` to `workspace.platforms`"
    if selector in ("unix", "linux", "win", "osx", "macos"):
        names = names + [each for each in KNOWN_PLATFORMS if selects(selector, each, each) and each not in names]
    names = names or [selector]
    if len(names) > 1:
        return f"add one of {', '.join(names)} to the platforms"
    return f"add `{names[0]}` to the platforms: `smelt workspace platform add {names[0]}`"
