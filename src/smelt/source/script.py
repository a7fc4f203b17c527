"""Build scripts without ambiguity.

A recipe may give a script as one line that is a command or the name of a file beside the recipe, or not at all, which
means ``build.sh`` or ``build.bat`` where there is one. Which of them holds is decided here, once: written back into a
recipe as data, such a line would no longer be looked for as a file.
Source: rattler-build's page "Build script".
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import cast

from smelt.types import platform_family


def with_explicit_script(recipe: Mapping[str, object], folder: Path, build_subdir: str) -> dict[str, object]:
    """A rendered recipe whose script is a table with ``content`` or ``file`` (relative to ``folder``).

    So are those of staging outputs. Steps are left as they are. Reads nothing but which files there are.
    """
    staged = cast("list[Mapping[str, object]]", recipe.get("staging_caches") or [])
    if staged:
        caches = [with_explicit_script(cache, folder, build_subdir) for cache in staged]
        build = dict(cast("Mapping[str, object]", recipe.get("build") or {}))
        # an output that inherits has no script where none is written
        build["script"] = build.get("script") or {"content": ""}
        own = with_explicit_script({**recipe, "build": build, "staging_caches": []}, folder, build_subdir)
        return {**own, "staging_caches": caches}
    build = dict(cast("Mapping[str, object]", recipe.get("build") or {}))
    if "steps" in build:
        return dict(recipe)
    suffixes = (".bat", ".ps1") if platform_family(build_subdir) == "win" else (".sh",)
    raw = build.get("script")
    if isinstance(raw, Mapping):
        table = dict(cast("Mapping[str, object]", raw))
        if "content" not in table and "file" not in table:
            table |= _default(folder, suffixes)
    elif raw is None:
        table = _default(folder, suffixes)
    elif isinstance(raw, str):
        found = _file(folder, raw, suffixes) if "\n" not in raw else None
        table = {"content": raw} if found is None else {"file": found}
    else:
        table = {"content": raw}
    build["script"] = table
    return {**recipe, "build": build}


def _default(folder: Path, suffixes: tuple[str, ...]) -> dict[str, object]:
    found = _file(folder, "build", suffixes)
    return {"content": ""} if found is None else {"file": found}


def _file(folder: Path, name: str, suffixes: tuple[str, ...]) -> str | None:
    """The file that ``name`` stands for, where its suffix may be left out; None if there is none."""
    candidates = [name] if PurePosixPath(name).suffix else [f"{name}{suffix}" for suffix in suffixes]
    for candidate in candidates:
        try:
            if (folder / candidate).is_file():
                return candidate
        except (OSError, ValueError):  # a command that no file can be called
            continue
    return None
