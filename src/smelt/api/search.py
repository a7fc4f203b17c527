"""Searching channels, in a workspace or outside of one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from smelt.errors import UsageError
from smelt.fs import cache_root
from smelt.types import KNOWN_PLATFORMS, NOARCH
from smelt.workspace.channel import channel_url

if TYPE_CHECKING:
    from smelt.api.workspace import Workspace
    from smelt.config.settings import Settings
    from smelt.solve.search import SearchResult


def search_channels(workspace: Workspace | None, settings: Settings, channels: Sequence[str]) -> tuple[str, ...]:
    """The channels to search: ``channels``, else those of the default environment, else the default channels."""
    if channels:
        return tuple(channel_url(channel, Path.cwd()) for channel in channels)
    if workspace is None:
        return tuple(channel_url(channel, Path.cwd()) for channel in settings.default_channels)
    effective = [each for (name, _), each in workspace.model.effective.items() if name == "default"]
    found = tuple(dict.fromkeys(url for each in effective for url in each.channels))
    return found or tuple(channel_url(channel, Path.cwd()) for channel in settings.default_channels)


def search_subdirs(workspace: Workspace | None, platform: str | None) -> tuple[str, ...]:
    """The platforms to search: ``platform``, else the workspace's, else all; ``noarch`` too. Raises UsageError."""
    if platform is not None:
        named = {each.name: each.subdir for each in workspace.model.platforms} if workspace is not None else {}
        subdir = named.get(platform, platform)
        if subdir != NOARCH and subdir not in KNOWN_PLATFORMS:
            known = [*named, *sorted(KNOWN_PLATFORMS)]
            raise UsageError(f"`{platform}` is no platform", help=f"known are {', '.join(dict.fromkeys(known))}")
        return tuple(dict.fromkeys((subdir, NOARCH)))
    if workspace is None:
        return tuple(dict.fromkeys((*sorted(KNOWN_PLATFORMS), NOARCH)))
    return tuple(dict.fromkeys((*(each.subdir for each in workspace.model.platforms_of("default")), NOARCH)))


def search(
    spec: str,
    *,
    workspace: Workspace | None = None,
    settings: Settings | None = None,
    channels: Sequence[str] = (),
    platform: str | None = None,
    most: int | None = None,
) -> SearchResult:
    """The packages that fit ``spec`` (a MatchSpec whose name may have ``*`` in it).

    ``settings`` default to the workspace's, or to those of this machine. ``most``: as ``SearchRequest`` has it. Raises
    SolveError (``invalid-spec``), UnknownNameError (``package-not-found``), ChannelError, UsageError.
    """
    from smelt.config.network import network_of
    from smelt.config.settings import load_settings
    from smelt.solve.search import SearchRequest
    from smelt.solve.search import search as run

    if settings is None:
        settings = workspace.settings if workspace is not None else load_settings(None)
    network = network_of(settings, workspace.model.s3_options) if workspace is not None else network_of(settings)
    request = SearchRequest(
        spec=spec,
        channels=search_channels(workspace, settings, channels),
        subdirs=search_subdirs(workspace, platform),
        most=most,
    )
    return asyncio.run(run(request, cache_root(), network))
