"""Cut-off dates of their own for channels and packages, which rattler's solver does not know.

Source: the reference's manifest page, "exclude-newer".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from smelt.solve.cutoff import parse_cutoff
from smelt.solve.request import SolveRequest

if TYPE_CHECKING:
    from rattler import PackageName, RepoDataRecord, Subdir

    from smelt.solve.offline import ChannelView


@dataclass(frozen=True, slots=True, kw_only=True)
class Cutoffs:
    """Until when packages are considered: of a package by name, else of a channel, else of all (None: for ever)."""

    everything: datetime | None
    channels: Mapping[str, datetime]
    packages: Mapping[str, datetime]

    @classmethod
    def of(cls, request: SolveRequest, now: datetime) -> Cutoffs:
        """Those of ``request``; durations count back from ``now``. Raises ManifestError."""
        return cls(
            everything=_moment(request.exclude_newer, now) if request.exclude_newer is not None else None,
            channels={url: _moment(text, now) for url, text in request.channel_cutoffs},
            packages={name.lower(): _moment(text, now) for name, text in request.package_cutoffs},
        )

    def allow(self, *, name: str, channel: str, moment: datetime | None) -> bool:
        """Whether a package made at ``moment`` is considered; one that does not say when always is."""
        cutoff = self.packages.get(name, self.channels.get(channel, self.everything))
        return moment is None or cutoff is None or moment <= cutoff


def _moment(text: str, now: datetime) -> datetime:
    found = parse_cutoff(text)
    return (now - found if isinstance(found, timedelta) else found).astimezone(UTC)


class DatedChannel:
    """What of a channel its cut-off dates allow (rattler's ``RepoDataSource`` protocol)."""

    def __init__(self, view: ChannelView, cutoffs: Cutoffs) -> None:
        self.view = view
        self._cutoffs = cutoffs

    async def fetch_package_records(self, platform: Subdir, name: PackageName) -> list[RepoDataRecord]:
        """The packages called ``name`` for ``platform``."""
        found = await self.view.fetch_package_records(platform, name)
        allow, channel = self._cutoffs.allow, self.view.channel
        return [each for each in found if allow(name=name.normalized, channel=channel, moment=each.timestamp)]

    def package_names(self, platform: Subdir) -> list[str]:
        """All names for ``platform``."""
        return self.view.package_names(platform)
