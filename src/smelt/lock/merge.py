"""A lock file with merge-conflict markers: its two sides, and one lock made of what fits of each.

Source: git's page "git-merge", "How conflicts are presented".
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace

from smelt.lock.model import Lock, LockedEnvironment

Pair = tuple[str, str]
_MARKER = re.compile(r"^(<{7}|\|{7}|={7}|>{7})(?: .*)?$")


def sides(text: str) -> tuple[str, str] | None:
    """What each side of the conflicts in ``text`` had; None where the markers do not belong together.

    What the sides had in common before (``diff3`` style) is left out.
    """
    found: tuple[list[str], list[str]] = ([], [])
    state = ""
    for line in text.splitlines(keepends=True):
        match = _MARKER.match(line.rstrip("\r\n"))
        marker = match[1][0] if match is not None else None
        if marker is None or (marker == "=" and state == ""):
            for index, side in enumerate("<="):
                if state in ("", side):
                    found[index].append(line)
        elif (state, marker) in (("", "<"), ("<", "|"), ("<", "="), ("|", "="), ("=", ">")):
            state = "" if marker == ">" else marker
        else:
            return None
    return ("".join(found[0]), "".join(found[1])) if state == "" else None


def unite(ours: Lock, theirs: Lock, misfits: tuple[Collection[Pair], Collection[Pair]]) -> Lock:
    """One lock: each environment × platform from the side that it fits on, ours where it fits on both or on none.

    ``misfits``: what does not fit the workspace, of either side. An environment whose channels, options or indexes
    differ between the sides is taken whole from the one on which more of it fits.
    """
    environments: dict[str, LockedEnvironment] = {}
    for name in dict.fromkeys((*ours.environments, *theirs.environments)):
        mine, yours = ours.environments.get(name), theirs.environments.get(name)
        if mine is None or yours is None:
            only = mine or yours
            assert only is not None
            environments[name] = only
            continue
        fitting = tuple(
            {platform for platform in side.packages if (name, platform) not in bad}
            for side, bad in zip((mine, yours), misfits, strict=True)
        )
        if (mine.channels, mine.options, mine.indexes) == (yours.channels, yours.options, yours.indexes):
            better = {
                platform: references
                for platform, references in yours.packages.items()
                if platform not in mine.packages or (platform in fitting[1] and platform not in fitting[0])
            }
            environments[name] = replace(mine, packages={**mine.packages, **better})
        else:
            environments[name] = yours if len(fitting[1]) > len(fitting[0]) else mine
    platforms = {each.name: each for each in (*theirs.platforms, *ours.platforms)}
    return Lock(
        version=ours.version,
        platforms=tuple(platforms.values()),
        environments=environments,
        packages={**theirs.packages, **ours.packages},
        sources={**theirs.sources, **ours.sources},
        partial=ours.partial or theirs.partial,
    )
