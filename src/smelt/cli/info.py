"""``smelt info``."""

from __future__ import annotations

import argparse
import json

from smelt import __version__
from smelt.cli.options import add_workspace
from smelt.cli.terminal import Terminal
from smelt.errors import ManifestError


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options. Source: the reference's page ``pixi info``."""
    add_workspace(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")


def execute(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Show the machine, the caches, and the workspace if there is one here."""
    from smelt.api.information import collect
    from smelt.api.workspace import Workspace

    try:
        workspace = Workspace.load(arguments.manifest_path)
    except ManifestError as error:
        if error.kind != "manifest-not-found" or arguments.manifest_path is not None:
            raise
        workspace = None
    data = collect(workspace)
    if arguments.json:
        terminal.print(json.dumps(data, indent=2))
        return 0

    def line(head: str, value: object) -> None:
        if value not in (None, "", []):
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)  # pyright: ignore
            terminal.print(f"{terminal.style(f'{head:>20}', 'bold')}: {text}")

    terminal.print(terminal.style("System", "cyan", "bold"))
    line("smelt version", __version__)
    line("Platform", data["platform"])
    line("Virtual packages", data["virtual_packages"])
    line("Cache", data["cache_dir"])
    project = data["project_info"]
    if project is not None:
        terminal.print("\n" + terminal.style("Workspace", "cyan", "bold"))
        line("Name", project["name"])
        line("Version", project["version"])
        line("Manifest", project["manifest_path"])
        line("Lock file", project["last_updated"] or "none yet")
    for environment in data["environments_info"]:
        terminal.print("\n" + terminal.style(f"Environment {environment['name']}", "cyan", "bold"))
        line("Features", environment["features"])
        line("Solve group", environment["solve_group"])
        line("Profile", environment["profile"])
        line("Channels", environment["channels"])
        line("Platforms", [platform["name"] for platform in environment["platforms"]])
        line("Dependencies", environment["dependencies"])
        line("Tasks", environment["tasks"])
        line("Prefix", environment["prefix"])
    return 0
