"""``smelt clean``."""

from __future__ import annotations

import argparse
import asyncio

from smelt.cli.options import add_environment, add_workspace, load
from smelt.cli.terminal import Terminal, human_size


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options. Source: the reference's command ``clean``."""
    add_workspace(parser)
    add_environment(parser, "remove only this environment")
    parser.add_argument(
        "--activation-cache", action="store_true", help="remove only what activation scripts answered last"
    )


def execute(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Remove the environments of a workspace; the lock file and the package cache stay."""
    from smelt.api.platforms import environment_named
    from smelt.install.removal import remove_activation_caches, remove_environment, remove_everything

    workspace = load(arguments, terminal).model
    folder = workspace.state_folder
    name = environment_named(workspace, arguments.environment) if arguments.environment is not None else None
    if arguments.activation_cache:
        size = remove_activation_caches(folder, name)
        terminal.note(f"removed what activation scripts answered ({human_size(size)})")
    elif name is not None:
        size = asyncio.run(remove_environment(folder, name, terminal.note))
        where = workspace.prefix(name)
        terminal.note(f"removed {where} ({human_size(size)})" if size is not None else f"{where} was already clean")
    else:
        removed = asyncio.run(remove_everything(folder, terminal.note))
        for path, size in removed:
            terminal.note(f"removed {path} ({human_size(size)})")
        if not removed:
            terminal.note(f"{folder} was already clean")
    return 0
