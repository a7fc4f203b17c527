"""The small values that every room speaks of: platforms, names, specs, records, digests."""

from smelt.types.digest import canonical_json, digest_json, sha256_file, sha256_text
from smelt.types.name import is_package_name, normalize_name, spec_name
from smelt.types.platform import (
    KNOWN_PLATFORMS,
    NOARCH,
    VirtualPackage,
    current_platform,
    default_virtual_packages,
    platform_family,
    runnable_subdirs,
)
from smelt.types.record import CondaRecord, RunExports
from smelt.types.spec import CondaSpec, GitReference, SourceLocation

__all__ = [
    "KNOWN_PLATFORMS",
    "NOARCH",
    "CondaRecord",
    "CondaSpec",
    "GitReference",
    "RunExports",
    "SourceLocation",
    "VirtualPackage",
    "canonical_json",
    "current_platform",
    "default_virtual_packages",
    "digest_json",
    "is_package_name",
    "normalize_name",
    "platform_family",
    "runnable_subdirs",
    "sha256_file",
    "sha256_text",
    "spec_name",
]
