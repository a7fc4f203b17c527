"""What may come next on a command line: the answers of ``smelt __complete``, which completion scripts ask.

Commands and options are read from the parsers of the commands themselves; names (environments, tasks, platforms,
features, packages) from the manifest and the lock file as they lie there, without checking them: an answer has to come
while a key is being pressed, and also for a manifest that is being edited.
"""

from __future__ import annotations

import argparse
import importlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from smelt.cli.registry import COMMANDS, find

Candidates = dict[str, str]
"""What can be written → what it means."""

_MANIFESTS = ("pixi.toml", "pyproject.toml", "mojoproject.toml")
_LOCKED = re.compile(r"/([^/\s]+)-[^-/\s]+-[^-/\s]+\.(?:conda|tar\.bz2)$", re.MULTILINE)
_LOCKED_NAME = re.compile(r"^  name: (\S+)$", re.MULTILINE)


def complete(words: Sequence[str]) -> Candidates:
    """The candidates for the last of ``words`` (what follows ``smelt``; the last may be empty); empty: files."""
    *before, current = words or [""]
    names = Names.near(_location(before))
    start = _command_at(before)
    if start is None:
        found: Mapping[str, str] = {command.name: command.summary for command in COMMANDS}
        if current.startswith("-"):
            found = {"--help": "", "--version": "", "--verbose": "", "--quiet": "", "--color": "", "--list": ""}
        return _starting(found, current)
    command = find(before[start])
    if command is None:
        return {}
    module = importlib.import_module(command.module)
    parser = argparse.ArgumentParser(add_help=True)
    _add_common(parser)
    module.configure(parser)
    path, parser, rest = _descend(parser, [before[start]], before[start + 1 :])
    given = _option_of(parser, rest)
    if given is not None:
        return _starting(_values(given, path, names), current)
    if current.startswith("-") and "=" in current:
        option, _, value = current.partition("=")
        action = _options(parser).get(option)
        found = _values(action, path, names) if action is not None else {}
        return _starting({f"{option}={name}": text for name, text in found.items() if name.startswith(value)}, current)
    if current.startswith("-"):
        shown = {option: action.help or "" for option, action in _options(parser).items() if action.help != _HIDDEN}
        return _starting(shown, current)
    return _starting(_positional(parser, path, rest, names), current)


_HIDDEN = argparse.SUPPRESS
_TAKES_NOTHING = (argparse._StoreTrueAction, argparse._CountAction, argparse._HelpAction)  # pyright: ignore[reportPrivateUsage]
_Subparsers = argparse._SubParsersAction  # pyright: ignore[reportPrivateUsage]


def _add_common(parser: argparse.ArgumentParser) -> None:
    from smelt.cli.main import add_common

    add_common(parser)


def _starting(found: Mapping[str, str], current: str) -> Candidates:
    return {name: " ".join(text.split()) for name, text in found.items() if name.startswith(current)}


def _command_at(before: Sequence[str]) -> int | None:
    """Where the command stands, after options that go before it."""
    index = 0
    while index < len(before):
        if not before[index].startswith("-"):
            return index
        index += 2 if before[index] in ("--color", "-m", "--manifest-path", "-w", "--workspace", "--config-file") else 1
    return None


def _location(before: Sequence[str]) -> Path | None:
    for index, word in enumerate(before):
        if word in ("-m", "--manifest-path") and index + 1 < len(before):
            return Path(before[index + 1])
        if word.startswith("--manifest-path="):
            return Path(word.partition("=")[2])
    return None


def _descend(
    parser: argparse.ArgumentParser, path: list[str], words: Sequence[str]
) -> tuple[list[str], argparse.ArgumentParser, list[str]]:
    """The parser of the innermost subcommand in ``words``, its names, and the words after it."""
    rest = list(words)
    while True:
        below = next((a for a in parser._actions if isinstance(a, _Subparsers)), None)  # pyright: ignore
        if below is None:
            return path, parser, rest
        choices = cast("Mapping[str, argparse.ArgumentParser]", below.choices)
        at = next((index for index, word in enumerate(rest) if word in choices), None)
        if at is None:
            return path, parser, rest
        path, parser, rest = [*path, rest[at]], choices[rest[at]], rest[at + 1 :]


def _options(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    return dict(cast("dict[str, argparse.Action]", parser._option_string_actions))  # pyright: ignore


def _option_of(parser: argparse.ArgumentParser, words: Sequence[str]) -> argparse.Action | None:
    """The option whose value comes next; None where the next word is no value."""
    if not words or "--" in words:
        return None
    action = _options(parser).get(words[-1])
    if action is None or isinstance(action, _TAKES_NOTHING) or action.nargs in (0, "?"):
        return None
    return action


def _positional(
    parser: argparse.ArgumentParser, path: Sequence[str], words: Sequence[str], names: Names
) -> Mapping[str, str]:
    below = next((a for a in parser._actions if isinstance(a, _Subparsers)), None)  # pyright: ignore
    if below is not None:
        return {each.dest: each.help or "" for each in below._choices_actions}  # pyright: ignore
    plain = [word for word in words if not word.startswith("-")]
    if path == ["run"]:
        options = _options(parser)
        taken = [
            word
            for index, word in enumerate(words)
            if not word.startswith("-") and (index == 0 or not _has_value(options.get(words[index - 1])))
        ]
        return names.argument(taken) if taken else names.tasks()
    known = _POSITIONALS.get(" ".join(path))
    if known is not None:
        return {name: text for name, text in known(names).items() if name not in plain}
    positional = [each for each in parser._actions if not each.option_strings]  # pyright: ignore
    return {str(choice): "" for each in positional for choice in each.choices or ()}


def _has_value(action: argparse.Action | None) -> bool:
    return action is not None and not isinstance(action, _TAKES_NOTHING) and action.nargs not in (0, "?")


def _values(action: argparse.Action, path: Sequence[str], names: Names) -> Mapping[str, str]:
    if action.choices:
        return {str(choice): "" for choice in action.choices}
    known = _OPTIONS.get(action.dest)
    return known(names) if known is not None else {}


class Names:
    """The names in a workspace's files; empty where they cannot be read."""

    def __init__(self, data: Mapping[str, Any], root: Path | None) -> None:
        self._data = data
        self._root = root

    @classmethod
    def near(cls, location: Path | None) -> Names:
        """Of the workspace at ``location``, else of the one that the working folder is in."""
        folders = [location] if location is not None else [Path.cwd(), *Path.cwd().parents]
        for folder in folders:
            for path in [folder] if folder.is_file() else [folder / name for name in _MANIFESTS]:
                found = _read(path)
                if found is not None:
                    return cls(found, path.parent)
        return cls({}, None)

    def environments(self) -> Candidates:
        """Those of the manifest and of matrices, and those that are installed."""
        found = {"default": "", **dict.fromkeys(_table(self._data, "environments"), "")}
        for name, matrix in _table(self._data, "tool", "smelt", "matrix").items():
            found |= dict.fromkeys(_product(matrix), f"of matrix {name}")
        if self._root is not None and (envs := self._root / ".pixi" / "envs").is_dir():
            found |= {path.name: "" for path in sorted(envs.iterdir()) if path.is_dir() and path.name not in found}
        return found

    def features(self) -> Candidates:
        """The features."""
        return dict.fromkeys(_table(self._data, "feature"), "")

    def platforms(self) -> Candidates:
        """The platforms of the workspace."""
        listed: object = _table(self._data, "workspace").get("platforms") or _table(self._data, "project").get(
            "platforms"
        )
        found: Candidates = {}
        for each in cast("list[object]", listed) if isinstance(listed, list) else []:
            if isinstance(each, dict):
                entry = cast("dict[str, object]", each)
                each = entry.get("name") or entry.get("platform")
            if isinstance(each, str):
                found[each] = ""
        return found

    def tasks(self) -> Candidates:
        """The tasks, with their descriptions; hidden ones are left out."""
        found: Candidates = {}
        for table in self._scopes("tasks"):
            for name, task in table.items():
                text = cast("dict[str, object]", task).get("description") if isinstance(task, dict) else None
                if not name.startswith("_"):
                    found[name] = str(text or found.get(name, ""))
        return dict(sorted(found.items()))

    def argument(self, words: Sequence[str]) -> Candidates:
        """The choices of the argument that comes after ``words``, a task and its arguments so far."""
        for table in self._scopes("tasks"):
            task = table.get(words[0])
            arguments: object = cast("dict[str, object]", task).get("args") if isinstance(task, dict) else None
            listed = cast("list[object]", arguments) if isinstance(arguments, list) else []
            if len(words) <= len(listed) and isinstance(listed[len(words) - 1], dict):
                choices = cast("dict[str, object]", listed[len(words) - 1]).get("choices")
                return {str(each): "" for each in cast("list[object]", choices or [])}
        return {}

    def dependencies(self) -> Candidates:
        """What the manifest asks for."""
        found: Candidates = {}
        for kind in ("dependencies", "host-dependencies", "build-dependencies", "pypi-dependencies"):
            for table in self._scopes(kind):
                found |= dict.fromkeys(table, kind)
        return dict(sorted(found.items()))

    def packages(self) -> Candidates:
        """What the lock file names."""
        try:
            text = (self._root / "pixi.lock").read_text(encoding="utf-8") if self._root is not None else ""
        except (OSError, UnicodeDecodeError):
            return {}
        return dict.fromkeys(sorted({*_LOCKED.findall(text), *_LOCKED_NAME.findall(text)}), "")

    def _scopes(self, key: str) -> Iterable[Mapping[str, Any]]:
        for base in (self._data, *_tables(self._data, "feature"), *_tables(self._data, "environments")):
            yield _table(base, key)
            for target in _tables(base, "target"):
                yield _table(target, key)


def _read(path: Path) -> Mapping[str, Any] | None:
    import tomli

    try:
        data = tomli.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomli.TOMLDecodeError):
        return None
    if path.name == "pyproject.toml":
        inner = _table(data, "tool", "pixi")
        return {**inner, "tool": _table(data, "tool")} if inner else None
    return data


def _table(data: object, *path: str) -> Mapping[str, Any]:
    for name in path:
        data = cast("dict[str, object]", data).get(name) if isinstance(data, dict) else None
    return cast("dict[str, Any]", data) if isinstance(data, dict) else {}


def _tables(data: object, name: str) -> list[Mapping[str, Any]]:
    return [cast("dict[str, Any]", each) for each in _table(data, name).values() if isinstance(each, dict)]


def _product(matrix: object) -> list[str]:
    from itertools import product

    axes: list[list[object]] = []
    for name, axis in _table(matrix).items():
        if name != "exclude" and isinstance(axis, list):
            axes.append(cast("list[object]", axis))
    return ["-".join(map(str, each)) for each in product(*axes)] if axes else []


_Known = Callable[[Names], Mapping[str, str]]
_OPTIONS: Mapping[str, _Known] = {
    "environment": Names.environments,
    "feature": Names.features,
    "platform": Names.platforms,
    "only": Names.packages,
    "skip": Names.packages,
    "skip_with_deps": Names.packages,
    "package": Names.packages,
    "rebuild": Names.packages,
    "workspace": lambda _: _registered(),
    "shell": lambda _: dict.fromkeys(("bash", "zsh", "fish", "xonsh", "cmd", "powershell", "nushell"), ""),
}
_POSITIONALS: Mapping[str, _Known] = {
    "remove": Names.dependencies,
    "upgrade": Names.dependencies,
    "update": Names.packages,
    "reinstall": Names.packages,
    "tree": Names.packages,
    "list": Names.packages,
    "why": Names.packages,
    "task remove": Names.tasks,
    "task rm": Names.tasks,
    "workspace environment remove": Names.environments,
    "workspace environment rm": Names.environments,
    "workspace feature remove": Names.features,
    "workspace platform remove": Names.platforms,
    "workspace platform edit": Names.platforms,
    "workspace platform move": Names.platforms,
}


def _registered() -> Candidates:
    from smelt.config.registry import WorkspaceRegistry
    from smelt.errors import SmeltError

    try:
        return {name: str(path) for name, path in WorkspaceRegistry().workspaces().items()}
    except SmeltError:
        return {}  # whoever uses a damaged registry is told; nobody who presses a key
