"""What may come next on a command line: the answers of ``smelt __complete``, which completion scripts ask.

Commands and options are read from the parsers of the commands themselves, names from the files of the workspace
(``smelt.cli.names``): an answer has to come while a key is being pressed.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from smelt.cli.names import Candidates, Names
from smelt.cli.registry import COMMANDS, find

_HIDDEN = argparse.SUPPRESS
_TAKES_NOTHING = (argparse._StoreTrueAction, argparse._CountAction, argparse._HelpAction)  # pyright: ignore[reportPrivateUsage]
_Subparsers = argparse._SubParsersAction  # pyright: ignore[reportPrivateUsage]
_LEADING = ("--color", "-m", "--manifest-path", "-w", "--workspace", "--config-file")
"""Options with a value that may stand before the command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the word can be. ``files``: where no candidate is left, it may be the name of a file."""

    candidates: Candidates
    files: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where the word stands: in which command, after which words of it."""

    path: tuple[str, ...]
    parser: argparse.ArgumentParser
    before: tuple[str, ...]
    names: Names


def complete(words: Sequence[str]) -> Answer:
    """What the last of ``words`` (what follows ``smelt``; the last may be empty) can be."""
    *before, current = words or [""]
    start = _command_at(before)
    if start is None:
        return _leading(before, current)
    command = find(before[start])
    if command is None:
        return _FILES
    module = importlib.import_module(command.module)
    parser = argparse.ArgumentParser(add_help=True)
    _add_common(parser)
    module.configure(parser)
    path, parser, own = _descend(parser, [before[start]], before[start + 1 :])
    names = Names.near(_location(before))
    separate: Callable[[Sequence[str]], tuple[list[str], list[str]]] | None = getattr(module, "separate", None)
    if separate is not None:
        mine, theirs = separate(own)
        if theirs or "--" in own:
            return _starting(_of_words(path, theirs, names), current, files=True)
        own = mine
    place = _Place(path=tuple(path), parser=parser, before=tuple(own), names=names)
    given = _option_of(place)
    if given is not None:
        return _value(given, place, current)
    if current.startswith("-") and "=" in current:
        option, _, value = current.partition("=")
        action = _options(parser).get(option)
        if action is None:
            return Answer(candidates={})
        answer = _value(action, place, value)
        found = {f"{option}={name}": text for name, text in answer.candidates.items()}
        return Answer(candidates=found, files=answer.files)
    if current.startswith("-"):
        shown = {option: action.help or "" for option, action in _options(parser).items() if action.help != _HIDDEN}
        return _starting(shown, current)
    return _positional(place, current)


def _add_common(parser: argparse.ArgumentParser) -> None:
    from smelt.cli.main import add_common

    add_common(parser)


_FILES = Answer(candidates={}, files=True)


def _starting(found: Mapping[str, str], current: str, *, files: bool = False) -> Answer:
    candidates = {name: " ".join(text.split()) for name, text in found.items() if name.startswith(current)}
    return Answer(candidates=candidates, files=files)


def _leading(before: Sequence[str], current: str) -> Answer:
    """Where no command is named yet."""
    if before and before[-1] in _LEADING:
        if before[-1] in ("-w", "--workspace"):
            return _starting(_registered(), current)
        return _starting(dict.fromkeys(("always", "never", "auto"), ""), current) if before[-1] == "--color" else _FILES
    if current.startswith("-"):
        known = ("--help", "--version", "--verbose", "--quiet", "--color", "--list", "--manifest-path", "--workspace")
        return _starting(dict.fromkeys(known, ""), current)
    return _starting({command.name: command.summary for command in COMMANDS}, current)


def _command_at(before: Sequence[str]) -> int | None:
    """Where the command stands, after options that go before it."""
    index = 0
    while index < len(before):
        if not before[index].startswith("-"):
            return index
        index += 2 if before[index] in _LEADING else 1
    return None


def _location(before: Sequence[str]) -> Path | None:
    """What ``--manifest-path`` or ``--workspace`` names."""
    for index, word in enumerate(before):
        option, mark, value = word.partition("=")
        if not mark:
            value = before[index + 1] if index + 1 < len(before) else ""
        if option in ("-m", "--manifest-path") and value:
            return Path(value).expanduser()
        if option in ("-w", "--workspace") and value in (registered := _registered()):
            return Path(registered[value])
    return None


def _descend(
    parser: argparse.ArgumentParser, path: list[str], words: Sequence[str]
) -> tuple[list[str], argparse.ArgumentParser, list[str]]:
    """The parser of the innermost subcommand in ``words``, its names (no aliases), and the words after it."""
    rest = list(words)
    while True:
        below = _subcommands(parser)
        if below is None:
            return path, parser, rest
        choices = cast("Mapping[str, argparse.ArgumentParser]", below.choices)
        at = next((index for index, word in enumerate(rest) if word in choices), None)
        if at is None:
            return path, parser, rest
        parser = choices[rest[at]]
        path = [*path, next(name for name, each in choices.items() if each is parser)]
        rest = rest[at + 1 :]


def _subcommands(parser: argparse.ArgumentParser) -> _Subparsers[argparse.ArgumentParser] | None:
    return next((a for a in parser._actions if isinstance(a, _Subparsers)), None)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def _options(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    return dict(parser._option_string_actions)


def _has_value(action: argparse.Action | None) -> bool:
    return action is not None and not isinstance(action, _TAKES_NOTHING) and action.nargs not in (0, "?")


def _option_of(place: _Place) -> argparse.Action | None:
    """The option whose value comes next; None where the next word is no value."""
    if not place.before or "--" in place.before:
        return None
    action = _options(place.parser).get(place.before[-1])
    return action if _has_value(action) else None


def _value(action: argparse.Action, place: _Place, current: str) -> Answer:
    """The values of an option, or of a positional argument."""
    if action.choices:
        return _starting({str(choice): "" for choice in action.choices}, current)
    metavar = str(action.metavar)
    if metavar == "PLATFORM":
        anywhere = " ".join(place.path[:3]) in _ANY_PLATFORM
        return _starting(_platforms() if anywhere else place.names.platforms(), current)
    if metavar == "KEY" and place.path[0] == "config":
        return _starting(_config_keys(), current)
    known = _BY_NAME.get(action.dest) or _BY_METAVAR.get(metavar)
    if known is not None:
        return _starting(known(place.names), current)
    return Answer(candidates={}, files=action.metavar is None or metavar in _PATHS)


def _positional(place: _Place, current: str) -> Answer:
    below = _subcommands(place.parser)
    if below is not None:
        return _starting({each.dest: each.help or "" for each in below._choices_actions}, current)
    if place.path[:1] == ("run",):
        return _starting(place.names.tasks(), current, files=True)
    if place.path[:1] == ("exec",):
        return _FILES
    options = _options(place.parser)
    plain = [
        word
        for index, word in enumerate(place.before)
        if not word.startswith("-") and not (index and _has_value(options.get(place.before[index - 1])))
    ]
    positional = [each for each in place.parser._actions if not each.option_strings]
    if len(plain) >= len(positional) and not (positional and positional[-1].nargs in ("*", "+")):
        return Answer(candidates={})
    action = positional[min(len(plain), len(positional) - 1)]
    known = _POSITIONALS.get(" ".join(place.path)) if action is positional[0] else None
    answer = _value(action, place, current) if known is None else _starting(known(place.names), current)
    left = {name: text for name, text in answer.candidates.items() if name not in plain}
    return Answer(candidates=left, files=answer.files)


def _of_words(path: Sequence[str], words: Sequence[str], names: Names) -> Mapping[str, str]:
    """What may follow a task and its arguments so far; nothing is known of the arguments of commands."""
    if path != ["run"]:
        return {}
    return names.argument(words) if words else names.tasks()


_Known = Callable[[Names], Mapping[str, str]]
_ANY_PLATFORM = frozenset(("init", "exec", "search", "workspace platform add"))
"""Commands whose platforms need not be those of the workspace."""
_PATHS = frozenset(("CHANNEL", "COMMAND", "DIR", "EDITOR", "FILE", "MANIFEST", "MAP", "PACK", "PATH", "PYTHON")) | {
    *("SCRIPT", "SPEC", "VALUE", "WHEEL")
}
"""Metavars of what can be a path."""
_BY_NAME: Mapping[str, _Known] = {
    "package": Names.packages,
    "rebuild": Names.packages,
    "workspace": lambda _: _registered(),
    "registered": lambda _: _registered(),
}
_BY_METAVAR: Mapping[str, _Known] = {
    "ENVIRONMENT": Names.environments,
    "FEATURE": Names.features,
    "GROUP": Names.solve_groups,
    "PACKAGE": Names.packages,
    "PREVIEW": lambda _: {"pixi-build": ""},
    "REGEX": Names.packages,
    "SHELL": lambda _: dict.fromkeys(("bash", "zsh", "fish", "xonsh", "cmd", "powershell", "nushell"), ""),
    "STRATEGY": lambda _: _strategies(),
    "TASK": Names.tasks,
    "true|false": lambda _: {"true": "", "false": ""},
}
_POSITIONALS: Mapping[str, _Known] = {
    "remove": Names.dependencies,
    "upgrade": Names.dependencies,
    "task remove": Names.tasks,
    "workspace channel remove": Names.channels,
    "workspace environment remove": Names.environments,
    "workspace platform edit": Names.platforms,
    "workspace platform move": Names.platforms,
}


def _platforms() -> Candidates:
    from smelt.types import KNOWN_PLATFORMS

    return dict.fromkeys(KNOWN_PLATFORMS, "")


def _strategies() -> Candidates:
    from smelt.config.keys import PINNING_STRATEGIES

    return dict.fromkeys(PINNING_STRATEGIES, "")


def _config_keys() -> Candidates:
    from smelt.config.keys import KEYS

    return {key.name: key.summary for key in KEYS if "<" not in key.name}


def _registered() -> Candidates:
    from smelt.config.registry import WorkspaceRegistry
    from smelt.errors import SmeltError

    try:
        return {name: str(path) for name, path in WorkspaceRegistry().workspaces().items()}
    except SmeltError:
        return {}  # whoever uses a damaged registry is told; nobody who presses a key
