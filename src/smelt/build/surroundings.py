"""What of this machine a build sees, beyond its inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from smelt.build.compiler_cache import CompilerCache
from smelt.build.job import JobSpec, scripted, with_scripted
from smelt.build.model import BuildNode
from smelt.build.plain import mapping, sequence
from smelt.errors import NotSupportedError
from smelt.types import current_platform, runnable_subdirs

FetchSource = Callable[[str, str | None, str | None], Path]
"""Brings the archive behind an address (with its sha256 and md5, where they are known) here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """None of this is an input of a build key: it must not change what is built.

    ``home``: the user's home folder, which nothing of may end up in a package; with ``sandboxed`` builds do not see it,
    but for the folders ``visible``, and reach no network. ``compiler_cache``: one that builds may use.
    """

    home: Path | None = None
    sandboxed: bool = False
    visible: tuple[Path, ...] = ()
    compiler_cache: CompilerCache | None = None


def with_local_sources(spec: JobSpec, fetch: FetchSource | None) -> tuple[JobSpec, tuple[Path, ...]]:
    """``spec`` with the archives that its recipe names fetched, and where they are: a sandbox has no network.

    Raises NotSupportedError for sources from git, and what ``fetch`` raises.
    """
    archives: list[Path] = []
    parts = [_localised(part, spec.label, fetch, archives) for part in scripted(spec.recipe)]
    return replace(spec, recipe=with_scripted(spec.recipe, parts)), tuple(archives)


def _localised(part: dict[str, Any], label: str, fetch: FetchSource | None, archives: list[Path]) -> dict[str, Any]:
    found = part.get("source")
    if found is None:
        return part
    items = [mapping(each) for each in ((found,) if isinstance(found, Mapping) else sequence(found))]  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    sources: list[dict[str, Any]] = []
    for item in items:
        source = dict(item)
        if "git" in source:
            raise NotSupportedError(
                f"the recipe of {label} fetches its source from git, which a sandboxed build cannot",
                help="name the repository in `[package.build.source]`, where its commit is locked, or leave out "
                "--sandbox",
            )
        if "url" in source and fetch is not None:
            urls = source["url"]
            url = str(urls[0] if isinstance(urls, list) else urls)  # pyright: ignore[reportUnknownArgumentType]
            archive = fetch(url, _text(source.get("sha256")), _text(source.get("md5")))
            source["url"] = archive.as_uri()
            archives.append(archive)
        sources.append(source)
    return {**part, "source": sources}


def _text(value: object) -> str | None:
    return str(value) if value else None


def builds_here(node: BuildNode) -> bool:
    """Whether this machine runs programs of the platform that ``node`` is to be built on."""
    return node.build_subdir in runnable_subdirs(current_platform())
