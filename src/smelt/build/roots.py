"""Which stored builds the workspaces of this machine used last: what must stay when the store is cleaned up.

One file per workspace, ``<cache>/smelt/roots/<digest of the manifest's path>.json``: its path, and the build keys that
each of its environments needs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast

from smelt.build.plain import mapping, texts
from smelt.fs import smelt_cache, write_text
from smelt.types import digest_json


def remember_use(manifest: Path, environments: Mapping[str, Sequence[str]]) -> None:
    """Write down that the workspace of ``manifest`` uses these keys; what is known of other environments stays."""
    path = _folder() / f"{digest_json(str(manifest))[:32]}.json"
    known = _read(path)
    old = {name: list(texts(keys)) for name, keys in mapping(known.get("environments")).items()}
    new = {**old, **{name: sorted(keys) for name, keys in environments.items()}}
    if new != old:
        # where nothing can be written, nothing is removed either
        with suppress(OSError):
            write_text(path, json.dumps({"manifest": str(manifest), "environments": new}, indent=1, sort_keys=True))


def used_keys() -> frozenset[str]:
    """The build keys that workspaces use whose manifest is still there. Forgets the other workspaces."""
    found: set[str] = set()
    for path in sorted(_folder().glob("*.json")):
        data = _read(path)
        manifest = data.get("manifest")
        if not isinstance(manifest, str):
            continue
        if not Path(manifest).exists():
            path.unlink(missing_ok=True)
            continue
        for keys in mapping(data.get("environments")).values():
            found.update(texts(keys))
    return frozenset(found)


def _folder() -> Path:
    return smelt_cache() / "roots"


def _read(path: Path) -> Mapping[str, object]:
    try:
        return mapping(cast("object", json.loads(path.read_text(encoding="utf-8"))))
    except (OSError, ValueError):
        return {}
