"""Parse the command line, call the command, show errors, and leave."""

from __future__ import annotations

import argparse
import gc
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from smelt import __version__
from smelt.cli.registry import COMMANDS, find
from smelt.cli.terminal import Terminal
from smelt.errors import ExitCode, SmeltError, UsageError
from smelt.text import closest


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are ``UsageError``s; options are not to be abbreviated."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        message = message.replace(": not allowed with argument ", " cannot be used with ")
        raise UsageError(message, help=f"`{self.prog} --help` lists what is accepted")


def run(arguments: Sequence[str]) -> NoReturn:
    """Run one command line and end the process.

    Ends with ``os._exit`` after a flush: a process that ends normally right after an awaited rattler call may
    crash in the teardown of its runtime.
    """
    # a process of seconds: looking for cycles among a lock's hundred thousand values finds none and takes a tenth
    gc.set_threshold(200_000, 20, 20)
    terminal = Terminal()
    code = execute(arguments, terminal)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            code = code or 1
    os._exit(code)


def execute(arguments: Sequence[str], terminal: Terminal | None = None) -> int:
    """Run one command line in this process and give its exit code; every error is rendered."""
    terminal = terminal or Terminal()
    try:
        if arguments and arguments[0] == "__complete":
            return _complete(arguments[1:], terminal)
        return _dispatch(list(arguments), terminal)
    except SmeltError as error:
        from smelt.cli.errors import render

        terminal.err.write(render(error, terminal) + "\n")
        return int(error.exit_code)
    except KeyboardInterrupt:
        terminal.err.write("interrupted\n")
        return int(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, sys.stdout.fileno())
        return int(ExitCode.FAILURE)
    except Exception as error:  # noqa: BLE001 - the last resort: a bug of ours, said as such
        known = _surroundings(error)
        if known is not None:
            from smelt.cli.errors import render

            terminal.err.write(render(known, terminal) + "\n")
            return int(known.exit_code)
        if isinstance(error, OSError) and error.filename is not None and error.strerror:
            return _system_error(error, terminal)
        return _internal_error(error, terminal)


def _dispatch(arguments: list[str], terminal: Terminal) -> int:
    leading, passed, rest = _split(arguments)
    parser = Parser(prog="smelt", add_help=False)
    add_common(parser)
    parser.add_argument("--version", "-V", action="store_true")
    parser.add_argument("--help", "-h", action="store_true")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args(leading)
    apply_environment(terminal)
    apply_common(options, terminal)
    if options.version:
        terminal.print(f"smelt {__version__}")
        return 0
    if options.list:
        for command in COMMANDS:
            terminal.print(command.name)
        return 0
    if rest and rest[0] == "help":
        rest = [*rest[1:], "--help"] if rest[1:] else []
        options.help = options.help or not rest
    if options.help and rest and "--help" not in rest:
        rest = [*rest, "--help"]
    if not rest:
        terminal.print(_overview())
        return 0 if options.help else int(ExitCode.USAGE)
    name = rest[0]
    command = find(name)
    if command is None:
        from smelt.cli.external import find_external, run_external

        external = find_external(name)
        if external is not None:
            return run_external(external, rest[1:])
        guess = closest(name, [c.name for c in COMMANDS])
        raise UsageError(
            f"there is no command `{name}`",
            help=f"did you mean `smelt {guess}`?" if guess else "`smelt --help` lists the commands",
        )
    module = importlib.import_module(command.module)
    subparser = Parser(
        prog=f"smelt {name}", description=command.summary, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_common(subparser)
    module.configure(subparser)
    separate = getattr(module, "separate", None)
    own: list[str] = [*passed, *rest[1:]]
    words: list[str] = []
    if separate is not None:
        own, words = separate(own)
    end = own.index("--") if "--" in own else len(own)
    # its value is optional, and what follows is never its value: as in the reference
    own[:end] = ["--offline=true" if word == "--offline" else word for word in own[:end]]
    try:
        parsed = subparser.parse_args(own, argparse.Namespace(words=words))
    except SystemExit as stop:  # --help
        return int(stop.code or 0) if not isinstance(stop.code, str) else int(ExitCode.USAGE)
    apply_common(parsed, terminal)
    return int(module.execute(parsed, terminal))


def _complete(arguments: Sequence[str], terminal: Terminal) -> int:
    """Answer a completion script: one candidate a line, with its meaning after a tab unless ``--plain`` is given.

    A single line ``:files``: there is none, and files are to be completed.
    """
    from smelt.cli.completing import complete

    plain = arguments[:1] == ["--plain"]
    words = list(arguments[1:] if plain else arguments)
    answer = complete(words[1:] if words[:1] == ["--"] else words)
    for name, text in answer.candidates.items():
        terminal.print(name if plain or not text else f"{name}\t{text}")
    if answer.files and not answer.candidates:
        terminal.print(":files")
    return 0


def _split(arguments: list[str]) -> tuple[list[str], list[str], list[str]]:
    """What stands before the command's name: global options, and options of the command; and the rest."""
    leading: list[str] = []
    passed: list[str] = []
    index = 0
    while index < len(arguments) and arguments[index].startswith("-"):
        word = arguments[index]
        length = 2 if word in ("--color", "--manifest-path", "-m", "--workspace", "-w", "--config-file") else 1
        belongs = word.partition("=")[0] in (
            "--manifest-path",
            "-m",
            "--workspace",
            "-w",
            "--config-file",
            "--no-config",
        )
        (passed if belongs else leading).extend(arguments[index : index + length])
        index += length
    return leading, passed, arguments[index:]


def add_common(parser: argparse.ArgumentParser) -> None:
    """The options that every command takes."""
    group = parser.add_argument_group("global options")
    group.add_argument("-v", "--verbose", action="count", default=0, help="say more")
    group.add_argument("-q", "--quiet", action="count", default=0, help="say nothing but errors")
    group.add_argument("--color", choices=("always", "never", "auto"), default=None, help="whether to use colours")
    group.add_argument("--no-progress", action="store_true", help="do not draw progress")


def apply_environment(terminal: Terminal) -> None:
    """What ``PIXI_COLOR`` and ``PIXI_NO_PROGRESS`` say, which options go before."""
    color = os.environ.get("PIXI_COLOR", "").lower()
    if color in ("always", "never", "auto"):
        terminal.color = color
    if os.environ.get("PIXI_NO_PROGRESS", "").lower() in ("1", "true", "yes", "on", "y", "t"):
        terminal.progress = False


def apply_common(options: argparse.Namespace, terminal: Terminal) -> None:
    """Put the common options into force."""
    if options.verbose or options.quiet:
        terminal.verbosity = -1 if options.quiet else options.verbose
    if options.color is not None:
        terminal.color = options.color
    if options.no_progress:
        terminal.progress = False


def _overview() -> str:
    lines = ["smelt: workspaces whose packages are built from source", "", "usage: smelt [options] <command> …"]
    width = max(len(command.name) for command in COMMANDS) + 2
    for group in dict.fromkeys(command.group for command in COMMANDS):
        lines += ["", f"{group}:"]
        lines += [f"  {c.name:<{width}}{c.summary}" for c in COMMANDS if c.group == group]
    lines += [
        "",
        "options: -h, --help · -V, --version · -v, --verbose · -q, --quiet · --color WHEN · --no-progress · --list",
        "`smelt <command> --help` tells more of a command.",
    ]
    return "\n".join(lines)


def _surroundings(error: Exception) -> SmeltError | None:
    """What no program can work without, and Python says in its own words: a working folder, a home."""
    if isinstance(error, RuntimeError) and "home directory" in str(error):
        return SmeltError(
            "there is no home folder: HOME is not set, and the system does not know this user",
            code="file-system",
            help="set HOME to a folder that can be written",
        )
    if isinstance(error, FileNotFoundError) and error.filename is None:
        try:
            os.getcwd()  # noqa: PTH109 - only whether there is one
        except OSError:
            return SmeltError(
                "the folder that this was called in is no longer there", code="file-system", help="change into another"
            )
    return None


def _system_error(error: OSError, terminal: Terminal) -> int:
    """What the system refuses (permissions, a full disk, a file in the place of a folder) is no bug."""
    from smelt.cli.errors import render

    where = os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else str(error.filename)
    shown = SmeltError(
        f"cannot use {where}: {error.strerror}",
        code="file-system",
        help="see who may write there, and whether there is space left",
    )
    if terminal.verbosity > 0 or os.environ.get("SMELT_BACKTRACE"):
        import traceback

        terminal.err.write("".join(traceback.format_exception(error)))
    terminal.err.write(render(shown, terminal) + "\n")
    return int(shown.exit_code)


def _internal_error(error: Exception, terminal: Terminal) -> int:
    import traceback

    text = "".join(traceback.format_exception(error))
    terminal.err.write(f"internal error: {type(error).__name__}: {error}\nThis is a bug in smelt {__version__}.\n")
    if terminal.verbosity > 0 or os.environ.get("SMELT_BACKTRACE"):
        terminal.err.write(text)
    else:
        terminal.err.write("Set SMELT_BACKTRACE=1 to see where it happened, and please report it.\n")
    return int(ExitCode.INTERNAL)
