"""The packages of an environment as rows, in the reference's words."""

from __future__ import annotations

from smelt.errors import LockError
from smelt.lock.model import Lock, LockedPackage, SourcePackage
from smelt.types import CondaRecord
from smelt.workspace.model import EffectiveEnvironment


def rows(lock: Lock, effective: EffectiveEnvironment) -> list[dict[str, object]]:
    """One row for each locked package, sorted by name. Raises LockError where the environment is not locked.

    The keys are those of the reference's ``pixi list --json``; ``is_source`` and ``variant`` are smelt's own.
    """
    packages = lock.packages_of(effective.environment.name, effective.platform.name)
    if packages is None:
        raise LockError(
            f"environment `{effective.environment.name}` is not locked for {effective.platform.name}",
            code="lock-missing",
            help="run `smelt lock`",
        )
    requested: dict[str, str] = {}
    for dependency in effective.dependencies:
        requested.setdefault(dependency.name, dependency.spec.version or "*")
    return sorted((_row(package, lock, requested) for package in packages), key=lambda row: str(row["name"]))


def _row(package: LockedPackage, lock: Lock, requested: dict[str, str]) -> dict[str, object]:
    shared: dict[str, object] = {
        "is_explicit": package.name in requested,
        "requested_spec": requested.get(package.name),
    }
    if isinstance(package, CondaRecord):
        return {
            "name": package.name,
            "version": package.version,
            "build": package.build,
            "build_number": package.build_number,
            "size_bytes": package.size,
            "kind": "conda",
            "source": package.channel,
            "license": package.license,
            "license_family": package.license_family,
            **shared,
            "md5": package.md5,
            "sha256": package.sha256,
            "arch": None,
            "platform": None,
            "subdir": package.subdir,
            "timestamp": package.timestamp,
            "noarch": package.noarch,
            "file_name": package.file_name,
            "url": package.url,
            "constrains": list(package.constrains),
            "depends": list(package.depends),
            "track_features": list(package.track_features),
            "run_exports": package.run_exports.to_dict() if package.run_exports is not None else None,
            "is_source": False,
        }
    if isinstance(package, SourcePackage):
        locked = lock.sources.get(package.identifier)
        values = {key: str(value) for key, value in package.variants.items() if key not in {"target_platform"}}
        return {
            "name": package.name,
            "version": locked.version if locked is not None else package.version,
            "build": locked.build if locked is not None else package.build or None,
            "build_number": locked.build_number if locked is not None else package.build_number,
            "size_bytes": None,
            "kind": "conda",
            "source": package.location,
            "license": package.license,
            "license_family": package.license_family,
            **shared,
            "md5": None,
            "sha256": None,
            "arch": None,
            "platform": None,
            "subdir": locked.subdir if locked is not None else package.subdir,
            "timestamp": None,
            "noarch": package.noarch,
            "file_name": None,
            "url": None,
            "constrains": list(package.constrains),
            "depends": list(package.depends),
            "track_features": list(package.track_features),
            "run_exports": package.run_exports.to_dict(),
            "is_source": True,
            "variant": ", ".join(f"{key}={value}" for key, value in sorted(values.items())),
        }
    return {
        "name": package.name,
        "version": package.version,
        "build": None,
        "size_bytes": None,
        "kind": "pypi",
        "source": package.location,
        **shared,
        "is_source": False,
    }
