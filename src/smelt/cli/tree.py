"""``smelt tree``."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from smelt.cli.location import refuse_for_script
from smelt.cli.options import (
    add_environment,
    add_lock_usage,
    add_no_install,
    add_workspace,
    asked_environment,
    load,
    lock_mode,
)
from smelt.cli.terminal import Terminal, program
from smelt.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from smelt.api.dependencies import Node

_TEE, _CORNER, _BAR, _BLANK = "├──", "└──", "│  ", "   "


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options. Source: the reference's page ``pixi tree``; ``--json`` is smelt's own."""
    parser.add_argument("pattern", nargs="?", metavar="REGEX", help="only packages whose name matches")
    add_workspace(parser, script=True)
    add_environment(parser, "the environment to show (default: default)")
    parser.add_argument("--platform", "-p", metavar="PLATFORM", help="the platform to show (default: this machine's)")
    parser.add_argument("--invert", "-i", action="store_true", help="show what needs the packages of REGEX")
    parser.add_argument("--json", action="store_true", help="the whole graph as JSON")
    add_no_install(parser)
    add_lock_usage(parser)


def execute(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Show the locked packages of an environment as a tree."""
    from smelt.api.dependencies import dependency_graph
    from smelt.api.information import plain
    from smelt.api.platforms import effective_for, environment_named

    if arguments.invert and arguments.pattern is None:
        raise UsageError("`--invert` needs the name of a package", help="for example `smelt tree --invert numpy`")
    try:
        pattern = re.compile(arguments.pattern) if arguments.pattern is not None else None
    except re.error as error:
        raise UsageError(f"`{arguments.pattern}` is not a regular expression: {error}") from error
    refuse_for_script(arguments, f"{program()} tree", ["--environment"])
    workspace = load(arguments, terminal)
    name = environment_named(workspace.model, asked_environment(arguments, workspace))
    effective = effective_for(workspace.model, name, arguments.platform)
    nodes = dependency_graph(workspace.ensure_lock(lock_mode(arguments), arguments.platform), effective)
    if arguments.json:
        terminal.print(json.dumps({key: plain(node) for key, node in nodes.items()}, indent=2))
        return 0
    if name != "default":
        terminal.note(f"Environment: {name}")
    lines = Drawing(nodes, terminal).inverted(pattern) if arguments.invert and pattern else None
    for line in lines if lines is not None else Drawing(nodes, terminal).dependencies(pattern):
        terminal.print(line)
    return 0


class Drawing:
    """Draws one graph; a package that was drawn already gets `(*)` and is not drawn again below."""

    def __init__(self, nodes: Mapping[str, Node], terminal: Terminal) -> None:
        self.nodes = nodes
        self.terminal = terminal
        self.seen: set[str] = set()
        self.lines: list[str] = []

    def dependencies(self, pattern: re.Pattern[str] | None) -> Sequence[str]:
        """From what the manifest asks for down; or from what matches, if nothing of that does."""
        roots = [name for name, node in self.nodes.items() if node.direct]
        if pattern is not None:
            matching = [name for name in self.nodes if pattern.search(name)]
            if not matching:
                raise UnknownNameError(
                    "No dependencies matched the given regular expression",
                    code="unknown-package",
                    help="`smelt list` shows the packages of the environment",
                )
            direct = [name for name in roots if name in matching]
            roots = direct or matching
        top = pattern is None or any(self.nodes[name].direct for name in roots)
        for index, name in enumerate(roots):
            if name in self.seen:
                continue
            self.seen.add(name)
            last = index == len(roots) - 1
            self._line(((_CORNER if last else _TEE) if top else "") + " ", self.nodes[name])
            self._below(name, (_BLANK if last else _BAR) + " ", inverted=False)
        return self.lines

    def inverted(self, pattern: re.Pattern[str]) -> Sequence[str]:
        """From what matches to everything that needs it."""
        roots = [name for name in self.nodes if pattern.search(name)]
        if not roots:
            raise UnknownNameError(
                "Nothing depends on the given regular expression",
                code="unknown-package",
                help="`smelt list` shows the packages of the environment",
            )
        for name in roots:
            seen = name in self.seen
            self.seen.add(name)
            self.lines.append("")
            self._line("", self.nodes[name], seen=seen)
            if not seen:
                self._below(name, "", inverted=True)
        return self.lines

    def _below(self, root: str, prefix: str, *, inverted: bool) -> None:
        """What is below ``root``. With a stack of its own: environments may be deep."""
        stack = [self._children(root, prefix, inverted)]
        while stack:
            if not stack[-1]:
                stack.pop()
                continue
            name, extras, before, inner = stack[-1].pop()
            seen = name in self.seen
            self.seen.add(name)
            node = self.nodes.get(name)
            self._line(before, node, name=name, seen=seen, extras=extras)
            if not seen and node is not None:
                stack.append(self._children(name, inner, inverted))

    def _children(self, name: str, prefix: str, inverted: bool) -> list[tuple[str, tuple[str, ...], str, str]]:
        node = self.nodes[name]
        edges = (
            [(each, ()) for each in node.needed_by] if inverted else [(edge.name, edge.extras) for edge in node.needs]
        )
        found = [
            (
                each,
                extras,
                f"{prefix}{_CORNER if index == len(edges) - 1 else _TEE} ",
                f"{prefix}{_BLANK if index == len(edges) - 1 else _BAR} ",
            )
            for index, (each, extras) in enumerate(edges)
        ]
        return found[::-1]

    def _line(
        self, prefix: str, node: Node | None, *, name: str = "", seen: bool = False, extras: Sequence[str] = ()
    ) -> None:
        style = self.terminal.style
        if node is None:
            shown, version = name, ""
        else:
            shown = style(node.name, "green", "bold") if node.direct else node.name
            version = style(node.version, "yellow" if node.kind == "conda" else "blue")
        label = style(f"(extra: {', '.join(extras)})", "cyan") if extras else ""
        self.lines.append(f"{prefix}{shown} {version} {label}{' (*)' if seen else ''}".rstrip())
