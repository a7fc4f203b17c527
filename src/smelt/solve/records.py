"""Records on their way to and from rattler."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from smelt.types import CondaRecord, RunExports

if TYPE_CHECKING:
    from rattler import RepoDataRecord


def to_rattler(record: CondaRecord) -> RepoDataRecord:
    """``record`` as rattler's type, without what its constructor does not take (run-exports, purls)."""
    from rattler import PackageRecord, RepoDataRecord
    from rattler.package.build_string import BuildString
    from rattler.package.no_arch_type import NoArchType

    noarch: Any = None if record.noarch is None else NoArchType(record.noarch)  # pyright: ignore[reportArgumentType]
    plain = PackageRecord(
        name=record.name,
        version=record.version,
        build=BuildString.new_unchecked(record.build),
        build_number=record.build_number,
        subdir=record.subdir,
        noarch=noarch,
        depends=list(record.depends),
        constrains=list(record.constrains),
        sha256=bytes.fromhex(record.sha256) if record.sha256 else None,
        md5=bytes.fromhex(record.md5) if record.md5 else None,
        size=record.size,
        license=record.license,
        license_family=record.license_family,
        python_site_packages_path=record.python_site_packages_path,
        extra_depends={key: list(value) for key, value in record.extra_depends.items()} or None,
        flags=list(record.flags) or None,
    )
    if record.timestamp is not None:
        from datetime import UTC, datetime

        plain.timestamp = datetime.fromtimestamp(record.timestamp / 1000, tz=UTC)
    if record.track_features:
        plain.track_features = list(record.track_features)
    if record.features is not None:
        plain.features = record.features
    return RepoDataRecord(plain, record.file_name, record.url, record.channel or _channel_of(record.url))


def from_rattler(records: Iterable[RepoDataRecord]) -> list[CondaRecord]:
    """The inverse of ``to_rattler`` for each, with everything that rattler knows of the records."""
    found: list[dict[str, Any]] = json.loads(f"[{','.join([record.to_json() for record in records])}]")
    return [from_repodata(data, url=data["url"], file_name=data["fn"], channel=data.get("channel")) for data in found]


def from_repodata(data: dict[str, Any], *, url: str, file_name: str, channel: str | None) -> CondaRecord:
    """A record from its repodata JSON (CEP 36). ``run_exports`` stays None where the data has none."""
    exports = data.get("run_exports")
    extras: dict[str, list[str]] = data.get("extra_depends") or {}
    purls = data.get("purls")
    channel = channel if not channel or channel.endswith("/") else channel + "/"
    return CondaRecord(
        name=data["name"],
        version=str(data["version"]),
        build=data.get("build", ""),
        build_number=data.get("build_number", 0),
        subdir=data["subdir"],
        url=url,
        file_name=file_name,
        channel=channel or None,
        noarch=_noarch(data.get("noarch")),
        depends=tuple(data.get("depends") or ()),
        constrains=tuple(data.get("constrains") or ()),
        extra_depends={key: tuple(value) for key, value in extras.items()},
        sha256=data.get("sha256"),
        md5=data.get("md5"),
        size=data.get("size"),
        timestamp=data.get("timestamp"),
        license=data.get("license"),
        license_family=data.get("license_family"),
        features=data.get("features"),
        track_features=_words(data.get("track_features")),
        flags=tuple(data.get("flags") or ()),
        purls=tuple(sorted(purls)) if purls is not None else None,
        run_exports=RunExports.from_dict(exports) if exports is not None else None,
        python_site_packages_path=data.get("python_site_packages_path"),
        legacy_bz2_md5=data.get("legacy_bz2_md5"),
        legacy_bz2_size=data.get("legacy_bz2_size"),
    )


def to_repodata(record: CondaRecord) -> dict[str, Any]:
    """The record's entry in a ``repodata.json``, run-exports included where they are known."""
    data: dict[str, Any] = {
        "name": record.name,
        "version": record.version,
        "build": record.build,
        "build_number": record.build_number,
        "subdir": record.subdir,
        "depends": list(record.depends),
        "constrains": list(record.constrains),
    }
    optional: dict[str, Any] = {
        "noarch": record.noarch,
        "sha256": record.sha256,
        "md5": record.md5,
        "size": record.size,
        "timestamp": record.timestamp,
        "license": record.license,
        "license_family": record.license_family,
        "features": record.features,
        "python_site_packages_path": record.python_site_packages_path,
        "run_exports": record.run_exports.to_dict() if record.run_exports is not None else None,
        "purls": list(record.purls) if record.purls is not None else None,
        "track_features": " ".join(record.track_features) or None,
        "extra_depends": {key: list(value) for key, value in record.extra_depends.items()} or None,
        "flags": list(record.flags) or None,
    }
    return data | {key: value for key, value in optional.items() if value is not None}


def _channel_of(url: str) -> str:
    """rattler wants a channel for every record: the folder above the subdir of a package named by URL."""
    head, _, _ = url.rpartition("/")
    channel, _, _ = head.rpartition("/")
    return f"{channel}/" if "://" in channel else "file:///"


def _noarch(value: object) -> str | None:
    """``noarch: true`` of old records is generic."""
    if value is None or value is False:
        return None
    return "generic" if value is True else str(value)


def _words(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        return tuple(value.replace(",", " ").split())
    return tuple(str(item) for item in value if item)  # pyright: ignore[reportGeneralTypeIssues, reportUnknownArgumentType, reportUnknownVariableType]
