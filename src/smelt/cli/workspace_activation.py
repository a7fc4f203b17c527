"""``smelt workspace activation``."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

from smelt.cli.editing import done, edit
from smelt.cli.subcommands import Subcommands
from smelt.cli.terminal import Terminal
from smelt.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from smelt.manifest.edit.scope import Scope

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def add_commands(commands: Subcommands) -> None:
    """Declare the subcommands."""
    group = commands.group("activation", "Change what happens when environments are activated")
    scripts = group.group("script", "Change the activation scripts", aliases=["scripts"])
    for name, summary, handler in (
        ("add", "Add scripts at the end", _add_scripts),
        ("prepend", "Put scripts before the others", _prepend_scripts),
        ("remove", "Remove scripts", _remove_scripts),
    ):
        aliases = {"add": ["a"], "remove": ["rm"]}.get(name, [])
        parser = scripts.add(name, summary, handler, aliases=aliases)
        parser.add_argument("scripts", nargs="+", metavar="SCRIPT", help="a path relative to the workspace")
        _location(parser)
    _location(scripts.add("list", "List the scripts", _list_scripts, aliases=["ls"]))
    variables = group.group("env", "Change the variables that are set")
    parser = variables.add("set", "Set variables", _set_variables)
    parser.add_argument("variables", nargs="+", metavar="KEY=VALUE", help="a variable and its value")
    _location(parser)
    parser = variables.add("remove", "Remove variables", _remove_variables, aliases=["rm"])
    parser.add_argument("names", nargs="+", metavar="KEY", help="the name of a variable")
    _location(parser)
    _location(variables.add("list", "List the variables", _list_variables, aliases=["ls"]))
    _location(group.add("list", "List scripts and variables", _list_all, aliases=["ls"]))


def _location(parser: argparse.ArgumentParser) -> None:
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--feature", "-f", metavar="FEATURE", help="of this feature")
    group.add_argument("--environment", "-e", metavar="ENVIRONMENT", help="of this environment")
    parser.add_argument("--target", "-t", metavar="TARGET", help="for these platforms (`linux-64`, `unix`, `cuda-*`)")


def _scope(arguments: argparse.Namespace) -> Scope:
    from smelt.cli.editing import scope_of

    if arguments.feature is not None and not arguments.feature.strip():
        raise UsageError("the name of a feature may not be empty")
    return scope_of(arguments, arguments.target)


def _paths(scripts: Sequence[str]) -> Sequence[str]:
    for script in scripts:
        if not script.strip():
            raise UsageError("the path of an activation script may not be empty")
    return scripts


def _add_scripts(arguments: argparse.Namespace, terminal: Terminal) -> int:
    return _write_scripts(arguments, terminal, first=False)


def _prepend_scripts(arguments: argparse.Namespace, terminal: Terminal) -> int:
    return _write_scripts(arguments, terminal, first=True)


def _write_scripts(arguments: argparse.Namespace, terminal: Terminal, *, first: bool) -> int:
    from smelt.manifest.edit.activation import add_scripts

    scripts = _paths(arguments.scripts)
    scope = _scope(arguments)
    editor = edit(arguments, terminal)
    known = editor.manifest.array(scope.path(editor.manifest, "activation", "scripts"))
    editor.write(add_scripts(editor.manifest, scope, scripts, first=first))
    for script in dict.fromkeys(scripts):
        if script not in known:
            done(terminal, f"Added activation script '{script}'")
        elif first:
            done(terminal, f"Moved activation script '{script}' to the front")
        else:
            done(terminal, f"Activation script '{script}' is already there")
    return 0


def _remove_scripts(arguments: argparse.Namespace, terminal: Terminal) -> int:
    from smelt.manifest.edit.activation import remove_scripts

    scope = _scope(arguments)
    editor = edit(arguments, terminal)
    editor.write(remove_scripts(editor.manifest, scope, arguments.scripts))
    for script in arguments.scripts:
        done(terminal, f"Removed activation script '{script}'")
    return 0


def _set_variables(arguments: argparse.Namespace, terminal: Terminal) -> int:
    from smelt.manifest.edit.activation import set_variables

    variables: dict[str, str] = {}
    for text in arguments.variables:
        name, mark, value = text.partition("=")
        if not mark:
            raise UsageError(f"expected KEY=VALUE, got `{text}`")
        if not _VARIABLE.fullmatch(name.strip()):
            raise UsageError(
                f"`{name}` is not a valid environment variable name",
                help="letters, digits and `_` are allowed, beginning with no digit",
            )
        variables[name.strip()] = value
    scope = _scope(arguments)
    editor = edit(arguments, terminal)
    editor.write(set_variables(editor.manifest, scope, variables))
    for name, value in variables.items():
        done(terminal, f'Set activation environment variable {name}="{value}"')
    return 0


def _remove_variables(arguments: argparse.Namespace, terminal: Terminal) -> int:
    from smelt.manifest.edit.activation import remove_variables

    for name in arguments.names:
        if "=" in name:
            raise UsageError(f"`{name}` is an assignment: give only the name of the variable")
    scope = _scope(arguments)
    editor = edit(arguments, terminal)
    editor.write(remove_variables(editor.manifest, scope, arguments.names))
    for name in arguments.names:
        done(terminal, f"Removed activation environment variable {name}")
    return 0


def _list_all(arguments: argparse.Namespace, terminal: Terminal) -> int:
    return _list(arguments, terminal, ("scripts", "env"), "activation scripts or environment variables")


def _list_scripts(arguments: argparse.Namespace, terminal: Terminal) -> int:
    return _list(arguments, terminal, ("scripts",), "activation scripts")


def _list_variables(arguments: argparse.Namespace, terminal: Terminal) -> int:
    return _list(arguments, terminal, ("env",), "activation environment variables")


def _list(arguments: argparse.Namespace, terminal: Terminal, parts: Sequence[str], what: str) -> int:
    from smelt.manifest.edit.dependency import all_scopes

    editor = edit(arguments, terminal)
    manifest = editor.manifest
    model = editor.workspace.model
    if arguments.environment is not None and arguments.environment not in model.environments:
        raise UnknownNameError(f"the environment '{arguments.environment}' does not exist", code="unknown-environment")
    if arguments.feature not in (None, "default") and manifest.get(manifest.at("feature", arguments.feature)) is None:
        raise UnknownNameError(f"the feature '{arguments.feature}' does not exist", code="unknown-feature")
    features = model.environments[arguments.environment].features if arguments.environment is not None else ()
    shown = False
    for scope in all_scopes(manifest):
        if not _asked(scope, arguments, features):
            continue
        activation = manifest.get(scope.path(manifest, "activation"))
        held: Mapping[str, object] = cast("dict[str, object]", activation) if isinstance(activation, dict) else {}
        if not any(held.get(part) for part in parts):
            continue
        shown = True
        head = f"Environment: {scope.environment}" if scope.environment else f"Feature: {scope.feature or 'default'}"
        terminal.print(head + (f" Target: {scope.selector}" if scope.selector is not None else ""))
        scripts, variables = held.get("scripts"), held.get("env")
        if "scripts" in parts and isinstance(scripts, list) and scripts:
            terminal.print("  scripts:")
            for script in cast("list[object]", scripts):
                terminal.print(f"    - {script}")
        if "env" in parts and isinstance(variables, dict) and variables:
            terminal.print("  env:")
            for name, value in cast("dict[str, object]", variables).items():
                terminal.print(f'    {name} = "{value}"')
    if not shown:
        filtered = arguments.feature or arguments.environment or arguments.target
        terminal.print(f"No {what} found {'for the given filter' if filtered else 'in the manifest'}.")
    return 0


def _asked(scope: Scope, arguments: argparse.Namespace, features: Sequence[str]) -> bool:
    if arguments.target is not None and scope.selector != arguments.target:
        return False
    if arguments.feature is not None:
        return scope.environment is None and (scope.feature or "default") == arguments.feature
    if arguments.environment is not None:
        if scope.environment is not None:
            return scope.environment == arguments.environment
        return (scope.feature or "default") in features
    return True
