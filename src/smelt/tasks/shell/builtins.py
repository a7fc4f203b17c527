"""The built-in commands that change the shell, print, test or wait; those that handle files are in ``files``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Literal

from smelt.tasks.shell.jobs import Jobs
from smelt.tasks.shell.launch import Streams, write
from smelt.tasks.shell.state import Options, State

ArgumentKind = Literal["short", "long", "value"]


class BuiltinError(Exception):
    """A built-in command that failed; the message goes to its standard error, after its name."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


class ExitScript(Exception):
    """``exit``: the (sub)shell ends with ``code``."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a built-in command.

    ``state``: what it sees (with variables that are set for it alone); ``shell``: what its changes go to.
    ``run``: run another command (for ``xargs``).
    """

    name: str
    args: list[str]
    state: State
    shell: State
    streams: Streams
    jobs: Jobs
    run: Callable[[list[str]], int]

    def print(self, text: str) -> None:
        """Write a line to standard output. Raises OSError."""
        write(self.streams.stdout, os.fsencode(text + "\n"))

    def complain(self, text: str) -> None:
        """Write a line to standard error. Raises OSError."""
        write(self.streams.stderr, os.fsencode(text + "\n"))


Builtin = Callable[[Call], int]


def classify(args: Iterable[str]) -> list[tuple[ArgumentKind, str]]:
    """Arguments as short flags (one entry per letter), long flags and values; after ``--`` all are values.

    ``-`` and negative numbers are values.
    """
    result: list[tuple[ArgumentKind, str]] = []
    only_values = False
    for arg in args:
        if only_values or arg == "-" or not arg.startswith("-"):
            result.append(("value", arg))
        elif arg == "--":
            only_values = True
        elif arg.startswith("--"):
            result.append(("long", arg[2:]))
        elif _is_number(arg[1:]):
            result.append(("value", arg))
        else:
            result.extend(("short", letter) for letter in arg[1:])
    return result


def unsupported(kind: ArgumentKind, text: str) -> BuiltinError:
    """The complaint about an argument that a command does not know."""
    if kind == "value":
        return BuiltinError(f"unsupported argument: {text}")
    return BuiltinError(f"unsupported flag: {'-' if kind == 'short' else '--'}{text}")


def values_only(args: Iterable[str]) -> list[str]:
    """The values in ``args``. Raises BuiltinError for any flag."""
    values: list[str] = []
    for kind, text in classify(args):
        if kind != "value":
            raise unsupported(kind, text)
        values.append(text)
    return values


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _echo(call: Call) -> int:
    call.print(" ".join(call.args))
    return 0


def _success(call: Call) -> int:
    return 0


def _failure(call: Call) -> int:
    return 1


def _cd(call: Call) -> int:
    paths = values_only(call.args)
    if len(paths) > 1:
        raise BuiltinError("too many arguments")
    if not paths:
        raise BuiltinError("expected at least 1 argument")
    folder = os.path.normpath(call.state.path(paths[0]))
    if not os.path.isdir(folder):  # noqa: PTH112
        raise BuiltinError(f"{paths[0]}: Not a directory")
    call.shell.change_folder(folder)
    return 0


def _pwd(call: Call) -> int:
    resolve = False
    for kind, text in classify(call.args):
        if kind == "value" or (kind, text) == ("short", "P"):
            continue
        if (kind, text) != ("short", "L"):
            raise unsupported(kind, text)
        resolve = True
    call.print(os.path.realpath(call.state.cwd) if resolve else call.state.cwd)
    return 0


def _exit(call: Call) -> int:
    try:
        values = values_only(call.args)
        if len(values) > 1:
            raise BuiltinError("too many arguments")
        code = int(values[0]) if values else 1
    except ValueError:
        call.complain("exit: numeric argument required.")
        raise ExitScript(2) from None
    except BuiltinError as error:
        call.complain(f"exit: {error}")
        raise ExitScript(2) from error
    raise ExitScript(code % 256)


def _export(call: Call) -> int:
    for arg in call.args:
        name, equals, value = arg.partition("=")
        if equals:
            call.shell.export(name, value)
    return 0


def _unset(call: Call) -> int:
    names = call.args
    if names[:1] == ["-f"]:
        raise BuiltinError("unsupported flag: -f")
    for name in names[1:] if names[:1] == ["-v"] else names:
        call.shell.unset(name)
    return 0


_SET_OPTIONS = ("errexit", "pipefail")
_SHOPT_OPTIONS = ("failglob", "globstar", "nullglob")


def _set(call: Call) -> int:
    args = call.args
    options = call.state.options
    if args in (["-o"], ["+o"]):
        for name in _SET_OPTIONS:
            on = bool(getattr(options, name))
            call.print(f"{name}\t{'on' if on else 'off'}" if args == ["-o"] else f"set {'-o' if on else '+o'} {name}")
        return 0
    changes: list[tuple[str, bool]] = []
    index = 0
    while index < len(args):
        arg = args[index]
        index += 1
        if arg in ("-o", "+o") and index < len(args):
            if args[index] not in _SET_OPTIONS:
                raise BuiltinError(f"unknown option: {args[index]}")
            changes.append((args[index], arg == "-o"))
            index += 1
        elif arg in ("-e", "+e"):
            changes.append(("errexit", arg == "-e"))
        else:
            raise BuiltinError(f"invalid option: {arg}")
    for name, enabled in changes:
        call.shell.set_option(name, enabled)
    return 0


def _shopt(call: Call) -> int:
    enable: bool | None = None
    names: list[str] = []
    for arg in call.args:
        if arg in ("-s", "-u"):
            if enable is not None and enable != (arg == "-s"):
                raise BuiltinError("cannot set and unset options simultaneously")
            enable = arg == "-s"
        elif arg in _SHOPT_OPTIONS:
            names.append(arg)
        else:
            raise BuiltinError(f"{arg}: invalid shell option name")
    if enable is not None:
        if not names:
            raise BuiltinError("option name required")
        for name in names:
            call.shell.set_option(name, enable)
        return 0
    states = {field.name: bool(getattr(call.state.options, field.name)) for field in fields(Options)}
    for name in names or _SHOPT_OPTIONS:
        call.print(f"{name}\t{'on' if states[name] else 'off'}")
    return 0 if all(states[name] for name in names) else 1


_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def _sleep(call: Call) -> int:
    seconds = 0.0
    values = values_only(call.args)
    if not values:
        raise BuiltinError("missing operand")
    for value in values:
        factor = _UNITS.get(value[-1:])
        try:
            seconds += float(value[:-1]) * factor if factor is not None else float(value)
        except ValueError as error:
            raise BuiltinError(f"error parsing argument '{value}' to number") from error
    return call.jobs.sleep(seconds)


def _test(call: Call) -> int:
    try:
        return 0 if _evaluate(call.args, call.state) else 1
    except BuiltinError as error:
        raise BuiltinError(str(error), 2) from error


def _evaluate(args: list[str], state: State) -> bool:
    if args[:1] == ["!"] and len(args) in (2, 3, 4):
        return not _evaluate(args[1:], state)
    if not args:
        return False
    if len(args) == 1:
        return bool(args[0])
    if len(args) == 2:
        return _unary(args[0], args[1], state)
    if len(args) == 3:
        return _binary(args[0], args[1], args[2])
    raise BuiltinError("too many arguments")


def _unary(operator: str, operand: str, state: State) -> bool:
    path = state.path(operand)
    if operator == "-n":
        return bool(operand)
    if operator == "-z":
        return not operand
    if operator == "-e":
        return os.path.exists(path)  # noqa: PTH110
    if operator == "-f":
        return os.path.isfile(path)  # noqa: PTH113
    if operator == "-d":
        return os.path.isdir(path)  # noqa: PTH112
    if operator == "-s":
        return os.path.exists(path) and os.path.getsize(path) > 0  # noqa: PTH110, PTH202
    raise BuiltinError(f"unary operator expected: {operator}")


def _binary(left: str, operator: str, right: str) -> bool:
    if operator == "=":
        return left == right
    if operator == "!=":
        return left != right
    if operator not in ("-eq", "-ne", "-lt", "-le", "-gt", "-ge"):
        raise BuiltinError(f"binary operator expected: {operator}")
    first, second = _test_integer(left), _test_integer(right)
    outcomes = {
        "-eq": first == second,
        "-ne": first != second,
        "-lt": first < second,
        "-le": first <= second,
        "-gt": first > second,
        "-ge": first >= second,
    }
    return outcomes[operator]


def _test_integer(text: str) -> int:
    digits = text[1:] if text[:1] in ("-", "+") else text
    if not (digits.isascii() and digits.isdigit()):
        raise BuiltinError(f"integer expression expected: {text}")
    return int(text)


SHELL_BUILTINS: dict[str, Builtin] = {
    ":": _success,
    "cd": _cd,
    "echo": _echo,
    "exit": _exit,
    "export": _export,
    "false": _failure,
    "pwd": _pwd,
    "set": _set,
    "shopt": _shopt,
    "sleep": _sleep,
    "test": _test,
    "true": _success,
    "unset": _unset,
}
