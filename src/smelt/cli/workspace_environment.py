"""``smelt workspace environment`` and ``smelt workspace feature``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from smelt.cli.editing import done, edit
from smelt.cli.subcommands import Subcommands
from smelt.cli.terminal import Terminal
from smelt.errors import UsageError

if TYPE_CHECKING:
    from smelt.manifest.edit.manifest import ManifestText
    from smelt.manifest.positions import KeyPath


def add_commands(commands: Subcommands) -> None:
    """Declare the subcommands."""
    group = commands.group("environment", "Change the environments")
    add = group.add("add", "Add an environment", _add, aliases=["a"])
    add.add_argument("name", metavar="NAME", help="the name of the environment")
    add.add_argument("--feature", "-f", action="append", default=[], metavar="FEATURE", help="a feature (again: more)")
    add.add_argument("--solve-group", metavar="GROUP", help="solve it together with the others of this group")
    add.add_argument("--no-default-feature", action="store_true", help="leave the feature `default` out")
    add.add_argument("--force", action="store_true", help="replace an environment of this name")
    remove = group.add("remove", "Remove an environment", _remove, aliases=["rm"])
    remove.add_argument("name", metavar="NAME", help="the name of the environment")
    listing = group.add("list", "List the environments", _list, aliases=["ls"])
    listing.add_argument("--machine-readable", action="store_true", help=argparse.SUPPRESS)
    group = commands.group("feature", "Change the features")
    remove = group.add("remove", "Remove a feature, also from environments", _remove_feature, aliases=["rm"])
    remove.add_argument("feature", metavar="FEATURE", help="the name of the feature")
    remove.add_argument("--yes", "-y", action="store_true", help="do not ask, also if environments use it")
    listing = group.add("list", "List the features", _list_features, aliases=["ls"])
    listing.add_argument("--machine-readable", action="store_true", help=argparse.SUPPRESS)


def _add(arguments: argparse.Namespace, terminal: Terminal) -> int:
    from smelt.api.editing import ManifestEditor
    from smelt.cli.editing import load_quietly
    from smelt.manifest.edit.environment import add_environment

    # That a feature is in no environment is what this command is about to change.
    editor = ManifestEditor.open(load_quietly(arguments, terminal, "manifest-unused-feature"))
    name = arguments.name
    known = editor.manifest.get(editor.manifest.at("environments", name)) is not None
    manifest = add_environment(
        editor.manifest,
        name,
        features=arguments.feature,
        solve_group=arguments.solve_group,
        no_default_feature=arguments.no_default_feature,
        replace=arguments.force,
    )
    editor.write(manifest)
    done(terminal, f"{'Updated' if known else 'Added'} environment {name}")
    return 0


def _remove(arguments: argparse.Namespace, terminal: Terminal) -> int:
    from smelt.manifest.edit.environment import remove_environment

    editor = edit(arguments, terminal)
    editor.write(remove_environment(editor.manifest, arguments.name))
    done(terminal, f"Removed environment {arguments.name}")
    return 0


def _list(arguments: argparse.Namespace, terminal: Terminal) -> int:
    editor = edit(arguments, terminal)
    model = editor.workspace.model
    if arguments.machine_readable:
        terminal.print(" ".join(model.environments))
        return 0
    terminal.print("Environments:")
    for name, environment in model.environments.items():
        features = [each for each in environment.features if not each.endswith(" (environment)")]
        terminal.print(f"- {terminal.style(name, 'bold')}:")
        terminal.print(f"    features: {', '.join(features)}")
        if environment.solve_group is not None:
            terminal.print(f"    solve_group: {environment.solve_group}")
        _details(editor.manifest, editor.manifest.at("environments", name), terminal)
    return 0


def _list_features(arguments: argparse.Namespace, terminal: Terminal) -> int:
    editor = edit(arguments, terminal)
    manifest = editor.manifest
    names = ["default", *manifest.table(manifest.at("feature"))]
    if arguments.machine_readable:
        terminal.print(" ".join(names))
        return 0
    terminal.print("Features:")
    for name in names:
        path = manifest.base if name == "default" else manifest.at("feature", name)
        terminal.print(f"- {terminal.style(name, 'bold')}")
        _details(manifest, path, terminal)
    return 0


def _details(manifest: ManifestText, path: KeyPath, terminal: Terminal) -> None:
    """What a feature or an environment itself holds, for all platforms."""
    for key in ("dependencies", "pypi-dependencies", "tasks"):
        table = manifest.get((*path, key))
        if isinstance(table, dict) and table:
            terminal.print(f"    {key}: {', '.join(cast('Mapping[str, object]', table))}")


def _remove_feature(arguments: argparse.Namespace, terminal: Terminal) -> int:
    from smelt.manifest.edit.environment import environments_with, remove_feature

    editor = edit(arguments, terminal)
    name = arguments.feature
    used = environments_with(editor.manifest, name)
    manifest = remove_feature(editor.manifest, name)
    if used and not arguments.yes:
        if not sys.stdin.isatty():
            raise UsageError(
                f"feature `{name}` is used by {', '.join(used)}",
                help="`--yes` removes it from these environments too",
            )
        terminal.err.write(f"Feature `{name}` is used by {', '.join(used)}. Remove it anyway? [y/N] ")
        terminal.err.flush()
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            terminal.note("nothing was changed")
            return 0
    editor.write(manifest)
    done(terminal, f"Removed feature {name}")
    return 0
