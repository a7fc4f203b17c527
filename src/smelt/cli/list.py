"""``smelt list``."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping, Sequence

from smelt.cli.options import add_environment, add_lock_usage, add_workspace, load, lock_mode
from smelt.cli.terminal import Terminal, human_size
from smelt.errors import UsageError

COLUMNS = ("name", "version", "build", "size", "kind", "source")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options. Source: the reference's page ``pixi list``."""
    add_workspace(parser)
    add_environment(parser, "the environment to list (default: default)")
    parser.add_argument("pattern", nargs="?", metavar="REGEX", help="only packages whose name matches")
    parser.add_argument("--platform", metavar="PLATFORM", help="the platform to list (default: this machine's)")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument("--explicit", "-x", action="store_true", help="only what the manifest names")
    parser.add_argument("--sort-by", choices=("name", "size", "kind"), default="name", help="the order")
    parser.add_argument("--no-install", action="store_true", help=argparse.SUPPRESS)
    add_lock_usage(parser)


def execute(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """List the locked packages of an environment."""
    workspace = load(arguments, terminal)
    try:
        pattern = re.compile(arguments.pattern or "")
    except re.error as error:
        raise UsageError(f"`{arguments.pattern}` is not a regular expression: {error}") from error
    rows = workspace.packages(arguments.environment or "default", arguments.platform, mode=lock_mode(arguments))
    rows = [row for row in rows if pattern.search(str(row["name"])) and (row["is_explicit"] or not arguments.explicit)]
    if arguments.sort_by == "size":
        rows.sort(key=lambda row: int(str(row["size_bytes"] or 0)))
    elif arguments.sort_by == "kind":
        rows.sort(key=lambda row: (str(row["kind"]), str(row["name"])))
    if arguments.json:
        terminal.print(json.dumps(rows, indent=2))
        return 0
    _table(rows, terminal)
    return 0


def _table(rows: Sequence[Mapping[str, object]], terminal: Terminal) -> None:
    cells = [
        {
            "name": str(row["name"]),
            "version": str(row["version"] or ""),
            "build": str(row["build"] or ""),
            "size": human_size(size) if isinstance(size := row["size_bytes"], int) else "",
            "kind": "source" if row.get("is_source") else str(row["kind"]),
            "source": str(row["source"] or "") + (f"  {row['variant']}" if row.get("variant") else ""),
        }
        for row in rows
    ]
    width = {c: max([len(c), *(len(cell[c]) for cell in cells)]) for c in COLUMNS}
    terminal.print(terminal.style("  ".join(f"{c.capitalize():<{width[c]}}" for c in COLUMNS).rstrip(), "bold"))
    for row, cell in zip(rows, cells, strict=True):
        line = "  ".join(
            f"{cell[c]:>{width[c]}}" if c == "size" else f"{cell[c]:<{width[c]}}" for c in COLUMNS
        ).rstrip()
        terminal.print(terminal.style(line, "green") if row["is_explicit"] else line)
