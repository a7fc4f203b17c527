"""Putting the model of a workspace together from its surface tables, and checking what they mean together.

Source: ``pixi_manifest`` (``toml/manifest.rs``, ``pyproject.rs``) for the rules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from types import MappingProxyType

from smelt.manifest.document import shown_path
from smelt.manifest.feature import TomlEnvironment, TomlFeature
from smelt.manifest.manifest import TomlManifest
from smelt.manifest.platform import selects
from smelt.manifest.positions import KeyPath
from smelt.manifest.project import TomlProject
from smelt.manifest.reading import Problems
from smelt.manifest.workspace import TomlWorkspace, Variants
from smelt.text import closest
from smelt.types import KNOWN_PLATFORMS, CondaSpec
from smelt.workspace.channel import channel_url
from smelt.workspace.definition import PackageDefinition, Resolver
from smelt.workspace.effective import Composer
from smelt.workspace.feature import Feature, FeatureReader, default_name
from smelt.workspace.model import DEFAULT, EffectiveEnvironment, Environment, Profile, Workspace
from smelt.workspace.package import Package
from smelt.workspace.platform import PlatformPlan, combine_requirements, plan_platforms
from smelt.workspace.properties import WorkspaceProperties
from smelt.workspace.pypi import options_conflict
from smelt.workspace.variant import read_variant_file, variants_of

BUILD_PREVIEW = "pixi-build"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembly:
    """The manifest of a workspace at ``path``. ``ignored``: a workspace that this one goes before."""

    manifest: TomlManifest
    path: Path
    ignored: Path | None

    @property
    def problems(self) -> Problems:
        """What is wrong with it so far."""
        return self.manifest.problems

    @property
    def root(self) -> Path:
        """The folder of the workspace."""
        return self.path.parent

    @property
    def workspace(self) -> TomlWorkspace:
        """The workspace table, which must be there."""
        assert self.manifest.workspace is not None
        return self.manifest.workspace

    def load(self) -> Workspace:
        """The model. Raises ManifestError, or ErrorGroup with every mistake."""
        problems = self.problems
        workspace = self.workspace
        builds = workspace.is_enabled(BUILD_PREVIEW)
        resolver = Resolver(
            problems=problems, folder=self.root, workspace=WorkspaceProperties(root=self.root), sources=builds
        )
        pool = self._pool(resolver)
        properties = self._properties(pool)
        resolver = Resolver(problems=problems, folder=self.root, workspace=properties, sources=builds)
        features, tables = self._features(resolver)
        environments = self._environments(features)
        plan = self._plan(tables, environments)
        self._check_selectors(tables)
        self._check_environments(environments, tables)
        profiles = {name: self._profile(name) for name in self.manifest.smelt.profiles}
        by_feature = self._feature_profiles(tables, profiles, environments)
        self._check_unused(environments)
        package = self._package(properties, builds)
        self._check_files()
        problems.raise_errors()
        variants = self._variants(plan, tables)
        composer = Composer(
            manifest=self.manifest,
            root=self.root,
            features=features,
            plan=plan,
            variants=variants,
            profiles=by_feature,
        )
        effective: dict[tuple[str, str], EffectiveEnvironment] = {}
        for environment in environments.values():
            effective.update(composer.compose(environment))
        groups: dict[str, list[str]] = {}
        for name, environment in environments.items():
            if environment.solve_group is not None:
                groups.setdefault(environment.solve_group, []).append(name)
        if self.ignored is not None:
            problems.warn(
                "shadowed",
                f"the workspace {shown_path(self.path)} is used, not {self.ignored} of PIXI_PROJECT_MANIFEST",
            )
        return Workspace(
            root=self.root,
            manifest_path=self.path,
            name=properties.name or self.root.name,
            version=properties.version,
            platforms=tuple(plan.platforms.values()),
            environments=MappingProxyType(environments),
            effective=MappingProxyType(effective),
            solve_groups=MappingProxyType({name: tuple(names) for name, names in groups.items()}),
            profiles=MappingProxyType(profiles),
            package=package,
            variant_constraints=self.manifest.smelt.variant_constraints,
            description=properties.description,
            warnings=tuple(problems.warnings),
            properties=properties,
            channels=tuple(channel_url(each.channel, self.root) for each in workspace.channels),
            previews=(BUILD_PREVIEW,) if builds else (),
            variant_files=tuple(self.root / name for name in workspace.build_variants_files),
            requires_pixi=workspace.requires_pixi,
            conda_pypi_map=workspace.conda_pypi_map,
            s3_options=workspace.s3_options,
        )

    def _pool(self, resolver: Resolver) -> Mapping[str, CondaSpec]:
        found: dict[str, CondaSpec] = {}
        for name, requirement in self.workspace.dependencies.items():
            spec = resolver.spec(requirement)
            if spec is not None:
                found[name] = requirement.spec
        return MappingProxyType(found)

    def _properties(self, pool: Mapping[str, CondaSpec]) -> WorkspaceProperties:
        workspace, project, package = self.workspace, self.manifest.project, self.manifest.package
        own_name = package.name.value if package is not None and package.name is not None else None
        name = workspace.name or own_name or (project.name if project is not None else None)
        return WorkspaceProperties(
            root=self.root,
            name=name,
            version=workspace.version or (project.version if project is not None else None),
            description=workspace.description or (project.description if project is not None else None),
            authors=workspace.authors or (project.authors if project is not None else None),
            license=workspace.license,
            license_file=self.root / workspace.license_file if workspace.license_file else None,
            readme=self.root / workspace.readme if workspace.readme else None,
            homepage=workspace.homepage,
            repository=workspace.repository,
            documentation=workspace.documentation,
            dependencies=pool,
        )

    def _features(self, resolver: Resolver) -> tuple[dict[str, Feature], list[TomlFeature]]:
        """All features, the default one first, those that environments define in place last."""
        preview: KeyPath | None = None
        if resolver.sources:
            preview = self.workspace.preview_paths.get(BUILD_PREVIEW, self.workspace.at("preview"))
        reader = FeatureReader(resolver=resolver, build_preview=preview)
        tables = [self.manifest.default, *self.manifest.features.values()]
        project = self.manifest.project
        groups = (project or TomlProject()).groups
        for name in groups:
            if name != DEFAULT and name not in self.manifest.features:
                tables.append(TomlFeature(name=name, path=()))
        for environment in self.manifest.environments.values():
            if environment.inline is not None:
                tables.append(_renamed(environment.inline, default_name(environment.name)))
        found: dict[str, Feature] = {}
        for table in tables:
            python: CondaSpec | None = None
            python_path: KeyPath = ()
            pypi = groups.get(table.name, ())
            if table.name == DEFAULT and project is not None:
                python = CondaSpec(version=_conda_spec(project.requires_python))
                python_path = project.requires_python_path if project.requires_python is not None else ()
                pypi = (*pypi, *project.dependencies)
            found[table.name] = reader.feature(table, python, python_path, pypi)
        return found, tables

    def _environments(self, features: Mapping[str, Feature]) -> dict[str, Environment]:
        found: dict[str, Environment] = {}
        tables = self.manifest.environments
        if DEFAULT not in tables:
            found[DEFAULT] = Environment(name=DEFAULT, features=(DEFAULT,))
        for name, table in tables.items():
            found[name] = self._environment(table, features)
        for matrix in self.manifest.smelt.matrices.values():
            for combination in product(*matrix.axes.values()):
                chosen = dict(zip(matrix.axes, combination, strict=True))
                if any(all(chosen[axis] == each for axis, each in out.items()) for out in matrix.exclude):
                    continue
                name = "-".join(combination).lower().replace("_", "-").replace(".", "-")
                if name in found:
                    self.problems.error(
                        "duplicate",
                        f"the matrix `{matrix.name}` makes an environment `{name}`, which there is already",
                        self.problems.key(matrix.path),
                    )
                    continue
                for axis, feature in chosen.items():
                    index = matrix.axes[axis].index(feature)
                    self._known_feature(feature, (*matrix.path, axis, index), features)
                found[name] = Environment(
                    name=name,
                    features=(
                        *(each for each in combination if each in features),
                        *(() if matrix.no_default_feature else (DEFAULT,)),
                    ),
                    solve_group=matrix.solve_group,
                    no_default_feature=matrix.no_default_feature,
                    place=self.problems.key(matrix.path),
                )
        # The default environment comes first wherever it is written.
        return {DEFAULT: found[DEFAULT], **found}

    def _environment(self, table: TomlEnvironment, features: Mapping[str, Feature]) -> Environment:
        problems = self.problems
        used: dict[str, int] = {}
        for index, feature in enumerate(table.features):
            at = (*table.features_path, index)
            if feature in used:
                problems.error(
                    "duplicate",
                    f"the feature `{feature}` is in the environment twice",
                    problems.value(at),
                    "given again here",
                    help="the order of features matters, so one of them has to go",
                    also=[(problems.value((*table.features_path, used[feature])), "first given here")],
                )
            elif self._known_feature(feature, at, features):
                used[feature] = index
        names = list(used)
        if table.inline is not None:
            names.insert(0, default_name(table.name))
        if not table.no_default_feature and DEFAULT not in names:
            names.append(DEFAULT)
        return Environment(
            name=table.name,
            features=tuple(names),
            solve_group=table.solve_group,
            no_default_feature=table.no_default_feature,
            place=problems.key(table.path),
        )

    def _known_feature(self, feature: str, at: KeyPath, features: Mapping[str, Feature]) -> bool:
        if feature in features:
            return True
        known = [name for name in features if "(" not in name]
        guess = closest(feature, known)
        self.problems.error(
            "unknown-name",
            f"there is no feature `{feature}`",
            self.problems.value(at),
            help=f"did you mean `{guess}`?" if guess else f"add `[feature.{feature}]`",
        )
        return False

    def _plan(self, tables: Sequence[TomlFeature], environments: Mapping[str, Environment]) -> PlatformPlan:
        combinations = [environment.features for environment in environments.values()]
        groups: dict[str, dict[str, None]] = {}
        for environment in environments.values():
            if environment.solve_group is not None:
                groups.setdefault(environment.solve_group, {}).update(dict.fromkeys(environment.features))
        return plan_platforms(
            self.workspace.platforms,
            tables,
            [*combinations, *(tuple(names) for names in groups.values())],
            self.problems,
        )

    def _check_selectors(self, tables: Sequence[TomlFeature]) -> None:
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

    def _check_environments(self, environments: Mapping[str, Environment], tables: Sequence[TomlFeature]) -> None:
        """Report environments whose features contradict each other."""
        by_name = {table.name: table for table in tables}
        for environment in environments.values():
            table = self.manifest.environments.get(environment.name)
            if table is None:
                continue
            features = [by_name[name] for name in environment.features]
            priorities = list(dict.fromkeys(each.channel_priority for each in features if each.channel_priority))
            complaints = [
                combine_requirements(features),
                options_conflict([each.pypi_options for each in features if each.pypi_options is not None]),
                f"these features want different `channel-priority`: `{priorities[0]}` and `{priorities[1]}`"
                if len(priorities) > 1
                else None,
            ]
            for complaint in complaints:
                if complaint is not None:
                    self.problems.error(
                        "conflict",
                        f"environment `{environment.name}`: {complaint}",
                        self.problems.value(table.features_path or table.path),
                    )

    def _profile(self, name: str) -> Profile:
        table = self.manifest.smelt.profiles[name]
        return Profile(
            name=name,
            env=table.env,
            config=table.config,
            packages=table.packages,
            activation_env=table.activation_env,
        )

    def _feature_profiles(
        self,
        tables: Sequence[TomlFeature],
        profiles: Mapping[str, Profile],
        environments: Mapping[str, Environment],
    ) -> dict[str, Profile]:
        problems = self.problems
        found: dict[str, Profile] = {}
        names = [table.name for table in tables if "(" not in table.name]
        for feature, (profile, path) in self.manifest.smelt.feature_profiles.items():
            if feature not in names:
                guess = closest(feature, names)
                problems.error(
                    "unknown-name",
                    f"there is no feature `{feature}`",
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

    def _check_unused(self, environments: Mapping[str, Environment]) -> None:
        used = {feature for environment in environments.values() for feature in environment.features}
        for name, feature in self.manifest.features.items():
            if name not in used:
                self.problems.warn(
                    "unused-feature",
                    f"the feature `{name}` is in no environment, so its dependencies are never solved",
                    self.problems.key(feature.path),
                    help="add it to an environment, or remove it",
                )

    def _package(self, properties: WorkspaceProperties, builds: bool) -> Package | None:
        table = self.manifest.package
        if table is None:
            return None
        if not builds:
            self.problems.error(
                "preview",
                f"`[package]` needs the preview `{BUILD_PREVIEW}`",
                self.problems.value(table.path),
                help=f'add `preview = ["{BUILD_PREVIEW}"]` to `[workspace]`',
            )
            return None
        definition = PackageDefinition(
            table=table,
            problems=self.problems,
            folder=self.root,
            manifest_path=self.path,
            workspace=properties,
            project=self.manifest.project,
        )
        return definition.package()

    def _check_files(self) -> None:
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

    def _variants(self, plan: PlatformPlan, tables: Sequence[TomlFeature]) -> dict[str, Variants]:
        channels = [*self.workspace.channels, *(each for table in tables for each in table.channels or ())]
        urls = list(dict.fromkeys(channel_url(each.channel, self.root) for each in channels))
        found: dict[str, Variants] = {}
        by_subdir: dict[str, list[Mapping[str, tuple[str, ...]]]] = {}
        for platform in plan.platforms.values():
            if platform.subdir not in by_subdir:
                by_subdir[platform.subdir] = [
                    read_variant_file(self.root / name, platform.subdir) for name in self.workspace.build_variants_files
                ]
            variants = variants_of(self.workspace, platform, urls, by_subdir[platform.subdir])
            found[platform.name] = MappingProxyType(dict(variants))
        return found


def _renamed(feature: TomlFeature, name: str) -> TomlFeature:
    return replace(feature, name=name)


def _conda_spec(requires_python: str | None) -> str:
    """PEP 440 specifiers as a conda version spec. ``==3.11`` means what starts so, as the reference has it."""
    if requires_python is None:
        return "*"
    parts = [part.replace(" ", "") for part in requires_python.split(",") if part.strip()]
    if len(parts) == 1:
        parts = [parts[0].removeprefix("==")]
    return ",".join(
        part.removesuffix(".*") if part.startswith(("==",)) and part.endswith(".*") else part for part in parts
    )


def _selector_help(selector: str, names: list[str]) -> str:
    if any(mark in selector for mark in "*?["):
        return f"add a platform whose name matches `{selector}` to `workspace.platforms`"
    if selector in ("unix", "linux", "win", "osx", "macos"):
        names = names + [each for each in KNOWN_PLATFORMS if selects(selector, each, each) and each not in names]
    names = names or [selector]
    return f"add one of {', '.join(names)} to the platforms" if len(names) > 1 else f"add `{names[0]}` to the platforms"
