"""Whether a locked source is the one that is asked for."""

from __future__ import annotations

import posixpath
import re

from smelt.lock.location import is_url
from smelt.lock.model import SourceLock, SourcePackage
from smelt.types import GitReference, SourceLocation


def source_mismatch(package: SourcePackage, own: SourceLock | None, wanted: SourceLocation, base: str) -> str | None:
    """Why ``package`` does not come from ``wanted``, or None.

    ``base``: the folder that a path in ``wanted`` is relative to, itself relative to the folder of the lock.
    """
    if wanted.pypi is not None:
        locked = own.pypi if own is not None else None
        return None if locked == wanted.pypi else f"it is locked from {locked or package.location}, not {wanted.pypi}"
    if own is not None and own.pypi is not None and wanted.path is None:
        return f"it is locked from the sdist {own.pypi}, not from {wanted}"
    location = package.location
    if wanted.path is not None:
        if is_url(location):
            return "the locked source type does not match the requested type"
        requested = _join(base, wanted.path)
        if posixpath.normpath(location.replace("\\", "/")) == requested:
            return None
        return f"the locked path '{location}' does not match the requested path '{requested}'"
    if wanted.git is not None:
        return _git_mismatch(location, wanted)
    if wanted.url is not None:
        return _url_mismatch(location, package, wanted)
    return None


def _join(base: str, path: str) -> str:
    path = path.replace("\\", "/")
    # Paths into the user's home or from the root stay as they are.
    joined = path if path.startswith(("/", "~")) or re.match(r"[A-Za-z]:/", path) else posixpath.join(base, path)
    return posixpath.normpath(joined)


def folder_of(package: SourcePackage) -> str:
    """What paths in the requirements of ``package`` are relative to: the folder of its definition."""
    if is_url(package.location):
        return "."
    location = package.location.replace("\\", "/")
    is_file = posixpath.basename(location) in (
        "pixi.toml",
        "pyproject.toml",
        "recipe.yaml",
        "recipe.yml",
        "package.xml",
    )
    return posixpath.dirname(location) if is_file else location


def _git_mismatch(location: str, wanted: SourceLocation) -> str | None:
    if not location.startswith("git+"):
        return "the locked source type does not match the requested type"
    address, _, commit = location.removeprefix("git+").partition("#")
    address, _, query = address.partition("?")
    if _repository(address) != _repository(wanted.git or ""):
        return f"the locked repository '{address}' does not match the requested '{wanted.git}'"
    values = _query(query)
    if values.get("subdirectory", "").strip("/") != (wanted.subdirectory or "").strip("/"):
        return (
            f"the locked subdirectory '{values.get('subdirectory', '')}' does not match the requested "
            f"'{wanted.subdirectory or ''}'"
        )
    reference = wanted.reference or GitReference()
    for name in ("branch", "tag"):
        requested = getattr(reference, name)
        if requested is not None and values.get(name) != requested:
            return f"the locked {name} '{values.get(name, '')}' does not match the requested {name} '{requested}'"
    if reference.rev is not None and not commit.startswith(reference.rev) and values.get("rev") != reference.rev:
        return f"the locked commit '{commit}' does not match the requested '{reference.rev}'"
    return None


def _url_mismatch(location: str, package: SourcePackage, wanted: SourceLocation) -> str | None:
    if not is_url(location) or location.startswith("git+"):
        return "the locked source type does not match the requested type"
    # rattler takes an address `file://` for a path unless there is something before it
    address, _, fragment = location.removeprefix("archive+").partition("#")
    if address != (wanted.url or "").partition("#")[0]:
        return f"the locked address '{address}' does not match the requested '{wanted.url}'"
    hashes = _query(fragment)
    if package.source is not None and package.source.sha256 is not None:
        hashes.setdefault("sha256", package.source.sha256)
    for name in ("sha256", "md5"):
        requested = getattr(wanted, name)
        if requested is not None and hashes.get(name, requested) != requested:
            return f"the locked {name} {hashes[name]} does not match the requested {requested}"
    return None


def _repository(address: str) -> str:
    """One form for the addresses of one repository."""
    address = address.removeprefix("git+").partition("#")[0].partition("?")[0]
    address = re.sub(r"//[^/@]*@", "//", address)
    return address.rstrip("/").removesuffix(".git").lower()


def _query(text: str) -> dict[str, str]:
    from urllib.parse import parse_qsl

    return dict(parse_qsl(text))
