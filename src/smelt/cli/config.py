"""``smelt config``."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from smelt.cli.settings import show_problems, source_of
from smelt.cli.subcommands import Subcommands, run_handler
from smelt.cli.terminal import Terminal
from smelt.errors import ConfigError, ManifestError, UsageError

if TYPE_CHECKING:
    from smelt.config.settings import Settings

execute = run_handler


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options. Source: the reference's pages ``pixi config …``; ``get`` is smelt's own."""
    parser.add_argument("--manifest-path", "-m", type=Path, metavar="PATH", help="the manifest, or its folder")
    commands = Subcommands(parser)
    edit = commands.add("edit", "Edit a configuration file", _edit, aliases=["e"])
    edit.add_argument("editor", nargs="?", metavar="EDITOR", help="the editor (default: EDITOR, nano or notepad)")
    listed = commands.add("list", "List settings", _list, aliases=["ls", "l"])
    listed.add_argument("key", nargs="?", metavar="KEY", help="the setting, or table of settings (default: all)")
    listed.add_argument("--json", action="store_true", help="as JSON")
    get = commands.add("get", "Print the value of one setting", _get)
    get.add_argument("key", metavar="KEY", help="the setting")
    get.add_argument("--json", action="store_true", help="as JSON")
    for name, summary, handler in (
        ("append", "Put a value at the end of a list", _append),
        ("prepend", "Put a value at the beginning of a list", _prepend),
    ):
        extend = commands.add(name, summary, handler)
        extend.add_argument("key", metavar="KEY", help="the setting (default-channels, pypi-config.extra-index-urls)")
        extend.add_argument("value", metavar="VALUE", help="the value to add")
        _add_place(extend)
    change = commands.add("set", "Change a setting", _set)
    change.add_argument("key", metavar="KEY", help="the setting, such as shell.change-ps1")
    change.add_argument("value", nargs="?", metavar="VALUE", help="its value; lists and tables as JSON (none: unset)")
    unset = commands.add("unset", "Remove a setting", _unset)
    unset.add_argument("key", metavar="KEY", help="the setting")
    for command in (edit, listed, get, change, unset):
        _add_place(command)


def _add_place(parser: argparse.ArgumentParser) -> None:
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--local", "-l", action="store_true", help="the workspace's configuration")
    group.add_argument("--global", "-g", dest="user", action="store_true", help="the user's configuration")
    group.add_argument("--system", "-s", action="store_true", help="the configuration for all users")


def _root(arguments: argparse.Namespace) -> Path | None:
    """The folder of the workspace, whatever is wrong with its manifest; None outside of one."""
    from smelt.workspace.discovery import find_workspace

    if arguments.system or arguments.user:
        return None
    try:
        return find_workspace(arguments.manifest_path).path.parent
    except ManifestError as error:
        if arguments.manifest_path is not None:
            raise
        if arguments.local:
            raise UsageError(
                "`--local` needs a workspace, and there is none here",
                help="`--manifest-path` names another; `--global` is for all workspaces",
            ) from error
        return None


def _path(arguments: argparse.Namespace) -> Path:
    """The file to change."""
    from smelt.config.files import global_file, local_file, system_file

    if arguments.system:
        return system_file()
    root = _root(arguments)
    return local_file(root) if root is not None else global_file(os.environ)


def _settings(arguments: argparse.Namespace, terminal: Terminal) -> Settings:
    from smelt.config.settings import load_settings, system_settings

    if arguments.system:
        settings = system_settings()
    else:
        settings = load_settings(_root(arguments), os.environ, source_of(arguments))
    show_problems(settings, terminal)
    return settings


def _list(arguments: argparse.Namespace, terminal: Terminal) -> int:
    from smelt.config.output import ordered, to_toml

    data: Mapping[str, object] = ordered(_settings(arguments, terminal).data)
    if arguments.key is not None:
        path = _known(arguments.key)
        value = _find(data, path)
        data = {} if value is None else _nested(path, value)
    if arguments.json:
        terminal.print(json.dumps(data, indent=2))
        return 0
    if not data:
        terminal.note("Configuration not set")
    terminal.print(to_toml(data).removesuffix("\n"))
    return 0


def _get(arguments: argparse.Namespace, terminal: Terminal) -> int:
    from smelt.config.editing import plain

    value = _find(_settings(arguments, terminal).data, _known(arguments.key))
    if value is None:
        raise ConfigError(
            f"`{arguments.key}` is not set", code="config-unset", help=f"`smelt config set {arguments.key} …` sets it"
        )
    terminal.print(json.dumps(value, indent=2) if arguments.json else plain(value))
    return 0


def _known(name: str) -> tuple[str, ...]:
    from smelt.config.editing import path_of

    return path_of(name)


def _find(data: Mapping[str, object], path: tuple[str, ...]) -> object:
    found: object = data
    for part in path:
        found = found.get(part) if isinstance(found, Mapping) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return found  # pyright: ignore[reportUnknownVariableType]


def _nested(path: tuple[str, ...], value: object) -> dict[str, object]:
    for part in reversed(path):
        value = {part: value}
    return cast("dict[str, object]", value)


def _append(arguments: argparse.Namespace, terminal: Terminal) -> int:
    return _extend(arguments, terminal, front=False)


def _prepend(arguments: argparse.Namespace, terminal: Terminal) -> int:
    return _extend(arguments, terminal, front=True)


def _extend(arguments: argparse.Namespace, terminal: Terminal, *, front: bool) -> int:
    from smelt.config.editing import extend_setting
    from smelt.config.settings import load_settings

    path = _path(arguments)
    # What the workspace would have without a file of its own must stay in force when it gets one.
    below = load_settings(_root(arguments), os.environ) if not arguments.system else None
    value = _find(below.data, _known(arguments.key)) if below is not None else None
    inherited = cast("list[object]", value) if isinstance(value, list) else []
    new = extend_setting(_read(path), path, arguments.key, arguments.value, front=front, inherited=[*inherited])
    return _write(path, new, terminal)


def _set(arguments: argparse.Namespace, terminal: Terminal) -> int:
    from smelt.config.editing import set_setting

    path = _path(arguments)
    return _write(path, set_setting(_read(path), path, arguments.key, arguments.value), terminal)


def _unset(arguments: argparse.Namespace, terminal: Terminal) -> int:
    from smelt.config.editing import set_setting

    path = _path(arguments)
    return _write(path, set_setting(_read(path), path, arguments.key, None), terminal)


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8", code="config-syntax") from error


def _write(path: Path, text: str, terminal: Terminal) -> int:
    from smelt.fs import write_text

    write_text(path.resolve(), text)  # a link stays one: people keep their settings elsewhere
    terminal.note(f"{terminal.style('✔', 'green', err=True)} updated the configuration in {path}")
    return 0


def _edit(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Start the editor and wait for it. Its exit code is of no interest, as in the reference."""
    path = _path(arguments)
    path.parent.mkdir(parents=True, exist_ok=True)
    editor: str = arguments.editor or os.environ.get("EDITOR") or ("notepad" if sys.platform == "win32" else "nano")
    words = [editor] if sys.platform == "win32" else shlex.split(editor)
    try:
        subprocess.run([*words, str(path)], check=False)
    except OSError as error:
        raise UsageError(
            f"cannot start the editor `{editor}`: {error.strerror or error}",
            help="name another one: `smelt config edit EDITOR`, or in the variable EDITOR",
        ) from error
    if path.exists():
        from smelt.config.reading import read_layer

        layer = read_layer(path)
        for warning in layer.warnings if layer is not None else ():
            terminal.warn(warning)
    return 0
