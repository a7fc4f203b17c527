"""``exclude-newer``: a time stamp, a date, or a duration before now."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

from smelt.errors import ManifestError

# seconds per unit, as the humantime format has them (a month is 30.44 days, a year 365.25)
_UNITS = {
    "s": 1,
    "m": 60,
    "h": 3600,
    "d": 86_400,
    "w": 604_800,
    "M": 2_630_016,
    "y": 31_557_600,
}
_NAMES = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), "m"),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("d", "day", "days"), "d"),
    **dict.fromkeys(("w", "week", "weeks"), "w"),
    **dict.fromkeys(("M", "month", "months"), "M"),
    **dict.fromkeys(("y", "year", "years"), "y"),
}
_PART = re.compile(r"\s*(\d+)\s*([a-zA-Z]+)")


def parse_cutoff(text: str) -> datetime | timedelta:
    """The cut-off that ``text`` names; records exactly at it are included.

    A date means the start of the following day in UTC; a duration (``7d``, ``1h30m``) counts back from now.
    Raises ManifestError. Source: the reference's manifest page, "exclude-newer".
    """
    text = text.strip()
    duration = _duration(text)
    if duration is not None:
        return duration
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            day = date.fromisoformat(text) + timedelta(days=1)
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise ManifestError(
            f"`{text}` is not a date, time or duration",
            code="manifest-exclude-newer",
            help="write `2026-01-31`, `2026-01-31T12:00:00Z` or a duration such as `7d`",
        ) from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _duration(text: str) -> timedelta | None:
    seconds, position = 0, 0
    while position < len(text):
        part = _PART.match(text, position)
        if part is None or part[2] not in _NAMES:
            return None
        seconds += int(part[1]) * _UNITS[_NAMES[part[2]]]
        position = part.end()
    return timedelta(seconds=seconds) if text else None
