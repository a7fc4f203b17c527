"""Whether a lock fits its workspace."""

from __future__ import annotations

from smelt.lock.model import Lock
from smelt.lock.satisfiability import Checks, Mismatch
from smelt.lock.satisfiability import check as check_lock
from smelt.manifest.document import Document, read_document
from smelt.manifest.positions import KeyPath
from smelt.resolve.dev import with_dev
from smelt.resolve.packages import PackageLoader
from smelt.resolve.sources import LockedSources
from smelt.solve.cutoff import parse_cutoff
from smelt.solve.matching import RattlerMatcher
from smelt.solve.pypi_input import absolute
from smelt.solve.pypi_project import read_project
from smelt.solve.pypi_uv import default_indexes
from smelt.text import Place
from smelt.workspace.model import Workspace


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
    loader = loader or PackageLoader(workspace, lock)
    workspace = with_dev(workspace, loader)
    sources = LockedSources(workspace, lock, loader)
    matcher = RattlerMatcher()
    locked = [pair for pair in workspace.effective if lock.packages_of(*pair) is not None]
    today = sources.today(locked, matcher.matches)
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
        source_digests=today.digests,
        source_records=today.records,
        source_differences=today.differences,
        default_indexes=default_indexes,
        local_metadata=lambda location: read_project(absolute(location, workspace.root)),
        place=place,
    )
    return check_lock(workspace, lock, checks)
