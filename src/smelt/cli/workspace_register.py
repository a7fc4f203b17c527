"""``smelt workspace register``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from smelt.cli.options import load
from smelt.cli.subcommands import Subcommands
from smelt.cli.terminal import Terminal
from smelt.config.registry import WorkspaceRegistry


def add_commands(commands: Subcommands) -> None:
    """Declare the subcommands. Source: the reference's pages ``pixi workspace register``."""
    summary = "Register the workspace, so that `--workspace NAME` finds it from anywhere"
    group = commands.group("register", summary, handler=_register)
    parser = group.parser
    parser.add_argument("--name", "-n", metavar="NAME", help="its name (default: the name in the manifest)")
    parser.add_argument("--path", "-p", type=Path, metavar="PATH", help="its folder (default: that of the workspace)")
    parser.add_argument("--force", "-f", action="store_true", help="replace one of the same name")
    listing = group.add("list", "List the registered workspaces", _list, aliases=["ls"])
    listing.add_argument("--json", action="store_true", help="as JSON")
    remove = group.add("remove", "Forget a workspace", _remove, aliases=["rm"])
    remove.add_argument("registered", metavar="NAME", help="the name it is registered under")
    group.add("prune", "Forget workspaces that are no longer there", _prune, aliases=["pr"])


def _register(arguments: argparse.Namespace, terminal: Terminal) -> int:
    name: str | None = arguments.name
    path: Path | None = arguments.path
    if name is None or path is None:
        model = load(arguments, terminal).model
        name, path = name or model.name, path or model.root
    WorkspaceRegistry().add(name, path.absolute(), replace=arguments.force)
    _done(f"workspace {name} is registered: {path.absolute()}", terminal)
    return 0


def _list(arguments: argparse.Namespace, terminal: Terminal) -> int:
    known = WorkspaceRegistry().workspaces()
    if arguments.json:
        terminal.print(json.dumps({name: str(path) for name, path in known.items()}, indent=2, ensure_ascii=False))
        return 0
    width = max(map(len, known), default=0)
    for name, path in known.items():
        terminal.print(f"{name:<{width}}  {path}" + ("" if path.exists() else "  (gone)"))
    if not known:
        terminal.note("no workspace is registered")
    return 0


def _remove(arguments: argparse.Namespace, terminal: Terminal) -> int:
    WorkspaceRegistry().remove(arguments.registered)
    _done(f"workspace {arguments.registered} is no longer registered", terminal)
    return 0


def _prune(arguments: argparse.Namespace, terminal: Terminal) -> int:
    gone = WorkspaceRegistry().prune()
    for name in gone:
        _done(f"workspace {name} is no longer registered", terminal)
    if not gone:
        terminal.note("every registered workspace is still there")
    return 0


def _done(text: str, terminal: Terminal) -> None:
    terminal.note(f"{terminal.style('✔', 'green', err=True)} {text}")
