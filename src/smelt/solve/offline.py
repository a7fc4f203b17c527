"""Solving with nothing but what is on this machine.

A package is at hand if its channel is a folder or if it is in the package cache, from whatever channel: by name,
version, build and, where it is known, the hash of its archive.
Source: the reference's page "The Configuration of Pixi Itself", "offline".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from smelt.solve.request import SolveRequest
from smelt.types import NOARCH, CondaRecord

if TYPE_CHECKING:
    from rattler import Gateway, MatchSpec, PackageName, RepoDataRecord, Subdir

    from smelt.solve.dated import DatedChannel


_REVISION_LENGTH = 8  # what stands before the hash, see smelt.install.packages


class AtHand:
    """What the package cache holds, as it was when this was made."""

    def __init__(self, cache: Path) -> None:
        self._packages = cache / "pkgs"
        self._entries = {path.name for path in self._packages.iterdir()} if self._packages.is_dir() else set[str]()

    def holds(self, *, name: str, version: str, build: str, url: str, sha256: str | None) -> bool:
        """Whether a package can be installed without the network."""
        entry = f"{name}-{version}-{build}"
        return url.startswith("file:") or (entry in self._entries and self._fits(entry, sha256))

    def _fits(self, entry: str, sha256: str | None) -> bool:
        try:
            recorded = (self._packages / f"{entry}.lock").read_bytes()[_REVISION_LENGTH:].hex()
        except OSError:
            return False
        return sha256 is None or recorded == sha256

    def missing(self, records: Sequence[CondaRecord]) -> list[str]:
        """Those of ``records`` that would have to be fetched, as ``name version build``."""
        return sorted(
            f"{each.name} {each.version} {each.build}"
            for each in records
            if not self.holds(name=each.name, version=each.version, build=each.build, url=each.url, sha256=each.sha256)
        )


class LocalPart:
    """Some records of a channel (rattler's ``RepoDataSource`` protocol)."""

    def __init__(self, records: Iterable[RepoDataRecord]) -> None:
        self._by_place: dict[tuple[str, str], list[RepoDataRecord]] = {}
        for record in records:
            self._by_place.setdefault((str(record.subdir), record.name.normalized), []).append(record)

    async def fetch_package_records(self, platform: Subdir, name: PackageName) -> list[RepoDataRecord]:
        """The packages called ``name`` for ``platform``."""
        return self._by_place.get((str(platform), name.normalized), [])

    def package_names(self, platform: Subdir) -> list[str]:
        """All names for ``platform``."""
        return sorted({name for subdir, name in self._by_place if subdir == str(platform)})


async def local_parts(
    gateway: Gateway,
    sources: Sequence[ChannelView | DatedChannel | str],
    request: SolveRequest,
    specs: Sequence[MatchSpec],
    at_hand: AtHand,
) -> list[LocalPart]:
    """What is at hand of each of ``sources``, as far as ``specs`` reach. Raises rattler's GatewayError."""
    found = await gateway.query(
        sources,
        [request.subdir, NOARCH],  # pyright: ignore[reportArgumentType]
        specs,
        recursive=True,
        channel_relations="disabled",
    )
    return [LocalPart(record for record in records if _is_at_hand(record, at_hand)) for records in found]


def _is_at_hand(record: RepoDataRecord, at_hand: AtHand) -> bool:
    name, version, build = record.name.normalized, str(record.version), str(record.build)
    sha256 = record.sha256.hex() if record.sha256 is not None else None
    return at_hand.holds(name=name, version=version, build=build, url=record.url, sha256=sha256)


class ChannelView:
    """A channel, package by package (rattler's ``RepoDataSource`` protocol); offline, as far as its lists are cached.

    A channel whose index comes in shards has lists only of what earlier solves looked at, and one that has nothing for
    a platform has none for it at all: offline (``tolerant``), what is not cached counts as not there. ``unknown``: the
    names that was so for.
    """

    def __init__(self, gateway: Gateway, channel: str, *, tolerant: bool) -> None:
        self._gateway = gateway
        self.channel = channel
        self._tolerant = tolerant
        self._names: dict[str, list[str]] = {}
        self.unknown: set[str] = set()

    async def open(self, platforms: Sequence[str]) -> None:
        """See which lists are there. Raises rattler's GatewayError where none is (not tolerant: where one is not)."""
        errors: list[Exception] = []
        for platform in platforms:
            try:
                found = await self._gateway.names([self.channel], [platform])  # pyright: ignore[reportArgumentType]
                self._names[platform] = [name.normalized for name in found]
            except _unreadable() as error:
                if not self._tolerant:
                    raise
                errors.append(error)
        if not self._names:
            raise errors[0]

    async def fetch_package_records(self, platform: Subdir, name: PackageName) -> list[RepoDataRecord]:
        """The packages called ``name`` for ``platform``."""
        if str(platform) not in self._names:
            return []
        try:
            found = await self._gateway.query(
                [self.channel], [platform], [name.normalized], recursive=False, channel_relations="disabled"
            )
        except _unreadable():
            if not self._tolerant:
                raise
            self.unknown.add(name.normalized)
            return []
        return [record for records in found for record in records]

    def package_names(self, platform: Subdir) -> list[str]:
        """All names for ``platform``."""
        return self._names.get(str(platform), [])


def _unreadable() -> tuple[type[Exception], ...]:
    from rattler import exceptions

    return (exceptions.GatewayError, exceptions.FetchRepoDataError, exceptions.IoError)
