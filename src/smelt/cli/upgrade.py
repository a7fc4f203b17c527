"""``smelt upgrade``."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from typing import TYPE_CHECKING

from smelt.cli.editing import add_update, done, edit, wants_install, wants_lock
from smelt.cli.options import add_workspace
from smelt.cli.settings import add_settings
from smelt.cli.terminal import Terminal
from smelt.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from smelt.api.editing import ManifestEditor
    from smelt.manifest.edit.scope import Scope


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options. Source: the reference's page ``pixi upgrade``."""
    add_workspace(parser)
    parser.add_argument("packages", nargs="*", metavar="PACKAGE", help="only these (default: all)")
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--feature", "-f", metavar="FEATURE", help="only the tables of this feature")
    group.add_argument("--environment", "-e", metavar="ENVIRONMENT", help="only the tables of this environment itself")
    parser.add_argument("--exclude", action="append", default=[], metavar="PACKAGE", help="not this one (again: more)")
    parser.add_argument("--dry-run", "-n", action="store_true", help="show what would change, write nothing")
    parser.add_argument("--json", action="store_true", help="show the changes as JSON")
    add_update(parser)
    add_settings(parser)


def execute(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Solve without the versions that the manifest asks for, and write those that were found."""
    from smelt.api.upgrading import UpgradeRequest, plan_upgrade
    from smelt.cli.add import strategy_of
    from smelt.types import normalize_name

    if arguments.exclude and arguments.packages:
        raise UsageError("`--exclude` does not go with names of packages")
    editor = edit(arguments, terminal)
    if not wants_lock(arguments):
        terminal.warn("with `--frozen` or `--locked` nothing is solved, so there is nothing to upgrade")
        return 0
    request = UpgradeRequest(
        scopes=_scopes(editor, arguments),
        names=[normalize_name(name) for name in arguments.packages] or None,
        exclude=[normalize_name(name) for name in arguments.exclude],
    )
    plan = plan_upgrade(editor, request, strategy_of(editor))
    options = replace(plan.options, install=wants_install(arguments), dry_run=arguments.dry_run)
    edited = editor.commit(plan.loosened, options)
    if arguments.json:
        terminal.print(json.dumps(edited.difference.to_json() if edited.difference is not None else {}, indent=2))
        return 0
    if plan.inherited:
        terminal.note(
            "Dependencies inheriting from `[workspace.dependencies]` were left unchanged: "
            f"{', '.join(plan.inherited)}\n  Change these entries to upgrade them"
        )
    if edited.difference is not None and edited.difference:
        terminal.note(edited.difference.to_text().rstrip())
    elif not edited.changed:
        done(terminal, "All packages are already up-to-date")
    return 0


def _scopes(editor: ManifestEditor, arguments: argparse.Namespace) -> tuple[Scope, ...] | None:
    from smelt.manifest.edit.dependency import all_scopes

    manifest = editor.manifest
    scopes = all_scopes(manifest)
    if arguments.environment is not None:
        name = arguments.environment
        found = tuple(scope for scope in scopes if scope.environment == name)
        held = {"features", "solve-group", "no-default-feature"}
        if name not in editor.workspace.model.environments:
            raise UnknownNameError(f"could not find an environment named {name}", code="unknown-environment")
        if not found or not set(manifest.table(manifest.at("environments", name))) - held:
            raise UnknownNameError(
                f"the environment {name} does not define any content inline",
                code="unknown-feature",
                help="`--feature` names the feature whose dependencies are to be upgraded",
            )
        return found
    if arguments.feature is None:
        return None
    found = tuple(s for s in scopes if s.environment is None and (s.feature or "default") == arguments.feature)
    if not found:
        raise UnknownNameError(f"could not find a feature named {arguments.feature}", code="unknown-feature")
    return found
