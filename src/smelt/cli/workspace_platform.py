"""``smelt workspace platform``."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from smelt.cli.editing import add_scope, commit, done, edit, scope_of
from smelt.cli.options import load
from smelt.cli.subcommands import Subcommands, program
from smelt.cli.terminal import Terminal
from smelt.errors import ManifestError, UsageError

if TYPE_CHECKING:
    from smelt.api.editing import ManifestEditor
    from smelt.manifest.edit.manifest import ManifestText
    from smelt.manifest.edit.scope import Scope
    from smelt.manifest.platform import TomlPlatform
    from smelt.types import VirtualPackage

_FLAGS = (
    ("cuda", "__cuda", None),
    ("cuda-arch", "__cuda_arch", None),
    ("archspec", "__archspec", None),
    ("glibc", "__glibc", "linux"),
    ("linux", "__linux", "linux"),
    ("macos", "__osx", "osx"),
    ("windows", "__win", "win"),
)


def add_commands(commands: Subcommands) -> None:
    """Declare the subcommands."""
    group = commands.group("platform", "Change the platforms", script=True)
    add = group.add("add", "Add platforms", _add, aliases=["a"])
    add.add_argument(
        "platforms",
        nargs="*",
        metavar="PLATFORM",
        help="a conda platform, NAME=PLATFORM, or a virtual package (__NAME=VERSION)",
    )
    add.add_argument(
        "--auto-detect", "--auto-detected", "--current", action="store_true", help="what this machine is, as the first"
    )
    _virtual_packages(add)
    add_scope(add, "that gets the platform")
    _update(add)
    change = group.add("edit", "Change a platform", _edit, aliases=["e"])
    change.add_argument("name", metavar="NAME", help="the platform")
    change.add_argument("packages", nargs="*", metavar="__NAME=VERSION", help="a virtual package")
    change.add_argument("--subdir", metavar="PLATFORM", help="another conda platform")
    _virtual_packages(change)
    change.add_argument(
        "--remove-virtual-package", action="append", default=[], metavar="NAME", help="remove it (again: more)"
    )
    change.add_argument("--clear-virtual-packages", action="store_true", help="remove all before adding")
    _update(change)
    move = group.add("move", "Change the order: the first that fits a machine is used", _move, aliases=["mv"])
    move.add_argument("name", metavar="NAME", help="the platform")
    anchor = move.add_mutually_exclusive_group(required=True)
    anchor.add_argument("--before", metavar="PLATFORM", help="directly before this one")
    anchor.add_argument("--after", metavar="PLATFORM", help="directly after this one")
    anchor.add_argument("--to-top", action="store_true", help="before all others")
    anchor.add_argument("--to-bottom", action="store_true", help="after all others")
    _update(move)
    remove = group.add("remove", "Remove platforms", _remove, aliases=["rm"])
    remove.add_argument("platforms", nargs="+", metavar="PLATFORM", help="the name of a platform")
    add_scope(remove, "that has the platform")
    _update(remove)
    listing = group.add("list", "List the platforms, and what this machine is", _list, aliases=["ls"])
    listing.add_argument("--json", action="store_true", help="as JSON")
    listing.add_argument("--machine-readable", action="store_true", help=argparse.SUPPRESS)


def _virtual_packages(parser: argparse.ArgumentParser) -> None:
    for flag, name, family in _FLAGS:
        names = [f"--{flag}", "--osx"] if flag == "macos" else [f"--{flag}"]
        where = f" (only {family})" if family is not None else ""
        parser.add_argument(*names, metavar="VERSION", dest=flag.replace("-", "_"), help=f"declare `{name}`{where}")


def _update(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-install", action="store_true", help="only change manifest and lock file")
    parser.set_defaults(frozen=False, locked=False, no_lockfile_update=False)


def _packages(arguments: argparse.Namespace, subdir: str, raw: Iterable[str]) -> list[VirtualPackage]:
    """What flags and ``__name=version`` say, each virtual package once."""
    from smelt.manifest.version import version_problem
    from smelt.types import VirtualPackage, platform_family

    found: dict[str, VirtualPackage] = {}

    def put(package: VirtualPackage) -> None:
        if package.name in found:
            raise ManifestError(f"the virtual package `{package.name}` is given more than once", code="manifest-value")
        found[package.name] = package

    for flag, name, family in _FLAGS:
        value = getattr(arguments, flag.replace("-", "_"))
        if value is None:
            continue
        if family is not None and platform_family(subdir) != family:
            raise ManifestError(
                f"--{flag} only applies to {family} subdirs, and this platform is for `{subdir}`",
                code="manifest-platform",
            )
        if flag == "archspec":
            if not value:
                raise ManifestError("--archspec cannot be empty", code="manifest-value")
            put(VirtualPackage(name=name, build=value))
            continue
        complaint = version_problem(value)
        if complaint is not None:
            raise ManifestError(f"--{flag}: {complaint}", code="manifest-version")
        put(VirtualPackage(name=name, version=value))
    for text in raw:
        name, _, rest = text.partition("=")
        version, _, build = rest.partition("=")
        complaint = version_problem(version) if rest else None
        if not name.startswith("__") or len(name) < 3 or complaint is not None:
            raise ManifestError(
                f"`{text}` is not a virtual package: {complaint or 'names begin with `__`'}", code="manifest-value"
            )
        put(VirtualPackage(name=name.lower(), version=version or "0", build=build or "0"))
    return list(found.values())


def _add(arguments: argparse.Namespace, terminal: Terminal) -> int:
    raw = [text for text in arguments.platforms if text.startswith("__")]
    entries = [text for text in arguments.platforms if not text.startswith("__")]
    if arguments.auto_detect:
        return _add_detected(arguments, terminal, entries, raw)
    if not entries:
        raise UsageError("at least one platform is needed")
    special = bool(raw) or any(getattr(arguments, flag.replace("-", "_")) is not None for flag, _, _ in _FLAGS)
    if special and len(entries) != 1:
        raise ManifestError(
            f"virtual packages need exactly one platform, {len(entries)} are given", code="manifest-platform"
        )
    if len(set(entries)) < len(entries):
        double = next(entry for entry in entries if entries.count(entry) > 1)
        raise ManifestError(f"platform `{double}` is given more than once", code="manifest-duplicate")
    platforms = [_entry(arguments, entry, raw, special=special) for entry in entries]
    from smelt.manifest.edit.platform import add_platforms

    editor = edit(arguments, terminal)
    scope = scope_of(arguments)
    base = editor.manifest if all(platform.is_plain for platform in platforms) else _migrated(editor, terminal)
    manifest, changed = add_platforms(base, scope, platforms)
    commit(editor, manifest, arguments)
    for platform in platforms:
        where = "" if scope.is_default else f" to {scope}"
        if platform.name in changed:
            done(terminal, f"Added {platform.name}{where}")
        else:
            done(terminal, f"Platform {platform.name} is already present; nothing to do")
    return 0


def _entry(arguments: argparse.Namespace, entry: str, raw: Sequence[str], *, special: bool) -> TomlPlatform:
    from smelt.manifest.platform import FAMILIES, TomlPlatform, platform_name_problem
    from smelt.text import closest
    from smelt.types import KNOWN_PLATFORMS

    name, mark, subdir = entry.rpartition("=")
    if not mark:
        name = subdir
    if subdir not in KNOWN_PLATFORMS:
        guess = closest(subdir, KNOWN_PLATFORMS)
        raise ManifestError(
            f"`{subdir}` is not a valid conda subdir",
            code="manifest-platform",
            help=f"did you mean `{guess}`?" if guess else f"known are {', '.join(KNOWN_PLATFORMS)}",
        )
    complaint = platform_name_problem(name)
    if complaint is not None:
        reserved = " (the name is reserved)" if name in FAMILIES else ""
        raise ManifestError(f"invalid platform name: {complaint}{reserved}", code="manifest-platform")
    if special and name == subdir:
        raise ManifestError(
            f"virtual packages require a custom platform name, not the bare `{subdir}`",
            code="manifest-platform",
            help=f"write `<name>={subdir}`, for example `gpu-{subdir}={subdir}`",
        )
    packages = _packages(arguments, subdir, raw)
    _check_cuda(packages)
    return TomlPlatform(name=name, subdir=subdir, declared=tuple(packages))


def _check_cuda(packages: Iterable[VirtualPackage]) -> None:
    names = {package.name for package in packages}
    if "__cuda_arch" in names and "__cuda" not in names:
        raise ManifestError("`__cuda_arch` requires `__cuda`", code="manifest-platform", help="add `--cuda VERSION`")


def _add_detected(arguments: argparse.Namespace, terminal: Terminal, entries: Sequence[str], raw: Sequence[str]) -> int:
    from smelt.api.host import detect_machine
    from smelt.manifest.edit.platform import add_platforms, detected, move_platform, same_definition
    from smelt.manifest.platform import platform_name_problem

    if len(entries) > 1:
        raise ManifestError(
            f"`--auto-detect` takes at most one name, {len(entries)} are given", code="manifest-platform"
        )
    name = entries[0] if entries else None
    if name is not None and "=" in name:
        raise ManifestError(
            "`--auto-detect` finds the conda platform itself: give a bare `<name>`, not `<name>=<subdir>`",
            code="manifest-platform",
        )
    if name is not None and (complaint := platform_name_problem(name)) is not None:
        raise ManifestError(f"invalid platform name: {complaint}", code="manifest-platform")
    machine = detect_machine()
    own = _packages(arguments, machine.subdir, raw)
    asked = {package.name for package in own}
    packages = [*(package for package in machine.packages if package.name not in asked), *own]
    _check_cuda(packages)
    platform = detected(machine.subdir, packages, name)
    editor = edit(arguments, terminal)
    scope = scope_of(arguments)
    base = editor.manifest if platform.is_plain else _migrated(editor, terminal)
    twin = same_definition(base, platform)
    adopted = twin is not None and name in (None, twin.name)
    if twin is not None and adopted:
        platform = twin
    manifest, changed = add_platforms(base, scope, [platform])
    manifest = move_platform(manifest, platform.name, top=True)
    commit(editor, manifest, arguments)
    if adopted:
        done(terminal, f"Platform {platform.name} already matches this machine; moved it to the front")
    elif platform.name in changed:
        done(terminal, f"Added platform {platform.name} (detected from this machine)")
        terminal.note(
            "  It is in the manifest now, for everybody who uses the workspace, and often says more than is needed:\n"
            f"  `{program()} workspace platform edit {platform.name} …` removes virtual packages,\n"
            f"  `{program()} workspace platform move {platform.name} …` changes its priority."
        )
    else:
        done(terminal, f"Platform {platform.name} is already present; moved it to the front")
    return 0


def _migrated(editor: ManifestEditor, terminal: Terminal) -> ManifestText:
    """The manifest with platforms in the place of ``system-requirements``, which go with no others."""
    from smelt.api.migration import without_system_requirements

    manifest = without_system_requirements(editor.manifest, editor.workspace.model)
    if manifest is not editor.manifest:
        terminal.note("  `system-requirements` become virtual packages of the platforms")
    return manifest


def _edit(arguments: argparse.Namespace, terminal: Terminal) -> int:
    from smelt.manifest.edit.platform import PlatformChange, edit_platform, named
    from smelt.types import KNOWN_PLATFORMS

    if arguments.subdir is not None and arguments.subdir not in KNOWN_PLATFORMS:
        raise ManifestError(f"`{arguments.subdir}` is not a valid conda subdir", code="manifest-platform")
    editor = edit(arguments, terminal)
    manifest = _migrated(editor, terminal)
    subdir = arguments.subdir or named(manifest, arguments.name).subdir
    change = PlatformChange(
        clear=arguments.clear_virtual_packages,
        upsert=_packages(arguments, subdir, arguments.packages),
        remove=arguments.remove_virtual_package,
        subdir=arguments.subdir,
    )
    if change.is_empty:
        raise ManifestError(
            "nothing to do",
            code="manifest-platform",
            help="give `--subdir`, a virtual package, `--remove-virtual-package` or `--clear-virtual-packages`",
        )
    changed = edit_platform(manifest, arguments.name, change)
    commit(editor, editor.manifest if changed is manifest else changed, arguments)
    done(terminal, f"Updated platform {arguments.name}")
    return 0


def _move(arguments: argparse.Namespace, terminal: Terminal) -> int:
    from smelt.manifest.edit.platform import move_platform

    editor = edit(arguments, terminal)
    manifest = move_platform(
        editor.manifest, arguments.name, before=arguments.before, after=arguments.after, top=arguments.to_top
    )
    commit(editor, manifest, arguments)
    done(terminal, f"Moved platform {arguments.name}")
    return 0


def _remove(arguments: argparse.Namespace, terminal: Terminal) -> int:
    from smelt.manifest.edit.platform import named, remove_platforms

    editor = edit(arguments, terminal)
    scope: Scope = scope_of(arguments)
    for name in arguments.platforms:
        named(editor.manifest, name)
    commit(editor, remove_platforms(editor.manifest, scope, arguments.platforms), arguments)
    for name in arguments.platforms:
        done(terminal, f"Removed {name}" if scope.is_default else f"Removed {name} from {scope}")
    return 0


def _list(arguments: argparse.Namespace, terminal: Terminal) -> int:
    from smelt.cli.workspace_platform_list import show_platforms

    return show_platforms(load(arguments, terminal).model, arguments, terminal)
