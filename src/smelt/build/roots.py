"""Which stored builds the workspaces of this machine used last: what must stay when the store is cleaned up.

One file per workspace, ``<cache>/smelt/roots/<digest of the manifest's path>.json``: its path, and for each of its
environments the build keys that it needs and the folders of the cache that hold their source code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from smelt.build.plain import mapping, texts
from smelt.fs import smelt_cache, write_text
from smelt.types import digest_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """Build keys, and folders relative to smelt's cache (POSIX)."""

    keys: frozenset[str]
    sources: frozenset[str]


def remember_use(
    manifest: Path, environments: Mapping[str, Sequence[str]], sources: Mapping[str, Sequence[Path]]
) -> None:
    """Write down what the workspace of ``manifest`` uses; what is known of its other environments stays.

    ``environments``: the build keys by environment. ``sources``: the folders of source code; those outside of the cache
    do not count.
    """
    path = roots_folder() / f"{digest_json(str(manifest))[:32]}.json"
    old, cache = _read(path), smelt_cache()
    inside = {
        name: sorted({folder.relative_to(cache).as_posix() for folder in folders if folder.is_relative_to(cache)})
        for name, folders in sources.items()
    }
    keys = {name: sorted(each) for name, each in environments.items()}
    new = {
        "manifest": str(manifest),
        "environments": {**mapping(old.get("environments")), **keys},
        "sources": {**mapping(old.get("sources")), **inside},
    }
    if new != old:
        # where nothing can be written, nothing is removed either
        with suppress(OSError):
            write_text(path, json.dumps(new, indent=1, sort_keys=True))


def used() -> Used:
    """What workspaces use whose manifest is still there. Forgets the other workspaces."""
    found: dict[str, set[str]] = {"environments": set(), "sources": set()}
    for path in sorted(roots_folder().glob("*.json")):
        data = _read(path)
        manifest = data.get("manifest")
        if not isinstance(manifest, str):
            continue
        if not Path(manifest).exists():
            path.unlink(missing_ok=True)
            continue
        for kind, items in found.items():
            for each in mapping(data.get(kind)).values():
                items.update(texts(each))
    return Used(keys=frozenset(found["environments"]), sources=frozenset(found["sources"]))


def roots_folder() -> Path:
    """Where the files are."""
    return smelt_cache() / "roots"


def _read(path: Path) -> Mapping[str, object]:
    try:
        return mapping(cast("object", json.loads(path.read_text(encoding="utf-8"))))
    except (OSError, ValueError):
        return {}
