"""Putting the model of a workspace together from its surface tables, and checking what they mean together.

Source: ``pixi_manifest`` (``toml/manifest.rs``, ``pyproject.rs``) for the rules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from smelt.errors import UnknownNameError
from smelt.manifest.feature import TomlEnvironment, TomlFeature
from smelt.manifest.manifest import TomlManifest
from smelt.manifest.positions import KeyPath
from smelt.manifest.project import TomlProject
from smelt.manifest.reading import Problems
from smelt.manifest.smelt import TomlMatrix
from smelt.manifest.workspace import TomlWorkspace, Variants
from smelt.text import closest, shown_path
from smelt.types import CondaSpec
from smelt.workspace.channel import channel_url
from smelt.workspace.checks import Checks
from smelt.workspace.definition import PackageDefinition, Resolver
from smelt.workspace.effective import Composer
from smelt.workspace.feature import Feature, FeatureReader, default_name
from smelt.workspace.matrix import combinations, environment_name
from smelt.workspace.model import DEFAULT, EffectiveEnvironment, Environment, Workspace
from smelt.workspace.on_demand import compose_on_demand
from smelt.workspace.package import Package
from smelt.workspace.platform import PlatformPlan, plan_platforms
from smelt.workspace.profiles import BUILT_IN
from smelt.workspace.properties import WorkspaceProperties
from smelt.workspace.variant import VariantFile, read_variant_file, variants_of, zip_keys_of

BUILD_PREVIEW = "pixi-build"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembly:
    """The manifest of a workspace at ``path``. ``ignored``: a workspace that this one goes before.

    ``folder``: where its paths are relative to, if that is not where the manifest is.
    ``asked``: environments on demand that must be had; ``remembered``: those that are had where it is possible.
    """

    manifest: TomlManifest
    path: Path
    ignored: Path | None
    folder: Path | None = None
    asked: Sequence[str] = ()
    remembered: Sequence[str] = ()

    @property
    def problems(self) -> Problems:
        """What is wrong with it so far."""
        return self.manifest.problems

    @property
    def root(self) -> Path:
        """The folder of the workspace."""
        return self.folder or self.path.parent

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
        checks = Checks(manifest=self.manifest, root=self.root)
        if not problems.errors:
            environments.update(self._on_demand(features, tables, checks))
        plan = self._plan(tables, environments)
        checks.check_selectors(tables)
        checks.check_environments(environments, tables)
        profiles = {name: checks.profile(name) for name in self.manifest.smelt.profiles}
        by_feature = checks.feature_profiles(tables, {**BUILT_IN, **profiles}, environments)
        profiles.update({profile.name: profile for profile in by_feature.values()})
        checks.check_unused(environments)
        package = self._package(properties, builds)
        checks.check_files()
        checks.check_build_platforms()
        problems.raise_errors()
        variants, zip_keys = self._variants(plan, tables)
        composer = Composer(
            manifest=self.manifest,
            root=self.root,
            features=features,
            plan=plan,
            variants=variants,
            zip_keys=zip_keys,
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
            compiler_cache=self.manifest.smelt.compiler_cache,
            description=properties.description,
            warnings=tuple(problems.warnings),
            properties=properties,
            channels=tuple(channel_url(each.channel, self.root) for each in workspace.channels),
            previews=(BUILD_PREVIEW,) if builds else (),
            variant_files=tuple(self.root / name for name in workspace.build_variants_files),
            requires_pixi=workspace.requires_pixi,
            conda_pypi_map=workspace.conda_pypi_map,
            s3_options=workspace.s3_options,
            build_platforms={
                target: builder for target, builder in self.manifest.smelt.build_platforms.items() if target != builder
            },
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
            self._add_matrix(matrix, features, found)
        # The default environment comes first wherever it is written.
        return {DEFAULT: found[DEFAULT], **found}

    def _add_matrix(self, matrix: TomlMatrix, features: Mapping[str, Feature], found: dict[str, Environment]) -> None:
        for chosen in combinations(matrix):
            name = environment_name(chosen.values())
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
                    *(each for each in chosen.values() if each in features),
                    *(() if matrix.no_default_feature else (DEFAULT,)),
                ),
                solve_group=matrix.solve_group,
                no_default_feature=matrix.no_default_feature,
                place=self.problems.key(matrix.path),
            )

    def _on_demand(
        self, features: Mapping[str, Feature], tables: Sequence[TomlFeature], checks: Checks
    ) -> dict[str, Environment]:
        """The environments on demand: those asked for, and of those remembered the ones that still mean something."""
        settings = self.manifest.smelt.on_demand
        no_default = settings is not None and settings.no_default_feature
        found: dict[str, Environment] = {}
        for text in self.asked:
            environment = compose_on_demand(text, features, no_default_feature=no_default)
            found[environment.name] = environment
        for text in self.remembered:
            try:
                environment = compose_on_demand(text, features, no_default_feature=no_default)
            except UnknownNameError:
                continue
            if environment.name == text and not checks.contradictions(environment, tables):
                found.setdefault(text, environment)
        return found

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
            f"the feature `{feature}` is not defined",
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

    def _variants(
        self, plan: PlatformPlan, tables: Sequence[TomlFeature]
    ) -> tuple[dict[str, Variants], dict[str, tuple[tuple[str, ...], ...]]]:
        channels = [*self.workspace.channels, *(each for table in tables for each in table.channels or ())]
        urls = list(dict.fromkeys(channel_url(each.channel, self.root) for each in channels))
        found: dict[str, Variants] = {}
        zipped: dict[str, tuple[tuple[str, ...], ...]] = {}
        by_subdir: dict[str, list[VariantFile]] = {}
        for platform in plan.platforms.values():
            if platform.subdir not in by_subdir:
                by_subdir[platform.subdir] = [
                    read_variant_file(self.root / name, platform.subdir) for name in self.workspace.build_variants_files
                ]
            variants = variants_of(self.workspace, platform, urls, by_subdir[platform.subdir])
            found[platform.name] = MappingProxyType(dict(variants))
            zipped[platform.name] = zip_keys_of(variants, by_subdir[platform.subdir])
        return found, zipped


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
