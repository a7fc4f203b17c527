"""What ``smelt workspace platform list`` shows."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable

from smelt.api.editing import open_manifest
from smelt.api.host import Machine, detect_machine
from smelt.cli.terminal import Terminal
from smelt.manifest.edit.manifest import ManifestText
from smelt.manifest.edit.platform import platform_entries
from smelt.manifest.edit.scope import Scope
from smelt.manifest.edit.values import toml_value
from smelt.workspace.model import Workspace


def show_platforms(model: Workspace, arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Print the platforms of ``model`` with what this machine is: for people, ``--json`` or ``--machine-readable``."""
    if arguments.machine_readable:
        terminal.print(" ".join(platform.name for platform in model.platforms))
        return 0
    machine = detect_machine()
    users = _Users(model, open_manifest(model.manifest_path)[1])
    if arguments.json:
        terminal.print(json.dumps(_json(model, users, machine), indent=2))
        return 0
    terminal.print("Your current machine was detected as:")
    parts = [f"platform={machine.subdir}", *_shown(platform_entries(machine.subdir, machine.packages))]
    terminal.print(f"    {', '.join(parts)}")
    if model.platforms:
        terminal.print("\n" + terminal.style("Platforms:", "bold"))
    supported = {platform.name for platform in model.platforms if machine.supports(platform)}
    for platform in model.platforms:
        covered = machine.covers(platform.subdir)
        words = [f"platform={platform.subdir}" if covered else terminal.style(f"platform={platform.subdir}", "dim")]
        for key, value in platform_entries(platform.subdir, platform.virtual_packages):
            text = _shown([(key, value)])[0]
            words.append(text if machine.satisfies_entry(platform, key) else terminal.style(text, "dim"))
        good = platform.name in supported
        name = terminal.style(platform.name, "bold") if good else platform.name
        terminal.print(f"{name}: {', '.join(words)}{' (supported by current machine)' if good else ''}")
        for head, names in users.lines(platform.name, several=len(model.environments) > 1):
            shown = [each if users.reachable(each, supported) else terminal.style(each, "dim") for each in names]
            terminal.print(f"    {head}: {', '.join(shown)}")
    return 0


def _shown(entries: Iterable[tuple[str, object]]) -> list[str]:
    found: list[str] = []
    for key, value in entries:
        if isinstance(value, dict):
            found.append(f"{key} = {toml_value(value)}")  # pyright: ignore[reportUnknownArgumentType]
        else:
            found.append(f"{key}={value}")
    return found


class _Users:
    """Which environments and features name which platforms."""

    def __init__(self, model: Workspace, manifest: ManifestText) -> None:
        self.environments = {name: {p.name for p in model.platforms_of(name)} for name in model.environments}
        self.features: dict[str, set[str]] = {}
        self.inline: dict[str, set[str]] = {}
        for name in manifest.table(manifest.at("feature")):
            path = Scope(feature=name).list_path(manifest, "platforms")
            if manifest.get(path) is not None:
                self.features[name] = {str(each) for each in manifest.array(path)}
        for name, entry in manifest.table(manifest.at("environments")).items():
            if isinstance(entry, dict) and "platforms" in entry:
                path = Scope(environment=name).list_path(manifest, "platforms")
                self.inline[name] = {str(each) for each in manifest.array(path)}

    def of(self, platform: str) -> tuple[list[str], list[str], list[str]]:
        """Environments, features, and environments that say so themselves."""
        return (
            [name for name, platforms in self.environments.items() if platform in platforms],
            [name for name, platforms in self.features.items() if platform in platforms],
            [name for name, platforms in self.inline.items() if platform in platforms],
        )

    def lines(self, platform: str, *, several: bool) -> list[tuple[str, list[str]]]:
        """What is told below a platform."""
        environments, features, inline = self.of(platform)
        found = [
            ("Used in environments", environments if several else []),
            ("Used in features    ", features),
            ("Declared inline in environments", inline),
        ]
        return [(head, names) for head, names in found if names]

    def reachable(self, name: str, supported: set[str]) -> bool:
        """Whether the environment or feature has a platform that this machine is."""
        platforms = self.features.get(name) if name in self.features else self.environments.get(name)
        return bool(supported & (platforms or set()))


def _json(model: Workspace, users: _Users, machine: Machine) -> dict[str, object]:
    rows: list[dict[str, object]] = [
        {
            "name": "current",
            "subdir": machine.subdir,
            "virtual_packages": [],
            "detected_virtual_packages": _shown(platform_entries(machine.subdir, machine.packages)),
            "features": [],
            "declared_inline_in_environments": [],
            "environments": [],
            "is_current": True,
            "is_autodetected": True,
        }
    ]
    for platform in model.platforms:
        environments, features, inline = users.of(platform.name)
        rows.append(
            {
                "name": platform.name,
                "subdir": platform.subdir,
                "virtual_packages": _shown(platform_entries(platform.subdir, platform.virtual_packages)),
                "detected_virtual_packages": [str(package) for package in platform.virtual_packages],
                "features": features,
                "declared_inline_in_environments": inline,
                "environments": environments,
            }
        )
    return {"current_subdir": machine.subdir, "platforms": rows}
