"""What a package requires, and how its backend is configured, on one platform."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import cast

from smelt.errors import Label, NotSupportedError
from smelt.manifest.platform import selects
from smelt.types import CondaSpec
from smelt.workspace.condition import PlatformContext, decide
from smelt.workspace.package import Package, PackageRequirements, Requirement

Requirements = Mapping[str, Requirement]


def requirements_for(
    package: Package, platform_subdir: str, *, build_subdir: str | None = None, keep_conditions: bool = False
) -> PackageRequirements:
    """The dependency tables of ``package`` on conda platform ``platform_subdir``, conditions decided.

    ``build_subdir``: where it is built, the same platform if not given. Where a table under a condition and the
    plain one name a package both, both requirements hold. Conditions on variants stay in ``conditional`` with
    ``keep_conditions`` (for a backend that can decide them); otherwise they raise NotSupportedError.
    """
    context = PlatformContext(host=platform_subdir, build=build_subdir or platform_subdir)
    found = package.base
    open_conditions: dict[str, PackageRequirements] = {}
    for condition, requirements in package.target_requirements.items():
        holds = decide(condition, context)
        if holds is None:
            open_conditions[condition] = requirements
        elif holds:
            found = _combine(found, requirements)
    if not open_conditions:
        return found
    if not keep_conditions:
        condition = next(iter(open_conditions))
        raise NotSupportedError(
            f"the condition `if({condition})` of package `{package.name or package.root.name}` is about more than "
            "platforms, which smelt cannot decide here",
            labels=[Label(place=package.place)] if package.place is not None else [],
            help="conditions may use linux, osx, win, unix, host_platform, build_platform, and, or, not, == and !=",
        )
    return replace(found, conditional=MappingProxyType(open_conditions))


def config_for(package: Package, platform_subdir: str) -> Mapping[str, object]:
    """The backend's configuration on conda platform ``platform_subdir``.

    What a matching ``package.build.target`` says replaces the key of the same name; of several that match, the
    later ones win. (``env`` tables are merged name by name, as the reference's backends do.)
    """
    merged = dict(package.config)
    for selector, config in package.target_config.items():
        if not selects(selector, platform_subdir, platform_subdir):
            continue
        for key, value in config.items():
            before = merged.get(key)
            if key == "env" and isinstance(before, Mapping) and isinstance(value, Mapping):
                merged[key] = {**cast("Mapping[str, object]", before), **cast("Mapping[str, object]", value)}
            else:
                merged[key] = value
    return MappingProxyType(merged)


def _combine(base: PackageRequirements, more: PackageRequirements) -> PackageRequirements:
    return replace(
        base,
        build=_both_tables(base.build, more.build),
        host=_both_tables(base.host, more.host),
        run=_both_tables(base.run, more.run),
        run_constraints=_both_tables(base.run_constraints, more.run_constraints),
        extra=_by_name(base.extra, more.extra),
        run_exports=_by_name(base.run_exports, more.run_exports),
    )


def _by_name(base: Mapping[str, Requirements], more: Mapping[str, Requirements]) -> Mapping[str, Requirements]:
    names = dict.fromkeys((*base, *more))
    return MappingProxyType({name: _both_tables(base.get(name, {}), more.get(name, {})) for name in names})


def _both_tables(base: Requirements, more: Requirements) -> Requirements:
    if not more:
        return base
    found = dict(base)
    for name, requirement in more.items():
        found[name] = _both(found[name], requirement) if name in found else requirement
    return MappingProxyType(found)


def _both(base: Requirement, more: Requirement) -> Requirement:
    """One requirement that asks for both. A source or a pin cannot be joined with another: the condition's wins."""
    if not isinstance(base, CondaSpec) or not isinstance(more, CondaSpec) or base == more:
        return more
    if more.is_source or more.url is not None:
        return more
    versions = [each for each in (base.version, more.version) if each not in (None, "", "*")]
    joined = ",".join(f"({each})" if "|" in str(each) and len(versions) > 1 else str(each) for each in versions)
    changes = {
        name: value
        for name in ("build", "build_number", "file_name", "channel", "subdir", "license", "license_family")
        if (value := getattr(more, name)) is not None
    }
    lists = {
        name: tuple(dict.fromkeys((*getattr(base, name), *getattr(more, name))))
        for name in ("track_features", "flags", "extras")
    }
    return replace(
        base,
        version=joined or base.version or more.version,
        md5=more.md5 or base.md5,
        sha256=more.sha256 or base.sha256,
        when=more.when or base.when,
        **changes,
        **lists,
    )
