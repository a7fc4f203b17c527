"""From a request to a plan: dependencies, arguments, templates, in the order in which things run.

Source: the reference's page "Advanced tasks". What differs: a task runs once for each environment and set of
arguments, however it is referred to; tasks that depend on each other are an error that shows the cycle; all
commands are rendered before the first one runs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from smelt.errors import Label, TaskError
from smelt.tasks.command import joined, script_text, single_quoted, split_words
from smelt.tasks.model import ArgumentValues, PlannedTask, TaskPlan, TaskRequest
from smelt.tasks.search import TaskScope, find_task, unavailable
from smelt.tasks.templates import TemplateContext, render
from smelt.text import closest
from smelt.workspace.model import DEFAULT, Task, TaskDependency

_Key = tuple[str, str, tuple[tuple[tuple[str, str], ...], tuple[str, ...]]]


def plan_tasks(request: TaskRequest, scope: TaskScope) -> TaskPlan:
    """What to run for ``request``, in order. Raises TaskError.

    ``scope`` says which environment was asked for (``scope.explicit``), like ``request.environment``.
    """
    words = request.words
    if len(words) == 0:
        raise TaskError("nothing to run was given", help="give a task or a command: `smelt run <task>`")
    verbatim = len(words) > 1
    if not verbatim:
        whole = words[0]
        split = split_words(whole)
        if split is None:
            raise TaskError(f"the command `{whole}` has an open quote or a trailing backslash")
        words = tuple(split)
    planner = _Planner(request, scope)
    if words and not request.executable:
        found = find_task(scope, words[0])
        if found is not None:
            environment, task = found
            if scope.explicit is not None and environment == DEFAULT:
                environment = scope.explicit
            planner.add(environment, task, _typed_on_command_line(task, words[1:]))
            return planner.plan()
        missing = unavailable(scope, words[0], request.platform)
        if missing is not None:
            raise missing
    planner.add_command(words, verbatim=verbatim)
    return planner.plan()


@dataclass(frozen=True, slots=True)
class _Node:
    environment: str
    task: Task
    arguments: ArgumentValues

    @property
    def key(self) -> _Key:
        return self.task.name, self.environment, self.arguments.key

    def __str__(self) -> str:
        return f"{self.task.name} (in {self.environment})"


class _Planner:
    """Collects the commands of one request; dependencies come before what needs them."""

    def __init__(self, request: TaskRequest, scope: TaskScope) -> None:
        self._request = request
        self._scope = scope
        self._planned: dict[_Key, PlannedTask | None] = {}
        self._needs: dict[_Key, list[_Key]] = {}
        self._commands: list[PlannedTask] = []

    def plan(self) -> TaskPlan:
        places = {
            key: index for index, key in enumerate(key for key, task in self._planned.items() if task is not None)
        }
        tasks = [
            replace(task, needs=tuple(sorted({places[each] for each in self._commands_before(key)})))
            for key, task in self._planned.items()
            if task is not None
        ]
        return TaskPlan(
            tasks=(*tasks, *self._commands),
            root=self._scope.workspace.root,
            several_environments=len(self._scope.workspace.environments) > 1,
        )

    def _commands_before(self, key: _Key) -> Iterator[_Key]:
        """What has to end before ``key`` starts; a task without a command stands for what it depends on."""
        for each in self._needs.get(key, ()):
            if self._planned[each] is not None:
                yield each
            else:
                yield from self._commands_before(each)

    def add(self, environment: str, task: Task, arguments: ArgumentValues) -> None:
        self._visit(_Node(environment, task, arguments), ())

    def _visit(self, node: _Node, above: tuple[_Node, ...]) -> None:
        if any(node.key == other.key for other in above):
            start = next(index for index, other in enumerate(above) if other.key == node.key)
            cycle = " → ".join(str(each) for each in (*above[start:], node))
            place = node.task.place
            raise TaskError(
                "tasks depend on each other in a circle",
                code="task-cycle",
                labels=[Label(place=place, message="one of them")] if place is not None else [],
                notes=[cycle],
                help="remove one of these entries of `depends-on`",
            )
        if node.key in self._planned:
            return
        context = self._context(node.environment, node.arguments.typed)
        if not self._request.skip_deps:
            for dependency in node.task.depends_on:
                needed = self._dependency(node, dependency, context)
                self._visit(needed, (*above, node))
                self._needs.setdefault(node.key, []).append(needed.key)
        self._planned[node.key] = self._planned_task(node, context)

    def _dependency(self, node: _Node, dependency: TaskDependency, context: TemplateContext) -> _Node:
        name = dependency.task
        workspace = self._scope.workspace
        environment = dependency.environment
        if environment is not None and environment not in workspace.declared:
            raise TaskError(
                f"the task '{node.task.name}' depends on '{name}' in environment '{environment}', which does not exist",
                labels=_labels(node.task),
                help=_did_you_mean(environment, workspace.declared),
            )
        found = find_task(self._scope, name, wanted_by=node.task.name, environment=environment)
        if found is None:
            where = f" in environment '{environment or self._scope.explicit}'" if environment else ""
            raise TaskError(
                f"could not find the task '{name}'{where}, which '{node.task.name}' depends on",
                code="task-missing",
                labels=_labels(node.task),
                help=_did_you_mean(name, self._scope.tasks(environment or node.environment)),
            )
        what = f"the arguments of '{name}', which '{node.task.name}' depends on"

        def rendered(text: str) -> str:
            return render(text, context, what=what, place=node.task.place)

        given = [
            rendered(each) if isinstance(each, str) else (each[0], rendered(each[1]))
            for each in dependency.arguments or ()
        ]
        found_environment, task = found
        return _Node(found_environment, task, merge_arguments(task, given))

    def _planned_task(self, node: _Node, context: TemplateContext) -> PlannedTask | None:
        task = node.task
        if task.cmd is None:
            return None
        what = f"the task '{task.name}'"

        def rendered(text: str) -> str:
            return render(text, context, what=what, place=task.place)

        command = rendered(task.cmd) if isinstance(task.cmd, str) else joined([rendered(word) for word in task.cmd])
        environment = {name: rendered(value) for name, value in task.env.items()}
        extra = node.arguments.extra
        return PlannedTask(
            name=task.name,
            environment=node.environment,
            platform=context.platform,
            arguments=node.arguments,
            command=" ".join([command, *extra]),
            script=script_text(command, environment, extra),
            cwd=Path(os.path.normpath(self._scope.workspace.root / (task.cwd or ""))),
            clean_env=task.clean_env,
            description=task.description,
            inputs=None if task.inputs is None else tuple(rendered(pattern) for pattern in task.inputs),
            outputs=None if task.outputs is None else tuple(rendered(pattern) for pattern in task.outputs),
            task=task,
        )

    def add_command(self, words: Sequence[str], *, verbatim: bool) -> None:
        """A command that is no task; it runs where the user is."""
        environment = self._scope.explicit or DEFAULT
        context = self._context(environment, {})
        if self._request.templated:
            words = [render(word, context, what="the command") for word in words]
        # one argument may be a whole script, so its words keep their meaning
        command = " ".join(single_quoted(word) for word in words) if verbatim else " ".join(words)
        if not verbatim and self._request.templated:
            command = joined(words)
        self._commands.append(
            PlannedTask(
                name=None,
                environment=environment,
                platform=context.platform,
                arguments=ArgumentValues(),
                command=command,
                script=command.strip(),
                cwd=self._request.init_cwd,
            )
        )

    def _context(self, environment: str, arguments: Mapping[str, str]) -> TemplateContext:
        platform = self._scope.platforms.get(environment, "")
        effective = self._scope.workspace.effective.get((environment, platform))
        return TemplateContext(
            environment=environment,
            platform=platform,
            subdir=effective.platform.subdir if effective is not None else "",
            manifest_path=self._scope.workspace.manifest_path,
            init_cwd=self._request.init_cwd,
            arguments=arguments,
        )


def _typed_on_command_line(task: Task, words: Sequence[str]) -> ArgumentValues:
    """The words after a task's name: values of its arguments; what follows ``--`` is passed on."""
    if not task.args:
        # only a leading `--` is ours: a later one may mean something to the program
        return ArgumentValues(extra=tuple(words[1:] if words and words[0] == "--" else words))
    given = list(words)
    extra: tuple[str, ...] = ()
    if "--" in given:
        index = given.index("--")
        given, extra = given[:index], tuple(given[index + 1 :])
    if len(given) > len(task.args):
        raise TaskError(
            f"task '{task.name}' received more arguments than expected",
            code="task-arguments",
            labels=_labels(task),
            help="use `--` to separate task arguments from extra passthrough arguments",
        )
    merged = merge_arguments(task, given)
    return ArgumentValues(typed=merged.typed, extra=(*merged.extra, *extra))


def merge_arguments(task: Task, given: Sequence[str | tuple[str, str]]) -> ArgumentValues:
    """The values of a task's arguments: given by place, then by name, else the defaults. Raises TaskError.

    A task without declared arguments gets all of them passed on.
    """
    if not task.args:
        return ArgumentValues(extra=tuple(each if isinstance(each, str) else "=".join(each) for each in given))
    known = [argument.name for argument in task.args]
    named: dict[str, str] = {}
    placed: list[str] = []
    for each in given:
        if isinstance(each, str):
            if named:
                raise _wrong(task, f"Positional argument '{each}' found after named argument for task {task.name}")
            if len(placed) == len(known):
                raise _wrong(task, f"task '{task.name}' received more arguments than expected: '{each}'")
            placed.append(each)
            continue
        name, value = each
        if name not in known:
            raise _wrong(
                task, f"named argument '{name}' does not exist for task {task.name}", _did_you_mean(name, known)
            )
        if name in named or name in known[: len(placed)]:
            raise _wrong(task, f"argument '{name}' of task {task.name} is given twice")
        named[name] = value
    values: dict[str, str] = {}
    for index, argument in enumerate(task.args):
        value = named.get(argument.name, placed[index] if index < len(placed) else argument.default)
        choices = f", choose from: {', '.join(argument.choices)}" if argument.choices else ""
        if value is None:
            raise _wrong(task, f"no value provided for argument '{argument.name}' of task '{task.name}'{choices}")
        if argument.choices and value not in argument.choices:
            raise _wrong(task, f"got '{value}' for argument '{argument.name}' of task '{task.name}'{choices}")
        values[argument.name] = value
    return ArgumentValues(typed=values)


def _wrong(task: Task, message: str, help: str | None = None) -> TaskError:
    return TaskError(message, code="task-arguments", labels=_labels(task), help=help)


def _labels(task: Task) -> list[Label]:
    return [Label(place=task.place)] if task.place is not None else []


def _did_you_mean(name: str, known: Mapping[str, object] | Sequence[str]) -> str | None:
    guess = closest(name, known)
    return f"did you mean '{guess}'?" if guess else None
