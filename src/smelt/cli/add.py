"""``smelt add``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from smelt.cli.editing import (
    add_update,
    commit,
    done,
    edit,
    scope_of,
    show_difference,
    target_platforms,
)
from smelt.cli.location import refuse_for_script
from smelt.cli.options import add_workspace
from smelt.cli.settings import add_settings
from smelt.cli.subcommands import program
from smelt.cli.terminal import Terminal
from smelt.errors import UsageError

if TYPE_CHECKING:
    from smelt.api.editing import ManifestEditor, Pin
    from smelt.lock.model import Lock
    from smelt.manifest.edit.dependency import Table
    from smelt.manifest.edit.manifest import ManifestText
    from smelt.manifest.edit.scope import Scope
    from smelt.manifest.pypi import PypiRequirement
    from smelt.solve.pinning import Strategy
    from smelt.types import CondaSpec, SourceLocation

STRATEGIES = ("semver", "minor", "major", "latest-up", "exact-version", "no-pin")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options. Source: the reference's page ``pixi add``; ``--path`` is smelt's own."""
    add_workspace(parser, script=True)
    parser.add_argument(
        "specs",
        nargs="+",
        metavar="SPEC",
        help='a package, as a name or a requirement ("numpy>=1.22", "python=3.12", "a[build=\'*cuda*\']")',
    )
    add_tables(parser)
    source = parser.add_argument_group("sources")
    places = source.add_mutually_exclusive_group()
    places.add_argument("--git", "-g", metavar="URL", help="the package is built from this git repository")
    places.add_argument("--path", metavar="DIR", help="the package is built from this folder")
    revisions = source.add_mutually_exclusive_group()
    revisions.add_argument("--branch", metavar="BRANCH", help="a branch of the repository")
    revisions.add_argument("--tag", metavar="TAG", help="a tag of the repository")
    revisions.add_argument("--rev", metavar="REV", help="a revision of the repository")
    source.add_argument("--subdirectory", "--subdir", metavar="DIR", help="the folder of the package in the repository")
    parser.add_argument("--editable", action="store_true", help="install the PyPI package so that it can be edited")
    parser.add_argument("--index", metavar="URL", help="the index of the PyPI package")
    parser.add_argument("--pinning-strategy", choices=STRATEGIES, help="how versions are chosen where none is given")
    add_update(parser)
    add_settings(parser, pinning=False)


def strategy_of(editor: ManifestEditor) -> Strategy | None:
    """How versions are chosen, where options or configuration say it."""
    from smelt.solve.pinning import STRATEGIES as KNOWN

    wanted = editor.workspace.settings.get("pinning-strategy")
    if wanted is None and editor.workspace.model.state is not None:
        return "no-pin"  # a script is given away without a lock, and used for long
    return next((each for each in KNOWN if each == wanted), None)


def add_tables(parser: argparse.ArgumentParser) -> None:
    """Options that say which table is meant."""
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--host", action="store_true", help="the table `host-dependencies`")
    kinds.add_argument("--build", action="store_true", help="the table `build-dependencies`")
    kinds.add_argument("--pypi", action="store_true", help="PyPI packages")
    parser.add_argument(
        "--platform", "-p", action="append", default=[], metavar="PLATFORM", help="only this platform (again: more)"
    )
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--feature", "-f", metavar="FEATURE", help="the feature (default: default)")
    group.add_argument(
        "--environment", "-e", metavar="ENVIRONMENT", help="the tables of this environment; it is made if need be"
    )


def table_of(arguments: argparse.Namespace) -> Table:
    """The table of conda dependencies that is meant."""
    if arguments.environment is not None and (arguments.host or arguments.build):
        raise UsageError("`--environment` does not go with `--host` and `--build`")
    return "host-dependencies" if arguments.host else "build-dependencies" if arguments.build else "dependencies"


def check_sources(arguments: argparse.Namespace) -> None:
    """Raise UsageError for options that need another one."""
    for option in ("branch", "tag", "rev", "subdirectory"):
        if getattr(arguments, option) is not None and arguments.git is None:
            raise UsageError(f"`--{option}` needs `--git`")
    for option in ("editable", "index"):
        if getattr(arguments, option) and not arguments.pypi:
            raise UsageError(f"`--{option}` needs `--pypi`")
    if arguments.index is not None and arguments.git is not None:
        raise UsageError("`--index` does not go with `--git`")


def execute(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Add dependencies to the manifest, solve, pin what was asked for without a version, and install."""
    check_sources(arguments)
    refuse_for_script(arguments, f"{program()} add", ["--feature", "--environment", "--host", "--build"])
    editor = edit(arguments, terminal)
    manifest, selectors = target_platforms(editor.manifest, arguments.platform)
    scopes = [scope_of(arguments, selector) for selector in selectors or [None]]
    if arguments.pypi:
        return _Pypi(arguments, terminal).run(editor, manifest, scopes)
    return _Conda(arguments, terminal).run(editor, manifest, scopes)


class _Addition:
    """One run of the command: what was asked for, what came of it, what is said."""

    def __init__(self, arguments: argparse.Namespace, terminal: Terminal) -> None:
        self.arguments = arguments
        self.terminal = terminal
        self.strategy: Strategy | None = None
        self.pins: dict[str, str] = {}
        self.skipped: dict[str, bool] = {}

    def show(self, texts: Mapping[str, str], kind: str | None) -> None:
        """Say what was added (name → as it was typed), and where."""
        terminal, arguments = self.terminal, self.arguments
        for name, inherited in self.skipped.items():
            if inherited:
                done(terminal, f"{name} inherits from `[workspace.dependencies]` and was left unchanged")
                terminal.note(
                    "  change the `[workspace.dependencies]` entry, or give a version "
                    f'(`{program()} add "{name}==1.0"`) to replace the inheritance'
                )
            else:
                done(terminal, f"{name} is already a dependency")
                terminal.note(f"  `{program()} update {name}` moves it to the newest version that is allowed")
        for name, text in texts.items():
            if name not in self.skipped:
                pinned = f" {terminal.style(self.pins[name], 'dim', err=True)}" if name in self.pins else ""
                done(terminal, f"Added {terminal.style(text, 'bold', err=True)}{pinned}")
        show_place(arguments, terminal, "Added", kind)

    def warn_unused(self, features: set[str], names: Sequence[str]) -> None:
        """Say that a feature of no environment was not solved."""
        feature = self.arguments.feature
        if feature in (None, "default") or feature in features or not names:
            return
        self.terminal.warn(
            f"The feature {feature} is not used in any environment, "
            "so the added dependencies were not resolved or pinned"
        )
        environment = f"{program()} workspace environment add <environment> --feature {feature}"
        upgrade = f"{program()} upgrade --feature {feature} {' '.join(names)}"
        self.terminal.note(f"  Add it to an environment with `{environment}`")
        self.terminal.note(f"  Then run `{upgrade}` to resolve and pin the dependencies")


def show_place(arguments: argparse.Namespace, terminal: Terminal, verb: str, kind: str | None) -> None:
    """Say which tables were changed."""
    if kind is not None:
        terminal.note(f"{verb} these as {kind}.")
    if arguments.platform:
        terminal.note(f"{verb} these only for platform(s): {', '.join(arguments.platform)}")
    if arguments.environment is not None:
        terminal.note(f"{verb} these only for environment: {arguments.environment}")
    elif arguments.feature not in (None, "default"):
        terminal.note(f"{verb} these only for feature: {arguments.feature}")


class _Conda(_Addition):
    def run(self, editor: ManifestEditor, manifest: ManifestText, scopes: Sequence[Scope]) -> int:
        from smelt.api.editing import EditOptions, affected_pairs
        from smelt.manifest.edit.dependency import add_dependency

        table = table_of(self.arguments)
        self.strategy = strategy_of(editor)
        specs = self.specs()
        to_pin: dict[str, CondaSpec] = {}
        for name, (_, spec) in specs.items():
            outcomes: set[str] = set()
            for scope in scopes:
                manifest, outcome = add_dependency(manifest, scope, table, name, spec)
                outcomes.add(outcome)
            if "added" not in outcomes:
                self.skipped[name] = "inherited" in outcomes
            elif spec.version is None and spec.url is None and not spec.is_source:
                to_pin[name] = spec
        model = editor.model(manifest)
        pairs = affected_pairs(model, scopes)
        options = EditOptions(
            unlock=[name for name in specs if name not in self.skipped],
            only=pairs,
            pin=self.pin(to_pin, table, scopes, pairs) if to_pin else None,
        )
        edited = commit(editor, manifest, self.arguments, options)
        kind = None if table == "dependencies" else table
        self.show({name: text for name, (text, _) in specs.items()}, kind)
        used = {feature for each in model.environments.values() for feature in each.features}
        self.warn_unused(used, [name for name in specs if name not in self.skipped])
        show_difference(edited, self.terminal)
        return 0

    def pin(
        self, specs: Mapping[str, CondaSpec], table: Table, scopes: Sequence[Scope], pairs: Sequence[tuple[str, str]]
    ) -> Pin:
        """What writes the solved versions."""
        from dataclasses import replace

        from smelt.api.editing import locked_versions
        from smelt.manifest.edit.dependency import add_dependency
        from smelt.solve.pinning import pin

        def write(lock: Lock, manifest: ManifestText) -> ManifestText:
            for name, spec in specs.items():
                version = pin(name, locked_versions(lock, pairs, name), self.strategy)
                if version is None:
                    continue
                self.pins[name] = version
                for scope in scopes:
                    pinned = replace(spec, version=version)
                    manifest, _ = add_dependency(manifest, scope, table, name, pinned, overwrite=True)
            return manifest

        return write

    def specs(self) -> dict[str, tuple[str, CondaSpec]]:
        """Name → as it was typed, and the requirement."""
        from dataclasses import replace

        from smelt.solve.specification import parse_spec

        location = self.location()
        found: dict[str, tuple[str, CondaSpec]] = {}
        for text in self.arguments.specs:
            name, spec = parse_spec(_archive_url(text))
            if location is not None:
                if spec.url is not None:
                    raise UsageError(f"`{text}` is a built package: it does not go with `--git` and `--path`")
                spec = replace(spec, location=location)
            found[name] = (text, spec)
        return found

    def location(self) -> SourceLocation | None:
        """Where ``--git`` or ``--path`` say that the source is."""
        from smelt.types import GitReference, SourceLocation

        arguments = self.arguments
        if arguments.path is not None:
            return SourceLocation(path=_posix(arguments.path))
        if arguments.git is None:
            return None
        reference = GitReference(branch=arguments.branch, tag=arguments.tag, rev=arguments.rev)
        return SourceLocation(
            git=arguments.git,
            reference=reference if reference != GitReference() else None,
            subdirectory=arguments.subdirectory,
        )


def _posix(path: str) -> str:
    return Path(path).as_posix()


def _archive_url(text: str) -> str:
    """A path of a built package as its address; any other requirement as it is."""
    if not text.endswith((".conda", ".tar.bz2")) or "://" in text:
        return text
    path = Path(text).expanduser().absolute()
    if not path.is_file():
        raise UsageError(f"there is no package {text}", code="invalid-spec")
    return path.as_uri()


class _Pypi(_Addition):
    def run(self, editor: ManifestEditor, manifest: ManifestText, scopes: Sequence[Scope]) -> int:
        from smelt.api.editing import EditOptions, affected_pairs
        from smelt.manifest.edit.requirement import add_requirement

        self.strategy = strategy_of(editor)
        requirements = self.requirements()
        to_pin: dict[str, PypiRequirement] = {}
        for name, (_, requirement) in requirements.items():
            added = False
            for scope in scopes:
                manifest, changed = add_requirement(manifest, scope, requirement)
                added = added or changed
            if not added:
                self.skipped[name] = False
            elif requirement.version is None and not requirement.is_source:
                to_pin[name] = requirement
        model = editor.model(manifest)
        pairs = affected_pairs(model, scopes)
        options = EditOptions(
            unlock=[name for name in requirements if name not in self.skipped],
            only=pairs,
            pin=self.pin(to_pin, scopes, pairs) if to_pin else None,
        )
        edited = commit(editor, manifest, self.arguments, options)
        self.show({name: text for name, (text, _) in requirements.items()}, "pypi-dependencies")
        used = {feature for each in model.environments.values() for feature in each.features}
        self.warn_unused(used, [name for name in requirements if name not in self.skipped])
        show_difference(edited, self.terminal)
        return 0

    def pin(
        self, requirements: Mapping[str, PypiRequirement], scopes: Sequence[Scope], pairs: Sequence[tuple[str, str]]
    ) -> Pin:
        """What writes the solved versions."""
        from dataclasses import replace

        from smelt.api.editing import locked_versions
        from smelt.manifest.edit.requirement import add_requirement
        from smelt.solve.pinning import pin

        def write(lock: Lock, manifest: ManifestText) -> ManifestText:
            for name, requirement in requirements.items():
                version = pin("", locked_versions(lock, pairs, name, pypi=True), self.strategy)
                if version in (None, "*"):
                    continue
                assert version is not None
                self.pins[name] = version
                for scope in scopes:
                    pinned = replace(requirement, version=version)
                    manifest, _ = add_requirement(manifest, scope, pinned, overwrite=True)
            return manifest

        return write

    def requirements(self) -> dict[str, tuple[str, PypiRequirement]]:
        """Normalised name → as it was typed, and the requirement."""
        from dataclasses import replace

        from smelt.manifest.pypi import PypiRequirement, parse_requirement
        from smelt.types import GitReference

        arguments = self.arguments
        found: dict[str, tuple[str, PypiRequirement]] = {}
        for text in arguments.specs:
            requirement = parse_requirement(text, ())
            if not isinstance(requirement, PypiRequirement):
                raise UsageError(requirement, code="invalid-spec")
            if arguments.git is not None:
                reference = GitReference(branch=arguments.branch, tag=arguments.tag, rev=arguments.rev)
                requirement = replace(
                    requirement,
                    version=None,
                    git=arguments.git.removeprefix("git+"),
                    reference=reference if reference != GitReference() else None,
                    subdirectory=arguments.subdirectory,
                )
            elif arguments.path is not None:
                requirement = replace(requirement, version=None, path=_posix(arguments.path))
            if arguments.index is not None and not requirement.is_source:
                requirement = replace(requirement, index=arguments.index)
            if arguments.editable:
                requirement = replace(requirement, editable=True)
            found[requirement.name] = (text, requirement)
        return found
