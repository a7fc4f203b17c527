"""Cut-off dates (``exclude-newer``) against what is locked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from smelt.lock.model import Lock, LockedEnvironment
from smelt.lock.walk import Problem
from smelt.types import CondaRecord
from smelt.workspace.model import EffectiveEnvironment

Meaning = Callable[[str], datetime | timedelta]
"""What an ``exclude-newer`` text means."""


def cutoff_problem(
    lock: Lock, locked: LockedEnvironment, effective: EffectiveEnvironment, meaning: Meaning, now: datetime
) -> Problem | None:
    """Whether a locked package is newer than the cut-off that it has."""
    cutoffs = _Cutoffs(effective, meaning, now)
    if not cutoffs.any:
        return None
    for reference in locked.packages.get(effective.platform.name, ()):
        package = lock.packages[reference]
        if not isinstance(package, CondaRecord) or package.timestamp is None:
            continue
        limit = cutoffs.of(package)
        if limit is not None and package.timestamp > limit.timestamp() * 1000:
            made = datetime.fromtimestamp(package.timestamp / 1000, tz=UTC)
            return Problem(
                "exclude-newer",
                f"the locked package '{package.name}' is of {_moment(made)}, "
                f"which is newer than the cut-off {_moment(limit)}",
            )
    return None


class _Cutoffs:
    """The cut-off date of each package: its own, else that of its channel, else that of the environment."""

    def __init__(self, effective: EffectiveEnvironment, meaning: Meaning, now: datetime) -> None:
        def moment(text: str) -> datetime:
            found = meaning(text)
            return now - found if isinstance(found, timedelta) else found

        self._all = moment(effective.exclude_newer) if effective.exclude_newer is not None else None
        self._packages = {name.lower(): moment(text) for name, text in effective.package_cutoffs.items()}
        self._channels = {url.rstrip("/"): moment(text) for url, text in effective.channel_cutoffs.items()}

    @property
    def any(self) -> bool:
        return self._all is not None or bool(self._packages) or bool(self._channels)

    def of(self, package: CondaRecord) -> datetime | None:
        own = self._packages.get(package.name.lower())
        if own is None and package.channel is not None:
            own = self._channels.get(package.channel.rstrip("/"))
        return own if own is not None else self._all


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
