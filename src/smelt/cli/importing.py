"""``smelt import``."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from smelt.cli.editing import done, edit
from smelt.cli.options import add_workspace
from smelt.cli.terminal import Terminal
from smelt.errors import ErrorGroup, SmeltError, UsageError

if TYPE_CHECKING:
    from smelt.api.importing import Imported
    from smelt.manifest.edit.manifest import ManifestText

FORMATS = ("conda-env", "pypi-txt")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options. Source: the reference's page ``pixi import``."""
    add_workspace(parser)
    parser.add_argument("file", type=Path, metavar="FILE", help="an environment.yml or a requirements.txt")
    parser.add_argument("--format", metavar="FORMAT", help="conda-env or pypi-txt (default: the first that fits)")
    parser.add_argument("--platform", "-p", action="append", default=[], metavar="PLATFORM", help="only for it")
    parser.add_argument("--environment", "-e", metavar="ENVIRONMENT", help="the environment to make or to extend")
    parser.add_argument("--feature", "-f", metavar="FEATURE", help="the feature to make or to extend")


def execute(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Import a file into an environment of the workspace; nothing is solved."""
    wanted = arguments.format.lower() if arguments.format is not None else None
    if wanted is not None and wanted not in FORMATS:
        raise UsageError(
            f"invalid value '{arguments.format}' for '--format <FORMAT>'", help=f"there are {', '.join(FORMATS)}"
        )
    editor = edit(arguments, terminal)
    imported = _read(arguments.file, wanted)
    if imported.dependencies and not imported.channels:
        imported = replace(imported, channels=editor.workspace.settings.default_channels)
    manifest = _import(editor.manifest, imported, arguments)
    for warning in imported.warnings:
        terminal.warn(warning)
    edited = editor.write(manifest)
    done(terminal, f"Imported to {edited.workspace.model.manifest_path}")
    return 0


def _read(path: Path, wanted: str | None) -> Imported:
    from smelt.api.importing import read_environment_file, read_requirements_file

    readers = {"conda-env": read_environment_file, "pypi-txt": read_requirements_file}
    if wanted is not None:
        return readers[wanted](path)
    errors: list[SmeltError] = []
    for read in readers.values():
        try:
            return read(path)
        except SmeltError as error:
            errors.append(error)
    raise ErrorGroup(f"{path} has none of the known formats ({', '.join(FORMATS)})", errors)


def _import(manifest: ManifestText, imported: Imported, arguments: argparse.Namespace) -> ManifestText:
    from smelt.api.creation import import_into
    from smelt.manifest.edit.channel import add_channels
    from smelt.manifest.edit.environment import add_environment, add_feature_to_environment
    from smelt.manifest.edit.platform import add_platforms
    from smelt.manifest.edit.scope import Scope
    from smelt.manifest.platform import TomlPlatform
    from smelt.types import KNOWN_PLATFORMS

    feature = arguments.feature
    environment = arguments.environment or feature or imported.name
    if environment is None:
        raise _nameless()
    scope = Scope(feature=feature) if feature is not None else Scope(environment=environment)
    declared = manifest.get(manifest.at("environments", environment))
    if feature is None and declared is None:
        manifest = manifest.set(manifest.at("environments", environment, "no-default-feature"), True)
    for platform in arguments.platform:
        if platform not in KNOWN_PLATFORMS:
            raise UsageError(f"`{platform}` is not a conda platform")
        manifest, _ = add_platforms(manifest, scope, [TomlPlatform(name=platform, subdir=platform)])
    if imported.channels:
        manifest = add_channels(manifest, scope, imported.channels)
    for selector in arguments.platform or [None]:
        target = Scope(feature=scope.feature, environment=scope.environment, selector=selector)
        manifest = import_into(manifest, target, imported)
    if feature is not None:
        if declared is None:
            return add_environment(manifest, environment, features=[feature], no_default_feature=True)
        return add_feature_to_environment(manifest, environment, feature)
    return manifest


def _nameless() -> SmeltError:
    from smelt.api.importing import ImportingError

    return ImportingError(
        "Missing name: provide --feature or --environment, or set `name:` in the file (format conda-env)"
    )
