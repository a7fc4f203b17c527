"""Where a locked binary package is, and what its location says about it.

``pixi.lock`` leaves out of a package what its address tells: name, version and build string (file name), build
number (end of the build string), subdir and channel (folders), ``noarch`` (subdir and build string).
Source: ``rattler_lock``, ``utils/derived_fields`` and ``url_or_path``; ``file_url``.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from smelt.types import KNOWN_PLATFORMS

_EXTENSIONS = (".conda", ".tar.bz2", ".whl")
_CONDA_EXTENSIONS = (".conda", ".tar.bz2")
_SUBDIRS = frozenset(KNOWN_PLATFORMS)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_TRAILING_DIGITS = re.compile(r"[0-9]+\Z")
# The characters that a path segment of a file address must not hold as they are (``file_url``'s set).
_RESERVED = re.compile(rb'[\x00-\x20"#%/<>?`{}\x7f-\xff]')
_CHANGED = re.compile(r"[%?#]|\Afile:///[A-Za-z]:")
_MAX_BUILD_NUMBER = 2**64 - 1


class Derived(NamedTuple):
    """What a location tells. ``name``, ``version`` and ``build`` are None together."""

    file_name: str | None
    name: str | None
    version: str | None
    build: str | None
    subdir: str | None
    channel: str | None


def is_url(location: str) -> bool:
    """Whether a location is an address with a scheme (and not a path, also not a Windows path)."""
    return location.startswith(("https:", "http:")) or _SCHEME.match(location) is not None


def derive(location: str) -> Derived:
    """All that ``location`` (an address, or a path relative to the lock or absolute) tells."""
    if not is_url(location):
        file_name = re.split(r"[\\/]" if "\\" in location else "/", location)[-1]
        archive = _split_archive(file_name)
        name, version, build = archive or (None, None, None)
        return Derived(file_name if archive else None, name, version, build, None, None)
    address = location.partition("#")[0].partition("?")[0] if "#" in location or "?" in location else location
    folder, _, file_name = address.rpartition("/")
    subdir, channel = _derive_channel(folder)
    archive = _split_archive(file_name)
    if archive is None:
        return Derived(None, None, None, None, None, channel)
    return Derived(file_name, *archive, subdir if file_name.endswith(_CONDA_EXTENSIONS) else None, channel)


@lru_cache(maxsize=256)  # a lock has thousands of packages of a few folders
def _derive_channel(folder: str) -> tuple[str | None, str]:
    base, _, subdir = folder.rpartition("/")
    known = subdir in _SUBDIRS and folder.startswith(("https:", "http:", "file:"))
    # An address without two folders has its channel at the root of the host.
    channel = base + "/" if "://" in base and not base.endswith("/") else folder.rstrip("/") + "/"
    return subdir if known else None, channel


def _split_archive(file_name: str) -> tuple[str, str, str] | None:
    for extension in _EXTENSIONS:
        if file_name.endswith(extension):
            parts = file_name[: -len(extension)].rsplit("-", 2)
            return (parts[0], parts[1], parts[2]) if len(parts) == 3 else None
    return None


def derive_build_number(build: str) -> int:
    """The digits that a build string ends in, 0 without."""
    last = build.rpartition("_")[2]
    if len(last) < 10 and last.isdecimal() and last.isascii():  # as nearly all are
        return int(last)
    found = _TRAILING_DIGITS.search(build)
    number = int(found.group()) if found is not None and len(found.group()) <= 20 else 0
    return number if number <= _MAX_BUILD_NUMBER else 0


def derive_noarch(subdir: str, build: str) -> str | None:
    """``python`` or ``generic`` for packages of the ``noarch`` subdir, by whether the build string has ``py``."""
    if subdir != "noarch":
        return None
    return "python" if "py" in build else "generic"


def to_address(location: str) -> str:
    """The address of a location: absolute paths as ``file://``, anything else as it is.

    A lock holds files by path. A relative path stays one: it is relative to the folder of the lock.
    """
    if location.startswith(("https://", "http://")):
        return location
    if location.startswith("/"):
        segments = location.strip("/").split("/")
        return "file:///" + "/".join(_quote(segment) for segment in segments)
    if _DRIVE.match(location):
        segments = re.split(r"[\\/]+", location)
        return "file:///" + segments[0] + "/" + "/".join(_quote(segment) for segment in segments[1:])
    if location.startswith("\\\\"):
        server, *segments = location[2:].split("\\")
        return f"file://{server}/" + "/".join(_quote(segment) for segment in segments)
    return location


def to_location(address: str) -> str:
    """How a lock names an address: ``file://`` addresses by their path, anything else as it is.

    The inverse of ``to_address``. Source: ``rattler_lock``'s ``UrlOrPath``.
    """
    if not address.startswith("file:"):
        return address
    if address.startswith("file:///") and _CHANGED.search(address) is None:
        return address[7:]  # as nearly all are
    rest = address.partition("#")[0].partition("?")[0].removeprefix("file:")
    host, _, path = rest[2:].partition("/") if rest.startswith("//") else ("", "", rest.lstrip("/"))
    if host and host != "localhost":
        return "\\\\" + host + "\\" + "\\".join(_unquote(segment) for segment in path.split("/"))
    segments = [_unquote(segment) for segment in path.split("/")]
    if re.fullmatch(r"[A-Za-z]:", segments[0]):
        return segments[0] + "\\" + "\\".join(segments[1:])
    return "/" + "/".join(segments)


def _quote(segment: str) -> str:
    return _RESERVED.sub(lambda found: b"%%%02X" % found.group()[0], segment.encode("utf-8", "surrogateescape")).decode(
        "ascii"
    )


def _unquote(segment: str) -> str:
    if "%" not in segment:
        return segment
    from urllib.parse import unquote

    return unquote(segment)
