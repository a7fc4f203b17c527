"""``smelt exec``."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from smelt.cli.external import become, wait_for
from smelt.cli.options import split_words
from smelt.cli.settings import WITH_VALUE, add_config_source, add_settings
from smelt.cli.terminal import Terminal, program
from smelt.errors import TaskError, UsageError

if TYPE_CHECKING:
    from smelt.api.execution import ExecEnvironment

_WITH_VALUE = WITH_VALUE | frozenset(("-s", "--spec", "-w", "--with", "-c", "--channel", "-p", "--platform", "--color"))


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options. Source: the reference's page ``pixi exec``."""
    parser.usage = "smelt exec [options] <command> [arguments ...]"
    wanted = parser.add_mutually_exclusive_group()
    wanted.add_argument(
        "--spec", "-s", action="append", metavar="SPEC", help="a package (default: one named as the command is)"
    )
    wanted.add_argument(
        "--with", "-w", dest="also", action="append", metavar="SPEC", help="a package beside the one of the command"
    )
    parser.add_argument("--channel", "-c", action="append", metavar="CHANNEL", help="where to get the packages")
    parser.add_argument("--platform", "-p", metavar="PLATFORM", help="the conda platform (default: this machine's)")
    parser.add_argument("--force-reinstall", action="store_true", help="make the environment anew")
    parser.add_argument(
        "--list", nargs="?", const="", metavar="REGEX", help="list the packages first (`--list=REGEX`: those that fit)"
    )
    parser.add_argument("--no-modify-ps1", action="store_true", help="leave the prompt as it is")
    add_config_source(parser)
    add_settings(parser)


def separate(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Our options, and the command with all that follows it (a ``--`` before it is ours)."""
    return split_words(arguments, _WITH_VALUE)


def execute(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Run a command in an environment that is made for it, or was made for the same before."""
    from smelt.api.execution import ExecRequest, exec_variables, prepare
    from smelt.cli.progress import reporters
    from smelt.cli.settings import put_into_force, settings_for

    words: list[str] = arguments.words
    if not words:
        raise UsageError(
            "there is no command to execute", help=f"`{program()} exec -s python=3.13 python` runs a package's command"
        )
    try:
        pattern = re.compile(arguments.list) if arguments.list is not None else None
    except re.error as error:
        raise UsageError(f"`{arguments.list}` is not a regular expression: {error}") from error
    settings = settings_for(arguments, None, terminal)
    put_into_force(settings, terminal)
    request = ExecRequest(
        command=words[0],
        specs=tuple(arguments.spec or arguments.also or ()),
        guessed=not arguments.spec,
        channels=tuple(arguments.channel or ()),
        subdir=arguments.platform,
    )
    environment = prepare(
        request, settings, reporters(terminal), fresh=arguments.force_reinstall, solve=pattern is not None
    )
    if environment.unguessed:
        terminal.note(f"there is no package for `{words[0]}` to solve with the others: the environment is without it")
    if pattern is not None:
        _list(environment, pattern, terminal)
    prompt = settings.change_ps1 and not arguments.no_modify_ps1
    return _become(words, environment, exec_variables(environment, os.environ, prompt=prompt))


def _list(environment: ExecEnvironment, pattern: re.Pattern[str], terminal: Terminal) -> None:
    records = [record for record in environment.records or () if pattern.search(record.name)]
    fit = f" filtered by regex `{pattern.pattern}`" if pattern.pattern else ""
    terminal.print(f"The environment has {len(records)} packages{fit}:")
    rows = [(record.name, record.version, record.build, record.channel or "") for record in records]
    width = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    for row in rows:
        shown = [f"{cell:<{size}}" for cell, size in zip(row, width, strict=False)]
        if row[0] in environment.explicit:
            shown[0] = terminal.style(shown[0], "green", "bold")
        terminal.print("  ".join([*shown, row[3]]).rstrip())


def _become(words: Sequence[str], environment: ExecEnvironment, variables: dict[str, str]) -> int:
    """Become the command where the system can, else run it; its exit code is ours."""
    found = shutil.which(words[0], path=variables.get("PATH", variables.get("Path")))
    if found is None:
        raise _not_found(words[0], environment)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    try:
        if os.name == "posix":
            become(found, words, variables)
        return wait_for([found, *words[1:]], variables)
    except OSError as error:
        raise TaskError(
            f"cannot execute {found}: {error.strerror or error}",
            code="command-not-runnable",
            help="see whether the file is a program of this system",
        ) from error


def _not_found(command: str, environment: ExecEnvironment) -> TaskError:
    folders = ("bin",) if not environment.subdir.startswith("win") else ("Scripts", "Library/bin", "bin")
    programs: set[str] = set()
    for folder in folders:
        with suppress(OSError):
            programs |= {path.name for path in Path(environment.prefix, folder).iterdir() if path.is_file()}
    listed = ", ".join(sorted(programs)[:12])
    return TaskError(
        f"there is no command `{command}` in the environment, nor outside of it",
        code="command-not-found",
        notes=[f"the environment has {listed}{', …' if len(programs) > 12 else ''}"] if programs else [],
        help="`--spec PACKAGE` names the package where it is not called as the command is",
    )
