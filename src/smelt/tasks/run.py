"""Running a plan: one command after the other, each in its environment."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from smelt.errors import Label, TaskError
from smelt.tasks.announce import announcement, skipped
from smelt.tasks.cache import TaskCache
from smelt.tasks.model import PlannedTask, TaskPlan
from smelt.tasks.shell.execute import run_script
from smelt.tasks.shell.parser import ShellSyntaxError, parse
from smelt.tasks.shell.state import State
from smelt.tasks.shell.syntax import Script


def run_plan(
    plan: TaskPlan,
    environments: Mapping[str, Mapping[str, str]],
    *,
    init_cwd: Path,
    clean_environments: Mapping[str, Mapping[str, str]] | None = None,
    say: Callable[[str], None] | None = None,
    color: bool = False,
    dry_run: bool = False,
    cache: TaskCache | None = None,
    replace: bool = True,
) -> int:
    """Run the commands of ``plan`` in order until one fails, and give its exit code; 0 if none does.

    ``environments``: environment → all variables of a process in it; looked up only when a command is really
    run, so the mapping may make them (and install) on the way. ``clean_environments``: the same for tasks
    with ``clean-env``. ``say``: told what is being run; None keeps quiet. ``cache``: None runs every task, also
    those whose inputs and outputs are as they were. With ``replace`` the last command takes the place of this
    process where it can: then this function never returns.
    Raises TaskError for a command that cannot be parsed (before any is run), or a missing working folder.
    """
    scripts = [_parsed(task) for task in plan.tasks]
    say = say or (lambda text: None)
    for index, (task, script) in enumerate(zip(plan.tasks, scripts, strict=True)):
        if task.name is not None:
            if index > 0:
                say("")
            say(announcement(task, several_environments=plan.several_environments, color=color))
        if dry_run:
            continue
        if cache is not None and cache.fresh(task):
            say(skipped(task))
            continue
        source = clean_environments if task.clean_env and clean_environments is not None else environments
        state = start_state(task, source[task.environment], init_cwd)
        last = index == len(plan.tasks) - 1
        code = run_script(
            script,
            state,
            replace=replace and last and not (cache is not None and task.cached),
            before_replacing=_flush,
        )
        if code != 0:
            return code
        if cache is not None:
            for warning in cache.remember(task):
                say(f"warning: {warning}")
    return 0


def start_state(task: PlannedTask, environment: Mapping[str, str], init_cwd: Path) -> State:
    """What the shell of ``task`` starts with. Raises TaskError where its folder does not exist."""
    if not task.cwd.is_dir():
        place = task.task.place if task.task is not None else None
        raise TaskError(
            f"invalid working directory '{task.cwd}'",
            code="task-folder",
            labels=[Label(place=place, message="its `cwd` does not exist")] if place is not None else [],
            help="`cwd` is relative to the folder of the workspace",
        )
    return State.start({**environment, "INIT_CWD": str(init_cwd)}, str(task.cwd))


def _parsed(task: PlannedTask) -> Script:
    try:
        return parse(task.script)
    except ShellSyntaxError as error:
        what = f"task '{task.name}'" if task.name is not None else "command"
        place = task.task.place if task.task is not None else None
        raise TaskError(
            f"the {what} cannot be understood: {error.message}",
            code=error.kind,
            labels=[Label(place=place)] if place is not None else [],
            notes=error.notes,
            help=error.help,
        ) from error


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
