"""``smelt workspace channel``."""

from __future__ import annotations

import argparse

from smelt.cli.editing import add_scope, add_update, commit, done, edit, scope_of, show_difference
from smelt.cli.options import load
from smelt.cli.settings import add_settings
from smelt.cli.subcommands import Subcommands
from smelt.cli.terminal import Terminal


def add_commands(commands: Subcommands) -> None:
    """Declare the subcommands."""
    group = commands.group("channel", "Change the channels", script=True)
    add = group.add("add", "Add channels", _add, aliases=["a"])
    _configure(add)
    add.add_argument("--prepend", action="store_true", help="before the others, so that they go first")
    remove = group.add("remove", "Remove channels", _remove, aliases=["rm"])
    _configure(remove)
    remove.add_argument("--prepend", action="store_true", help=argparse.SUPPRESS)
    _configure(group.add("set", "Replace all channels", _set))
    listing = group.add("list", "List the channels of each environment", _list, aliases=["ls"])
    listing.add_argument("--urls", action="store_true", help="addresses instead of names")


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("channel", nargs="+", metavar="CHANNEL", help="a name, an address or a path")
    parser.add_argument("--priority", type=int, metavar="N", help="higher goes first (default: 0)")
    add_scope(parser, "to change")
    add_update(parser)
    add_settings(parser)


def _add(arguments: argparse.Namespace, terminal: Terminal) -> int:
    from smelt.manifest.edit.channel import add_channels

    editor = edit(arguments, terminal)
    scope = scope_of(arguments)
    manifest = add_channels(
        editor.manifest, scope, arguments.channel, priority=arguments.priority, first=arguments.prepend
    )
    show_difference(commit(editor, manifest, arguments), terminal)
    _report(arguments, terminal, "Added")
    return 0


def _remove(arguments: argparse.Namespace, terminal: Terminal) -> int:
    from smelt.manifest.edit.channel import remove_channels

    editor = edit(arguments, terminal)
    manifest = remove_channels(editor.manifest, scope_of(arguments), arguments.channel)
    show_difference(commit(editor, manifest, arguments), terminal)
    _report(arguments, terminal, "Removed")
    return 0


def _set(arguments: argparse.Namespace, terminal: Terminal) -> int:
    from smelt.manifest.edit.channel import set_channels

    editor = edit(arguments, terminal)
    manifest = set_channels(editor.manifest, scope_of(arguments), arguments.channel, priority=arguments.priority)
    show_difference(commit(editor, manifest, arguments), terminal)
    _report(arguments, terminal, "Using")
    return 0


def _report(arguments: argparse.Namespace, terminal: Terminal, verb: str) -> None:
    from smelt.solve.network import redacted

    priority = f" at priority {arguments.priority}" if arguments.priority is not None else ""
    for channel in arguments.channel:
        done(terminal, f"{verb} {redacted(channel)}{priority}")


def _list(arguments: argparse.Namespace, terminal: Terminal) -> int:
    model = load(arguments, terminal).model
    for name in model.environments:
        terminal.print(f"{terminal.style('Environment:', 'bold')} {name}")
        platforms = model.platforms_of(name)
        urls = model.effective[name, platforms[0].name].channels if platforms else model.channels
        for url in urls:
            terminal.print(f"- {url if arguments.urls else _short(url)}")
    return 0


def _short(url: str) -> str:
    from smelt.solve.network import redacted

    return redacted(url).removeprefix("https://conda.anaconda.org/").rstrip("/")
