"""Partial locks: those that were made for some of the platforms of a workspace only.

A lock says of itself that it is partial (``smelt: partial: true``); what it leaves out is every platform of the
workspace that it has no row for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from types import MappingProxyType

from smelt.lock.model import Lock
from smelt.lock.satisfiability import Mismatch
from smelt.workspace.model import Workspace


def left_out(lock: Lock, workspace: Workspace) -> tuple[str, ...]:
    """The platforms of ``workspace`` that a partial ``lock`` (with the workspace's names) was made without."""
    if not lock.partial:
        return ()
    have = {row.name for row in lock.platforms}
    used = {platform for _, platform in workspace.effective}
    return tuple(each.name for each in workspace.platforms if each.name in used and each.name not in have)


def of_platforms(lock: Lock, platforms: Collection[str]) -> Lock:
    """``lock`` without what it has for other platforms."""
    environments = {
        name: replace(
            environment,
            packages=MappingProxyType({each: held for each, held in environment.packages.items() if each in platforms}),
        )
        for name, environment in lock.environments.items()
        if not environment.packages or any(each in platforms for each in environment.packages)
    }
    rows = tuple(row for row in lock.platforms if row.name in platforms)
    return replace(lock, platforms=rows, environments=MappingProxyType(environments))


def workspace_of_platforms(workspace: Workspace, platforms: Collection[str]) -> Workspace:
    """``workspace`` as if it had these platforms alone."""
    return replace(
        workspace,
        platforms=tuple(each for each in workspace.platforms if each.name in platforms),
        effective=MappingProxyType({pair: each for pair, each in workspace.effective.items() if pair[1] in platforms}),
    )


def about_platforms(
    mismatches: Iterable[Mismatch], workspace: Workspace, platforms: Collection[str]
) -> tuple[Mismatch, ...]:
    """Those of ``mismatches`` that are about one of ``platforms``, or about what the workspace no longer has."""

    def counts(mismatch: Mismatch) -> bool:
        if mismatch.environment not in workspace.environments:
            return True
        if mismatch.platform is not None:
            return mismatch.platform in platforms
        own = [each.name for each in workspace.platforms_of(mismatch.environment)]
        return not own or any(name in platforms for name in own)

    return tuple(mismatch for mismatch in mismatches if counts(mismatch))


def without_platforms(workspace: Workspace, platforms: Sequence[str]) -> tuple[Mismatch, ...]:
    """That a lock is partial, as reasons why it does not fit: one for each environment and platform left out."""
    return tuple(
        Mismatch(
            environment=name,
            platform=platform,
            reason="the lock file is partial, it was made without this platform",
            code="partial",
        )
        for name, platform in workspace.effective
        if platform in platforms
    )
