"""What bills of materials say of a package's origin, whatever their form."""

from __future__ import annotations

from pathlib import Path

from smelt.errors import ChannelError
from smelt.install.download import redacted


def public_location(text: str | None) -> str | None:
    """``text`` without credentials; None for an address on this machine, which is shown to nobody."""
    if not text or text.startswith(("file:", "git+file:", "/", "\\")) or text[1:3] in (":\\", ":/"):
        return None
    return redacted(text)


def download_location(text: str) -> str | None:
    """Where something is downloaded from, in the words of SPDX (``git+https://…@commit``); None where it is not."""
    found = public_location(text)
    if found is None or "://" not in found:
        return None
    if not found.startswith("git+"):
        return found
    address, _, commit = found.partition("#")
    address = address.partition("?")[0]
    return f"{address}@{commit}" if commit else address


def commit_of(location: str) -> str | None:
    """The commit in a pinned ``git+…#commit`` address, None for others."""
    return location.rpartition("#")[2] or None if location.startswith("git+") and "#" in location else None


def wheel_licence(path: Path | None) -> str | None:
    """What a wheel says of its licence; None where it says nothing, or nothing that can be read."""
    from smelt.channel.wheelfile import read_wheel

    if path is None:
        return None
    try:
        return read_wheel(path).metadata.license
    except ChannelError:
        return None
