"""Entries of ``packages`` → records.

Source: ``rattler_lock``, ``parse/models/v7``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import cast

from smelt.lock.fields import (
    Convert,
    WrongValue,
    choice,
    convert_fields,
    flag,
    mapping,
    natural,
    number_or_text,
    required,
    string,
    strings,
    strings_by_name,
    timestamp,
)
from smelt.lock.location import derive, derive_build_number, derive_noarch, to_address
from smelt.lock.model import BuildSource, PypiPackage, Reference, SourcePackage
from smelt.types import CondaRecord, GitReference, RunExports, SourceLocation


def source_package(
    data: Mapping[str, object],
    identifier: str,
    path: str,
    references: Callable[[object, str], tuple[Reference, ...]],
) -> SourcePackage:
    """An entry ``conda_source: identifier``; ``references`` reads lists of references."""
    name, bracket, rest = identifier.partition("[")
    digest, separator, location = rest.partition("] @ ")
    if not (name and bracket and digest and separator and location):
        raise WrongValue(
            f"{path}.conda_source",
            f"{identifier!r} is not of the form `name[hash] @ location`",
            near=identifier,
        )
    fields = convert_fields(data, _SOURCE, path, near=identifier)
    for key in ("build_packages", "host_packages"):
        fields[key] = references(data.get(key) or [], f"{path}.{key}")
    return SourcePackage(name=name, hash=digest, location=location, **fields)  # pyright: ignore[reportArgumentType]


def _run_exports(value: object, path: str) -> RunExports:
    fields = convert_fields(value, _RUN_EXPORTS, path)
    return RunExports(**cast("dict[str, tuple[str, ...]]", fields))


def _variants(value: object, path: str) -> Mapping[str, str | int | bool]:
    return MappingProxyType({k: number_or_text(v, f"{path}.{k}") for k, v in mapping(value, path).items()})


def _build_source(value: object, path: str) -> BuildSource:
    fields = convert_fields(value, _BUILD_SOURCE, path)
    if sum(key in fields for key in ("path", "git", "url")) != 1:
        raise WrongValue(path, "must have exactly one of `path`, `git` and `url`")
    if "url" in fields and "sha256" not in fields:
        raise WrongValue(f"{path}.sha256", "is missing")
    if "git" in fields and "rev" not in fields:
        raise WrongValue(f"{path}.rev", "is missing")
    if "branch" in fields and "tag" in fields:
        raise WrongValue(path, "cannot have both `branch` and `tag`")
    return BuildSource(**fields)  # pyright: ignore[reportArgumentType]


def _source_depends(value: object, path: str) -> Mapping[str, SourceLocation]:
    found: dict[str, SourceLocation] = {}
    for name, item in mapping(value, path).items():
        here = f"{path}.{name}"
        fields = convert_fields(item, _SOURCE_LOCATION, here)
        if sum(key in fields for key in ("path", "git", "url")) != 1:
            raise WrongValue(here, "must have exactly one of `path`, `git` and `url`")
        pins = {key: cast("str", fields.pop(key)) for key in ("branch", "tag", "rev") if key in fields}
        if len(pins) > 1:
            raise WrongValue(here, "must have at most one of `branch`, `tag` and `rev`")
        reference = GitReference(**pins) if pins else None
        found[name] = SourceLocation(reference=reference, **fields)  # pyright: ignore[reportArgumentType]
    return MappingProxyType(found)


def conda_record(data: Mapping[str, object], location: str, path: str) -> CondaRecord:
    """An entry ``conda: location``, with what the location tells filled in."""
    fields = convert_fields(data, _CONDA, path, near=location)
    derived = derive(location)
    if derived.file_name is None:
        raise WrongValue(f"{path}.conda", f"{location!r} is not the address of a package archive", near=location)
    add = fields.setdefault
    add("name", derived.name)
    add("version", derived.version)
    add("file_name", derived.file_name)
    build = cast("str", add("build", derived.build or ""))
    subdir = cast("str | None", add("subdir", derived.subdir))
    if subdir is None:
        raise WrongValue(f"{path}.subdir", "is missing, and the address does not tell it", near=location)
    if "build_number" not in fields:
        fields["build_number"] = derive_build_number(build)
    if "noarch" not in fields:
        fields["noarch"] = derive_noarch(derived.subdir or subdir, derived.build or build)
    channel = cast("str | None", add("channel", derived.channel))
    if channel is not None and not channel.endswith("/"):
        fields["channel"] = channel + "/"
    return CondaRecord(url=to_address(location), **fields)  # pyright: ignore[reportArgumentType]


def pypi_package(data: Mapping[str, object], location: str, path: str) -> PypiPackage:
    """An entry ``pypi: location``."""
    # rattler passes over a hash that is no text (unquoted digits), where every other field would be an error.
    data = {key: value for key, value in data.items() if key not in ("sha256", "md5") or isinstance(value, str)}
    fields = convert_fields(data, _PYPI, path, near=location)
    name = cast("str", required(fields, "name", path))
    version = cast("str | None", fields.get("version"))
    kept = {key: value for key, value in data.items() if key != "pypi" and value is not None}
    return PypiPackage(location=location, name=name, version=version, data=MappingProxyType(kept))


_noarch: Callable[[object, str], object] = choice(
    {"python": "python", "generic": "generic", True: "generic", False: None, "": None}
)

_RUN_EXPORTS: Mapping[str, Convert] = {
    "weak": strings,
    "strong": strings,
    "noarch": strings,
    "weak_constrains": strings,
    "strong_constrains": strings,
}
_RECORD: Mapping[str, Convert] = {
    "version": string,
    "build": string,
    "build_number": natural,
    "subdir": string,
    "noarch": _noarch,
    "depends": strings,
    "constrains": strings,
    "extra_depends": strings_by_name,
    "features": string,
    "flags": strings,
    "track_features": strings,
    "license": string,
    "license_family": string,
    "purls": strings,
    "run_exports": _run_exports,
    "size": natural,
    "python_site_packages_path": string,
}
_CONDA: Mapping[str, Convert] = {
    **_RECORD,
    "name": string,
    "sha256": string,
    "md5": string,
    "legacy_bz2_md5": string,
    "legacy_bz2_size": natural,
    "channel": string,
    "file_name": string,
    "timestamp": timestamp,
}
_SOURCE: Mapping[str, Convert] = {
    **_RECORD,
    "variants": _variants,
    "source": _build_source,
    "source_depends": _source_depends,
}
_BUILD_SOURCE: Mapping[str, Convert] = {
    "path": string,
    "url": string,
    "sha256": string,
    "git": string,
    "rev": string,
    "branch": string,
    "tag": string,
    "explicit_rev": flag,
    "subdir": string,
}
_SOURCE_LOCATION: Mapping[str, Convert] = {
    "path": string,
    "git": string,
    "rev": string,
    "branch": string,
    "tag": string,
    "url": string,
    "md5": string,
    "sha256": string,
    "subdirectory": string,
    "lfs": flag,
}
_PYPI: Mapping[str, Convert] = {
    "name": string,
    "version": string,
    "sha256": string,
    "md5": string,
    "index": string,
    "requires_dist": strings,
    "requires_python": string,
}
