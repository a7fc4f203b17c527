"""Staging outputs, each built once for all outputs that inherit it, and kept beside the artifacts.

Layout: ``<cache>/smelt/staged/<key[:2]>/<key>/{staged.tar.zst, staged.json}``, the lock of an entry beside it. What is
there is for this machine alone: the outputs are what a shared store holds.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from smelt.build.cleanup import Cleanup
from smelt.build.environment import output_folder_of_length
from smelt.build.failure import build_error
from smelt.build.job import STAGED, JobSpec
from smelt.build.model import BuildNode
from smelt.build.plain import mapping
from smelt.build.run import BuiltPackage, WorkerFailure
from smelt.build.work_folder import lock_of
from smelt.fs import hold, replace_folder, staging_folder
from smelt.types import sha256_file

Run = Callable[[JobSpec, Path, Path], BuiltPackage | tuple[WorkerFailure, Path]]
"""Carries out a job in a work folder and the output folder in it: the result, or the failure and its log."""

_ARCHIVE, _STATE = "staged.tar.zst", "staged.json"
_DAY = 86_400


class StagingOutputs:
    """The staging outputs of one run, in ``root``. Called from several threads."""

    def __init__(self, root: Path, work_root: Path, cleanup: Cleanup) -> None:
        self._root = root
        self._work_root = work_root
        self._cleanup = cleanup
        self._failures: dict[str, tuple[WorkerFailure, Path]] = {}
        self._made: set[str] = set()

    def provide(
        self,
        node: BuildNode,
        job: JobSpec,
        run: Run,
        *,
        length: int,
        again: bool,
        waiting: Callable[[str], None],
        check: Callable[[], None],
    ) -> Path:
        """The file of the staging output that ``node`` inherits, built by ``job`` if it is not there.

        ``again``: what an earlier run built does not count. ``length``: of the paths (``padded_length``).
        ``waiting`` and ``check`` as in ``smelt.fs.hold``. What failed once in a run is not tried again.
        Raises BuildError, OSError.
        """
        target = self._root / job.key[:2] / job.key
        with hold(target.with_name(f"{target.name}.lock"), f"building {job.label}", waiting, check):
            failed = self._failures.get(job.key)
            if failed is not None:
                raise build_error(node, *failed)
            if (job.key in self._made or not again) and _is_whole(target):
                return target / _ARCHIVE
            folder = self._work_root / f"{STAGED}-{job.key[:8]}"
            with hold(lock_of(folder), f"building {job.label}", waiting, check):
                try:
                    built = run(job, folder, output_folder_of_length(folder, job.name, length))
                    if not isinstance(built, BuiltPackage):
                        self._failures[job.key] = built
                        raise build_error(node, *built)
                    with staging_folder(target) as part:
                        placed = part / _ARCHIVE
                        shutil.move(built.archive, placed)
                        state = {"sha256": sha256_file(placed), "size": placed.stat().st_size}
                        (part / _STATE).write_text(json.dumps(state), encoding="utf-8")
                        replace_folder(part, target)
                finally:
                    self._cleanup.discard(folder)
            self._made.add(job.key)
        return target / _ARCHIVE


def _is_whole(target: Path) -> bool:
    try:
        state = mapping(json.loads((target / _STATE).read_text(encoding="utf-8")))
        archive = target / _ARCHIVE
        whole = archive.stat().st_size == state.get("size") and sha256_file(archive) == state.get("sha256")
    except (OSError, ValueError):
        return False
    # to the day, as artifacts
    with suppress(OSError):
        if whole and time.time() - target.stat().st_mtime > _DAY:
            os.utime(target)
    return whole
