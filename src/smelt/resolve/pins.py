"""What the sources of packages are locked to, and how a lock writes where a package is.

A package in a git repository is at ``git+<address>?subdirectory=…&branch=…&lfs=…#<commit>``, one in an archive at
``<address>#sha256=…&subdirectory=…``, with ``archive+`` before an address ``file://``, which rattler would take for a
path. Source: ``PinnedGitSpec`` of the reference; it has no form for archives.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from urllib.parse import parse_qsl, quote_plus

from smelt.errors import SourceError
from smelt.lock.model import BuildSource, Lock, Reference, SourcePackage
from smelt.source.download import without_credentials
from smelt.source.git_command import repository
from smelt.types import GitReference, SourceLocation

_ARCHIVE = "archive+"
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


class SourcePins:
    """The pins of a lock.

    A reference of a repository is pinned once for all packages that come from there, so that they fit each other.
    """

    def __init__(self) -> None:
        self._places: dict[SourceLocation, BuildSource] = {}
        self._code: dict[tuple[str, str], BuildSource] = {}

    @classmethod
    def of_lock(cls, lock: Lock | None, unlock: Collection[str] | None = ()) -> SourcePins:
        """The pins of ``lock``, without those of packages called ``unlock`` (None: of all)."""
        pins = cls()
        if lock is None or unlock is None:
            return pins
        packages = [package for package in lock.packages.values() if isinstance(package, SourcePackage)]
        pins._add_places(packages, unlock)
        for package in packages:
            if package.source is not None and package.name not in unlock:
                pins._code[package.name, package.location] = package.source
        for identifier, own in lock.sources.items():
            package = lock.packages.get(Reference(kind="conda_source", value=identifier))
            if own.pypi is None or own.source_digest is None or not isinstance(package, SourcePackage):
                continue
            if package.source is None and package.name not in unlock:
                pin = BuildSource(url=package.location.removeprefix(_ARCHIVE), sha256=own.source_digest)
                pins._code[package.name, f"pypi:{own.pypi}"] = pin
        return pins

    @classmethod
    def of_packages(cls, packages: Iterable[SourcePackage]) -> SourcePins:
        """Where ``packages`` come from."""
        pins = cls()
        pins._add_places(list(packages), ())
        return pins

    def place(self, location: SourceLocation, base: Path) -> BuildSource | None:
        """What the git or url source ``location`` is pinned to; None where it is not, or to something else."""
        found = self._places.get(_origin(location, base))
        if found is None:
            return None
        if location.sha256 is not None and found.sha256 != location.sha256.lower():
            return None
        return replace(found, subdir=location.subdirectory)

    def code(self, name: str, at: str, location: SourceLocation, base: Path) -> BuildSource | None:
        """What the code of the package ``name``, defined ``at``, is pinned to, if that is still what is asked for."""
        found = self._code.get((name, at))
        return found if found is not None and _same_source(found, location, base) else None

    def _add_places(self, packages: Collection[SourcePackage], unlock: Collection[str]) -> None:
        moving: set[SourceLocation] = set()
        for package in packages:
            parsed = _parse(package.location)
            if parsed is None:
                continue
            origin, pin = parsed
            self._places.setdefault(origin, pin)
            if package.name in unlock:
                moving.add(origin)
        for origin in moving:
            del self._places[origin]


def location_text(location: SourceLocation, pinned: BuildSource) -> str:
    """How the lock writes that a package is at the git or url source ``location``, pinned to ``pinned``."""
    if pinned.git is not None:
        values = _values(location)
        address, fragment = f"git+{pinned.git}", pinned.rev or ""
        query = "&".join(f"{key}={_encoded(value)}" for key, value in values.items())
        return f"{address}?{query}#{fragment}" if query else f"{address}#{fragment}"
    inner = f"&subdirectory={_encoded(pinned.subdir)}" if pinned.subdir is not None else ""
    return f"{address_text(pinned.url or '')}#sha256={pinned.sha256}{inner}"


def address_text(url: str) -> str:
    """How the lock writes that a package is the archive at ``url``."""
    return f"{_ARCHIVE}{url}" if url.startswith("file:") else url


def inner_location(outer: SourceLocation, inner: SourceLocation, name: str) -> SourceLocation:
    """Where ``inner`` is, which a package at ``outer`` says of ``name``: a path leads through the same checkout.

    Raises SourceError for a path that leads out of it.
    """
    if inner.path is None or (outer.git is None and outer.url is None):
        return inner
    path = inner.path.replace("\\", "/")
    joined = posixpath.normpath(posixpath.join(outer.subdirectory or ".", path))
    outside = joined.startswith("../") or joined == ".." or path.startswith("~")
    if outside or PurePosixPath(path).is_absolute() or PureWindowsPath(path).is_absolute():
        raise SourceError(
            f'`{name} = {{ path = "{inner.path}" }}` leads out of {outer}, where it is required',
            code="source-missing",
            help="a package in a repository or an archive can only name folders of the same one by `path`",
        )
    return replace(outer, subdirectory=None if joined == "." else joined)


def without_secrets(location: SourceLocation) -> SourceLocation:
    """``location`` as it may be written into a lock."""
    if location.git is not None:
        return replace(location, git=repository(location.git, Path.cwd()).address)
    return replace(location, url=without_credentials(location.url)) if location.url is not None else location


def shown(location: SourceLocation) -> str:
    """``location`` for people, with all that tells it from others."""
    values = ", ".join(f"{key} {value}" for key, value in _values(location).items())
    return f"{location} ({values})" if values else str(location)


def _values(location: SourceLocation) -> dict[str, str]:
    reference = location.reference or GitReference()
    values = {
        "subdirectory": location.subdirectory,
        "branch": reference.branch,
        "tag": reference.tag,
        "rev": reference.rev,
        "lfs": None if location.lfs is None else str(location.lfs).lower(),
    }
    return {key: value for key, value in values.items() if value is not None}


def _encoded(text: str) -> str:
    # As the WHATWG form encoding has it.
    return quote_plus(text, safe="*").replace("~", "%7E")


def _origin(location: SourceLocation, base: Path) -> SourceLocation:
    """What of ``location`` decides which commit or archive it is: equal ones are pinned together."""
    if location.git is not None:
        reference = location.reference if location.reference != GitReference() else None
        return SourceLocation(git=repository(location.git, base).address, reference=reference)
    return SourceLocation(url=without_credentials(location.url or ""))


def _parse(text: str) -> tuple[SourceLocation, BuildSource] | None:
    """The origin and the pin of a lock's location; None for a path, and for what is written otherwise."""
    head, _, fragment = text.partition("#")
    if not text.startswith("git+"):
        head = head.removeprefix(_ARCHIVE)
        digest = dict(parse_qsl(fragment)).get("sha256")
        return (SourceLocation(url=head), BuildSource(url=head, sha256=digest)) if digest is not None else None
    address, _, query = head.removeprefix("git+").partition("?")
    if _COMMIT.fullmatch(fragment) is None:
        return None
    values = dict(parse_qsl(query))
    branch, tag, rev = values.get("branch"), values.get("tag"), values.get("rev")
    reference = GitReference(branch=branch, tag=tag, rev=rev)
    pin = BuildSource(git=address, rev=fragment, branch=branch, tag=tag, explicit_rev=True if rev is not None else None)
    return SourceLocation(git=address, reference=reference if reference != GitReference() else None), pin


def _same_source(pinned: BuildSource, location: SourceLocation, base: Path) -> bool:
    """Whether what is locked still answers what is asked (an sdist: the name and version in its file name)."""
    if location.path is not None:
        return pinned.path == location.path
    if location.git is not None:
        return _same_commit(pinned, location, base)
    if location.url is not None:
        return (
            pinned.url == without_credentials(location.url)
            and pinned.subdir == location.subdirectory
            and (location.sha256 is None or location.sha256.lower() == pinned.sha256)
        )
    if location.pypi is not None and pinned.url is not None:
        from packaging.utils import InvalidSdistFilename, canonicalize_name, parse_sdist_filename

        name, _, version = location.pypi.partition("==")
        try:
            found_name, found_version = parse_sdist_filename(pinned.url.rpartition("/")[2])
        except InvalidSdistFilename:
            return False
        return found_name == canonicalize_name(name.strip()) and str(found_version) == version.strip()
    return False


def _same_commit(pinned: BuildSource, location: SourceLocation, base: Path) -> bool:
    reference = location.reference or GitReference()
    if pinned.git != repository(location.git or "", base).address or pinned.subdir != location.subdirectory:
        return False
    if reference.rev is not None:
        # The lock has no place for what was asked: only the beginning of a commit can be told again.
        return bool(pinned.explicit_rev) and (pinned.rev or "").startswith(reference.rev.lower())
    return (pinned.branch, pinned.tag, bool(pinned.explicit_rev)) == (reference.branch, reference.tag, False)
