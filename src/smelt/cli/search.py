"""``smelt search``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from smelt.cli.list import human_bytes
from smelt.cli.location import add_location
from smelt.cli.settings import add_config_source, add_settings, given_settings, settings_for, source_of
from smelt.cli.terminal import Terminal
from smelt.errors import ManifestError, UsageError

if TYPE_CHECKING:
    from smelt.api.workspace import Workspace

_LIMIT = 5
_WIDTH = 19
_RUN_EXPORTS = {
    "noarch": "noarch",
    "strong": "strong",
    "weak": "weak",
    "strong_constrains": "strong constrains",
    "weak_constrains": "weak constrains",
}

Record = Mapping[str, Any]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options. Source: the reference's page ``pixi search``."""
    parser.add_argument("package", metavar="PACKAGE", help="a name, a pattern (`*numpy*`), or a MatchSpec")
    parser.add_argument("--channel", "-c", action="append", metavar="CHANNEL", help="where to search")
    parser.add_argument("--platform", "-p", metavar="PLATFORM", help="the platform (default: the workspace's, or all)")
    parser.add_argument("--limit", "-l", type=int, metavar="N", help="versions to show (default: 5, -1: all)")
    parser.add_argument("--limit-packages", "-n", type=int, metavar="N", help="packages to show (default: 5, -1: all)")
    parser.add_argument("--json", action="store_true", help="all records as JSON, by platform")
    add_location(parser)
    add_config_source(parser)
    add_settings(parser)


def execute(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Search channels for packages."""
    from smelt.api.search import search, search_channels
    from smelt.cli.settings import put_into_force, show_problems

    if arguments.json and (arguments.limit is not None or arguments.limit_packages is not None):
        raise UsageError("`--json` shows everything: leave out `--limit` and `--limit-packages`")
    workspace = _workspace(arguments)
    settings = workspace.settings if workspace is not None else settings_for(arguments, None, terminal)
    if workspace is not None:
        show_problems(settings, terminal)
    put_into_force(settings, terminal)
    channels = search_channels(workspace, settings, arguments.channel or ())
    terminal.note(f"Using channels: {', '.join(map(short_channel, channels))}")
    versions = _limit(arguments.limit)
    packages = _limit(arguments.limit_packages)
    result = search(
        arguments.package,
        workspace=workspace,
        settings=settings,
        channels=channels,
        platform=arguments.platform,
        most=None if arguments.json else packages,
    )
    if arguments.json:
        found: dict[str, list[Record]] = {}
        for record in reversed(result.records):
            found.setdefault(record["subdir"], []).append(record)
        terminal.print(json.dumps(found, indent=2))
        return 0
    by_name: dict[str, list[Record]] = {}
    for record in result.records:
        by_name.setdefault(record["name"], []).append(record)
    total = result.matches if result.matches is not None else len(by_name)
    lines = (
        package_lines(next(iter(by_name.values())), versions, terminal)
        if len(by_name) == 1 and total == 1
        else summary_lines(by_name, total, packages, versions, terminal)
    )
    for line in lines:
        terminal.print(line)
    return 0


def _workspace(arguments: argparse.Namespace) -> Workspace | None:
    """The workspace here, if there is one; one that is named must be there."""
    from smelt.api.workspace import Workspace

    try:
        return Workspace.load(arguments.manifest_path, source=source_of(arguments), given=given_settings(arguments))
    except ManifestError as error:
        if error.kind != "manifest-not-found" or arguments.manifest_path is not None:
            raise
        return None


def _limit(given: int | None) -> int | None:
    number = _LIMIT if given is None else given
    return number if number >= 0 else None


def short_channel(url: str) -> str:
    """A channel as users write it: without the usual host, and without credentials."""
    from smelt.solve.network import redacted
    from smelt.workspace.channel import CHANNEL_ALIAS

    return redacted(url).removeprefix(f"{CHANNEL_ALIAS}/").rstrip("/")


def package_lines(records: Sequence[Record], limit: int | None, terminal: Terminal) -> list[str]:
    """The newest of ``records`` (all of one name, oldest first) in detail, and what else there is."""
    from smelt.solve.network import redacted

    newest = records[-1]
    if limit == 0:
        return [newest["name"]]
    versions: dict[str, list[Record]] = {}
    for record in reversed(records[:-1]):
        versions.setdefault(record["version"], []).append(record)
    more = _more_builds(len(versions.pop(newest["version"], ())))
    title = f"{newest['name']}-{newest['version']}-{newest['build']}{more}"
    lines = [title, "-" * len(title), ""]
    rows: list[tuple[str, object]] = [
        ("Name", newest["name"]),
        ("Version", newest["version"]),
        ("Build", newest["build"]),
        ("Size", human_bytes(newest["size"]) if newest.get("size") is not None else "Not found."),
    ]
    if newest.get("license"):
        rows.append(("License", newest["license"]))
    if newest.get("timestamp"):
        moment = datetime.fromtimestamp(newest["timestamp"] / 1000, tz=UTC)
        rows.append(("Timestamp", f"{moment:%Y-%m-%d %H:%M:%S} UTC"))
    rows.append(("Subdir", newest["subdir"]))
    if newest.get("noarch"):
        rows.append(("NoArch", newest["noarch"] if isinstance(newest["noarch"], str) else "generic"))
    rows += [
        ("File Name", newest["fn"]),
        ("URL", redacted(newest["url"])),
        ("MD5", newest.get("md5") or "Not available"),
        ("SHA256", newest.get("sha256") or "Not available"),
    ]
    lines += [f"{head:{_WIDTH}} {value}" for head, value in rows]
    lines += _list("Track features:", _words(newest.get("track_features")))
    lines += _list("Package URLs:", newest.get("purls") or ())
    lines += ["", "Dependencies:", *(f" - {each}" for each in newest.get("depends") or ())]
    lines += _extra(newest)
    lines += _run_exports(newest.get("run_exports"))
    if versions:
        lines += _other_versions(versions, limit, terminal)
    return lines


def _list(head: str, values: Sequence[str]) -> list[str]:
    return ["", head, *(f" - {each}" for each in values)] if values else []


def _words(value: str | Sequence[str] | None) -> Sequence[str]:
    return value.split() if isinstance(value, str) else value or ()


def _extra(record: Record) -> list[str]:
    """What the package needs for its extras; the reference does not show it."""
    lines: list[str] = []
    extras: Mapping[str, Sequence[str]] = record.get("extra_depends") or {}
    for extra, needs in sorted(extras.items()):
        lines += ["", f"Dependencies of {record['name']}[{extra}]:", *(f" - {each}" for each in needs)]
    return lines


def _run_exports(exports: Mapping[str, Sequence[str]] | None) -> list[str]:
    if exports is None:
        return ["", "Run exports: not available in repodata"]
    lines = ["", "Run exports:"]
    for key, head in _RUN_EXPORTS.items():
        if exports.get(key):
            lines += [f"  {head}:", *(f"   - {each}" for each in exports[key])]
    return lines


def _other_versions(versions: Mapping[str, Sequence[Record]], limit: int | None, terminal: Terminal) -> list[str]:
    width = max(len("Version"), *map(len, versions)) + 1
    lines = ["", f"Other Versions ({len(versions)}):"]
    lines.append(f"{terminal.style('Version'.ljust(width), 'bold')} {terminal.style('Build', 'bold')}")
    for index, (version, builds) in enumerate(versions.items()):
        if limit is not None and index >= limit:
            lines.append(f"{terminal.style('...', 'dim')} and {len(versions) - limit} more")
            break
        more = terminal.style(_more_builds(len(builds) - 1), "dim") if len(builds) > 1 else ""
        lines.append(f"{version:{width}} {builds[0]['build']}{more}")
    return lines


def _more_builds(count: int) -> str:
    if count == 0:
        return ""
    return " (+ 1 build)" if count == 1 else f" (+ {count} builds)"


def summary_lines(
    by_name: Mapping[str, Sequence[Record]], total: int, packages: int | None, versions: int | None, terminal: Terminal
) -> list[str]:
    """Each package with its newest builds. ``total``: of packages, shown or not."""
    lines: list[str] = []
    shown = list(by_name.items())[:packages]
    for index, (name, records) in enumerate(shown):
        if versions == 0:
            lines.append(name)
            continue
        if index:
            lines.append("")
        count = f"{len(records)} {'version' if len(records) == 1 else 'versions'}"
        lines.append(f"{terminal.style(name, 'green', 'bold')} ({count})")
        newest = list(reversed(records))[:versions]
        for record in newest:
            channel = terminal.style(short_channel(record.get("channel") or "<unknown>"), "dim")
            version = terminal.style(record["version"], "cyan")
            lines.append(f"  {version} {record['build']} [{record['subdir']}] {channel}")
        rest = len(records) - len(newest)
        if rest:
            what = "version" if rest == 1 else "versions"
            lines.append("  " + terminal.style(f"... and {rest} more {what} (use -l to show more)", "dim"))
    hidden = total - len(shown)
    if hidden > 0:
        what = "package" if hidden == 1 else "packages"
        lines += ["", terminal.style(f"... and {hidden} more {what} (use -n to show more)", "dim")]
    return lines
