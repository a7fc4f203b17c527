"""``Lock`` → text, and old lock files → version 7: the only module of this room that knows rattler.

rattler writes the file, so that it is byte for byte what the reference would write: our data as JSON (which is
YAML) through its reader and back out. smelt's own section follows as plain YAML.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from smelt.errors import LockError
from smelt.lock import section
from smelt.lock.identity import referenced
from smelt.lock.model import BuildSource, Lock, LockedPackage, PypiPackage, Reference, SourcePackage
from smelt.text import SourceText
from smelt.types import CondaRecord, SourceLocation

# JSON leaves these as they are, YAML does not accept them unescaped.
_UNPRINTABLE = re.compile(r"[\x7f-\x9f\ufeff\ufffe\uffff]")


def to_text(lock: Lock) -> str:
    """The text of ``lock`` in version 7, with smelt's section at the end; packages that nothing uses are left out.

    Equal locks give equal text. Raises LockError (``lock-value``) for values that no lock file can hold.
    """
    used = referenced(lock)
    text = _through_rattler(_as_json(lock, used))
    sources = {identifier: lock.sources[identifier] for identifier in _used_sources(lock, used)}
    return text + section.to_text(sources)


def upgrade(source: SourceText, version: int) -> str:
    """The version 7 text of a lock file of an older version. Raises LockError (``lock-syntax``)."""
    try:
        return _through_rattler(source.text)
    except LockError as error:
        raise LockError(
            f"{source.path} cannot be read as a lock file of version {version}: {error.message}",
            code="lock-syntax",
            help="remove the file and run `smelt lock` to make a new one, or restore it from version control",
        ) from None


def _through_rattler(text: str) -> str:
    from rattler import LockFile

    with tempfile.TemporaryDirectory(prefix="smelt-lock-") as folder:
        path = Path(folder) / "pixi.lock"
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        try:
            LockFile.from_path(path).to_path(path)
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001 (rattler's exceptions have no common class; all mean: not a lock)
            message = str(error).replace(str(path), "the lock file").replace(folder + os.sep, "")
            raise LockError(f"not a valid lock: {message}", code="lock-value") from None
        return path.read_text(encoding="utf-8")


def _used_sources(lock: Lock, used: frozenset[Reference]) -> list[str]:
    return [
        reference.value
        for reference in used
        if reference.kind == "conda_source" and reference.value in lock.sources
    ]


def _as_json(lock: Lock, used: frozenset[Reference]) -> str:
    data = {
        "version": 7,
        "platforms": [
            {"name": p.name, "subdir": p.subdir, "virtual-packages": list(p.virtual_packages)}
            for p in lock.platforms
        ],
        "environments": {
            name: {
                "channels": [
                    {"url": url, "used_env_vars": list(environment.channel_env_vars.get(url, ()))}
                    for url in environment.channels
                ],
                **({"indexes": [], **_plain(environment.indexes)} if environment.indexes is not None else {}),
                "options": _plain(environment.options),
                "packages": {
                    platform: [{reference.kind: reference.value} for reference in references]
                    for platform, references in environment.packages.items()
                },
            }
            for name, environment in lock.environments.items()
        },
        "packages": [
            _package(reference, package) for reference, package in lock.packages.items() if reference in used
        ],
    }
    text = json.dumps(data, ensure_ascii=False, allow_nan=False)
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def package_fields(reference: Reference, package: LockedPackage) -> dict[str, object]:
    """One entry of ``packages`` with every field spelt out."""
    return _package(reference, package)


def _package(reference: Reference, package: LockedPackage) -> dict[str, object]:
    if isinstance(package, CondaRecord):
        return {reference.kind: reference.value, **_conda(package)}
    if isinstance(package, SourcePackage):
        return {reference.kind: reference.value, **_source(package)}
    return {reference.kind: reference.value, **_pypi(package)}


def _conda(record: CondaRecord) -> dict[str, object]:
    # What the address tells is given all the same: rattler compares and leaves it out.
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
            "build_packages": [{reference.kind: reference.value} for reference in package.build_packages] or None,
            "host_packages": [{reference.kind: reference.value} for reference in package.host_packages] or None,
        }
    )


def _pypi(package: PypiPackage) -> dict[str, object]:
    return {**_plain(package.data), "name": package.name} | (
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
    return {key: value for key, value in data.items() if value is not None and value != ()}


def _plain(value: object) -> dict[str, object]:
    return cast("dict[str, object]", _unfrozen(value))


def _unfrozen(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _unfrozen(item) for key, item in cast("Mapping[object, object]", value).items()}
    if isinstance(value, list | tuple):
        return [_unfrozen(item) for item in cast("list[object]", value)]
    return value
