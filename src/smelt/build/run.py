"""One build from job to package, in a child process that never outlives us."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import smelt
from smelt.build.environment import worker_environment
from smelt.build.job import JobSpec, Placement, scripted, write_job
from smelt.build.plain import mapping, texts
from smelt.errors import BuildError
from smelt.fs import remove_tree
from smelt.scheduler.cancellation import Cancellation
from smelt.scheduler.containment import Containment

_PAUSE = 0.02
KEPT_LINES = 400
"""How many lines of the log are kept in memory: what a script says on its two outputs comes in no exact order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltPackage:
    """What the worker made: the package file (in the work folder), its ``index.json`` and its ``run_exports.json``.

    ``undeclared``: what it says of things that the build was not given.
    """

    archive: Path
    index: Mapping[str, Any]
    run_exports: Mapping[str, Any]
    undeclared: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerFailure:
    """How the worker failed. ``kind``: ``build-failed`` (rattler-build gave up), ``worker-died``, or the code of an
    error of ours. ``lines``: the end of the log.
    """

    kind: str
    message: str
    notes: tuple[str, ...] = ()
    help: str | None = None
    lines: tuple[str, ...] = field(default=(), repr=False)


def run_worker(
    spec: JobSpec, placement: Placement, *, cancellation: Cancellation, line: Callable[[str], None]
) -> BuiltPackage | WorkerFailure:
    """Carry out a job in a fresh work folder; ``line`` is given the log as it is written.

    Raises Cancelled if told to stop (the child and all that it started are gone then), OSError.
    """
    with _alone(placement.folder, cancellation) as lock:
        return _run_alone(spec, placement, lock, cancellation, line)


@contextmanager
def _alone(folder: Path, cancellation: Cancellation) -> Generator[int | None]:
    """A lock that a worker in ``folder`` shares with us; None on Windows, where the system ends workers with us.

    A worker whose parent was killed lives for a moment more. Nobody may begin in its folder before it is gone.
    """
    if sys.platform == "win32":
        yield None
        return
    import fcntl

    folder.parent.mkdir(parents=True, exist_ok=True)
    path = folder.with_name(f"{folder.name}.worker.lock")
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    try:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                cancellation.check()
                time.sleep(_PAUSE)
        yield lock
    finally:
        os.close(lock)


def _run_alone(
    spec: JobSpec, placement: Placement, lock: int | None, cancellation: Cancellation, line: Callable[[str], None]
) -> BuiltPackage | WorkerFailure:
    remove_tree(placement.folder)
    placement.folder.mkdir(parents=True)
    write_job(spec, placement)
    environment = worker_environment(placement, declared=declared_variables(spec))
    # where smelt itself is found: the worker takes it out again before a build sees it
    environment["PYTHONPATH"] = str(Path(smelt.__file__).resolve().parent.parent)
    argv = [sys.executable, "-P", "-s", "-m", "smelt.build.worker", str(placement.job_file)]
    keep = (lock,) if lock is not None else ()
    argv += map(str, keep)
    lines: deque[str] = deque(maxlen=KEPT_LINES)
    last: dict[str, Any] = {}
    cancellation.check()
    with (placement.folder / "worker.err").open("wb") as errors:
        child = Containment.start(argv, env=environment, cwd=placement.folder, errors=errors, keep=keep)
        try:
            with cancellation.calls(child.kill):
                for raw in child.output:
                    event = _event(raw)
                    text = event.get("log")
                    if isinstance(text, str):
                        lines.append(text)
                        line(text)
                    else:
                        last = event
        except BaseException:
            child.kill()
            raise
        finally:
            code = child.wait()
    cancellation.check()
    if "result" in last:
        result = cast("dict[str, Any]", last["result"])
        return BuiltPackage(
            archive=Path(result["archive"]),
            index=result["index"],
            run_exports=result["run_exports"],
            undeclared=tuple(result["undeclared"]),
        )
    if "error" in last:
        error = cast("dict[str, Any]", last["error"])
        return WorkerFailure(
            kind=error["kind"],
            message=error["message"],
            notes=tuple(error["notes"]),
            help=error["help"],
            lines=tuple(lines),
        )
    said = (placement.folder / "worker.err").read_text(encoding="utf-8", errors="replace").strip()
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    return WorkerFailure(
        kind="worker-died",
        message=f"the process that built it {how}",
        notes=(said,) if said else (),
        lines=tuple(lines),
    )


def declared_variables(spec: JobSpec) -> tuple[str, ...]:
    """The variables of the user that the recipe asks for (``build.script.secrets``): rattler-build hands them on to the
    script and keeps their values out of the log.
    """
    scripts = [mapping(mapping(part.get("build")).get("script")) for part in scripted(spec.recipe)]
    return tuple(name for script in scripts for name in texts(script.get("secrets")))


def _event(raw: bytes) -> dict[str, Any]:
    try:
        event: object = json.loads(raw)
    except ValueError as error:
        raise BuildError(f"the build process wrote something else than events: {raw[:200]!r}", code="worker") from error
    return cast("dict[str, Any]", event) if isinstance(event, dict) else {}
