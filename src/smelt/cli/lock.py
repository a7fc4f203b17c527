"""``smelt lock``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from smelt.api.quick import lock_fits
from smelt.cli import warm_lock
from smelt.cli.options import add_workspace, load, show_warnings
from smelt.cli.settings import add_settings
from smelt.cli.terminal import Terminal
from smelt.text import shown_path

if TYPE_CHECKING:
    from smelt.api.locking import LockScope
    from smelt.api.workspace import LockResult, Workspace


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options. Source: the reference's page ``pixi lock``."""
    add_workspace(parser, script=True)
    parser.add_argument(
        "--platform",
        "-p",
        action="append",
        metavar="PLATFORM",
        help="solve for this platform only (again: more): of others what still fits stays, and without the rest the "
        "lock is marked as partial",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="solve and write nothing, fail if the lock file does not fit (--dry-run, --json: say what would change)",
    )
    parser.add_argument("--dry-run", action="store_true", help="solve, show what would change, write nothing")
    parser.add_argument("--json", action="store_true", help="show the changes as JSON")
    parser.add_argument("--no-install", action="store_true", help=argparse.SUPPRESS)
    add_settings(parser)


def execute(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Solve the workspace and write its lock."""
    if not (arguments.json or arguments.dry_run or arguments.script or arguments.platform):
        known = lock_fits(arguments.manifest_path)
        if known is not None:
            _say_fit(terminal, check=arguments.check)
            _remember(Path(known.manifest), known.files, None, check=arguments.check)
            return 0
    workspace = load(arguments, terminal, lock_script=True)
    platforms = _platforms(workspace, arguments.platform)
    if arguments.check:
        from smelt.api.outdated import outdated
        from smelt.errors import LockError

        lock = workspace.read_lock()
        if lock is None:
            raise LockError(
                f"there is no lock file {shown_path(workspace.model.lock_path)}",
                code="lock-missing",
                help="run `smelt lock`",
            )
        mismatches = workspace.check(lock, platforms=platforms)
        if mismatches:
            if arguments.json or arguments.dry_run:
                show(
                    workspace.lock(dry_run=True, platforms=platforms), terminal, json_form=arguments.json, dry_run=True
                )
            raise outdated(mismatches)
        if arguments.json:
            from smelt.lock.diff import diff

            terminal.print(json.dumps(diff(lock, lock).to_json(), indent=2))
        _say_fit(terminal, check=True)
        _remember_fit(workspace, check=True)
        return 0
    result = workspace.lock(dry_run=arguments.dry_run, platforms=platforms)
    if not (result.written or result.difference):
        _remember_fit(workspace, check=False)
    return show(result, terminal, json_form=arguments.json, dry_run=arguments.dry_run)


def _platforms(workspace: Workspace, wanted: Sequence[str] | None) -> LockScope:
    """The names of the platforms that are ``wanted`` by name or by subdir. Raises UnknownNameError."""
    if not wanted:
        return "all"
    from smelt.errors import UnknownNameError
    from smelt.text import closest

    found: set[str] = set()
    known = workspace.model.platforms
    for text in wanted:
        fitting = {each.name for each in known if each.name == text} or {p.name for p in known if p.subdir == text}
        if not fitting:
            guess = closest(text, [each.name for each in known])
            listed = ", ".join(each.name for each in known)
            raise UnknownNameError(
                f"the workspace has no platform `{text}`",
                code="unknown-platform",
                help=f"did you mean `{guess}`?" if guess else f"it has {listed}",
            )
        found |= fitting
    return found


def show(result: LockResult, terminal: Terminal, *, json_form: bool, dry_run: bool) -> int:
    """Say what a solve changed."""
    changed = bool(result.difference)
    if json_form:
        terminal.print(json.dumps(result.difference.to_json(), indent=2))
    elif changed:
        terminal.note(result.difference.to_text().rstrip())
    if dry_run:
        terminal.note("the lock file would change" if result.changed else "the lock file would not change")
    elif result.written:
        more = " (partial: `smelt lock` without --platform adds the other platforms)" if result.lock.partial else ""
        terminal.note(terminal.style(f"✔ updated pixi.lock{more}", "green", err=True))
    else:
        _say_fit(terminal, check=False)
    return 0


def _say_fit(terminal: Terminal, *, check: bool) -> None:
    text = "✔ the lock file fits the manifest" if check else "✔ pixi.lock was up to date"
    terminal.note(terminal.style(text, "green", err=True))


def _remember_fit(workspace: Workspace, *, check: bool) -> None:
    files = workspace.known_fit()
    if files is not None:
        _remember(workspace.model.manifest_path, files, workspace, check=check)


def _remember(
    manifest: Path, files: Mapping[str, tuple[int, ...] | None], workspace: Workspace | None, *, check: bool
) -> None:
    """What ``smelt.cli.warm_lock`` says the next time. ``workspace``: None for one without warnings."""
    from io import StringIO

    said: list[str] = []
    for color in ("never", "always"):
        text = StringIO()
        terminal = Terminal(out=text, err=text, color=color)
        if workspace is not None:
            show_warnings(workspace, terminal)
        _say_fit(terminal, check=check)
        said.append(text.getvalue())
    # only a courtesy to the next call: a workspace may lie where nothing can be written
    with suppress(OSError, ValueError):
        warm_lock.write_record(sys.argv[1:], manifest, files, *said)
