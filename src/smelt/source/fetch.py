"""Sources: from what a manifest says to code on disk."""

from __future__ import annotations

import os
from pathlib import Path

from smelt.config.network import Network
from smelt.errors import SourceError
from smelt.fs import hold, replace_folder, smelt_cache, staging_folder
from smelt.lock.model import BuildSource
from smelt.source.census import CODE, is_intact, seal
from smelt.source.download import fetch, file_name, without_credentials
from smelt.source.model import Checkout
from smelt.source.sdist import locate_sdist, split_release
from smelt.types import GitReference, SourceLocation


def pin(location: SourceLocation, base: Path, network: Network | None = None) -> BuildSource:
    """What the lock says of a source, so that every machine takes the same code.

    ``base``: the folder of the manifest that says it. A path stays as it is written; an sdist and an archive
    become a URL (without credentials) and a sha256, a reference of a git repository becomes a commit.
    Raises SourceError (nothing there; what ``smelt.source.git.resolve_commit`` raises).
    """
    if location.path is not None:
        _existing(base, location.path)
        return BuildSource(path=location.path)
    if location.git is not None:
        return _pin_git(location.git, location, base, network)
    if location.pypi is not None:
        split_release(location.pypi)
        url, sha256 = locate_sdist(location.pypi, base, network)
        if sha256 is None:
            _, sha256 = fetch(url, network=network)
        return BuildSource(url=without_credentials(url), sha256=sha256, subdir=location.subdirectory)
    if location.url is not None:
        sha256 = location.sha256
        if sha256 is None:
            _, sha256 = fetch(location.url, md5=location.md5, network=network)
        return BuildSource(url=without_credentials(location.url), sha256=sha256.lower(), subdir=location.subdirectory)
    raise SourceError("a source that says neither path nor git, url or pypi", code="source-missing")


def checkout(
    pinned: BuildSource, base: Path, location: SourceLocation | None = None, network: Network | None = None
) -> Checkout:
    """The code of a pinned source on disk.

    A path is the user's own folder, relative to ``base``. An archive is unpacked once into ``<smelt cache>/sources``,
    without the folder that wraps it, a commit once into ``<smelt cache>/checkouts``; what was damaged since is made
    again. ``location``: what the manifest says of it, which may know what a lock must not or cannot say (credentials,
    Git LFS). Raises SourceError.
    """
    if pinned.path is not None:
        return Checkout(folder=_existing(base, pinned.path), pinned=pinned)
    if pinned.git is not None:
        return _checkout_git(pinned.git, pinned, base, location or SourceLocation(git=pinned.git), network)
    if pinned.url is None or pinned.sha256 is None:
        raise SourceError(
            f"the lock does not say which archive a source is: {pinned.url or 'no url'} has no sha256",
            code="source-missing",
            help="`smelt lock` writes it again",
        )
    digest = pinned.sha256.lower()
    written = location.url if location is not None else None
    folder = _unpacked(
        written if written and without_credentials(written) == pinned.url else pinned.url, digest, network
    )
    if pinned.subdir is not None:
        folder = inside(folder, pinned.subdir, pinned.url)
    return Checkout(folder=folder, pinned=pinned, digest=digest)


def _pin_git(git: str, location: SourceLocation, base: Path, network: Network | None) -> BuildSource:
    from smelt.source.git import resolve_commit
    from smelt.source.git_command import repository

    reference = location.reference or GitReference()
    place = repository(git, base, offline=network is not None and network.offline)
    return BuildSource(
        git=place.address,
        rev=resolve_commit(place, reference),
        branch=reference.branch,
        tag=reference.tag,
        explicit_rev=True if reference.rev is not None else None,
        subdir=location.subdirectory,
    )


def _checkout_git(
    git: str, pinned: BuildSource, base: Path, location: SourceLocation, network: Network | None
) -> Checkout:
    from smelt.source.git import checkout_commit
    from smelt.source.git_command import repository

    if pinned.rev is None:
        raise SourceError(
            f"the lock does not say which commit of {without_credentials(git)} a source is",
            code="source-missing",
            help="`smelt lock` writes it again",
        )
    offline = network is not None and network.offline
    place = repository(git, base, offline=offline)
    written = repository(location.git, base, offline=offline) if location.git is not None else place
    lfs = location.lfs is True
    folder = checkout_commit(written if written == place else place, pinned.rev, lfs=lfs)
    if pinned.subdir is not None:
        folder = inside(folder, pinned.subdir, place.address)
    return Checkout(folder=folder, pinned=pinned, digest=f"{pinned.rev}+lfs" if lfs else pinned.rev)


def _existing(base: Path, path: str) -> Path:
    folder = Path(os.path.normpath(base / Path(path).expanduser()))
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise SourceError(
            f"the source folder `{path}` {what}: {folder}",
            code="source-missing",
            help=f"`path` is relative to {base}",
        )
    return folder


def inside(folder: Path, subdirectory: str, url: str) -> Path:
    """The folder ``subdirectory`` of the checkout ``folder``, which is of ``url``. Raises SourceError."""
    found = Path(os.path.normpath(folder / subdirectory))
    if not found.is_relative_to(folder) or not found.resolve().is_relative_to(folder.resolve()):
        raise SourceError(f"the subdirectory `{subdirectory}` is outside of {url}", code="source-missing")
    if not found.is_dir():
        raise SourceError(f"{url} has no folder `{subdirectory}`", code="source-missing")
    return found


def _unpacked(url: str, sha256: str, network: Network | None) -> Path:
    target = smelt_cache() / "sources" / sha256[:2] / sha256
    if is_intact(target):
        return target / CODE
    from smelt.source.archive import only_folder, unpack

    with hold(target.with_name(f"{sha256}.lock"), f"unpacking {file_name(url)}"):
        if is_intact(target):
            return target / CODE
        archive, _ = fetch(url, sha256, network=network)
        with staging_folder(target) as staging:
            scratch = staging / "unpacked"
            unpack(archive, scratch, file_name(url))
            only_folder(scratch).replace(staging / CODE)
            if scratch.exists():
                scratch.rmdir()
            seal(staging)
            replace_folder(staging, target)
    return target / CODE
