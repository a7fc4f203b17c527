"""``smelt cache``: what smelt keeps on this machine."""

from __future__ import annotations

import argparse
import json

from smelt.cli.subcommands import Subcommands, run_handler
from smelt.cli.terminal import Terminal, human_size

_TIMES = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_SIZES = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommands."""
    commands = Subcommands(parser, workspace=False)
    info = commands.add("info", "Show what is in the cache", _info)
    info.add_argument("--json", action="store_true", help="as JSON, sizes in bytes")
    gc = commands.add("gc", "Remove the built packages that no workspace uses, or what is old or too much", _gc)
    gc.add_argument(
        "--older-than",
        type=age,
        metavar="AGE",
        help="remove what was not used for so long (30d, 12h, 2w), sources and logs too",
    )
    gc.add_argument(
        "--max-size",
        type=size,
        metavar="SIZE",
        help="remove what was not used for the longest time, until no more is left than that (20G, 500M)",
    )
    gc.add_argument("--dry-run", "-n", action="store_true", help="remove nothing, say what would be removed")
    commands.add("verify", "Read all built packages again, and remove those that are damaged", _verify)


def execute(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Run the subcommand."""
    return run_handler(arguments, terminal)


def age(text: str) -> float:
    """A time such as ``30d``, in seconds."""
    try:
        number = float(text[:-1])
    except ValueError:
        number = -1.0
    if number < 0 or text[-1:] not in _TIMES:
        raise argparse.ArgumentTypeError(f"`{text}` is no time, such as 90m, 12h, 30d or 2w")
    return number * _TIMES[text[-1]]


def size(text: str) -> int:
    """A size such as ``20G`` or ``1.5GiB``, in bytes."""
    plain = text.lower().removesuffix("b").removesuffix("i")
    unit = plain[-1:] if plain[-1:] in _SIZES else ""
    try:
        number = float(plain.removesuffix(unit) if unit else plain)
    except ValueError:
        number = -1.0
    if number < 0:
        raise argparse.ArgumentTypeError(f"`{text}` is no size, such as 500M or 20G")
    return int(number * _SIZES[unit])


def _info(arguments: argparse.Namespace, terminal: Terminal) -> int:
    from smelt.api.cache import cache_info
    from smelt.fs import smelt_cache

    parts = cache_info()
    if arguments.json:
        data = {
            part.kind: {"path": str(part.path), "count": part.count, "used": part.rooted, "size": part.size}
            for part in parts
        }
        terminal.print(json.dumps({"path": str(smelt_cache()), "parts": data}, indent=2))
        return 0
    terminal.print(f"{smelt_cache()}")
    for part in parts:
        kept = f"  ({part.rooted} used by workspaces)" if part.kind == "artifacts" else ""
        kept = "  (of all conda packages, shared with Pixi)" if part.kind == "packages" else kept
        terminal.print(f"  {part.kind:<10} {part.count:>6}  {human_size(part.size):>10}{kept}")
    return 0


def _gc(arguments: argparse.Namespace, terminal: Terminal) -> int:
    from smelt.api.cache import collect

    found = collect(older_than=arguments.older_than, max_size=arguments.max_size, dry_run=arguments.dry_run)
    word = "would remove" if arguments.dry_run else "removed"
    for entry in found.removed:
        terminal.print(f"{word} {entry.kind} {entry.label}  {human_size(entry.size)}")
    for entry in found.busy:
        terminal.note(f"kept {entry.kind} {entry.label}: it is in use")
    freed = sum(entry.size for entry in found.removed)
    terminal.note(f"{word} {len(found.removed)} ({human_size(freed)}), {human_size(found.left)} left")
    if arguments.max_size is not None and found.left > arguments.max_size:
        terminal.warn(f"more than {human_size(arguments.max_size)} is left: workspaces or running builds use it")
    return 0


def _verify(arguments: argparse.Namespace, terminal: Terminal) -> int:
    from smelt.api.cache import verify_cache

    found = verify_cache()
    for label, removed in found.damaged:
        what = "removed, it will be built again" if removed else "kept, as it is being built"
        terminal.print(f"{terminal.style('damaged', 'red')} {label}: {what}")
    terminal.note(f"read {found.checked} built packages, {len(found.damaged)} damaged")
    return 1 if found.damaged else 0
