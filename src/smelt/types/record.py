"""A conda package as repodata and lock files describe it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, cast

_EMPTY: Mapping[str, tuple[str, ...]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class RunExports:
    """What a package asks of packages that are built with it (CEP 12, ``run_exports.json``)."""

    noarch: tuple[str, ...] = ()
    strong: tuple[str, ...] = ()
    strong_constrains: tuple[str, ...] = ()
    weak: tuple[str, ...] = ()
    weak_constrains: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, list[str]]:
        """Only what is not empty, in the key order of ``run_exports.json``."""
        return {
            key: list(value)
            for key in ("noarch", "strong", "strong_constrains", "weak", "weak_constrains")
            if (value := getattr(self, key))
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> RunExports:
        """From the JSON form; unknown keys are passed over. Raises TypeError for wrong types."""
        found: dict[str, tuple[str, ...]] = {}
        for key in ("noarch", "strong", "strong_constrains", "weak", "weak_constrains"):
            value = data.get(key, ())
            if not isinstance(value, list | tuple):
                raise TypeError(f"run_exports.{key} must be a list")
            found[key] = tuple(str(item) for item in cast("Sequence[object]", value))
        return cls(**found)


@dataclass(frozen=True, slots=True, kw_only=True)
class CondaRecord:
    """One binary conda package: a repodata record together with where it is.

    ``url`` is the full address of the archive (also ``file://``); ``channel`` the base URL of its channel
    with a trailing slash, or None for a package named by URL; ``file_name`` the archive's name;
    ``timestamp`` milliseconds since the epoch; ``size`` bytes; ``run_exports`` None where unknown.
    Hashes are hexadecimal. Field names are those of repodata (CEP 36).
    """

    name: str
    version: str
    build: str
    build_number: int
    subdir: str
    url: str
    file_name: str
    channel: str | None
    noarch: str | None = None
    depends: tuple[str, ...] = ()
    constrains: tuple[str, ...] = ()
    extra_depends: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: _EMPTY, hash=False)
    sha256: str | None = None
    md5: str | None = None
    size: int | None = None
    timestamp: int | None = None
    license: str | None = None
    license_family: str | None = None
    features: str | None = None
    track_features: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    purls: tuple[str, ...] | None = None
    run_exports: RunExports | None = None
    python_site_packages_path: str | None = None
    legacy_bz2_md5: str | None = None
    legacy_bz2_size: int | None = None

    def __str__(self) -> str:
        return f"{self.name} {self.version} {self.build}"

    def __hash__(self) -> int:
        return hash((self.url, self.sha256, self.build))


class _Open:
    """A record while its values are put in: of the same slots, and not frozen."""

    __slots__ = CondaRecord.__slots__


def _fill(
    self: CondaRecord,
    *,
    name: str,
    version: str,
    build: str,
    build_number: int,
    subdir: str,
    url: str,
    file_name: str,
    channel: str | None,
    noarch: str | None = None,
    depends: tuple[str, ...] = (),
    constrains: tuple[str, ...] = (),
    extra_depends: Mapping[str, tuple[str, ...]] = _EMPTY,
    sha256: str | None = None,
    md5: str | None = None,
    size: int | None = None,
    timestamp: int | None = None,
    license: str | None = None,
    license_family: str | None = None,
    features: str | None = None,
    track_features: tuple[str, ...] = (),
    flags: tuple[str, ...] = (),
    purls: tuple[str, ...] | None = None,
    run_exports: RunExports | None = None,
    python_site_packages_path: str | None = None,
    legacy_bz2_md5: str | None = None,
    legacy_bz2_size: int | None = None,
) -> None:
    _set(self, "__class__", _Open)
    draft = cast("Any", self)
    draft.name = name
    draft.version = version
    draft.build = build
    draft.build_number = build_number
    draft.subdir = subdir
    draft.url = url
    draft.file_name = file_name
    draft.channel = channel
    draft.noarch = noarch
    draft.depends = depends
    draft.constrains = constrains
    draft.extra_depends = extra_depends
    draft.sha256 = sha256
    draft.md5 = md5
    draft.size = size
    draft.timestamp = timestamp
    draft.license = license
    draft.license_family = license_family
    draft.features = features
    draft.track_features = track_features
    draft.flags = flags
    draft.purls = purls
    draft.run_exports = run_exports
    draft.python_site_packages_path = python_site_packages_path
    draft.legacy_bz2_md5 = legacy_bz2_md5
    draft.legacy_bz2_size = legacy_bz2_size
    draft.__class__ = CondaRecord


# ``__init__`` of a frozen dataclass takes 26 calls of ``object.__setattr__``, and a lock has thousands of records
_set = object.__setattr__
CondaRecord.__init__ = _fill
