"""``smelt update``."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from typing import TYPE_CHECKING

from smelt.cli.lock import show
from smelt.cli.options import add_workspace, load
from smelt.cli.settings import add_settings
from smelt.cli.terminal import Terminal
from smelt.errors import UnknownNameError
from smelt.text import closest

if TYPE_CHECKING:
    from smelt.api.locking import LockScope
    from smelt.api.workspace import Workspace


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options. Source: the reference's page ``pixi update``."""
    add_workspace(parser)
    parser.add_argument("packages", nargs="*", metavar="PACKAGE", help="only these may move (default: all packages)")
    parser.add_argument(
        "--environment", "-e", action="append", metavar="ENVIRONMENT", help="only this environment (again: more)"
    )
    parser.add_argument(
        "--platform", "-p", action="append", metavar="PLATFORM", help="only this platform (again: more)"
    )
    parser.add_argument("--dry-run", "-n", action="store_true", help="show what would change, write nothing")
    parser.add_argument("--json", action="store_true", help="show the changes as JSON")
    parser.add_argument("--no-install", action="store_true", help=argparse.SUPPRESS)
    add_settings(parser)


def execute(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Solve again without regard to what is locked."""
    from smelt.api.platforms import environment_named, platform_for

    workspace = load(arguments, terminal)
    model = workspace.model
    environments = [environment_named(model, name) for name in arguments.environment or model.environments]
    only: set[tuple[str, str]] = set()
    for name in environments:
        if arguments.platform:
            only |= {(name, platform_for(model, name, platform).name) for platform in arguments.platform}
        else:
            only |= {(name, platform.name) for platform in model.platforms_of(name)}
    if arguments.packages:
        lock = workspace.read_lock()
        known = {package.name for package in lock.packages.values()} if lock is not None else set[str]()
        for name in arguments.packages:
            if name not in known:
                guess = closest(name, known)
                raise UnknownNameError(
                    f"there is no locked package `{name}`",
                    code="unknown-package",
                    help=f"did you mean `{guess}`?" if guess else "`smelt list` shows the locked packages",
                )
    unlock = arguments.packages or None
    everything = not (arguments.environment or arguments.platform)
    if workspace.settings.offline:
        terminal.warn("offline, the new pixi.lock may pin older versions than the channels have")
    platforms = _platforms(workspace, only) if arguments.platform else "locked"
    result = workspace.lock(
        dry_run=arguments.dry_run, unlock=unlock, only=None if everything else only, platforms=platforms
    )
    return show(result, terminal, json_form=arguments.json, dry_run=arguments.dry_run)


def _platforms(workspace: Workspace, only: Collection[tuple[str, str]]) -> LockScope:
    """The platforms that the new lock is for: a partial lock gets those of ``only`` beside what it has."""
    lock = workspace.read_lock()
    if lock is None or not lock.partial:
        return "all"
    return {row.name for row in lock.platforms} | {platform for _, platform in only}
