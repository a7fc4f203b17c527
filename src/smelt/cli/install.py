"""``smelt install``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from smelt.cli.options import add_jobs, add_lock_usage, add_workspace, load, lock_mode
from smelt.cli.settings import add_settings, settings_given
from smelt.cli.terminal import Terminal

if TYPE_CHECKING:
    from smelt.api.workspace import Workspace


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
    parser.add_argument("--platform", "-p", metavar="PLATFORM", help="install for this platform, as a folder")
    parser.add_argument(
        "--only", action="append", metavar="PACKAGE", help="install this package and what it needs (may be given again)"
    )
    parser.add_argument(
        "--skip", action="append", metavar="PACKAGE", help="leave this package out, but not what it needs"
    )
    parser.add_argument(
        "--skip-with-deps", action="append", metavar="PACKAGE", help="leave this package out, and what only it needs"
    )
    parser.add_argument("--verify", action="store_true", help="compare every file with its package, and repair")
    add_lock_usage(parser)
    add_jobs(parser)
    add_settings(parser)


def execute(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Install environments, updating the lock and building source packages as needed."""
    partly = arguments.only or arguments.skip or arguments.skip_with_deps
    if not (arguments.verify or arguments.frozen or arguments.platform or partly or settings_given(arguments)):
        from smelt.api.quick import unchanged

        current = unchanged(arguments.manifest_path, arguments.environment, every=arguments.all, look=True)
        if current is not None:
            for name in current:
                _say(name, "is up to date", terminal)
            return 0
    from smelt.api.installing import InstallOptions
    from smelt.api.subset import Subset

    workspace = load(arguments, terminal)
    names = asked_environments(arguments, workspace, terminal)
    subset = Subset.of(arguments.only or (), arguments.skip or (), arguments.skip_with_deps or ())
    installed = workspace.install(
        names,
        mode=lock_mode(arguments),
        options=InstallOptions(
            look=not arguments.verify,
            verify=arguments.verify,
            jobs=arguments.jobs,
            platform=arguments.platform,
            subset=subset or None,
        ),
    )
    for each in installed:
        _say(each.environment, "installed" if each.changed else "is up to date", terminal)
        if each.repaired is not None:
            terminal.note(f"  it was repaired: {each.repaired}")
    if subset:
        terminal.note("only a part of what is locked was asked for: `smelt install` adds the rest")
    return 0


def asked_environments(arguments: argparse.Namespace, workspace: Workspace, terminal: Terminal) -> tuple[str, ...]:
    """What ``--all`` and ``--environment`` ask for, on ``--platform`` or this machine.

    Raises UnknownNameError where an environment has no such platform; says so where it does not run here.
    """
    from smelt.api.host import detect_machine
    from smelt.api.platforms import environment_named, platform_for, require_platform

    model = workspace.model
    if arguments.platform is None:
        names = workspace.supported() if arguments.all else tuple(arguments.environment or ("default",))
        for name in names:
            require_platform(model, name)
        return names
    every = [
        name
        for name in model.declared
        if any(arguments.platform in (each.name, each.subdir) for each in model.platforms_of(name))
    ]
    names = tuple(every if arguments.all else arguments.environment or ("default",))
    platforms = {platform_for(model, environment_named(model, name), arguments.platform) for name in names}
    machine = detect_machine()
    for name in sorted(platform.name for platform in platforms if not machine.supports(platform)):
        terminal.warn(f"platform `{name}` does not run on this machine: what is installed is only a folder")
    return names


def _say(environment: str, word: str, terminal: Terminal) -> None:
    terminal.note(f"{terminal.style('✔', 'green', err=True)} environment {environment} {word}")
