"""``smelt task``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from smelt.cli.editing import add_scope, done, edit, scope_of, target_platforms
from smelt.cli.options import add_workspace, load
from smelt.cli.subcommands import Subcommands, run_handler
from smelt.cli.terminal import Terminal
from smelt.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from smelt.manifest.edit.scope import Scope
    from smelt.manifest.edit.task import NewTask
    from smelt.workspace.model import EffectiveEnvironment, Task, Workspace


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommands. Source: the reference's page ``pixi task``."""
    add_workspace(parser)
    commands = Subcommands(parser)
    add = commands.add("add", "Add a task", _add, aliases=["a"])
    add.add_argument("name", metavar="NAME", help="the name of the task")
    add.add_argument("command", nargs="+", metavar="COMMAND", help="what it runs: shell text, or words")
    add.add_argument("--depends-on", nargs="+", action="extend", default=[], metavar="TASK", help="tasks before it")
    add.add_argument("--cwd", metavar="DIR", help="where it runs, relative to the workspace")
    add.add_argument("--env", action="append", default=[], metavar="KEY=VALUE", help="a variable (again: more)")
    add.add_argument("--default-environment", metavar="ENVIRONMENT", help="where it runs unless it is said otherwise")
    add.add_argument("--description", metavar="TEXT", help="one line for `task list`")
    add.add_argument("--clean-env", action="store_true", help="keep hardly anything of the outer environment")
    add.add_argument("--arg", action="append", default=[], dest="args", metavar="NAME", help="an argument")
    add.add_argument("--platform", "-p", metavar="PLATFORM", help="only on this platform")
    add_scope(add, "that gets the task")
    alias = commands.add("alias", "Add a task that only runs other tasks", _alias, aliases=["@"])
    alias.add_argument("alias", metavar="ALIAS", help="the name of the alias")
    alias.add_argument("depends_on", nargs="+", metavar="TASK", help="the tasks that it runs")
    alias.add_argument("--description", metavar="TEXT", help="one line for `task list`")
    alias.add_argument("--platform", "-p", metavar="PLATFORM", help="only on this platform")
    add_scope(alias, "that gets the alias")
    remove = commands.add("remove", "Remove tasks", _remove, aliases=["rm"])
    remove.add_argument("names", nargs="+", metavar="NAME", help="the name of a task")
    remove.add_argument("--platform", "-p", metavar="PLATFORM", help="from the tasks of this platform")
    add_scope(remove, "that has the task")
    listing = commands.add("list", "List the tasks of the workspace", _list, aliases=["ls", "l"])
    listing.add_argument("--summary", "-s", action="store_true", help="by environment")
    listing.add_argument("--environment", "-e", metavar="ENVIRONMENT", help="only the tasks of this environment")
    listing.add_argument("--json", action="store_true", help="as JSON")
    listing.add_argument("--machine-readable", action="store_true", help=argparse.SUPPRESS)


execute = run_handler


def _add(arguments: argparse.Namespace, terminal: Terminal) -> int:
    from smelt.manifest.edit.task import NewTask
    from smelt.manifest.task import TomlTaskArgument

    variables: dict[str, str] = {}
    for text in arguments.env:
        name, mark, value = text.partition("=")
        if not mark or not name:
            raise UsageError(f"`{text}` is not KEY=VALUE")
        variables[name] = value
    words: list[str] = arguments.command
    task = NewTask(
        cmd=words[0] if len(words) == 1 else " ".join(map(_quoted, words)),
        depends_on=[(name, ()) for name in arguments.depends_on],
        arguments=[TomlTaskArgument(name=name) for name in arguments.args],
        cwd=arguments.cwd,
        env=variables,
        default_environment=arguments.default_environment,
        description=arguments.description,
        clean_env=arguments.clean_env,
    )
    return _write(arguments, terminal, arguments.name, task)


def _quoted(word: str) -> str:
    """``word`` so that the task shell reads it as one word, where white space would part it."""
    if word and not any(mark in word for mark in "\t\r\n []"):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _alias(arguments: argparse.Namespace, terminal: Terminal) -> int:
    from smelt.manifest.edit.task import NewTask

    dependencies = [(name, ()) for name in arguments.depends_on]
    task = NewTask(depends_on=dependencies, description=arguments.description)
    return _write(arguments, terminal, arguments.alias, task)


def _write(arguments: argparse.Namespace, terminal: Terminal, name: str, task: NewTask) -> int:
    from smelt.manifest.edit.task import add_task

    editor = edit(arguments, terminal)
    platforms = [arguments.platform] if arguments.platform is not None else []
    manifest, _ = target_platforms(editor.manifest, platforms)
    scope = scope_of(arguments, arguments.platform)
    editor.write(add_task(manifest, scope, name, task))
    kind = "alias" if task.is_alias else "task"
    text = task.cmd if not task.is_alias else f"depends-on = {', '.join(each for each, _ in task.depends_on)}"
    done(terminal, f"Added {kind} `{terminal.style(name, 'bold', err=True)}`: {text}")
    return 0


def _remove(arguments: argparse.Namespace, terminal: Terminal) -> int:
    from smelt.manifest.edit.task import remove_task

    editor = edit(arguments, terminal)
    manifest = editor.manifest
    scope: Scope = scope_of(arguments, arguments.platform)
    removed: list[str] = []
    for name in arguments.names:
        try:
            manifest = remove_task(manifest, scope, name)
        except UnknownNameError as error:
            terminal.warn(error.message)  # the reference goes on, and ends well
        else:
            removed.append(name)
    editor.write(manifest)
    for name in removed:
        done(terminal, f"Removed task `{terminal.style(name, 'bold', err=True)}`")
    return 0


def _list(arguments: argparse.Namespace, terminal: Terminal) -> int:
    model = load(arguments, terminal).model
    if arguments.json:
        terminal.print(json.dumps([_json(model, name) for name in sorted(model.environments)], indent=2))
        return 0
    found = _tasks(model, arguments.environment)
    names = sorted({name for tasks in found.values() for name in tasks})
    if arguments.machine_readable:
        terminal.print(" ".join(names))
        return 0
    if not names:
        terminal.note("No tasks found")
        return 0
    if arguments.summary:
        terminal.note("Tasks per environment:")
        for environment, tasks in found.items():
            terminal.note(f"{terminal.style(environment, 'bold', err=True)}: {', '.join(sorted(tasks))}")
        return 0
    described: dict[str, str] = {}
    for tasks in found.values():
        for name, task in tasks.items():
            text = " ".join((task.description or "").split())
            described[name] = described.get(name) or text
    width = max(len("Task"), *map(len, names))
    terminal.print(terminal.style(f"{'Task':<{width}}  Description", "bold", "cyan"))
    for name in names:
        terminal.print(f"{name:<{width}}  {described[name]}".rstrip())
    return 0


def _tasks(model: Workspace, environment: str | None) -> dict[str, Mapping[str, Task]]:
    """By environment the tasks that can be called by name, as they are on this machine where it is supported."""
    from smelt.api.platforms import environment_named

    names = [environment_named(model, environment)] if environment is not None else list(model.environments)
    found: dict[str, Mapping[str, Task]] = {}
    for name in names:
        effective = _here(model, name)
        if effective is not None:
            found[name] = {each: task for each, task in effective.tasks.items() if not each.startswith("_")}
    return found


def _here(model: Workspace, environment: str) -> EffectiveEnvironment | None:
    from smelt.api.platforms import platform_for

    platforms = model.platforms_of(environment)
    if not platforms:
        return None
    try:
        platform = platform_for(model, environment)
    except UnknownNameError:
        platform = platforms[0]
    return model.effective[environment, platform.name]


def _json(model: Workspace, environment: str) -> dict[str, object]:
    """The tasks of an environment by the feature that defines them, in the reference's words."""
    effective = _here(model, environment)
    by_feature: dict[str, list[dict[str, object]]] = {}
    for task in effective.tasks.values() if effective is not None else ():
        by_feature.setdefault(task.feature, []).append(_info(task))
    own = model.environments[environment]
    inline = [name for name in by_feature if name.endswith(" (environment)")]
    return {
        "environment": environment,
        "tasks": [task for name in inline for task in by_feature[name]],
        "features": [
            {"name": name, "tasks": by_feature[name]}
            for name in own.features
            if name in by_feature and name not in inline
        ],
    }


def _info(task: Task) -> dict[str, object]:
    return {
        "name": task.name,
        "cmd": task.cmd if isinstance(task.cmd, str) or task.cmd is None else " ".join(map(_quoted, task.cmd)),
        "description": task.description,
        "depends_on": [
            {
                "task_name": each.task,
                "args": _arguments(each.arguments),
                "environment": each.environment,
            }
            for each in task.depends_on
        ],
        "args": [
            {"name": each.name, "default": each.default, "choices": list(each.choices) or None} for each in task.args
        ]
        or None,
        "cwd": task.cwd,
        "env": dict(task.env) or None,
        "default_environment": task.default_environment,
        "clean_env": task.clean_env,
        "inputs": list(task.inputs) if task.inputs is not None else None,
        "outputs": list(task.outputs) if task.outputs is not None else None,
    }


def _arguments(arguments: Sequence[str | tuple[str, str]] | None) -> list[object] | None:
    if arguments is None:
        return None
    return [each if isinstance(each, str) else {each[0]: each[1]} for each in arguments]
