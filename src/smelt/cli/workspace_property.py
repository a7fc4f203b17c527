"""``smelt workspace name``, ``version``, ``description``, ``requires-pixi`` and ``preview``."""

from __future__ import annotations

import argparse
from functools import partial
from typing import Literal

from smelt.cli.editing import done, edit
from smelt.cli.options import load
from smelt.cli.subcommands import Subcommands
from smelt.cli.terminal import Terminal
from smelt.errors import ErrorGroup, ManifestError, UsageError

Property = Literal["name", "version", "description"]
_PROPERTIES: tuple[Property, ...] = ("name", "version", "description")


def add_commands(commands: Subcommands) -> None:
    """Declare the subcommands."""
    for key in _PROPERTIES:
        group = commands.group(key, f"Show or change the {key} of the workspace")
        group.add("get", f"Show the {key}", partial(_get, key))
        parser = group.add("set", f"Change the {key}", partial(_set, key))
        parser.add_argument("value", metavar=key.upper(), help=f"the new {key}")
        if key == "version":
            for part in ("major", "minor", "patch"):
                group.add(part, f"Raise the {part} number", partial(_bump, part))
    group = commands.group("requires-pixi", "Show or change which versions of pixi the workspace is for")
    group.add("get", "Show the requirement", _get_requires)
    parser = group.add("set", "Change the requirement", _set_requires)
    parser.add_argument("value", metavar="VERSION", help='a version spec (">=0.40")')
    group.add("unset", "Remove the requirement", _unset_requires)
    group.add("verify", "Fail if the requirement does not hold", _verify_requires)
    group = commands.group("preview", "Show or change the previews that are enabled")
    parser = group.add("add", "Enable previews", _add_preview, aliases=["a"])
    parser.add_argument("flags", nargs="+", metavar="PREVIEW", help="the name of a preview")
    parser = group.add("remove", "Disable previews", _remove_preview, aliases=["rm"])
    parser.add_argument("flags", nargs="+", metavar="PREVIEW", help="the name of a preview")
    parser.add_argument("--force", action="store_true", help="also if the manifest needs them")
    group.add("list", "List the previews that are enabled", _list_previews, aliases=["ls"])


def _get(key: Property, arguments: argparse.Namespace, terminal: Terminal) -> int:
    model = load(arguments, terminal).model
    value = {"name": model.name, "version": model.version, "description": model.description}[key]
    if value is not None:
        terminal.print(value)
    return 0


def _set(key: Property, arguments: argparse.Namespace, terminal: Terminal) -> int:
    from smelt.manifest.edit.properties import set_property

    editor = edit(arguments, terminal)
    editor.write(set_property(editor.manifest, key, arguments.value))
    done(terminal, f"Updated workspace {key} to '{arguments.value}'.")
    return 0


def _bump(part: str, arguments: argparse.Namespace, terminal: Terminal) -> int:
    from smelt.manifest.edit.properties import set_property
    from smelt.solve.pinning import bump

    editor = edit(arguments, terminal)
    old = editor.workspace.model.version
    if old is None:
        raise UsageError("the workspace has no version", help="`workspace version set` gives it one")
    new = bump(old, part)
    editor.write(set_property(editor.manifest, "version", new))
    done(terminal, f"Updated workspace version from '{old}' to '{new}'.")
    return 0


def _get_requires(arguments: argparse.Namespace, terminal: Terminal) -> int:
    value = load(arguments, terminal).model.requires_pixi
    if value is not None:
        terminal.print(value)
    return 0


def _set_requires(arguments: argparse.Namespace, terminal: Terminal) -> int:
    from smelt.manifest.edit.properties import set_requires_pixi

    editor = edit(arguments, terminal)
    editor.write(set_requires_pixi(editor.manifest, arguments.value))
    done(terminal, f"requires-pixi set to '{arguments.value}'")
    return 0


def _unset_requires(arguments: argparse.Namespace, terminal: Terminal) -> int:
    from smelt.manifest.edit.properties import set_requires_pixi

    editor = edit(arguments, terminal)
    editor.write(set_requires_pixi(editor.manifest, None))
    done(terminal, "requires-pixi removed")
    return 0


def _verify_requires(arguments: argparse.Namespace, terminal: Terminal) -> int:
    try:
        load(arguments, terminal)
    except ManifestError as error:
        if error.kind != "manifest-requires-pixi":
            raise
        from smelt.cli.errors import render

        terminal.err.write(render(error, terminal) + "\n")
        return 4  # the reference's own exit code for this command
    return 0


def _add_preview(arguments: argparse.Namespace, terminal: Terminal) -> int:
    from smelt.api.editing import open_manifest, write_unchecked
    from smelt.manifest.edit.properties import add_preview

    _check_flags(arguments.flags)
    path, manifest = open_manifest(arguments.manifest_path)
    new = manifest
    for flag in arguments.flags:
        new = add_preview(new, flag)
    problem = write_unchecked(path, manifest, new)
    if new.text == manifest.text:
        done(terminal, "The preview flags were already enabled.")
    else:
        done(terminal, f"Added '{', '.join(arguments.flags)}' to the preview flags.")
    if problem is not None:
        terminal.warn(f"The manifest still fails to load: {_first(problem)}")
    return 0


def _remove_preview(arguments: argparse.Namespace, terminal: Terminal) -> int:
    from smelt.api.editing import open_manifest, write_unchecked
    from smelt.manifest.edit.properties import remove_preview

    _check_flags(arguments.flags)
    path, manifest = open_manifest(arguments.manifest_path)
    new = manifest
    for flag in arguments.flags:
        new = remove_preview(new, flag)
    problem = write_unchecked(path, manifest, new, force=arguments.force)
    if new.text == manifest.text:
        done(terminal, "The preview flags were not enabled.")
    else:
        done(terminal, f"Removed '{', '.join(arguments.flags)}' from the preview flags.")
    if problem is not None:
        terminal.warn(f"The manifest fails to load now: {_first(problem)}")
    return 0


def _first(problem: ManifestError | ErrorGroup) -> str:
    return str(problem.errors[0]) if isinstance(problem, ErrorGroup) else str(problem)


def _check_flags(flags: list[str]) -> None:
    from smelt.manifest.workspace import PREVIEWS

    for flag in flags:
        if flag not in PREVIEWS:
            raise UsageError(f"there is no preview `{flag}`", help=f"there are {', '.join(PREVIEWS)}")


def _list_previews(arguments: argparse.Namespace, terminal: Terminal) -> int:
    for flag in load(arguments, terminal).model.previews:
        terminal.print(flag)
    return 0
