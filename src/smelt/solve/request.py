"""One solve, as data."""

from __future__ import annotations

from dataclasses import dataclass

from smelt.types import CondaRecord, VirtualPackage

SOURCE_CHANNEL = "file:///smelt-source/"
"""The channel of candidates that are built from source: no such folder exists, nothing is fetched from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SolveRequest:
    """What one solve is given; equal requests have equal answers.

    ``specs`` and ``constraints``: MatchSpec texts. ``channels``: base URLs, highest priority first.
    ``subdir``: the platform solved for (``noarch`` is always searched too). ``candidates``: records of source
    packages; a name that occurs among them is taken from them and from no channel, the ones listed first are
    preferred among equals. ``locked``: records to keep where they still fit. ``exclude_newer``: RFC 3339
    time stamp, date, or duration (``7d``); ``channel_cutoffs`` (by base URL) and ``package_cutoffs`` (by name) go
    before it.
    """

    specs: tuple[str, ...]
    channels: tuple[str, ...]
    subdir: str
    virtual_packages: tuple[VirtualPackage, ...] = ()
    constraints: tuple[str, ...] = ()
    candidates: tuple[CondaRecord, ...] = ()
    locked: tuple[CondaRecord, ...] = ()
    channel_priority: str = "strict"
    strategy: str = "highest"
    exclude_newer: str | None = None
    channel_cutoffs: tuple[tuple[str, str], ...] = ()
    package_cutoffs: tuple[tuple[str, str], ...] = ()
