"""``smelt info``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from typing import Any

from smelt import __version__
from smelt.cli.options import add_workspace
from smelt.cli.settings import given_settings, settings_for, show_problems, source_of
from smelt.cli.terminal import Terminal
from smelt.errors import ManifestError

_WIDTH = 19


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options. Source: the reference's page ``pixi info``."""
    add_workspace(parser)
    parser.add_argument("--json", action="store_true", help="as JSON, with all that environments mean")
    parser.add_argument("--extended", action="store_true", help="measure caches and environments")


def execute(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Show the machine, the caches, and the workspace if there is one here."""
    from smelt.api.information import collect
    from smelt.api.workspace import Workspace

    try:
        workspace = Workspace.load(
            arguments.manifest_path, source=source_of(arguments), given=given_settings(arguments)
        )
    except ManifestError as error:
        if error.kind != "manifest-not-found" or arguments.manifest_path is not None:
            raise
        workspace = None
    if workspace is not None:
        settings = workspace.settings
        show_problems(settings, terminal)
    else:
        settings = settings_for(arguments, None, terminal)
    data = collect(workspace, settings, sizes=arguments.extended)
    if arguments.json:
        terminal.print(json.dumps(data, indent=2))
        return 0
    _system(data, terminal)
    if data["project_info"] is not None:
        _workspace(data["project_info"], terminal)
    if data["environments_info"]:
        _title("Environments", terminal)
        for number, environment in enumerate(data["environments_info"]):
            if number:
                terminal.print()
            _environment(environment, terminal)
    return 0


def _title(text: str, terminal: Terminal, *, first: bool = False) -> None:
    if not first:
        terminal.print()
    terminal.print(terminal.style(f"{text}\n------------", "cyan", "bold"))


def _line(head: str, value: object, terminal: Terminal) -> None:
    terminal.print(f"{terminal.style(f'{head:>{_WIDTH}}', 'bold')}: {value}")


def _system(data: Mapping[str, Any], terminal: Terminal) -> None:
    _title("System", terminal, first=True)
    _line("smelt version", terminal.style(__version__, "green"), terminal)
    _line("TLS backend", data["tls_backend"], terminal)
    _line("Platform", data["platform"], terminal)
    for number, package in enumerate(data["virtual_packages"]):
        _line("" if number else "Virtual packages", package, terminal)
    _line("Cache dir", data["cache_dir"], terminal)
    if data["cache_size"] is not None:
        _line("Cache size", data["cache_size"], terminal)
    _line("Auth storage", data["auth_dir"], terminal)
    _line("Config locations", " ".join(data["config_locations"]) or "No config files found", terminal)
    _title("Global", terminal)
    _line("Bin dir", data["global_info"]["bin_dir"], terminal)
    _line("Environment dir", data["global_info"]["env_dir"], terminal)
    _line("Manifest dir", data["global_info"]["manifest"], terminal)


def _workspace(project: Mapping[str, Any], terminal: Terminal) -> None:
    _title("Workspace", terminal)
    _line("Name", project["name"], terminal)
    if project["version"] is not None:
        _line("Version", project["version"], terminal)
    _line("Manifest file", project["manifest_path"], terminal)
    if project["last_updated"] is not None:
        _line("Last updated", project["last_updated"], terminal)
    if project["pixi_folder_size"] is not None:
        _line("Size of .pixi", project["pixi_folder_size"], terminal)


def _environment(environment: Mapping[str, Any], terminal: Terminal) -> None:
    from smelt.solve.network import redacted

    _line("Environment", terminal.style(environment["name"], "magenta", "bold"), terminal)
    _line("Features", ", ".join(environment["features"]), terminal)
    if environment["solve_group"] is not None:
        _line("Solve group", environment["solve_group"], terminal)
    if environment["environment_size"] is not None:
        _line("Environment size", environment["environment_size"], terminal)
    if environment["channels"]:
        _line("Channels", ", ".join(map(redacted, environment["channels"])), terminal)
    _line("Dependency count", len(environment["dependencies"]), terminal)
    if environment["dependencies"]:
        _line("Dependencies", ", ".join(environment["dependencies"]), terminal)
    if environment["pypi_dependencies"]:
        _line("PyPI Dependencies", ", ".join(environment["pypi_dependencies"]), terminal)
    if environment["platforms"]:
        _line("Target platforms", ", ".join(_platform(each) for each in environment["platforms"]), terminal)
    if environment["resolved_platform"] is not None:
        _line("Resolved platform", _platform(environment["resolved_platform"]), terminal)
    minimum = environment["minimum_supported_platform"]
    shown = _platform(minimum) if minimum is not None else terminal.style("available after `smelt install`", "dim")
    _line("Minimum platform", shown, terminal)
    _line("Prefix location", environment["prefix"], terminal)
    tasks: Sequence[str] = [name for name in environment["tasks"] if not name.startswith("_")]
    if tasks:
        _line("Tasks", ", ".join(tasks), terminal)


def _platform(platform: Mapping[str, Any]) -> str:
    packages = ", ".join(platform["virtual_packages"])
    return f"{platform['name']} ({packages})" if packages else str(platform["name"])
