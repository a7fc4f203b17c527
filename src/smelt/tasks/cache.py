"""Skipping a task whose inputs and outputs are as they were after its last run.

A task is skipped if its command, the contents of its environment, and the contents of all files that its
``inputs`` and ``outputs`` name are the same. Nothing is remembered of a run for which one of the two named no
file at all. Source: the reference's page "Advanced tasks", section "Caching". The files in
``.pixi/smelt/tasks`` are our own: they hold sha256 and, to be fast, the stats of files.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from smelt.fs import write_text
from smelt.source import stats
from smelt.tasks.model import PlannedTask
from smelt.tasks.patterns import matching_files
from smelt.types import digest_json, sha256_file

FORMAT = 1
_SAFE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.+")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCache:
    """The memory of tasks that have run.

    ``root``: the workspace's folder, to which patterns are relative; ``folder``: where the files of the cache
    are; ``environments``: environment → digest of what it holds.
    """

    root: Path
    folder: Path
    environments: Mapping[str, str]

    @classmethod
    def of(cls, root: Path, environments: Mapping[str, str]) -> TaskCache:
        """The cache of the workspace in ``root``."""
        return cls(root=root, folder=root / ".pixi" / "smelt" / "tasks", environments=environments)

    def fresh(self, task: PlannedTask) -> bool:
        """Whether ``task`` need not run. A damaged entry is no entry."""
        if not task.cached:
            return False
        entry = _read(self._path(task))
        if entry is None:
            return False
        state = self._state(task, entry)
        return state.complete and state.digest == entry.get("digest")

    def evidence(self, task: PlannedTask) -> dict[str, tuple[int, ...] | None] | None:
        """Path → stamp (``smelt.source.stats.stamp``) of all that tells that ``task`` need not run; None if it has to.

        Also of folders in which further files would count, and of files that are not there. The stamps are older
        than the judgement.
        """
        if not task.cached:
            return None
        path = str(self._path(task))
        stamp = stats.stamp(path)
        entry = _read(self._path(task))
        if entry is None:
            return None
        state = self._state(task, entry)
        if not state.complete or state.digest != entry.get("digest"):
            return None
        files = {name: cast("tuple[int, ...]", tuple(known[:-1])) for name, known in state.files.items()}
        return {path: stamp, **state.searched, **files}

    def remember(self, task: PlannedTask) -> tuple[str, ...]:
        """Note that ``task`` has run with success. Gives a warning for patterns that name no file.

        Raises OSError where the entry cannot be written.
        """
        if not task.cached:
            return ()
        state = self._state(task, _read(self._path(task)) or {})
        if state.complete:
            data = {"format": FORMAT, "digest": state.digest, "started": state.started, "files": state.files}
            write_text(self._path(task), json.dumps(data) + "\n", durable=False)
        return tuple(
            f"No files matched the {kind} globs for task '{task.name}': {', '.join(patterns)}"
            for kind, patterns, found in (
                ("output", task.outputs or (), state.outputs),
                ("input", task.inputs or (), state.inputs),
            )
            if patterns and not found
        )

    def _path(self, task: PlannedTask) -> Path:
        key = digest_json([task.environment, task.name, task.arguments.key, task.inputs, task.outputs])
        name = "".join(char if char in _SAFE else "-" for char in f"{task.environment}-{task.name}")[:80]
        return self.folder / f"{name}-{key[:16]}.json"

    def _state(self, task: PlannedTask, entry: Mapping[str, object]) -> _State:
        started = time.time_ns()
        known = cast("Mapping[str, object]", entry.get("files", {}))
        before = entry.get("started", 0)
        files: dict[str, list[object]] = {}
        searched: dict[str, stats.Stamp | None] = {}

        def hashed(patterns: tuple[str, ...] | None) -> dict[str, str]:
            result: dict[str, str] = {}
            for path in matching_files(self.root, patterns or (), searched):
                name = str(path)
                stamp = stats.stamp(name)
                if stamp is None:
                    continue
                sha256 = _known_hash(known.get(name), stamp, before) or sha256_file(path)
                files[name] = [*stamp, sha256]
                result[name] = sha256
            return result

        inputs, outputs = hashed(task.inputs), hashed(task.outputs)
        environment = self.environments.get(task.environment, "")
        return _State(
            digest=digest_json([FORMAT, task.script, task.command, environment, inputs, outputs]),
            inputs=bool(inputs),
            outputs=bool(outputs),
            complete=bool((inputs or not task.inputs) and (outputs or not task.outputs)),
            files=files,
            searched=searched,
            started=started,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    digest: str
    inputs: bool
    outputs: bool
    complete: bool
    files: Mapping[str, list[object]]
    searched: Mapping[str, stats.Stamp | None]
    started: int


def _known_hash(entry: object, stamp: stats.Stamp, started: object) -> str | None:
    """The hash of a file that an entry remembers, if the file's stats are the same and can be trusted."""
    if not isinstance(entry, list) or not isinstance(started, int):
        return None
    *before, sha256 = cast("list[object]", entry)
    if before != list(stamp) or stats.racy(stamp[1], started):
        return None
    return sha256 if isinstance(sha256, str) else None


def _read(path: Path) -> dict[str, object] | None:
    try:
        data: object = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(data, dict):
        return None
    entry = cast("dict[str, object]", data)
    valid = entry.get("format") == FORMAT and isinstance(entry.get("files"), dict)
    return entry if valid else None
