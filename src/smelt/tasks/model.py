"""What is asked for, and what is planned: values between the command line and the processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from smelt.workspace.model import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRequest:
    """What the user typed.

    ``words``: the task's name or a command, and arguments. ``environment``: the one that was asked for, or
    None. ``platform``: the workspace platform that was asked for, or None. ``init_cwd``: the folder in which
    smelt was called. ``executable``: never look for a task (``-x``). ``templated``: render a command that is
    no task.
    """

    words: tuple[str, ...]
    init_cwd: Path
    environment: str | None = None
    platform: str | None = None
    skip_deps: bool = False
    executable: bool = False
    templated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ArgumentValues:
    """The arguments of one call of a task: values of declared ones, and what is passed on as it is."""

    typed: Mapping[str, str] = field(default_factory=dict[str, str])
    extra: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
        """Equal for equal arguments; hashable."""
        return tuple(self.typed.items()), self.extra

    def __str__(self) -> str:
        typed = ", ".join(f"{name} = {value}" for name, value in self.typed.items())
        extra = ", ".join(self.extra)
        return f"{typed} -- {extra}" if typed and extra else typed or extra


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTask:
    """One command to run, with everything filled in.

    ``name`` is None for a command that is no task. ``platform``: the workspace platform it is run for.
    ``command``: what is shown, and part of the cache's key; ``script``: what the task shell runs (variables,
    command, passed on arguments). ``cwd``: absolute; whether it exists is checked when it runs.
    ``inputs``, ``outputs``: patterns relative to the workspace, None where the task has none. ``needs``: the places
    in the plan of those that have to end with success before; all of them are earlier.
    """

    name: str | None
    environment: str
    platform: str
    arguments: ArgumentValues
    command: str
    script: str
    cwd: Path
    clean_env: bool = False
    description: str | None = None
    inputs: tuple[str, ...] | None = None
    outputs: tuple[str, ...] | None = None
    task: Task | None = None
    needs: tuple[int, ...] = ()

    @property
    def cached(self) -> bool:
        """Whether it may be skipped when its inputs and outputs are as they were."""
        return bool(self.inputs or self.outputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskPlan:
    """The commands of a request in the order in which they run.

    ``root``: the workspace's folder. ``several_environments``: whether the workspace has more than one, so that
    it is worth saying which. ``environments``: those that are needed, in the order of their first use.
    """

    tasks: tuple[PlannedTask, ...]
    root: Path
    several_environments: bool = False

    @property
    def environments(self) -> tuple[str, ...]:
        """The names of the environments that the commands run in, each once."""
        return tuple(dict.fromkeys(task.environment for task in self.tasks))
