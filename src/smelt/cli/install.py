"""``smelt install``."""

from __future__ import annotations

import argparse

from smelt.cli.options import add_jobs, add_lock_usage, add_workspace, load, lock_mode
from smelt.cli.settings import add_settings, settings_given
from smelt.cli.terminal import Terminal


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options. Source: the reference's page ``pixi install``."""
    add_workspace(parser)
    parser.add_argument(
        "--environment",
        "-e",
        action="append",
        metavar="ENVIRONMENT",
        help="the environment to install (may be given again)",
    )
    parser.add_argument("--all", "-a", action="store_true", help="install all environments of this platform")
    parser.add_argument("--verify", action="store_true", help="compare every file with its package, and repair")
    add_lock_usage(parser)
    add_jobs(parser)
    add_settings(parser)


def execute(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Install environments, updating the lock and building source packages as needed."""
    if not (arguments.verify or arguments.frozen or settings_given(arguments)):
        from smelt.api.quick import unchanged

        current = unchanged(arguments.manifest_path, arguments.environment, every=arguments.all)
        if current is not None:
            for name in current:
                _say(name, "is up to date", terminal)
            return 0
    from smelt.api.installing import InstallOptions
    from smelt.api.platforms import require_platform

    workspace = load(arguments, terminal)
    names = workspace.supported() if arguments.all else tuple(arguments.environment or ("default",))
    for name in names:
        require_platform(workspace.model, name)
    installed = workspace.install(
        names, mode=lock_mode(arguments), options=InstallOptions(verify=arguments.verify, jobs=arguments.jobs)
    )
    for each in installed:
        _say(each.environment, "installed" if each.changed else "is up to date", terminal)
    return 0


def _say(environment: str, word: str, terminal: Terminal) -> None:
    terminal.note(f"{terminal.style('✔', 'green', err=True)} environment {environment} {word}")
