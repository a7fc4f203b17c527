"""``smelt reinstall``."""

from __future__ import annotations

import argparse

from smelt.cli.install import asked_environments
from smelt.cli.options import add_jobs, add_lock_usage, add_workspace, load, lock_mode
from smelt.cli.settings import add_settings
from smelt.cli.terminal import Terminal


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options. Source: the reference's page ``pixi reinstall``."""
    parser.add_argument("package", nargs="*", metavar="PACKAGE", help="the packages (default: all of the environment)")
    add_workspace(parser)
    parser.add_argument(
        "--environment", "-e", action="append", metavar="ENVIRONMENT", help="the environment (may be given again)"
    )
    parser.add_argument("--all", "-a", action="store_true", help="all environments of this platform")
    parser.add_argument("--platform", "-p", metavar="PLATFORM", help="reinstall for this platform")
    add_lock_usage(parser)
    add_jobs(parser)
    add_settings(parser)


def execute(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Link packages anew, whatever state they are in; the lock file is made to fit first."""
    from smelt.api.installing import InstallOptions

    workspace = load(arguments, terminal)
    names = asked_environments(arguments, workspace, terminal)
    packages: list[str] = arguments.package
    installed = workspace.install(
        names,
        mode=lock_mode(arguments),
        options=InstallOptions(
            platform=arguments.platform,
            reinstall=frozenset(packages),
            reinstall_all=not packages,
            jobs=arguments.jobs,
        ),
    )
    what = ", ".join(packages) if packages else "all packages"
    for each in installed:
        mark = terminal.style("✔", "green", err=True)
        terminal.note(f"{mark} environment {each.environment}: {what} installed anew")
    return 0
