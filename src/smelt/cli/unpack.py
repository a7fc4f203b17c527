"""``smelt unpack``."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from smelt.cli.terminal import Terminal
from smelt.errors import UsageError
from smelt.text import counted


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options. Source: ``pixi-unpack --help``."""
    parser.add_argument(
        "pack",
        nargs="?",
        default="environment.tar",
        metavar="PACK",
        help="the pack: a file, a folder, or `-` for the standard input (default: environment.tar)",
    )
    parser.add_argument(
        "--output-directory",
        "-o",
        type=Path,
        metavar="PATH",
        help="where the environment and its activation scripts go (default: the current folder)",
    )
    parser.add_argument(
        "--env-name", "-e", default="env", metavar="NAME", help="the folder of the environment in there (default: env)"
    )
    parser.add_argument(
        "--shell",
        "-s",
        metavar="SHELL",
        help="write an activation script for this shell only: bash, zsh, xonsh, fish, powershell or cmd",
    )


def execute(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Unpack one environment."""
    from smelt.api.unpacking import unpack
    from smelt.cli.progress import Board, InstallProgress

    if arguments.pack == "-" and sys.stdin.isatty():
        raise UsageError("there is no pack on the standard input", help="`smelt unpack - < environment.tar`")
    board = Board(terminal)
    try:
        done = unpack(
            sys.stdin.buffer if arguments.pack == "-" else Path(arguments.pack),
            arguments.output_directory or Path.cwd(),
            name=arguments.env_name,
            shells=[arguments.shell] if arguments.shell else None,
            reporter=InstallProgress(board),
        )
    finally:
        board.close()
    for warning in done.warnings:
        terminal.warn(warning)
    what = counted(done.packages, "package") + (f", {counted(done.wheels, 'wheel')}" if done.wheels else "")
    terminal.note(f"{terminal.style('✔', 'green', err=True)} unpacked {what} to {done.prefix}")
    script = next(iter(done.scripts), None)
    if script is not None:
        terminal.note(f"activate it with: {_activation(script)}")
    return 0


def _activation(script: Path) -> str:
    """What to type, in the shell that the script is for."""
    if script.suffix in (".sh", ".fish"):
        return f"{'.' if script.suffix == '.sh' else 'source'} {shlex.quote(str(script))}"
    if script.suffix == ".ps1":
        return "& '" + str(script).replace("'", "''") + "'"
    return f'"{script}"' if " " in str(script) else str(script)
