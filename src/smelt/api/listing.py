"""The packages of an environment as rows, in the reference's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from smelt.errors import LockError
from smelt.lock.model import Lock, LockedPackage, PypiPackage, SourcePackage
from smelt.manifest.pypi import PypiRequirement, normalize_pypi_name
from smelt.types import CondaRecord
from smelt.workspace.model import EffectiveEnvironment


def rows(lock: Lock, effective: EffectiveEnvironment) -> list[dict[str, object]]:
    """One row for each locked package, sorted by name. Raises LockError where the environment is not locked.

    The keys are those of the reference's ``pixi list --json``, in its order; ``is_source`` and ``variant`` are
    smelt's own.
    """
    requested = requested_specs(effective)
    return sorted(
        (_row(package, lock, requested) for package in locked_packages(lock, effective)),
        key=lambda row: str(row["name"]),
    )


def locked_packages(lock: Lock, effective: EffectiveEnvironment) -> tuple[LockedPackage, ...]:
    """The packages of an environment on its platform. Raises LockError where that is not locked."""
    packages = lock.packages_of(effective.environment.name, effective.platform.name)
    if packages is None and not (effective.dependencies or effective.pypi_requirements):
        return ()  # the reference leaves out of the lock what holds nothing
    if packages is None:
        raise LockError(
            f"environment `{effective.environment.name}` is not locked for {effective.platform.name}",
            code="lock-missing",
            help="run `smelt lock`",
        )
    return packages


def requested_specs(effective: EffectiveEnvironment) -> dict[tuple[str, str], str]:
    """What the manifest asks for, by kind (``conda``, ``pypi``) and name."""
    found: dict[tuple[str, str], list[str]] = {}
    for dependency in effective.dependencies:
        found.setdefault(("conda", dependency.name), []).append(dependency.spec.version or "*")
    for requirement in effective.pypi_requirements:
        found.setdefault(("pypi", requirement.name), [_pypi_text(requirement)])
    return {key: ", ".join(dict.fromkeys(texts)) for key, texts in found.items()}


def _pypi_text(requirement: PypiRequirement) -> str:
    place = requirement.path or requirement.git or requirement.url
    return place or requirement.version or "*"


def _row(package: LockedPackage, lock: Lock, requested: Mapping[tuple[str, str], str]) -> dict[str, object]:
    if isinstance(package, PypiPackage):
        return _pypi_row(package, requested)
    spec = requested.get(("conda", package.name))
    binary = package if isinstance(package, CondaRecord) else None
    locked = lock.sources.get(package.identifier) if isinstance(package, SourcePackage) else None
    first = locked or package
    exports = package.run_exports.to_dict() if package.run_exports is not None else None
    row: dict[str, object] = {
        "name": package.name,
        "version": first.version,
        "build": first.build or None,
        "build_number": first.build_number,
        "size_bytes": package.size,
        "kind": "conda",
        "source": _channel(package) if isinstance(package, CondaRecord) else package.location,
        "license": package.license,
        "license_family": package.license_family,
        "is_explicit": spec is not None,
        "md5": binary.md5 if binary is not None else None,
        "sha256": binary.sha256 if binary is not None else None,
        "arch": None,
        "platform": None,
        "subdir": first.subdir,
        "timestamp": binary.timestamp if binary is not None else None,
        "noarch": package.noarch,
        "file_name": binary.file_name if binary is not None else None,
        "url": package.url if isinstance(package, CondaRecord) else package.location,
        "index_url": None,
        "requested_spec": spec,
        "constrains": list(package.constrains),
        "depends": list(package.depends),
        "track_features": list(package.track_features),
        "run_exports": exports or None,
        "is_source": binary is None,
    }
    if isinstance(package, SourcePackage):
        values = {key: str(value) for key, value in package.variants.items() if key != "target_platform"}
        row["variant"] = ", ".join(f"{key}={value}" for key, value in sorted(values.items()))
    return row


def _channel(record: CondaRecord) -> str | None:
    return record.channel.rstrip("/") if record.channel is not None else None


def _pypi_row(package: PypiPackage, requested: Mapping[tuple[str, str], str]) -> dict[str, object]:
    spec = requested.get(("pypi", normalize_pypi_name(package.name)))
    data = package.data
    index = data.get("index_url", data.get("index"))
    names: tuple[str, ...] = (
        *("name", "version", "build", "build_number", "size_bytes", "kind", "source", "license", "license_family"),
        *("is_explicit", "md5", "sha256", "arch", "platform", "subdir", "timestamp", "noarch", "file_name", "url"),
        *("index_url", "requested_spec", "constrains", "depends", "track_features", "run_exports"),
    )
    return dict.fromkeys(names) | {
        "name": package.name,
        "version": package.version,
        "kind": "pypi",
        "source": index or package.location,
        "is_explicit": spec is not None,
        "md5": data.get("md5"),
        "sha256": data.get("sha256"),
        "url": package.location,
        "index_url": index,
        "requested_spec": spec,
        "constrains": [],
        "depends": [str(each) for each in cast("list[object]", data.get("requires_dist") or [])],
        "track_features": [],
        "is_source": False,
    }
