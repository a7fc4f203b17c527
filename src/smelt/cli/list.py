"""``smelt list``."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping, Sequence

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

FIELDS = {
    "arch": "Arch",
    "build": "Build",
    "build-number": "Build#",
    "constrains": "Constrains",
    "depends": "Depends",
    "file-name": "File Name",
    "is-editable": "Editable",
    "kind": "Kind",
    "license": "License",
    "license-family": "License Family",
    "md5": "MD5",
    "name": "Name",
    "noarch": "Noarch",
    "platform": "Platform",
    "requested-spec": "Requested",
    "sha256": "SHA256",
    "size": "Size",
    "source": "Source",
    "subdir": "Subdir",
    "timestamp": "Timestamp",
    "track-features": "Track Features",
    "url": "URL",
    "variant": "Variant",
    "version": "Version",
}
DEFAULT_FIELDS = ("name", "version", "build", "size", "kind", "source")
_RIGHT = frozenset(("size", "build-number", "timestamp"))


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options. Source: the reference's page ``pixi list``; the field ``variant`` is smelt's own."""
    add_workspace(parser, script=True)
    add_environment(parser, "the environment to list (default: default)")
    parser.add_argument("pattern", nargs="?", metavar="REGEX", help="only packages whose name matches")
    parser.add_argument("--platform", metavar="PLATFORM", help="the platform to list (default: this machine's)")
    parser.add_argument("--json", "--json-pretty", action="store_true", help="as JSON")
    parser.add_argument("--explicit", "-x", action="store_true", help="only what the manifest names")
    parser.add_argument("--sort-by", choices=("size", "name", "kind"), help="the order (default: name)")
    parser.add_argument(
        "--fields",
        action="append",
        type=_fields,
        metavar="FIELDS",
        help=f"the columns, separated by commas (default: {','.join(DEFAULT_FIELDS)}; known: {', '.join(FIELDS)})",
    )
    add_no_install(parser)
    add_lock_usage(parser)


def _fields(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in FIELDS:
            raise argparse.ArgumentTypeError(f"there is no field `{name}`; known are {', '.join(FIELDS)}")
    return names


def execute(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """List the locked packages of an environment."""
    if arguments.json and (arguments.fields or arguments.sort_by):
        raise UsageError(f"`--json` has all fields: `{'--fields' if arguments.fields else '--sort-by'}` is for tables")
    try:
        pattern = re.compile(arguments.pattern or "")
    except re.error as error:
        raise UsageError(f"`{arguments.pattern}` is not a regular expression: {error}") from error
    refuse_for_script(arguments, f"{program()} list", ["--environment"])
    workspace = load(arguments, terminal)
    name = asked_environment(arguments, workspace)
    rows = workspace.packages(name, arguments.platform, mode=lock_mode(arguments))
    rows = [row for row in rows if pattern.search(str(row["name"])) and (row["is_explicit"] or not arguments.explicit)]
    if arguments.sort_by == "size":
        rows.sort(key=lambda row: int(str(row["size_bytes"] or 0)))
    elif arguments.sort_by == "kind":
        rows.sort(key=lambda row: str(row["kind"]))
    if arguments.json:
        terminal.print(json.dumps(rows, indent=2))
        return 0
    if not rows:
        from smelt.api.platforms import platform_for

        platform = platform_for(workspace.model, name, arguments.platform).name
        raise UnknownNameError(
            f"No packages found in '{name}' environment for '{platform}' platform.", code="no-packages"
        )
    if name != "default":
        terminal.note(f"Environment: {name}")
    _table(rows, [field for fields in arguments.fields or [DEFAULT_FIELDS] for field in fields], terminal)
    return 0


def _table(rows: Sequence[Mapping[str, object]], fields: Sequence[str], terminal: Terminal) -> None:
    cells = [[_cell(row, field) for field in fields] for row in rows]
    width = [max(len(FIELDS[field]), *(len(line[at]) for line in cells)) for at, field in enumerate(fields)]

    def aligned(texts: Sequence[str]) -> list[str]:
        return [
            f"{text:>{width[at]}}" if fields[at] in _RIGHT else f"{text:<{width[at]}}" for at, text in enumerate(texts)
        ]

    head = aligned([FIELDS[field] for field in fields])
    terminal.print("  ".join(terminal.style(each, "cyan", "bold") for each in head).rstrip())
    for row, line in zip(rows, cells, strict=True):
        shown = aligned(line)
        color = "yellow" if row["kind"] == "conda" else "blue"
        for at, field in enumerate(fields):
            if field == "name" and row["is_explicit"]:
                shown[at] = terminal.style(shown[at], color, "bold")
            elif field == "kind":
                shown[at] = terminal.style(shown[at], color)
        terminal.print("  ".join(shown).rstrip())


def _cell(row: Mapping[str, object], field: str) -> str:
    if field == "is-editable":
        return "true" if row.get("is_editable") else "false"
    if field == "kind":
        return "source" if row.get("is_source") else str(row["kind"])
    value = row.get("size_bytes" if field == "size" else field.replace("-", "_"))
    if field == "source" and row.get("variant"):
        return f"{value or ''}  {row['variant']}"
    if value is None:
        return ""
    if field == "size":
        return human_bytes(int(str(value)))
    return ", ".join(str(each) for each in value) if isinstance(value, list) else str(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def human_bytes(size: int) -> str:
    """A number of bytes with two digits after the point, as the reference's table shows it."""
    number = float(size)
    for unit in ("B", "KiB", "MiB"):
        if number < 1024:
            return f"{size} B" if unit == "B" else f"{number:.2f} {unit}"
        number /= 1024
    return f"{number:.2f} GiB"
