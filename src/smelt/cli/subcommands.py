"""Commands that have commands below them, with the options that may stand at every level."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smelt.cli.location import add_location, refuse_for_script
from smelt.cli.terminal import Terminal
from smelt.cli.terminal import program as program

if TYPE_CHECKING:
    Actions = argparse._SubParsersAction[argparse.ArgumentParser]  # pyright: ignore[reportPrivateUsage]

Handler = Callable[[argparse.Namespace, Terminal], int]


class Subcommands:
    """The commands below one parser. Options that are given at a higher level hold unless they are given again."""

    def __init__(
        self, parser: argparse.ArgumentParser, *, workspace: bool = True, required: bool = True, script: bool = False
    ) -> None:
        self.parser = parser
        self.workspace = workspace
        self.script = script
        self._actions: Actions = parser.add_subparsers(metavar="<command>", required=required)

    def group(
        self,
        name: str,
        summary: str,
        *,
        aliases: Sequence[str] = (),
        handler: Handler | None = None,
        script: bool = False,
    ) -> Subcommands:
        """A command that has commands below it; without one of them ``handler`` runs, if there is one.

        ``script``: they take ``--script``.
        """
        parser = self._parser(name, summary, aliases)
        if handler is not None:
            parser.set_defaults(handler=handler)
        return Subcommands(parser, workspace=self.workspace, required=handler is None, script=script)

    def add(self, name: str, summary: str, handler: Handler, *, aliases: Sequence[str] = ()) -> argparse.ArgumentParser:
        """A command that ``handler`` runs."""
        parser = self._parser(name, summary, aliases)
        parser.set_defaults(handler=handler)
        return parser

    def _parser(self, name: str, summary: str, aliases: Sequence[str]) -> argparse.ArgumentParser:
        parser = self._actions.add_parser(
            name,
            aliases=list(aliases),
            help=summary,
            description=summary,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        quiet: Any = argparse.SUPPRESS
        group = parser.add_argument_group("global options")
        group.add_argument("-v", "--verbose", action="count", default=quiet, help="say more")
        group.add_argument("-q", "--quiet", action="count", default=quiet, help="say nothing but errors")
        group.add_argument("--color", choices=("always", "never", "auto"), default=quiet, help="whether to use colours")
        group.add_argument("--no-progress", action="store_true", default=quiet, help="do not draw progress")
        if self.workspace:
            add_location(parser, default=quiet, script=self.script)
            parser.add_argument("--no-config", action="store_true", default=quiet, help=argparse.SUPPRESS)
            parser.add_argument("--config-file", type=Path, default=quiet, help=argparse.SUPPRESS)
        return parser


def run_handler(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Run the command that was chosen."""
    refuse_for_script(arguments, program(), ["--feature", "--environment"])
    handler: Handler = arguments.handler
    return handler(arguments, terminal)
