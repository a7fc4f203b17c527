"""Which versions to ask for, from those that were solved.

Source: the reference's configuration page, "pinning-strategy".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from smelt.errors import UsageError

if TYPE_CHECKING:
    from rattler import Version

Strategy = Literal["semver", "minor", "major", "latest-up", "exact-version", "no-pin"]
STRATEGIES: tuple[Strategy, ...] = ("semver", "minor", "major", "latest-up", "exact-version", "no-pin")
NOT_SEMVER = frozenset(("python", "rust", "julia", "gcc", "gxx", "gfortran", "nodejs", "deno", "r", "r-base", "perl"))
"""Packages whose minor versions break: pinned to the minor version unless a strategy is asked for."""


def pin(name: str, versions: Iterable[str], strategy: Strategy | None = None) -> str | None:
    """The version spec that allows all of ``versions`` of package ``name``; None where there are none.

    ``semver`` (the default) allows what does not change the first number that is not zero, ``major`` and ``minor``
    what does not change the first or second one, ``latest-up`` everything from the oldest of ``versions``.
    """
    from rattler import Version

    found = sorted({Version(version) for version in versions})
    if not found:
        return None
    oldest, newest = found[0], found[-1]
    strategy = strategy or ("minor" if name in NOT_SEMVER else "semver")
    if strategy == "no-pin":
        return "*"
    if strategy == "exact-version":
        return "|".join(f"=={version}" for version in found)
    if strategy == "latest-up":
        return f">={oldest}"
    bound = _bound(newest, strategy)
    return f">={oldest},<{bound}"


def _bound(version: Version, strategy: Strategy) -> Version:
    count = version.segment_count
    if strategy == "major":
        return _first(version, 1, count).bump_major()
    if strategy == "minor":
        return _first(version, 2, count).bump_minor()
    segments = version.segments()
    significant = next((index + 1 for index, segment in enumerate(segments) if set(segment) != {0}), None)
    return (version.with_segments(0, significant) if significant is not None else version).bump_last()


def _first(version: Version, length: int, count: int) -> Version:
    return version.pop_segments(count - length) if count > length else version


def bump(version: str, part: str) -> str:
    """``version`` with its ``major``, ``minor`` or ``patch`` number raised. Raises UsageError."""
    from rattler import Version, exceptions

    try:
        old = Version(version)
        return str({"major": old.bump_major, "minor": old.bump_minor, "patch": old.bump_patch}[part]())
    except (exceptions.InvalidVersionError, exceptions.VersionBumpError) as error:
        raise UsageError(f"the {part} number of `{version}` cannot be raised: {error}") from None
