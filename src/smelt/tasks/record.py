"""Writing what the warm path of ``smelt run`` reads (``smelt.tasks.warm``)."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from smelt.errors import TaskError
from smelt.fs import write_bytes
from smelt.source import stats
from smelt.tasks import warm
from smelt.tasks.announce import announcement, skipped
from smelt.tasks.cache import TaskCache
from smelt.tasks.model import TaskPlan
from smelt.tasks.run import start_state
from smelt.tasks.shell.parser import parse
from smelt.tasks.shell.static import KnownCommand, known_commands
from smelt.workspace.model import Workspace

_MOST_RECORDS = 256
_ENV_SHEBANG = b"#!/usr/bin/env "


def write_warm_record(
    argv: Sequence[str],
    plan: TaskPlan,
    workspace: Workspace,
    environments: Mapping[str, Mapping[str, str]],
    *,
    init_cwd: Path,
    outer: Mapping[str, str],
    files: Mapping[str, tuple[int, ...] | None],
    trees: Iterable[str],
    started: int,
    clean_environments: Mapping[str, Mapping[str, str]] | None = None,
    cache: TaskCache | None = None,
) -> bool:
    """Remember what ``smelt <argv>`` comes to; whether it could be. Call it before ``run_plan``.

    ``environments``, ``clean_environments``, ``init_cwd``: as for ``run_plan``. ``outer``: the variables of this
    process before anything changed them. ``files``: path → stamp (``smelt.source.stats.stamp``) of everything
    that this run rests on, taken before it was read; ``trees``: the indexes of source trees; ``started``: when this
    run began, in nanoseconds since the epoch. The manifest, the lock, ``.pixi/config.toml`` and the manifests
    between the current folder and the workspace's are added here where they are missing.

    ``cache``: as for ``run_plan``; a task that it would skip is skipped by the warm path.

    Nothing is written for what only running it can tell (``smelt.tasks.shell.static``): a task that has to
    run for its inputs and outputs, or is to be judged after another has run, a command that is read through
    ``#!/usr/bin/env``; nor while a file is so new that its stats do not tell whether it changed since. Raises
    nothing of its own: what is wrong with a task, ``run_plan`` explains.
    """
    parsed = warm.command_line(list(argv))
    if parsed is None or sys.platform == "win32" or not plan.tasks:
        return False
    if "PIXI_PROJECT_MANIFEST" in outer and "PIXI_IN_SHELL" in outer:
        return False
    resting = dict(files)
    commands: list[tuple[KnownCommand, ...] | None] = []
    for task in plan.tasks:
        if task.cached:
            found = cache.evidence(task) if cache is not None else None
            if found is None or any(each.argv for known in commands for each in known or ()):
                return False
            resting |= found
            commands.append(None)
            continue
        source = clean_environments if task.clean_env and clean_environments is not None else environments
        try:
            known = known_commands(parse(task.script), start_state(task, source[task.environment], init_cwd))
        except TaskError:
            return False  # `run_plan` explains it
        if known is None or any(each.reads & warm.VOLATILE - {"PWD"} for each in known):
            return False
        if not all(_plain_program(each) for each in known if each.argv):
            return False
        commands.append(known)
    all_files = _files(workspace, init_cwd, resting)
    if all_files is None or not _trustworthy(all_files, workspace, started):
        return False
    indexes = _indexes(trees)
    if indexes is None:
        return False
    kept = {name: value for name, value in outer.items() if name not in warm.VOLATILE}
    cwd = os.fspath(init_cwd)
    every = "--clean-env" in parsed[1].split()
    steps: list[_Step] = []
    for index, known in enumerate(commands):
        steps += _steps(plan, index, known, {} if every or plan.tasks[index].clean_env else outer)
    wanted = warm.key(parsed, cwd)
    record = (
        warm.identity(),
        wanted,
        os.fspath(workspace.manifest_path),
        all_files,
        indexes,
        kept,
        tuple(steps),
    )
    path = Path(warm.record_path(os.fspath(workspace.root), wanted))
    with suppress(OSError, ValueError):
        _forget_old(path)
        write_bytes(path, warm.encode(record), durable=False)
        return True
    return False


_Step = tuple[str, str, bytes, int, tuple[object, ...]]
"""What is said (without and with colours) and printed, the exit code, and the process: empty where none is started."""


def _steps(
    plan: TaskPlan, index: int, known: tuple[KnownCommand, ...] | None, before: Mapping[str, str]
) -> Iterator[_Step]:
    """The steps of one task, which is skipped where ``known`` is None.

    ``before``: the variables that its processes start from; empty for a clean environment.
    """
    plain, colored = (_announced(plan, index, color=color) for color in (False, True))
    if known is None:
        said = skipped(plan.tasks[index]) + "\n"
        yield plain + said, colored + said, b"", 0, ()
    for command in known or ():
        process: tuple[object, ...] = ()
        if command.argv:
            final = command.environment
            process = (
                not before,
                {name: value for name, value in final.items() if before.get(name) != value or name == "PWD"},
                tuple(name for name in before if name not in final),
                list(command.argv),
                command.cwd,
            )
        yield plain, colored, command.output, command.code, process
        plain = colored = ""


def _announced(plan: TaskPlan, index: int, *, color: bool) -> str:
    """What ``run_plan`` says before command ``index``."""
    task = plan.tasks[index]
    if task.name is None:
        return ""
    line = announcement(task, several_environments=plan.several_environments, color=color)
    return f"\n{line}\n" if index > 0 else f"{line}\n"


def _files(
    workspace: Workspace, cwd: Path, files: Mapping[str, tuple[int, ...] | None]
) -> dict[str, tuple[int, ...] | None] | None:
    """Every file that the record rests on, with its stamp; None if one has changed since it was read."""
    result = dict(files)
    for path, expected in result.items():
        if warm.stamp(path) != expected:
            return None
    own = [workspace.manifest_path, workspace.lock_path, workspace.state_folder / "config.toml"]
    folder = cwd
    while folder != workspace.root:
        if folder.parent == folder:
            return None  # called from outside of the workspace: found in another way than upward
        own += [folder / name for name in warm.MANIFESTS if (folder / name).exists()]
        folder = folder.parent
    for path in map(os.fspath, own):
        if path not in result:
            result[path] = warm.stamp(path)
    return result


def _trustworthy(files: Mapping[str, tuple[int, ...] | None], workspace: Workspace, started: int) -> bool:
    """Whether the stats of all files would show a change since they were read.

    A file that changed just before this run began may have changed again within the same tick of the clock. What
    this run has itself written (the lock, and all in ``.pixi``) has to be older than a tick.
    """
    now = time.time_ns()
    lock, state = os.fspath(workspace.lock_path), os.fspath(workspace.state_folder) + os.sep
    for path, found in files.items():
        if found is not None:
            own = path == lock or path.startswith(state)
            if stats.racy(found[1], now if own and found[1] >= started else started):
                return False
    return True


def _indexes(trees: Iterable[str]) -> tuple[tuple[str, str], ...] | None:
    found: list[tuple[str, str]] = []
    for path in trees:
        index = stats.read(path)
        if index is None or not (stats.unchanged(index) and stats.git_index_unchanged(index)):
            return None
        found.append((path, index[stats.DIGEST]))
    return tuple(found)


def _plain_program(command: KnownCommand) -> bool:
    """Whether the kernel starts the program as the task shell would."""
    program = warm.which(command.argv[0], command.cwd, command.environment.get("PATH", ""))
    if not program:
        return False
    try:
        with open(program, "rb") as file:  # noqa: PTH123
            start = file.read(len(_ENV_SHEBANG))
    except OSError:
        return False
    if "/" in command.argv[0] and start == _ENV_SHEBANG:
        return False
    # a script without a `#!` line is for `sh`, which the kernel does not know
    return start[:2] == b"#!" or b"\0" in start


def _forget_old(path: Path) -> None:
    """Keep the folder of records small."""
    try:
        entries = [entry for entry in os.scandir(path.parent) if entry.is_file()]
    except FileNotFoundError:
        return
    if len(entries) >= _MOST_RECORDS:
        for entry in sorted(entries, key=lambda entry: entry.stat().st_mtime_ns)[: _MOST_RECORDS // 2]:
            Path(entry.path).unlink(missing_ok=True)
