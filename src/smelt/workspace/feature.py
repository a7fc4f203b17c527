"""A feature on one platform: its targets laid over each other.

Source: ``pixi_manifest`` (``feature.rs``, ``target.rs``) for the rules. Of the targets that apply, the one that
stands last in the manifest goes before those above it, and all go before the feature's own tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from smelt.manifest.feature import TomlFeature, TomlTarget
from smelt.manifest.platform import selects
from smelt.manifest.positions import KeyPath
from smelt.manifest.pypi import PypiRequirement
from smelt.manifest.requirement import Requirements
from smelt.manifest.task import TomlTask, TomlTaskDependency
from smelt.types import CondaSpec, SourceLocation
from smelt.workspace.definition import Resolver
from smelt.workspace.model import (
    DEFAULT,
    Dependency,
    Task,
    TaskArgument,
    TaskDependency,
    WorkspacePlatform,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureContent:
    """What one feature says for one platform."""

    dependencies: Mapping[str, Dependency]
    constraints: Mapping[str, Dependency]
    pypi: Mapping[str, tuple[PypiRequirement, ...]]
    dev: Mapping[str, SourceLocation]
    scripts: tuple[str, ...] | None
    env: Mapping[str, str]
    tasks: Mapping[str, Task]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    """A target with its entries resolved."""

    dependencies: Mapping[str, Dependency]
    constraints: Mapping[str, Dependency]
    pypi: Mapping[str, tuple[PypiRequirement, ...]]
    dev: Mapping[str, SourceLocation]
    scripts: tuple[str, ...] | None
    env: Mapping[str, str]
    tasks: Mapping[str, Task]


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """A feature with all its entries resolved, once for all platforms."""

    name: str
    table: TomlFeature
    base: _Target
    targets: Mapping[str, _Target]
    _content: dict[tuple[str, ...], FeatureContent] = field(
        default_factory=dict[tuple[str, ...], FeatureContent], repr=False, compare=False
    )

    def on(self, platform: WorkspacePlatform) -> FeatureContent:
        """What it says for ``platform``."""
        applying = tuple(selector for selector in self.targets if selects(selector, platform.name, platform.subdir))
        content = self._content.get(applying)
        if content is None:
            content = _merge([self.base, *(self.targets[selector] for selector in applying)])
            self._content[applying] = content
        return content


def _merge(targets: list[_Target]) -> FeatureContent:
    """Targets from the least to the most specific."""
    if len(targets) == 1:
        only = targets[0]
        return FeatureContent(
            dependencies=only.dependencies,
            constraints=only.constraints,
            pypi=only.pypi,
            dev=only.dev,
            scripts=only.scripts,
            env=only.env,
            tasks=only.tasks,
        )
    dependencies: dict[str, Dependency] = {}
    constraints: dict[str, Dependency] = {}
    pypi: dict[str, tuple[PypiRequirement, ...]] = {}
    dev: dict[str, SourceLocation] = {}
    tasks: dict[str, Task] = {}
    scripts: tuple[str, ...] | None = None
    env: dict[str, str] = {}
    for target in targets:
        dependencies.update(target.dependencies)
        constraints.update(target.constraints)
        pypi.update(target.pypi)
        dev.update(target.dev)
        tasks.update(target.tasks)
        scripts = target.scripts if target.scripts is not None else scripts
    for target in reversed(targets):
        for name, value in target.env.items():
            env.setdefault(name, value)
    return FeatureContent(
        dependencies=dependencies,
        constraints=constraints,
        pypi=pypi,
        dev=dev,
        scripts=scripts,
        env=env,
        tasks=tasks,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureReader:
    """Resolves the entries of features. ``build_preview``: where the preview ``pixi-build`` is enabled, or None."""

    resolver: Resolver
    build_preview: KeyPath | None

    def feature(
        self,
        table: TomlFeature,
        python: CondaSpec | None = None,
        python_path: KeyPath = (),
        pypi: tuple[PypiRequirement, ...] = (),
    ) -> Feature:
        """A feature. ``python`` and ``pypi``: what ``pyproject.toml`` adds to it."""
        base = self._target(table.name, table.target, None)
        if python is not None and "python" not in (table.target.dependencies or {}):
            place = self.resolver.problems.value(python_path) if python_path else None
            own = Dependency(name="python", spec=python, feature=table.name, place=place)
            # A python of host or build dependencies goes before it, as these go before `dependencies`.
            dependencies = {**base.dependencies}
            dependencies.setdefault("python", own)
            base = _replace(base, dependencies=dependencies)
        if pypi:
            merged = {name: list(requirements) for name, requirements in base.pypi.items()}
            for requirement in pypi:
                known = merged.setdefault(requirement.name, [])
                if requirement not in known:
                    known.append(requirement)
            base = _replace(base, pypi={name: tuple(found) for name, found in merged.items()})
        targets = {selector: self._target(table.name, target, selector) for selector, target in table.targets.items()}
        return Feature(name=table.name, table=table, base=base, targets=MappingProxyType(targets))

    def _target(self, feature: str, table: TomlTarget, selector: str | None) -> _Target:
        if self.build_preview is not None:
            self._refuse_build_tables(table, selector)
        dependencies: dict[str, Dependency] = {}
        for each in (table.dependencies, table.host_dependencies, table.build_dependencies):
            if each:
                dependencies.update(self._dependencies(feature, each))
        constraints = self._constraints(feature, table.constraints) if table.constraints else {}
        activation = table.activation
        problems = self.resolver.problems
        return _Target(
            dependencies=dependencies,
            constraints=constraints,
            pypi={name: (requirement,) for name, requirement in (table.pypi_dependencies or {}).items()},
            dev=table.dev or {},
            scripts=activation.scripts if activation is not None else None,
            env=activation.env if activation is not None and activation.env is not None else {},
            tasks={name: task_of(task, feature, problems.key(task.path)) for name, task in table.tasks.items()},
        )

    def _refuse_build_tables(self, table: TomlTarget, selector: str | None) -> None:
        problems = self.resolver.problems
        for key, found in (
            ("host-dependencies", table.host_dependencies),
            ("build-dependencies", table.build_dependencies),
        ):
            if found is not None:
                assert self.build_preview is not None
                where = f"package.target.{selector}.{key}" if selector else f"package.{key}"
                problems.error(
                    "preview",
                    f"with the preview `pixi-build`, `{key}` belong to a package",
                    problems.value((*table.path, key)),
                    help=f"did you mean `[{where}]`?",
                    also=[(problems.value(self.build_preview), "the preview is enabled here")],
                )

    def _dependencies(self, feature: str, requirements: Requirements) -> dict[str, Dependency]:
        found: dict[str, Dependency] = {}
        for name, requirement in requirements.items():
            spec = self.resolver.spec(requirement)
            if spec is None:
                continue
            found[name] = Dependency(
                name=name,
                spec=spec,
                feature=feature,
                place=self.resolver.problems.value(requirement.path),
                package=self.resolver.inline(name, requirement.path, spec) if spec.inline_package is not None else None,
            )
        return found

    def _constraints(self, feature: str, requirements: Requirements) -> dict[str, Dependency]:
        found: dict[str, Dependency] = {}
        resolver = Resolver(
            problems=self.resolver.problems, folder=self.resolver.folder, workspace=self.resolver.workspace
        )
        for name, requirement in requirements.items():
            spec = resolver.spec(requirement)
            if spec is None:
                continue
            place = resolver.problems.value(requirement.path)
            if spec.is_source:
                resolver.problems.error(
                    "source",
                    f"`{name}` is a source, and `constraints` take only packages of channels",
                    place,
                    help="a constraint never installs a package: give a version",
                )
                continue
            found[name] = Dependency(name=name, spec=spec, feature=feature, place=place)
        return found


def _replace(target: _Target, **changes: object) -> _Target:
    from dataclasses import replace

    return replace(target, **changes)  # pyright: ignore[reportArgumentType]


def task_of(task: TomlTask, feature: str, place: object) -> Task:
    """The task that a table describes."""
    from smelt.text import Place

    assert isinstance(place, Place)
    return Task(
        name=task.name,
        cmd=task.cmd,
        depends_on=tuple(_task_dependency(each) for each in task.depends_on),
        env=task.env,
        cwd=task.cwd,
        inputs=task.inputs,
        outputs=task.outputs,
        clean_env=task.clean_env,
        description=task.description,
        args=tuple(
            TaskArgument(name=each.name, default=each.default, choices=each.choices or ()) for each in task.arguments
        ),
        default_environment=task.default_environment,
        feature=feature,
        place=place,
    )


def _task_dependency(dependency: TomlTaskDependency) -> TaskDependency:
    return TaskDependency(task=dependency.task, environment=dependency.environment, arguments=dependency.arguments)


def default_name(environment: str) -> str:
    """What the feature that an environment's own tables make is called, which no feature can be."""
    return f"{environment} (environment)" if environment != DEFAULT else "default (environment)"
