"""Which platforms a workspace has, and which of them a set of features runs on.

Two worlds meet here. In the new one, ``workspace.platforms`` declares virtual packages and features name those
entries. In the old one, ``platforms`` holds plain conda platforms and ``system-requirements`` tables say the rest;
then every feature gets platforms of its own, and an environment that combines several is composed: one platform
per conda platform, with all their virtual packages.

Source: ``pixi_manifest`` (``toml/manifest.rs``, ``platform_composition.rs``, ``features_ext.rs``) for the rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from smelt.manifest.feature import TomlFeature
from smelt.manifest.platform import TomlPlatform, customised, derived_name, platform_name_problem
from smelt.manifest.reading import Problems
from smelt.manifest.version import compare_versions
from smelt.text import closest
from smelt.types import KNOWN_PLATFORMS, VirtualPackage, default_virtual_packages, platform_family
from smelt.workspace.model import WorkspacePlatform

_LIBC = ("__glibc", "__musl", "__eglibc")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformPlan:
    """The platforms by name, and for each feature the names it is limited to (None: no limit)."""

    platforms: Mapping[str, WorkspacePlatform]
    limits: Mapping[str, tuple[str, ...] | None]
    composed: bool
    _subdirs: dict[str, frozenset[str] | None] = field(
        default_factory=dict[str, frozenset[str] | None], repr=False, compare=False
    )

    def supports(self, feature: str, platform: WorkspacePlatform) -> bool:
        """Whether ``feature`` says anything for ``platform``."""
        limit = self.limits.get(feature)
        if limit is None:
            return True
        if self.composed:
            return platform.subdir in (self.subdirs_of(feature) or ())
        return platform.name in limit or platform.subdir in limit

    def subdirs_of(self, feature: str) -> frozenset[str] | None:
        """The conda platforms that ``feature`` is limited to."""
        if feature not in self._subdirs:
            limit = self.limits.get(feature)
            self._subdirs[feature] = (
                None
                if limit is None
                else frozenset(self.platforms[name].subdir for name in limit if name in self.platforms)
            )
        return self._subdirs[feature]

    def of(self, features: Sequence[str]) -> tuple[WorkspacePlatform, ...]:
        """The platforms that an environment of ``features`` has, in the order of the workspace."""
        if self.composed:
            names = {self.compose(features, subdir)[0] for subdir in self._common_subdirs(features)}
            return tuple(platform for platform in self.platforms.values() if platform.name in names)
        exact = {name for feature in features for name in self.limits.get(feature) or ()}
        exact_subdirs = {platform.subdir for platform in self.platforms.values() if platform.name in exact}
        return tuple(
            platform
            for platform in self.platforms.values()
            if all(self.supports(feature, platform) for feature in features)
            and (platform.name in exact or platform.subdir not in exact_subdirs)
        )

    def _common_subdirs(self, features: Sequence[str]) -> list[str]:
        subdirs = dict.fromkeys(platform.subdir for platform in self.platforms.values())
        return [
            subdir
            for subdir in subdirs
            if all((limit := self.subdirs_of(feature)) is None or subdir in limit for feature in features)
        ]

    def compose(self, features: Sequence[str], subdir: str) -> tuple[str, tuple[VirtualPackage, ...]]:
        """Name and special virtual packages of the one platform that ``features`` share on ``subdir``."""
        names = dict.fromkeys(name for feature in features for name in self.limits.get(feature) or ())
        pinned = [
            self.platforms[name] for name in names if name in self.platforms and self.platforms[name].subdir == subdir
        ]
        if not pinned:
            return subdir, ()
        if len(pinned) == 1:
            return pinned[0].name, customised(subdir, pinned[0].virtual_packages)
        union: dict[str, VirtualPackage] = {}
        for platform in pinned:
            for package in customised(subdir, platform.virtual_packages):
                before = union.get(package.name)
                if before is None or compare_versions(package.version, before.version) > 0:
                    union[package.name] = package
        special = tuple(union[name] for name in sorted(union))
        return derived_name(subdir, special), special


def plan_platforms(
    declared: Sequence[TomlPlatform],
    features: Sequence[TomlFeature],
    combinations: Iterable[Sequence[str]],
    problems: Problems,
) -> PlatformPlan:
    """The platforms of a workspace. ``combinations``: the features of every environment and solve group."""
    composed = all(platform.is_plain for platform in declared)
    originals = {platform.name: _from_entry(platform) for platform in declared}
    if composed:
        for feature in features:
            for index, name in enumerate(feature.platforms or ()):
                if name in originals:
                    continue
                if name in KNOWN_PLATFORMS:
                    originals[name] = plain_platform(name)
                else:
                    _undeclared(feature, index, originals, declared, problems)
    limits: dict[str, tuple[str, ...] | None] = {feature.name: feature.platforms for feature in features}
    platforms = dict(originals)
    if any(feature.system_requirements or feature.archspec for feature in features):
        platforms = _apply_system_requirements(originals, features, limits, composed, declared, problems)
    elif not composed:
        for feature in features:
            _check_references(feature, originals, declared, problems)
    plan = PlatformPlan(platforms=platforms, limits=limits, composed=composed)
    if composed and not problems.errors:
        extra: dict[str, WorkspacePlatform] = {}
        for names in combinations:
            for subdir in plan._common_subdirs(names):  # pyright: ignore[reportPrivateUsage]
                name, special = plan.compose(names, subdir)
                if name not in platforms and name not in extra:
                    complaint = platform_name_problem(name) if name != subdir else None
                    if complaint is not None:
                        problems.error("platform", f"the platform of {', '.join(names)} has no good name: {complaint}")
                        continue
                    extra[name] = _rich_platform(name, subdir, special)
        platforms = {**platforms, **extra}
    return PlatformPlan(platforms=MappingProxyType(platforms), limits=MappingProxyType(limits), composed=composed)


def plain_platform(subdir: str) -> WorkspacePlatform:
    """The conda platform ``subdir`` with what is assumed of it."""
    return WorkspacePlatform(name=subdir, subdir=subdir, virtual_packages=default_virtual_packages(subdir))


def _from_entry(entry: TomlPlatform) -> WorkspacePlatform:
    if entry.is_plain:
        return plain_platform(entry.subdir)
    return _rich_platform(entry.name, entry.subdir, entry.declared)


def _rich_platform(name: str, subdir: str, special: Sequence[VirtualPackage]) -> WorkspacePlatform:
    """What is declared, then the defaults that it does not replace; another C library replaces glibc."""
    if name == subdir:
        return plain_platform(subdir)
    names = {package.name for package in special}
    has_libc = not names.isdisjoint(_LIBC)
    rest = (
        package
        for package in default_virtual_packages(subdir)
        if package.name not in names and not (package.name == "__glibc" and has_libc)
    )
    return WorkspacePlatform(name=name, subdir=subdir, virtual_packages=(*special, *rest))


def _undeclared(
    feature: TomlFeature,
    index: int,
    originals: Mapping[str, WorkspacePlatform],
    declared: Sequence[TomlPlatform],
    problems: Problems,
) -> None:
    name = (feature.platforms or ())[index]
    guess = closest(name, originals)
    lines = [f"did you mean `{guess}`?"] if guess else []
    if originals:
        lines.append(f"the workspace declares: {', '.join(originals)}")
        if (
            declared
            and all(each.name == derived_name(each.subdir, each.declared) for each in declared)
            and any(not each.is_plain for each in declared)
        ):
            lines.append('no entry has a `name`, so these were derived: add `name = "…"` to choose your own')
    else:
        lines.append("the workspace declares no platforms")
    problems.error(
        "unknown-name",
        f"{_called(feature)} names the platform `{name}`, which the workspace does not declare",
        problems.value((*feature.path, "platforms", index)),
        help="\n".join(lines),
    )


def _called(feature: TomlFeature) -> str:
    return f"environment `{feature.path[-1]}`" if "environments" in feature.path else f"feature `{feature.name}`"


def _check_references(
    feature: TomlFeature,
    originals: Mapping[str, WorkspacePlatform],
    declared: Sequence[TomlPlatform],
    problems: Problems,
) -> None:
    for index, name in enumerate(feature.platforms or ()):
        if name not in originals:
            _undeclared(feature, index, originals, declared, problems)


def _apply_system_requirements(
    originals: Mapping[str, WorkspacePlatform],
    features: Sequence[TomlFeature],
    limits: dict[str, tuple[str, ...] | None],
    composed: bool,
    declared: Sequence[TomlPlatform],
    problems: Problems,
) -> dict[str, WorkspacePlatform]:
    """The platforms with each feature's system requirements in them; changes ``limits`` to name those."""
    platforms: dict[str, WorkspacePlatform] = {}
    for feature in features:
        if not feature.system_requirements and feature.archspec is None:
            if not composed:
                _check_references(feature, originals, declared, problems)
            for name in feature.platforms or ():
                if name in originals:
                    platforms[name] = originals[name]
            continue
        if not composed:
            problems.error(
                "conflict",
                f"{_called(feature)} has `system-requirements`, but the workspace declares virtual packages",
                problems.value((*feature.path, "system-requirements")),
                help="declare them on the entries of `workspace.platforms` instead",
            )
            continue
        if feature.platforms is None:
            subdirs = [platform.subdir for platform in originals.values()]
        else:
            subdirs = [name for name in feature.platforms if name in KNOWN_PLATFORMS]
        own: dict[str, None] = {}
        for subdir in subdirs:
            special = tuple(package for package in feature.system_requirements if _applies(package.name, subdir))
            name = derived_name(subdir, special)
            platforms.setdefault(name, _rich_platform(name, subdir, special))
            own[name] = None
        limits[feature.name] = tuple(own)
    covered = {platform.subdir for platform in platforms.values()}
    for name, platform in originals.items():
        if platform.subdir not in covered:
            platforms[name] = platform
    return platforms


def _applies(name: str, subdir: str) -> bool:
    family = platform_family(subdir)
    if name == "__linux" or name in _LIBC:
        return family == "linux"
    if name == "__osx":
        return family == "osx"
    return family != "osx" if name == "__cuda" else True


def combine_requirements(features: Sequence[TomlFeature]) -> str | None:
    """Why the system requirements of ``features`` cannot hold together, or None."""
    families: dict[str, None] = {}
    archspecs: dict[str, None] = {}
    for feature in features:
        families.update(
            (package.name.removeprefix("__"), None)
            for package in feature.system_requirements
            if package.name not in ("__linux", "__cuda", "__osx")
        )
        if feature.archspec is not None:
            archspecs[feature.archspec] = None
    if len(families) > 1:
        return f"these features require different C libraries: {' and '.join(families)}"
    if len(archspecs) > 1:
        return f"these features require different processors: {' and '.join(archspecs)}"
    return None
