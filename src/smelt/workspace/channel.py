"""Channels: from what the manifest says to base URLs.

Source: the reference's manifest page, "channels"; rattler's ``NamedChannelOrUrl``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from smelt.manifest.feature import TomlChannel

CHANNEL_ALIAS = "https://conda.anaconda.org"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9]{0,10}://")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


def is_path(channel: str) -> bool:
    """Whether a channel is written as a path."""
    if "://" in channel:
        return False
    return (
        channel in (".", "..")
        or channel.startswith(("./", "../", "..\\", ".\\", "/", "~", "\\\\"))
        or bool(_DRIVE.match(channel))
    )


def channel_url(channel: str, root: Path) -> str:
    """The base URL of ``channel``, with a trailing slash; relative paths are relative to ``root`` (absolute)."""
    if _SCHEME.match(channel):
        parts = urlsplit(channel)
        netloc = parts.netloc
        if parts.hostname:
            # Hosts have no case; what stands before the `@` has.
            user, mark, host = netloc.rpartition("@")
            netloc = f"{user}{mark}{host.lower()}"
        path = parts.path if parts.path.endswith("/") else f"{parts.path}/"
        return urlunsplit((parts.scheme.lower(), netloc, path, parts.query, parts.fragment))
    if is_path(channel):
        folder = Path(channel).expanduser()
        absolute = Path(os.path.normpath(folder if folder.is_absolute() else root / folder))
        return absolute.as_uri().rstrip("/") + "/"
    segments = [quote(part, safe="!$&'()*+,;=:@-._~") for part in re.split(r"[\\/]", channel.strip("/\\"))]
    return f"{CHANNEL_ALIAS}/{'/'.join(segments)}/"


def by_priority(channels: Iterable[TomlChannel]) -> tuple[TomlChannel, ...]:
    """Each channel once, highest priority first, otherwise in the order given."""
    found: dict[str, TomlChannel] = {}
    for channel in sorted(channels, key=lambda each: -each.priority):
        found.setdefault(channel.channel, channel)
    return tuple(found.values())
