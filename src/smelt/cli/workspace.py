"""``smelt workspace``: the commands that change the manifest besides dependencies and tasks."""

from __future__ import annotations

import argparse

from smelt.cli import (
    workspace_activation,
    workspace_channel,
    workspace_environment,
    workspace_export,
    workspace_platform,
    workspace_property,
    workspace_register,
)
from smelt.cli.options import add_workspace
from smelt.cli.subcommands import Subcommands, run_handler


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommands. Source: the reference's pages ``pixi workspace``."""
    add_workspace(parser)
    commands = Subcommands(parser)
    for module in (
        workspace_channel,
        workspace_platform,
        workspace_environment,
        workspace_activation,
        workspace_property,
        workspace_export,
        workspace_register,
    ):
        module.add_commands(commands)


execute = run_handler
