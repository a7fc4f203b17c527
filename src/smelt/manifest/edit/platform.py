"""Adding, changing, moving and removing platforms.

Source: the reference's pages "Multi platform configuration" and ``pixi workspace platform``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from smelt.errors import ManifestError, NotSupportedError, UnknownNameError
from smelt.manifest.edit.dependency import all_scopes
from smelt.manifest.edit.manifest import ManifestText
from smelt.manifest.edit.scope import Scope
from smelt.manifest.platform import TomlPlatform, customised, derived_name, read_platforms
from smelt.manifest.reading import Problems, Table
from smelt.text import closest
from smelt.types import VirtualPackage

_FRIENDLY = {
    "__cuda": "cuda",
    "__archspec": "archspec",
    "__glibc": "glibc",
    "__linux": "linux",
    "__osx": "macos",
    "__win": "windows",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformChange:
    """What is to be changed of a platform, in this order: clear, upsert, remove, subdir."""

    clear: bool = False
    upsert: Sequence[VirtualPackage] = ()
    remove: Sequence[str] = ()
    subdir: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be changed."""
        return not (self.clear or self.upsert or self.remove or self.subdir)


def read_entries(manifest: ManifestText) -> tuple[TomlPlatform, ...]:
    """The platforms of the workspace. Raises ManifestError or ErrorGroup for entries that mean nothing."""
    problems = Problems(manifest.document)
    table = Table(dict(manifest.table(manifest.workspace)), manifest.workspace, problems)
    platforms = read_platforms(table)
    problems.raise_errors()
    return platforms


def platform_entries(subdir: str, declared: Sequence[VirtualPackage]) -> list[tuple[str, object]]:
    """What is special of a platform as keys and values: friendly keys first, CUDA with its architecture together."""
    special = {package.name: package for package in customised(subdir, declared)}
    found: list[tuple[str, object]] = []
    cuda, arch = special.get("__cuda"), special.get("__cuda_arch")
    if cuda is not None and arch is not None and cuda.build == "0":
        found.append(("cuda", {"driver": cuda.version, "arch": arch.version}))
        del special["__cuda"], special["__cuda_arch"]
    for name, key in _FRIENDLY.items():
        package = special.get(name)
        if package is None:
            continue
        if name == "__archspec" and package.version == "0":
            found.append((key, package.build))
        elif name != "__archspec" and package.build == "0":
            found.append((key, package.version))
        else:
            continue
        del special[name]
    for name in sorted(special):
        package = special[name]
        found.append((name, package.version if package.build == "0" else f"{package.version}={package.build}"))
    return found


def platform_value(platform: TomlPlatform) -> str | dict[str, object]:
    """``platform`` as an item of ``platforms``."""
    entries = platform_entries(platform.subdir, platform.declared)
    if platform.name == platform.subdir and not entries:
        return platform.name
    name = {} if _has_derived_name(platform) else {"name": platform.name}
    return {**name, "platform": platform.subdir, **dict(entries)}


def _has_derived_name(platform: TomlPlatform) -> bool:
    return platform.name == derived_name(platform.subdir, platform.declared)


def _identity(platform: TomlPlatform) -> tuple[str, frozenset[VirtualPackage]]:
    return platform.subdir, frozenset(customised(platform.subdir, platform.declared))


def named(manifest: ManifestText, name: str) -> TomlPlatform:
    """The platform ``name``. Raises UnknownNameError (``unknown-platform``)."""
    platforms = read_entries(manifest)
    for platform in platforms:
        if platform.name == name:
            return platform
    guess = closest(name, [each.name for each in platforms])
    raise UnknownNameError(
        f"the workspace does not define a platform named `{name}`",
        code="unknown-platform",
        help=f"did you mean `{guess}`?" if guess else f"its platforms are {', '.join(p.name for p in platforms)}",
    )


def same_definition(manifest: ManifestText, platform: TomlPlatform) -> TomlPlatform | None:
    """The platform of the workspace that is the same but for its name."""
    return next((each for each in read_entries(manifest) if _identity(each) == _identity(platform)), None)


def add_platforms(
    manifest: ManifestText, scope: Scope, platforms: Iterable[TomlPlatform]
) -> tuple[ManifestText, frozenset[str]]:
    """With ``platforms`` in the workspace and, by name, in ``scope``; the names of those that changed anything.

    Raises ManifestError (``manifest-duplicate``) for one that the workspace has under another name.
    """
    manifest = scope.prepare(manifest)
    changed: set[str] = set()
    for platform in platforms:
        known = {each.name for each in read_entries(manifest)}
        twin = same_definition(manifest, platform)
        if platform.name not in known and twin is not None:
            raise ManifestError(
                f"cannot add platform `{platform.name}`: the same is already declared as `{twin.name}`",
                code="manifest-duplicate",
                help=f"use `{twin.name}`, or give it another conda platform or other virtual packages",
            )
        if platform.name not in known:
            if platform.name != platform.subdir:
                _refuse_system_requirements(manifest)
            path = (*manifest.workspace, "platforms")
            manifest = manifest.insert(path, platform_value(platform))
            changed.add(platform.name)
        if not scope.is_default:
            path = scope.list_path(manifest, "platforms")
            if platform.name not in manifest.array(path):
                manifest = manifest.insert(path, platform.name)
                changed.add(platform.name)
    return manifest, frozenset(changed)


def remove_platforms(manifest: ManifestText, scope: Scope, names: Iterable[str]) -> ManifestText:
    """Without the platforms ``names`` in the workspace, or (``scope``) in a feature or environment only.

    Raises UnknownNameError (``unknown-platform``).
    """
    for name in names:
        if scope.is_default:
            manifest = manifest.pop((*manifest.workspace, "platforms"), _index(manifest, named(manifest, name)))
            continue
        path = scope.list_path(manifest, "platforms")
        known = manifest.array(path)
        if name not in known:
            raise UnknownNameError(f"{scope} has no platform `{name}`", code="unknown-platform")
        manifest = manifest.pop(path, known.index(name))
    return manifest


def _index(manifest: ManifestText, platform: TomlPlatform) -> int:
    return cast("int", platform.path[-1])


def edit_platform(manifest: ManifestText, name: str, change: PlatformChange) -> ManifestText:
    """With ``change`` made to the platform ``name``; one without a name of its own gets a new one everywhere.

    Raises UnknownNameError (``unknown-platform``), ManifestError (``manifest-platform``).
    """
    old = named(manifest, name)
    declared = {} if change.clear else {package.name: package for package in old.declared}
    declared.update({package.name: package for package in change.upsert})
    for each in change.remove:
        declared.pop(each, None)
    subdir = change.subdir or old.subdir
    packages = tuple(declared.values())
    if old.is_plain and not customised(subdir, packages):
        raise ManifestError(
            f"`{name}` is the plain conda platform: it can only be given virtual packages that are not its defaults",
            code="manifest-platform",
        )
    if "__cuda_arch" in declared and "__cuda" not in declared:
        raise ManifestError(
            "`__cuda_arch` requires `__cuda`",
            code="manifest-platform",
            help="give both, or remove `__cuda_arch` too",
        )
    if change.clear and not packages:
        new = TomlPlatform(name=subdir, subdir=subdir)
    else:
        kept = old.name if not _has_derived_name(old) else derived_name(subdir, packages)
        new = TomlPlatform(name=kept, subdir=subdir, declared=packages)
    if new.name == new.subdir and customised(subdir, packages):
        raise ManifestError(
            f"`{new.name}` is the plain conda platform and cannot declare virtual packages", code="manifest-platform"
        )
    others = [each for each in read_entries(manifest) if each.name != name]
    twin = next((each for each in others if each.name == new.name or _identity(each) == _identity(new)), None)
    if twin is not None:
        raise ManifestError(
            f"cannot change platform `{name}` so: the same is already declared as `{twin.name}`",
            code="manifest-duplicate",
        )
    if _identity(new) == _identity(old) and new.name == old.name:
        return manifest
    if new.name != new.subdir:
        _refuse_system_requirements(manifest)
    manifest = manifest.replace((*manifest.workspace, "platforms"), _index(manifest, old), platform_value(new))
    return _rename(manifest, old.name, new.name) if new.name != old.name else manifest


def _rename(manifest: ManifestText, old: str, new: str) -> ManifestText:
    """With every feature and environment that names the platform ``old`` naming ``new``."""
    for scope in all_scopes(manifest):
        if scope.is_default or scope.selector is not None:
            continue
        path = scope.list_path(manifest, "platforms")
        for index, name in enumerate(manifest.array(path)):
            if name == old:
                manifest = manifest.replace(path, index, new)
    return manifest


def move_platform(
    manifest: ManifestText, name: str, *, before: str | None = None, after: str | None = None, top: bool = False
) -> ManifestText:
    """With the platform ``name`` directly before or after another, at the top, or (nothing given) at the bottom.

    Raises UnknownNameError (``unknown-platform``), ManifestError (``manifest-platform``).
    """
    platform = named(manifest, name)
    anchor = before or after
    if anchor == name:
        raise ManifestError(f"platform `{name}` cannot be moved relative to itself", code="manifest-platform")
    names = [each.name for each in read_entries(manifest)]
    if anchor is not None:
        named(manifest, anchor)
    path = (*manifest.workspace, "platforms")
    start = _index(manifest, platform)
    value = manifest.array(path)[start]
    rest = [each for each in names if each != name]
    target = 0 if top else len(rest)
    if anchor is not None:
        target = rest.index(anchor) + (1 if after is not None else 0)
    if target == names.index(name):
        return manifest
    manifest = manifest.pop(path, start)
    return manifest.insert(path, value, target if target < len(rest) else None)


def detected(subdir: str, packages: Iterable[VirtualPackage], name: str | None) -> TomlPlatform:
    """The platform of a machine of ``subdir`` that has the virtual packages ``packages``."""
    special = customised(subdir, packages)
    platform = TomlPlatform(name=name or derived_name(subdir, special), subdir=subdir, declared=special)
    return replace(platform, declared=()) if platform.name == subdir else platform


def has_system_requirements(manifest: ManifestText) -> bool:
    """Whether the workspace, a feature or an environment says what it requires of the system in a table of its own."""
    return any(
        scope.selector is None and manifest.get(manifest.at(*scope.anchor, "system-requirements"))
        for scope in all_scopes(manifest)
    )


def replace_system_requirements(
    manifest: ManifestText, platforms: Sequence[TomlPlatform], limits: Mapping[Scope, Sequence[str]]
) -> ManifestText:
    """Without ``system-requirements``, with ``platforms`` in the workspace instead and ``limits`` naming those.

    A conda platform that the workspace has is replaced where it stands; comments stay.
    """
    path = (*manifest.workspace, "platforms")
    rest = list(platforms)
    for index in reversed(range(len(manifest.array(path)))):
        instead = [each for each in rest if each.subdir == manifest.array(path)[index]]
        rest = [each for each in rest if each not in instead]
        for each in reversed(instead[1:]):
            manifest = manifest.insert(path, platform_value(each), index + 1)
        if instead:
            manifest = manifest.replace(path, index, platform_value(instead[0]))
    for each in rest:
        manifest = manifest.insert(path, platform_value(each))
    for scope in all_scopes(manifest):
        table = manifest.at(*scope.anchor, "system-requirements")
        if scope.selector is None and manifest.get(table) is not None:
            manifest = manifest.remove(table)
    for scope, names in limits.items():
        path = scope.list_path(manifest, "platforms")
        if manifest.array(path) != list(names):
            manifest = manifest.set(path, list(names))
    return manifest


def _refuse_system_requirements(manifest: ManifestText) -> None:
    if has_system_requirements(manifest):
        raise NotSupportedError(
            "`system-requirements` cannot be combined with platforms that have virtual packages",
            code="system-requirements-not-supported",
            help="declare them in `platforms` and remove the table first",
        )
