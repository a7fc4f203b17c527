"""Finding a task by its name: in which environment it runs.

Source: the reference's page "Advanced tasks" (environments of dependencies, default environment) and its
behaviour where several environments have a task of that name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from smelt.errors import TaskError, UnknownNameError
from smelt.text import closest
from smelt.types import current_platform
from smelt.workspace.model import DEFAULT, Task, Workspace

Choose = Callable[[str, tuple[str, ...]], str | None]
"""Ask the user in which of several environments a task is to run; None: no answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskScope:
    """Where tasks are looked for.

    ``platforms``: environment → the workspace platform that its tasks are taken for. ``runnable``: the
    environments that this machine can run. ``explicit``: the environment the user asked for, or None.
    """

    workspace: Workspace
    platforms: Mapping[str, str]
    runnable: frozenset[str]
    explicit: str | None = None
    choose: Choose | None = None

    def tasks(self, environment: str) -> Mapping[str, Task]:
        """The tasks of one environment, for its platform."""
        platform = self.platforms.get(environment)
        if platform is None:
            return {}
        return self.workspace.effective[environment, platform].tasks


def task_scope(
    workspace: Workspace,
    *,
    environment: str | None = None,
    platform: str | None = None,
    installed: Mapping[str, str] | None = None,
    choose: Choose | None = None,
) -> TaskScope:
    """Where to look for tasks on this machine. Raises UnknownNameError.

    ``platform``: the one the user asked for; else each environment's ``installed`` one, the first that this
    machine is, or the first it has at all (so that tasks of foreign environments are found, and explained).
    """
    if environment is not None and environment not in workspace.environments:
        guess = closest(environment, workspace.environments)
        raise UnknownNameError(
            f"unknown environment '{environment}'",
            help=f"did you mean '{guess}'?" if guess else f"there are: {', '.join(workspace.environments)}",
        )
    host = current_platform()
    platforms: dict[str, str] = {}
    runnable: set[str] = set()
    # what was once asked for on demand makes no task ambiguous
    for name in (each for each in workspace.environments if each == environment or each in workspace.declared):
        available = workspace.platforms_of(name)
        names = [each.name for each in available]
        fitting = [each.name for each in available if each.subdir == host]
        if platform is not None:
            chosen = platform if platform in names else None
        else:
            preferred = (installed or {}).get(name)
            chosen = preferred if preferred in names else next(iter([*fitting, *names]), None)
        if chosen is not None:
            platforms[name] = chosen
        if fitting:
            runnable.add(name)
    if (
        platform is not None
        and (environment or DEFAULT) not in platforms
        and (environment is not None or not platforms)
    ):
        name = environment or DEFAULT
        raise UnknownNameError(
            f"platform '{platform}' is not part of environment '{name}'",
            code="unknown-platform",
            help=f"it has {', '.join(each.name for each in workspace.platforms_of(name)) or 'no platform'}",
        )
    return TaskScope(
        workspace=workspace,
        platforms=platforms,
        runnable=frozenset(runnable),
        explicit=environment,
        choose=choose,
    )


def find_task(
    scope: TaskScope, name: str, *, wanted_by: str | None = None, environment: str | None = None
) -> tuple[str, Task] | None:
    """The environment in which task ``name`` runs, and the task; None if there is none.

    ``wanted_by``: the task that depends on it; ``environment``: the one that the dependency names. Raises
    TaskError where several environments have it, and nothing decides between them.
    """
    if scope.explicit is None and environment is None:
        found = _in_default(scope, name)
        if found is not None:
            return found
    if environment is not None:
        candidates: tuple[str, ...] = (environment,)
    elif scope.explicit is not None:
        candidates = (scope.explicit,)
    else:
        candidates = scope.workspace.declared
    having = [(each, task) for each in candidates if (task := scope.tasks(each).get(name)) is not None]
    if len(having) <= 1:
        return having[0] if having else None
    for each, task in having:
        if task.default_environment == each:
            return each, task
    names = tuple(each for each, _ in having)
    chosen = scope.choose(name, names) if scope.choose is not None else None
    for each, task in having:
        if each == chosen:
            return each, task
    dependent = f" (depended on by '{wanted_by}')" if wanted_by else ""
    raise TaskError(
        f"the task '{name}'{dependent} is ambiguous",
        code="task-ambiguous",
        notes=[f"these environments provide the task '{name}': {', '.join(names)}"],
        help=f"say which one is meant, for example `smelt run --environment {names[0]} {name}`",
    )


def _in_default(scope: TaskScope, name: str) -> tuple[str, Task] | None:
    task = scope.tasks(DEFAULT).get(name)
    if task is None:
        return None
    preferred = task.default_environment
    if preferred is not None and preferred in scope.runnable:
        there = scope.tasks(preferred).get(name)
        if there is not None:
            return preferred, there
    for other in scope.workspace.declared:
        if other != DEFAULT and other in scope.runnable:
            there = scope.tasks(other).get(name)
            if there is not None and there != task:
                return None  # another task of that name: not for us to choose
    return DEFAULT, task


def environments_with(workspace: Workspace, name: str) -> tuple[str, ...]:
    """The environments that have a task ``name`` for any of their platforms."""
    return tuple(
        environment
        for environment in workspace.declared
        if any(
            name in workspace.effective[environment, platform.name].tasks
            for platform in workspace.platforms_of(environment)
        )
    )


def unavailable(scope: TaskScope, name: str, platform: str | None) -> TaskError | None:
    """The error for a task that exists, but not where it was asked for; None if it exists nowhere."""
    environments = environments_with(scope.workspace, name)
    if not environments:
        return None
    if scope.explicit is not None:
        where = f"in environment '{scope.explicit}'"
    elif platform is not None:
        where = f"for platform '{platform}'"
    else:
        where = "on this machine"
    return TaskError(
        f"the task '{name}' is not available {where}",
        code="task-unavailable",
        notes=[f"the task is defined in environment(s): {', '.join(environments)}"],
        help=f"run it there with `smelt run --environment {environments[0]} {name}`",
    )


def visible_tasks(scope: TaskScope) -> tuple[str, ...]:
    """The names of the tasks that can be asked for, sorted; those that start with ``_`` are hidden."""
    environments = [scope.explicit] if scope.explicit is not None else list(scope.workspace.declared)
    return tuple(sorted({name for each in environments for name in scope.tasks(each) if not name.startswith("_")}))
