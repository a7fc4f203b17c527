"""Running a plan: one command after the other, or several at the same time, each in its environment."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from smelt.errors import Label, TaskError
from smelt.tasks.announce import announcement, skipped
from smelt.tasks.cache import TaskCache
from smelt.tasks.model import PlannedTask, TaskPlan
from smelt.tasks.shell.execute import run_script
from smelt.tasks.shell.jobs import Jobs, Stopped
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
    jobs: int = 1,
) -> int:
    """Run the commands of ``plan`` in order until one fails, and give its exit code; 0 if none does.

    ``environments``: environment → all variables of a process in it; looked up only when a command is really
    run, so the mapping may make them (and install) on the way. ``clean_environments``: the same for tasks
    with ``clean-env``. ``say``: told what is being run; None keeps quiet. ``cache``: None runs every task, also
    those whose inputs and outputs are as they were. With ``replace`` the last command takes the place of this
    process where it can: then this function never returns. ``jobs``: how many commands that do not need each other
    may run at the same time (``smelt.tasks.parallel``).
    Raises TaskError for a command that cannot be parsed (before any is run), or a missing working folder.
    """
    scripts = [_parsed(task) for task in plan.tasks]
    processes = Jobs()
    runner = _Runner(
        plan=plan,
        scripts=scripts,
        environments=environments,
        clean_environments=clean_environments,
        init_cwd=init_cwd,
        say=say or (lambda text: None),
        color=color,
        cache=cache,
        replace=replace,
        jobs=processes,
    )
    if dry_run:
        for index in range(len(plan.tasks)):
            runner.announce(index)
        return 0
    with processes.signals():
        if jobs > 1 and len(plan.tasks) > 1:
            from smelt.tasks.labels import LabelledOutput, labels
            from smelt.tasks.parallel import ParallelRun

            output = LabelledOutput(labels(plan.tasks), color=color)
            return ParallelRun(plan.tasks, scripts, runner, processes, limit=jobs, output=output, say=runner.say).run()
        try:
            for index in range(len(plan.tasks)):
                with processes.interruptible():
                    state = runner.begin(index)
                if state is None:
                    continue
                code = runner.run(index, state)
                if code != 0:
                    return code
                runner.finish(index)
                if processes.stopped is not None and index < len(plan.tasks) - 1:
                    return processes.stopped  # the command ended well, but what follows was not to be started
        except Stopped:
            return processes.stopped or 130
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Runner:
    """The commands of one call of ``run_plan`` (``smelt.tasks.parallel.Runner``)."""

    plan: TaskPlan
    scripts: Sequence[Script]
    environments: Mapping[str, Mapping[str, str]]
    clean_environments: Mapping[str, Mapping[str, str]] | None
    init_cwd: Path
    say: Callable[[str], None]
    color: bool
    cache: TaskCache | None
    replace: bool
    jobs: Jobs

    def announce(self, index: int) -> None:
        """Say what is run next."""
        task = self.plan.tasks[index]
        if task.name is not None:
            if index > 0:
                self.say("")
            self.say(announcement(task, several_environments=self.plan.several_environments, color=self.color))

    def begin(self, index: int) -> State | None:
        """Announce a command and give what it starts with; None if it need not run. Raises TaskError."""
        task = self.plan.tasks[index]
        self.announce(index)
        if self.cache is not None and self.cache.fresh(task):
            self.say(skipped(task))
            return None
        clean = self.clean_environments if task.clean_env else None
        source = self.environments if clean is None else clean
        return start_state(task, source[task.environment], self.init_cwd)

    def run(self, index: int, state: State) -> int:
        """Run a command that has the terminal to itself; the last one may take the place of this process."""
        last = index == len(self.plan.tasks) - 1
        remembered = self.cache is not None and self.plan.tasks[index].cached
        return run_script(
            self.scripts[index],
            state,
            replace=self.replace and last and not remembered,
            before_replacing=_flush,
            jobs=self.jobs,
        )

    def finish(self, index: int) -> None:
        """Remember that a command has ended with success."""
        if self.cache is not None:
            for warning in self.cache.remember(self.plan.tasks[index]):
                self.say(f"warning: {warning}")


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
