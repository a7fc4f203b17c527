"""Packages as plain data, in the fields and the order of ``pixi.lock`` v7.

Source: ``rattler_lock``, ``parse/models/v7``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from smelt.errors import LockError
from smelt.lock.location import derive, derive_build_number, derive_noarch, to_location
from smelt.lock.model import BuildSource, LockedPackage, PypiPackage, Reference, SourcePackage
from smelt.types import CondaRecord, SourceLocation


def name_entry(reference: Reference) -> dict[str, object]:
    """A reference as the file writes it."""
    # Files are named by path; rattler does so with the packages, but not with what they are built with.
    return {reference.kind: to_location(reference.value) if reference.kind == "conda" else reference.value}


def full_entry(reference: Reference, package: LockedPackage) -> dict[str, object]:
    """One entry of ``packages``, also with what its address tells already.

    Raises LockError (``lock-value``) for a source dependency that a lock file has no form for.
    """
    if isinstance(package, CondaRecord):
        return name_entry(reference) | _conda(package)
    if isinstance(package, SourcePackage):
        return name_entry(reference) | _source(package)
    return name_entry(reference) | _pypi(package)


def short_entry(reference: Reference, package: LockedPackage) -> dict[str, object]:
    """One entry of ``packages`` as the file has it: without what its address tells."""
    entry = full_entry(reference, package)
    if not isinstance(package, CondaRecord):
        return entry
    derived = derive(str(entry["conda"]))
    told: dict[str, object] = {
        "name": derived.name,
        "version": derived.version,
        "build": derived.build or "",
        "build_number": derive_build_number(package.build),
        "subdir": derived.subdir,
        "noarch": derive_noarch(derived.subdir or package.subdir, derived.build or package.build) or False,
        "channel": derived.channel,
        "file_name": derived.file_name,
    }
    short = {key: value for key, value in entry.items() if key not in told or value != told[key]}
    if isinstance(channel := short.get("channel"), str):
        short["channel"] = channel.rstrip("/")
    return short


def _conda(record: CondaRecord) -> dict[str, object]:
    return _without_empty(
        {
            "name": record.name,
            "version": record.version,
            "build": record.build,
            "build_number": record.build_number,
            "subdir": record.subdir,
            "noarch": record.noarch if record.noarch is not None else False,
            "sha256": record.sha256,
            "md5": record.md5,
            "legacy_bz2_md5": record.legacy_bz2_md5,
            "depends": record.depends,
            "constrains": record.constrains,
            "extra_depends": _lists(record.extra_depends),
            "channel": record.channel,
            "features": record.features,
            "flags": record.flags,
            "track_features": record.track_features,
            "file_name": record.file_name,
            "license": record.license,
            "license_family": record.license_family,
            "purls": list(record.purls) if record.purls is not None else None,
            "run_exports": record.run_exports.to_dict() if record.run_exports is not None else None,
            "size": record.size,
            "legacy_bz2_size": record.legacy_bz2_size,
            "timestamp": record.timestamp,
            "python_site_packages_path": record.python_site_packages_path,
        }
    )


def _source(package: SourcePackage) -> dict[str, object]:
    return _without_empty(
        {
            "version": package.version,
            "build": package.build or None,
            "build_number": package.build_number or None,
            "subdir": package.subdir,
            "noarch": package.noarch,
            "variants": dict(package.variants) or None,
            "depends": package.depends,
            "constrains": package.constrains,
            "extra_depends": _lists(package.extra_depends),
            "features": package.features,
            "flags": package.flags,
            "track_features": package.track_features,
            "license": package.license,
            "license_family": package.license_family,
            "purls": list(package.purls) if package.purls is not None else None,
            "run_exports": package.run_exports.to_dict() or None,
            "size": package.size,
            "source": _build_source(package.source) if package.source is not None else None,
            "source_depends": {name: _location(at) for name, at in package.source_depends.items()} or None,
            "python_site_packages_path": package.python_site_packages_path,
            "build_packages": [name_entry(reference) for reference in package.build_packages] or None,
            "host_packages": [name_entry(reference) for reference in package.host_packages] or None,
        }
    )


def _pypi(package: PypiPackage) -> dict[str, object]:
    return {**plain(package.data), "name": package.name} | (
        {"version": package.version} if package.version is not None else {}
    )


def _build_source(source: BuildSource) -> dict[str, object]:
    names = ("path", "url", "sha256", "git", "rev", "branch", "tag", "explicit_rev", "subdir")
    return _without_empty({name: getattr(source, name) for name in names})


def _location(location: SourceLocation) -> dict[str, object]:
    if location.pypi is not None:
        raise LockError(
            f"a source dependency on {location} has no place in a lock file: give it as a path, git or url source",
            code="lock-value",
        )
    reference = location.reference
    names = ("path", "git", "url", "md5", "sha256", "subdirectory", "lfs")
    pins = {name: getattr(reference, name) for name in ("branch", "tag", "rev")} if reference is not None else {}
    return _without_empty({name: getattr(location, name) for name in names} | pins)


def _lists(data: Mapping[str, tuple[str, ...]]) -> dict[str, list[str]] | None:
    return {key: list(value) for key, value in data.items()} or None


def _without_empty(data: Mapping[str, object]) -> dict[str, object]:
    return {
        # of records nearly everything is text or a tuple of texts
        key: value if type(value) is str else list(value) if type(value) is tuple else _unfrozen(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        for key, value in data.items()
        if value is not None and value != ()
    }


def plain(value: object) -> dict[str, object]:
    """A mapping of frozen data as dictionaries and lists."""
    return cast("dict[str, object]", _unfrozen(value))


def _unfrozen(value: object) -> object:
    if isinstance(value, str | int):
        return value
    if isinstance(value, Mapping):
        return {str(key): _unfrozen(item) for key, item in cast("Mapping[object, object]", value).items()}
    if isinstance(value, list | tuple):
        return [_unfrozen(item) for item in cast("list[object]", value)]
    return value
