"""What the commands that change a manifest have in common."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from smelt.cli.options import load
from smelt.cli.settings import given_settings, show_problems, source_of
from smelt.cli.terminal import Terminal
from smelt.errors import UsageError

if TYPE_CHECKING:
    from smelt.api.editing import Edited, EditOptions, ManifestEditor
    from smelt.api.workspace import Workspace
    from smelt.manifest.edit.manifest import ManifestText
    from smelt.manifest.edit.scope import Scope


def add_scope(parser: argparse.ArgumentParser, what: str) -> None:
    """``--feature`` and ``--environment``."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--feature", "-f", metavar="FEATURE", help=f"the feature {what}")
    group.add_argument(
        "--environment", "-e", metavar="ENVIRONMENT", help=f"the environment {what}; it is made if it is not there"
    )


def add_update(parser: argparse.ArgumentParser) -> None:
    """``--no-install``, ``--frozen`` and ``--locked``."""
    parser.add_argument(
        "--no-install", action="store_true", help="only change manifest and lock file (PIXI_NO_INSTALL)"
    )
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--frozen", action="store_true", help="only change the manifest (PIXI_FROZEN)")
    group.add_argument("--locked", action="store_true", help="only change the manifest (PIXI_LOCKED)")
    parser.add_argument("--no-lockfile-update", "--no-lock-file-update", action="store_true", help=argparse.SUPPRESS)


def wants_lock(arguments: argparse.Namespace) -> bool:
    """Whether the lock is to follow the manifest."""
    if arguments.no_lockfile_update:
        raise UsageError(
            "`--no-lockfile-update` does not exist any more",
            help="`--frozen` leaves the lock file alone, `--no-install` the environments",
        )
    return not (arguments.frozen or arguments.locked or _set("PIXI_FROZEN") or _set("PIXI_LOCKED"))


def wants_install(arguments: argparse.Namespace) -> bool:
    """Whether environments are to follow the lock."""
    return not (arguments.no_install or _set("PIXI_NO_INSTALL"))


def _set(variable: str) -> bool:
    return os.environ.get(variable, "").lower() in ("1", "true", "yes", "on", "y", "t")


def scope_of(arguments: argparse.Namespace, selector: str | None = None) -> Scope:
    """What ``--feature`` and ``--environment`` say."""
    from smelt.manifest.edit.scope import Scope

    return Scope(feature=arguments.feature, environment=arguments.environment, selector=selector)


def edit(arguments: argparse.Namespace, terminal: Terminal) -> ManifestEditor:
    """The manifest that the command is about."""
    from smelt.api.editing import ManifestEditor

    return ManifestEditor.open(load(arguments, terminal))


def load_quietly(arguments: argparse.Namespace, terminal: Terminal, *kinds: str) -> Workspace:
    """The workspace that the command is about; warnings of ``kinds`` are not shown."""
    from smelt.api.workspace import Workspace
    from smelt.cli.progress import reporters

    path, source, given = arguments.manifest_path, source_of(arguments), given_settings(arguments)
    workspace = Workspace.load(path, reporters(terminal), source=source, given=given)
    for warning in workspace.model.warnings:
        if getattr(warning, "kind", None) not in kinds:
            terminal.warn(warning)
    show_problems(workspace.settings, terminal)
    return workspace


def commit(
    editor: ManifestEditor, manifest: ManifestText, arguments: argparse.Namespace, options: EditOptions | None = None
) -> Edited:
    """Write ``manifest``, with lock and installation as the options of the command say."""
    from dataclasses import replace

    from smelt.api.editing import EditOptions

    lock, install = wants_lock(arguments), wants_install(arguments)
    model = editor.workspace.model
    if model.state is not None and model.lock_path.is_relative_to(model.state) and hasattr(arguments, "handler"):
        # channels and platforms of a script that has no lock file: only an installation needs an answer
        lock = lock and install
    wanted = replace(options or EditOptions(), lock=lock, install=install)
    return editor.commit(manifest, wanted)


def show_difference(edited: Edited, terminal: Terminal) -> None:
    """What an edit changed in the lock."""
    if edited.difference is not None and edited.difference:
        terminal.detail(edited.difference.to_text().rstrip())


def done(terminal: Terminal, text: str) -> None:
    """Say that something was done."""
    terminal.note(f"{terminal.style('✔', 'green', err=True)} {text}")


def target_platforms(manifest: ManifestText, names: Sequence[str]) -> tuple[ManifestText, list[str]]:
    """``manifest`` with every platform of ``names`` in the workspace; a conda platform is added if it is not there."""
    from smelt.manifest.edit.platform import add_platforms, named, read_entries
    from smelt.manifest.edit.scope import Scope
    from smelt.manifest.platform import TomlPlatform
    from smelt.types import KNOWN_PLATFORMS

    known = {platform.name for platform in read_entries(manifest)}
    for name in names:
        if name in known:
            continue
        if name not in KNOWN_PLATFORMS:
            named(manifest, name)  # says that there is none
        manifest, _ = add_platforms(manifest, Scope(), [TomlPlatform(name=name, subdir=name)])
    return manifest, list(dict.fromkeys(names))
