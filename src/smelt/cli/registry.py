"""The table of commands: help is made from it without importing any of them.

Each command is a module with ``configure(parser)`` and ``execute(arguments, terminal) -> int``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command of the command line: its name, the module that implements it, and one line of help."""

    name: str
    module: str
    summary: str
    group: str


COMMANDS: tuple[Command, ...] = (
    Command(name="init", module="smelt.cli.init", summary="Make a workspace", group="Manifest"),
    Command(name="add", module="smelt.cli.add", summary="Add dependencies", group="Manifest"),
    Command(name="remove", module="smelt.cli.remove", summary="Remove dependencies", group="Manifest"),
    Command(
        name="upgrade",
        module="smelt.cli.upgrade",
        summary="Raise the versions that the manifest asks for",
        group="Manifest",
    ),
    Command(name="task", module="smelt.cli.task", summary="Add, remove and list tasks", group="Manifest"),
    Command(
        name="workspace",
        module="smelt.cli.workspace",
        summary="Change channels, platforms, environments and more",
        group="Manifest",
    ),
    Command(name="import", module="smelt.cli.importing", summary="Import an environment.yml", group="Manifest"),
    Command(
        name="lock",
        module="smelt.cli.lock",
        summary="Solve every environment and write pixi.lock",
        group="Workspace",
    ),
    Command(
        name="update",
        module="smelt.cli.update",
        summary="Move locked packages to what the manifest allows now",
        group="Workspace",
    ),
    Command(name="install", module="smelt.cli.install", summary="Install locked environments", group="Workspace"),
    Command(name="reinstall", module="smelt.cli.reinstall", summary="Link packages anew", group="Workspace"),
    Command(name="run", module="smelt.cli.run", summary="Run a task or a command in an environment", group="Workspace"),
    Command(
        name="shell",
        module="smelt.cli.shell",
        summary="Start a shell in an environment",
        group="Workspace",
    ),
    Command(
        name="exec",
        module="smelt.cli.exec",
        summary="Run a command of a package, in an environment made for it",
        group="Machine",
    ),
    Command(name="search", module="smelt.cli.search", summary="Search channels for packages", group="Machine"),
    Command(
        name="shell-hook",
        module="smelt.cli.shell_hook",
        summary="Print the script that activates an environment",
        group="Workspace",
    ),
    Command(name="list", module="smelt.cli.list", summary="List the packages of an environment", group="Workspace"),
    Command(
        name="info",
        module="smelt.cli.info",
        summary="Show this machine, the workspace and its environments",
        group="Workspace",
    ),
    Command(
        name="why",
        module="smelt.cli.why",
        summary="Tell which requirement brings a package",
        group="Workspace",
    ),
    Command(name="tree", module="smelt.cli.tree", summary="Show what depends on what", group="Workspace"),
    Command(name="clean", module="smelt.cli.clean", summary="Remove installed environments", group="Workspace"),
    Command(
        name="completion",
        module="smelt.cli.completion",
        summary="Print a script that completes command lines in a shell",
        group="Machine",
    ),
    Command(
        name="config",
        module="smelt.cli.config",
        summary="Show and change the settings of this machine",
        group="Machine",
    ),
    Command(
        name="cache",
        module="smelt.cli.cache",
        summary="Show, clean up and check what smelt keeps on this machine",
        group="Machine",
    ),
    Command(
        name="pack",
        module="smelt.cli.pack",
        summary="Write a locked environment into one file that installs without a network",
        group="Packages",
    ),
    Command(
        name="unpack",
        module="smelt.cli.unpack",
        summary="Install an environment from a pack",
        group="Packages",
    ),
    Command(name="build", module="smelt.cli.build", summary="Build source packages", group="Packages"),
    Command(
        name="publish",
        module="smelt.cli.publish",
        summary="Build the packages of the workspace and publish them to a channel or folder",
        group="Packages",
    ),
    Command(
        name="channel",
        module="smelt.cli.channel",
        summary="Make a local conda channel from what is at hand",
        group="Packages",
    ),
)


def find(name: str) -> Command | None:
    """The command called ``name``."""
    return next((command for command in COMMANDS if command.name == name), None)
