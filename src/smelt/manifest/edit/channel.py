"""Adding, removing and replacing channels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

from smelt.errors import UnknownNameError
from smelt.manifest.edit.manifest import ManifestText
from smelt.manifest.edit.scope import Scope


def _name(item: object) -> str | None:
    value = cast("dict[str, object]", item).get("channel") if isinstance(item, dict) else item
    return value.rstrip("/") if isinstance(value, str) else None


def _priority(item: object) -> int | None:
    value = cast("dict[str, object]", item).get("priority") if isinstance(item, dict) else None
    return value if isinstance(value, int) else None


def channel_value(channel: str, priority: int | None) -> str | dict[str, object]:
    """A channel as an item of ``channels``."""
    return channel if priority is None else {"channel": channel, "priority": priority}


def add_channels(
    manifest: ManifestText, scope: Scope, channels: Iterable[str], *, priority: int | None = None, first: bool = False
) -> ManifestText:
    """With ``channels`` at the end (or before the others); one that is there with another priority is replaced."""
    manifest = scope.prepare(manifest)
    path = scope.list_path(manifest, "channels")
    wanted = list(dict.fromkeys(channels))
    known = {(_name(item), _priority(item)) for item in manifest.array(path)}
    new = [channel for channel in wanted if (channel.rstrip("/"), priority) not in known]
    names = {channel.rstrip("/") for channel in new}
    for index in reversed(range(len(manifest.array(path)))):
        if _name(manifest.array(path)[index]) in names:
            manifest = manifest.pop(path, index)
    for index, channel in enumerate(new):
        manifest = manifest.insert(path, channel_value(channel, priority), index if first else None)
    return manifest


def remove_channels(manifest: ManifestText, scope: Scope, channels: Iterable[str]) -> ManifestText:
    """Without ``channels``. Raises UnknownNameError (``unknown-channel``) for one that is not there."""
    path = scope.list_path(manifest, "channels")
    for channel in channels:
        names = [_name(item) for item in manifest.array(path)]
        if channel.rstrip("/") not in names:
            raise UnknownNameError(f"{scope} has no channel `{channel}`", code="unknown-channel")
        for index in reversed(range(len(names))):
            if names[index] == channel.rstrip("/"):
                manifest = manifest.pop(path, index)
    return manifest


def set_channels(
    manifest: ManifestText, scope: Scope, channels: Sequence[str], *, priority: int | None = None
) -> ManifestText:
    """With ``channels`` and no others."""
    manifest = scope.prepare(manifest)
    path = scope.list_path(manifest, "channels")
    return manifest.set(path, [channel_value(channel, priority) for channel in channels])
