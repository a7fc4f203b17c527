"""``smelt channel``: make a local conda channel from what is at hand."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from smelt.channel.model import Addition
from smelt.cli.terminal import Terminal

_DESCRIPTION = """\
Make a local conda channel from what is at hand: interpreters and compilers of this machine, wheels from PyPI.
The channel is an ordinary one; name its folder (or its file:// address) in `channels` of a manifest.

  smelt channel create my-channel
  smelt channel add-python my-channel
  smelt channel add-toolchain my-channel
  smelt channel add-wheel my-channel numpy "rich>=13"
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommands."""
    parser.description = _DESCRIPTION
    commands = parser.add_subparsers(dest="action", metavar="<action>", required=True)

    def command(name: str, summary: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(
            name, help=summary, description=summary, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        # options that `smelt` takes everywhere; what was given before the action stays where they are not repeated
        quiet = argparse.SUPPRESS
        sub.add_argument("-v", "--verbose", action="count", default=quiet, help="say more")
        sub.add_argument("-q", "--quiet", action="count", default=quiet, help="say nothing but errors")
        sub.add_argument("--color", choices=("always", "never", "auto"), default=quiet, help="whether to use colours")
        sub.add_argument("--no-progress", action="store_true", default=quiet, help="do not draw progress")
        sub.add_argument("channel", type=Path, metavar="DIR", help="the folder of the channel")
        return sub

    command("create", "Make an empty channel")
    command("index", "Write the index of a channel anew")
    python = command("add-python", "Add an interpreter as a `python` package")
    python.add_argument(
        "python",
        nargs="*",
        metavar="PYTHON",
        help="path of an interpreter, or a version (default: the running one)",
    )
    python.add_argument("--all", action="store_true", help="every CPython from 3.9 on that is found on this machine")
    toolchain = command("add-toolchain", "Add the compilers of this machine as packages")
    toolchain.add_argument(
        "--name",
        action="append",
        metavar="NAME",
        help="gcc, gxx, gfortran, clang or clangxx; may be repeated (default: all that are found)",
    )
    toolchain.add_argument(
        "--platform", metavar="PLATFORM", help="GCC that compiles for this platform (default: this machine's)"
    )
    toolchain.add_argument("--zig", action="store_true", help="add zig's C and C++ compiler, fetched from PyPI")
    wheel = command("add-wheel", "Add wheels and what they depend on as packages")
    wheel.add_argument(
        "wheel",
        nargs="+",
        metavar="WHEEL",
        help="a requirement (`numpy`, `rich>=13`, `flask[async]`) or a .whl file",
    )
    wheel.add_argument(
        "--python",
        action="append",
        metavar="VERSION",
        help="for this version of Python; may be repeated (default: those in the channel, else the running one)",
    )
    wheel.add_argument("--platform", metavar="PLATFORM", help="for this conda platform (default: this machine's)")
    wheel.add_argument("--no-deps", action="store_true", help="leave out what the wheels depend on")


def execute(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Run the subcommand that was chosen."""
    actions = {
        "create": _create,
        "index": _index,
        "add-python": _add_python,
        "add-toolchain": _add_toolchain,
        "add-wheel": _add_wheel,
    }
    return actions[str(arguments.action)](arguments, terminal)


def _create(arguments: argparse.Namespace, terminal: Terminal) -> int:
    from smelt.channel.folder import create

    made = create(arguments.channel, waiting=terminal.note)
    terminal.print(f"{_mark(terminal, made, 'created')} {arguments.channel}")
    return 0


def _index(arguments: argparse.Namespace, terminal: Terminal) -> int:
    from smelt.channel.folder import index

    for subdir in index(arguments.channel, waiting=terminal.note):
        count = f"{subdir.packages} package{'' if subdir.packages == 1 else 's'}"
        terminal.print(f"{_mark(terminal, subdir.changed, 'indexed')} {subdir.subdir}: {count}")
    return 0


def _add_python(arguments: argparse.Namespace, terminal: Terminal) -> int:
    from smelt.channel.interpreter import Interpreter, discover, find
    from smelt.channel.python import add_python
    from smelt.errors import UsageError

    chosen: list[Path | Interpreter] | None = None
    if arguments.all:
        if arguments.python:
            raise UsageError("`--all` does not go with the path of an interpreter")
        found = discover()
        for path, reason in found.skipped:
            terminal.detail(f"passed over {path}: {reason}")
        chosen = list(found.interpreters)
    elif arguments.python:
        chosen = [find(name) for name in arguments.python]
    return _show(add_python(arguments.channel, chosen, waiting=terminal.note), terminal)


def _add_toolchain(arguments: argparse.Namespace, terminal: Terminal) -> int:
    from smelt.channel.toolchain import add_toolchain

    additions = add_toolchain(
        arguments.channel, arguments.name, zig=arguments.zig, target=arguments.platform, waiting=terminal.note
    )
    return _show(additions, terminal)


def _add_wheel(arguments: argparse.Namespace, terminal: Terminal) -> int:
    from smelt.channel.wheels import add_wheels

    additions = add_wheels(
        arguments.channel,
        arguments.wheel,
        pythons=arguments.python,
        platform=arguments.platform,
        dependencies=not arguments.no_deps,
        waiting=terminal.note,
    )
    return _show(additions, terminal)


def _show(additions: Sequence[Addition], terminal: Terminal) -> int:
    for addition in additions:
        terminal.print(f"{_mark(terminal, addition.added, 'added')} {addition}")
        for note in addition.notes:
            terminal.detail(f"  {note}")
    return 0


def _mark(terminal: Terminal, changed: bool, word: str) -> str:
    return terminal.style(f"{word:<9}", "green") if changed else terminal.style("unchanged", "dim")
