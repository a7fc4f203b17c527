"""Whether a lock fits its workspace."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from smelt.lock.model import Lock, SourcePackage
from smelt.lock.satisfiability import Checks, Mismatch
from smelt.lock.satisfiability import check as check_lock
from smelt.manifest.document import Document, read_document
from smelt.manifest.positions import KeyPath
from smelt.solve.cutoff import parse_cutoff
from smelt.solve.matching import RattlerMatcher
from smelt.text import Place
from smelt.workspace.model import Workspace

if TYPE_CHECKING:
    from smelt.lock.pypi import LocalMetadata
    from smelt.resolve.packages import PackageLoader
    from smelt.resolve.sources import SourcesToday


def check(workspace: Workspace, lock: Lock | None, loader: PackageLoader | None = None) -> tuple[Mismatch, ...]:
    """Why ``lock`` does not fit, at most one reason for each environment × platform; empty if it fits.

    Source packages are rendered (from the cache where nothing changed), so this also raises what loading and
    rendering raise.
    """
    if lock is None:
        return tuple(
            Mismatch(environment=name, platform=platform, reason="there is no lock file", code="lock-missing")
            for name, platform in workspace.effective
        )
    matcher = RattlerMatcher()
    today: SourcesToday | None = None
    if has_sources(workspace, lock):
        from smelt.resolve.dev import with_dev
        from smelt.resolve.packages import PackageLoader
        from smelt.resolve.sources import LockedSources

        loader = loader or PackageLoader(workspace, lock)
        workspace = with_dev(workspace, loader)
        locked = [pair for pair in workspace.effective if lock.packages_of(*pair) is not None]
        today = LockedSources(workspace, lock, loader).today(locked, matcher.matches)
    documents: list[Document] = []

    def place(path: KeyPath) -> Place | None:
        if workspace.state is not None:
            return None  # the manifest of a script is a part of another file
        if not documents:
            documents.append(read_document(workspace.manifest_path))
        return documents[0].value(path)

    checks = Checks(
        matcher=matcher,
        cutoff=parse_cutoff,
        source_digests=today.digests if today is not None else {},
        source_records=today.records if today is not None else {},
        source_differences=today.differences if today is not None else {},
        default_indexes=_default_indexes,
        local_metadata=lambda location: _local_metadata(location, workspace.root),
        place=place,
    )
    return check_lock(workspace, lock, checks)


def has_sources(workspace: Workspace, lock: Lock) -> bool:
    """Whether source packages have to be looked at to know whether ``lock`` fits."""
    return any(isinstance(package, SourcePackage) for package in lock.packages.values()) or any(
        effective.dev for effective in workspace.effective.values()
    )


# What only locks with PyPI packages need is imported by them.


def _default_indexes() -> Sequence[str]:
    from smelt.solve.pypi_uv import default_indexes

    return default_indexes()


def _local_metadata(location: str, root: Path) -> LocalMetadata | None:
    from smelt.solve.pypi_input import absolute
    from smelt.solve.pypi_project import read_project

    return read_project(absolute(location, root))
