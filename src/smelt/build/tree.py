"""What compilers made of a source, kept for the next build of the same package while it is being worked on.

A tree belongs to a package, a variant, a configuration, the packages of its environments and a work folder: all that is
in the build key but the source. It is put back where it was, and the files of the source that changed since get the
time of now, all others keep the old one that they always have: so Ninja, CMake, Meson and Cargo, which go by times, do
what has to be done and nothing else.

Nobody can prove that the result is what a build from nothing gives. So it is never kept under the build key: see
``smelt.api.developing``.

Layout, below a folder of smelt's cache: ``<work name>/state.json`` (key, files) and ``<work name>/tree``.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from smelt.build.job import SourceFile
from smelt.build.model import BuildNode
from smelt.build.plain import mapping
from smelt.fs import remove_tree
from smelt.types import digest_json

SCHEMA = 1
_STATE, _TREE = "state.json", "tree"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trees:
    """Which builds of a run keep their trees, by build key, and which of them go on with one that is there.

    ``root``: the folder that holds them.
    """

    root: Path
    keep: frozenset[str] = field(default_factory=frozenset[str])
    resume: frozenset[str] = field(default_factory=frozenset[str])


def tree_key(node: BuildNode, output: Path) -> str:
    """What a tree is for: everything in the build key but the source, and where it is."""
    inputs = {key: value for key, value in node.inputs.items() if key not in ("source", "files")}
    return digest_json(["tree", SCHEMA, str(output), node.variant.build_tree, inputs])


def has_tree(folder: Path, key: str) -> bool:
    """Whether ``folder`` holds a tree that is for ``key``."""
    return _files(folder, key) is not None


def _files(folder: Path, key: str) -> Mapping[str, object] | None:
    try:
        data = mapping(json.loads((folder / _STATE).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None
    return mapping(data.get("files")) if data.get("key") == key and (folder / _TREE).is_dir() else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """A tree that a build goes on with: in ``place``, made of ``files``. ``changed``: those that are others now."""

    place: Path
    files: Mapping[str, str]
    changed: tuple[str, ...]


def resume(folder: Path, key: str, name: str, source: Path, files: Sequence[SourceFile]) -> Resumed | None:
    """Put the tree of ``folder`` into ``source`` as ``name``, and give what changed a new time; None without a tree.

    The tree is gone from ``folder`` then, so that a build that is killed leaves none. Raises OSError.
    """
    found = _files(folder, key)
    if found is None:
        return None
    before = {path: value for path, value in found.items() if isinstance(value, str)}
    place = source / name
    if place.exists():  # the source has a folder of that name itself
        return None
    (folder / _TREE).rename(place)
    remove_tree(folder)
    now = time.time()
    changed = tuple(file.path for file in files if before.get(file.path) != _identity(file))
    for path in changed:
        if os.utime in os.supports_follow_symlinks:
            os.utime(source / path, (now, now), follow_symlinks=False)
        else:
            os.utime(source / path, (now, now))
    return Resumed(place=place, files=before, changed=changed)


def keep(folder: Path, key: str, tree: Path, files: Mapping[str, str]) -> None:
    """Keep ``tree`` in ``folder``, in the place of what was there. Nothing is kept where there is no tree.

    Raises OSError.
    """
    if not tree.is_dir():
        return
    part = folder.with_name(f".{folder.name}.part")
    remove_tree(part)
    part.mkdir(parents=True)
    shutil.move(tree, part / _TREE)
    (part / _STATE).write_text(json.dumps({"key": key, "files": dict(files)}), encoding="utf-8")
    remove_tree(folder)
    part.rename(folder)


def seen(files: Sequence[SourceFile]) -> dict[str, str]:
    """The files of a source as a tree remembers them."""
    return {file.path: _identity(file) for file in files}


def _identity(file: SourceFile) -> str:
    return f"{file.kind}{file.sha256}"
