"""``smelt remove``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from smelt.cli.add import add_tables, show_place, table_of
from smelt.cli.editing import add_update, commit, done, edit, scope_of, show_difference
from smelt.cli.location import refuse_for_script
from smelt.cli.options import add_workspace
from smelt.cli.settings import add_settings
from smelt.cli.subcommands import program
from smelt.cli.terminal import Terminal
from smelt.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from smelt.manifest.edit.manifest import ManifestText
    from smelt.manifest.edit.scope import Scope
    from smelt.workspace.model import Workspace


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options. Source: the reference's page ``pixi remove``."""
    add_workspace(parser, script=True)
    parser.add_argument("specs", nargs="+", metavar="NAME", help="a dependency (a version is not looked at)")
    add_tables(parser)
    for option in ("--git", "--branch", "--tag", "--rev", "--subdirectory"):
        parser.add_argument(option, help=argparse.SUPPRESS)  # the reference takes them here too, without a meaning
    add_update(parser)
    add_settings(parser)


def execute(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Remove dependencies from the manifest, solve, and install."""
    from smelt.manifest.edit.platform import named

    refuse_for_script(arguments, f"{program()} remove", ["--feature", "--environment", "--host", "--build"])
    editor = edit(arguments, terminal)
    manifest = editor.manifest
    for platform in arguments.platform:
        named(manifest, platform)
    scopes = [scope_of(arguments, selector) for selector in arguments.platform or [None]]
    names = [_name(text, pypi=arguments.pypi) for text in arguments.specs]
    for name in names:
        try:
            manifest = _remove(manifest, scopes, name, arguments)
        except UnknownNameError as error:
            raise UnknownNameError(
                error.message, code=error.kind, help=_elsewhere(manifest, name, arguments), notes=error.notes
            ) from None
    if "python" in names and not arguments.pypi:
        _refuse_python(editor.model(manifest))
    edited = commit(editor, manifest, arguments)
    for text in arguments.specs:
        done(terminal, f"Removed {terminal.style(text, 'bold', err=True)}")
    kind = (
        "pypi-dependencies"
        if arguments.pypi
        else None
        if table_of(arguments) == "dependencies"
        else table_of(arguments)
    )
    show_place(arguments, terminal, "Removed", kind)
    show_difference(edited, terminal)
    return 0


def _name(text: str, *, pypi: bool) -> str:
    if not pypi:
        from smelt.solve.specification import parse_spec

        return parse_spec(text)[0]
    from smelt.manifest.pypi import PypiRequirement, parse_requirement

    requirement = parse_requirement(text, ())
    if not isinstance(requirement, PypiRequirement):
        raise UsageError(requirement, code="invalid-spec")
    return requirement.name


def _remove(manifest: ManifestText, scopes: Sequence[Scope], name: str, arguments: argparse.Namespace) -> ManifestText:
    from smelt.manifest.edit.dependency import remove_dependency
    from smelt.manifest.edit.requirement import remove_requirement

    if arguments.pypi:
        return remove_requirement(manifest, scopes, name)
    return remove_dependency(manifest, scopes, table_of(arguments), name)


def _elsewhere(manifest: ManifestText, name: str, arguments: argparse.Namespace) -> str | None:
    """Commands that would remove ``name`` from where it is."""
    from smelt.manifest.edit.dependency import all_scopes, dependency_scopes
    from smelt.manifest.edit.requirement import requirement_scopes

    tables = ("dependencies", "host-dependencies", "build-dependencies")
    flags = {"dependencies": "", "host-dependencies": "--host ", "build-dependencies": "--build "}
    found = [(scope, flags[table]) for scope, table in dependency_scopes(manifest, tables, name)]
    found += [(scope, "--pypi ") for scope in requirement_scopes(manifest, all_scopes(manifest), name)]
    commands: list[str] = []
    for scope, flag in found:
        place = ""
        if scope.environment is not None:
            place = f"--environment {scope.environment} "
        elif not scope.is_default:
            place = f"--feature {scope.feature} "
        platform = f"--platform {scope.selector} " if scope.selector is not None else ""
        commands.append(f"`{program()} remove {flag}{place}{platform}{name}`")
    if not commands:
        return None
    return f"it is defined elsewhere: {' or '.join(commands)}"


def _refuse_python(model: Workspace) -> None:
    for each in model.effective.values():
        if each.environment.name == "default" and each.pypi_dependencies:
            raise UsageError(
                f"python cannot be removed while there are PyPI dependencies: {', '.join(each.pypi_dependencies)}",
                help="remove these first",
            )
