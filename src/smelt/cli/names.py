"""The names in the files of a workspace, as they lie there: for completion, which has no time to check anything.

Also of a manifest that is being edited: what cannot be read has no names.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

Candidates = dict[str, str]
"""What can be written → what it means."""

_MANIFESTS = ("pixi.toml", "pyproject.toml", "mojoproject.toml")
_LOCKED = re.compile(r"/([^/\s]+)-[^-/\s]+-[^-/\s]+\.(?:conda|tar\.bz2)$", re.MULTILINE)
_LOCKED_NAME = re.compile(r"^  name: (\S+)$", re.MULTILINE)


class Names:
    """The names in a workspace's files; empty where they cannot be read."""

    def __init__(self, data: Mapping[str, Any], root: Path | None) -> None:
        self._data = data
        self._root = root

    @classmethod
    def near(cls, location: Path | None) -> Names:
        """Of the workspace at ``location``, else of the one that the working folder is in, or that is active."""
        folders = [location] if location is not None else [Path.cwd(), *Path.cwd().parents]
        if location is None and (active := os.environ.get("PIXI_PROJECT_MANIFEST")):
            folders.append(Path(active))
        for folder in folders:
            for path in [folder] if folder.is_file() else [folder / name for name in _MANIFESTS]:
                found = _read(path)
                if found is not None:
                    return cls(found, path.parent)
        return cls({}, None)

    def environments(self) -> Candidates:
        """Those of the manifest and of matrices, and those that are installed."""
        found = {"default": "", **dict.fromkeys(_table(self._data, "environments"), "")}
        for name, matrix in _table(self._data, "tool", "smelt", "matrix").items():
            found |= dict.fromkeys(_product(matrix), f"of matrix {name}")
        if self._root is not None and (envs := self._root / ".pixi" / "envs").is_dir():
            found |= {path.name: "" for path in sorted(envs.iterdir()) if path.is_dir() and path.name not in found}
        return found

    def features(self) -> Candidates:
        """The features, the one that every environment has among them."""
        return dict.fromkeys(["default", *_table(self._data, "feature")], "") if self._data else {}

    def solve_groups(self) -> Candidates:
        """The solve groups of the environments."""
        found = [table.get("solve-group") for table in _tables(self._data, "environments")]
        return {group: "" for group in found if isinstance(group, str)}

    def channels(self) -> Candidates:
        """The channels of the workspace."""
        return dict.fromkeys(self._listed("channels", "channel"), "")

    def platforms(self) -> Candidates:
        """The platforms of the workspace."""
        return dict.fromkeys(self._listed("platforms", "name", "platform"), "")

    def tasks(self) -> Candidates:
        """The tasks, with their descriptions; hidden ones are left out."""
        found: Candidates = {}
        for table in self._scopes("tasks"):
            for name, task in table.items():
                text = cast("dict[str, object]", task).get("description") if isinstance(task, dict) else None
                if not name.startswith("_"):
                    found[name] = str(text or found.get(name, ""))
        return dict(sorted(found.items()))

    def argument(self, words: Sequence[str]) -> Candidates:
        """The choices of the argument that comes after ``words``, a task and its arguments so far."""
        for table in self._scopes("tasks"):
            task = table.get(words[0])
            arguments: object = cast("dict[str, object]", task).get("args") if isinstance(task, dict) else None
            listed = cast("list[object]", arguments) if isinstance(arguments, list) else []
            if len(words) <= len(listed) and isinstance(listed[len(words) - 1], dict):
                choices = cast("dict[str, object]", listed[len(words) - 1]).get("choices")
                return {str(each): "" for each in cast("list[object]", choices or [])}
        return {}

    def dependencies(self) -> Candidates:
        """What the manifest asks for."""
        found: Candidates = {}
        for kind in ("dependencies", "host-dependencies", "build-dependencies", "pypi-dependencies"):
            for table in self._scopes(kind):
                found |= dict.fromkeys(table, kind)
        return dict(sorted(found.items()))

    def packages(self) -> Candidates:
        """What the lock file names."""
        try:
            text = (self._root / "pixi.lock").read_text(encoding="utf-8") if self._root is not None else ""
        except (OSError, UnicodeDecodeError):
            return {}
        return dict.fromkeys(sorted({*_LOCKED.findall(text), *_LOCKED_NAME.findall(text)}), "")

    def _listed(self, key: str, *inner: str) -> list[str]:
        """What an array of the workspace table names, be it by itself or in a table."""
        listed: object = _table(self._data, "workspace").get(key) or _table(self._data, "project").get(key)
        found: list[str] = []
        for each in cast("list[object]", listed) if isinstance(listed, list) else []:
            if isinstance(each, dict):
                entry = cast("dict[str, object]", each)
                each = next((entry[name] for name in inner if name in entry), None)
            if isinstance(each, str):
                found.append(each)
        return found

    def _scopes(self, key: str) -> Iterable[Mapping[str, Any]]:
        for base in (self._data, *_tables(self._data, "feature"), *_tables(self._data, "environments")):
            yield _table(base, key)
            for target in _tables(base, "target"):
                yield _table(target, key)


def _read(path: Path) -> Mapping[str, Any] | None:
    import tomli

    try:
        data = tomli.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomli.TOMLDecodeError):
        return None
    if path.name == "pyproject.toml":
        inner = _table(data, "tool", "pixi")
        return {**inner, "tool": _table(data, "tool")} if inner else None
    return data


def _table(data: object, *path: str) -> Mapping[str, Any]:
    for name in path:
        data = cast("dict[str, object]", data).get(name) if isinstance(data, dict) else None
    return cast("dict[str, Any]", data) if isinstance(data, dict) else {}


def _tables(data: object, name: str) -> list[Mapping[str, Any]]:
    return [cast("dict[str, Any]", each) for each in _table(data, name).values() if isinstance(each, dict)]


def _product(matrix: object) -> list[str]:
    from itertools import product

    axes: list[list[object]] = []
    for name, axis in _table(matrix).items():
        if name != "exclude" and isinstance(axis, list):
            axes.append(cast("list[object]", axis))
    return ["-".join(map(str, each)) for each in product(*axes)] if axes else []
