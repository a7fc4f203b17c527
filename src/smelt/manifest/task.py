"""Tasks. Source: the reference's manifest page, "The tasks table", and its page "Advanced tasks"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import cast

from smelt.manifest.positions import KeyPath
from smelt.manifest.reading import Problems, Table, type_name

_NO_STRINGS: Mapping[str, str] = MappingProxyType({})
_ENVIRONMENT = re.compile(r"[a-z0-9-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class TomlTaskDependency:
    """An entry of ``depends-on``. ``arguments``: positional texts and (name, text) pairs, in order."""

    task: str
    arguments: tuple[str | tuple[str, str], ...] | None = None
    environment: str | None = None
    path: KeyPath = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TomlTaskArgument:
    """An entry of ``args``."""

    name: str
    default: str | None = None
    choices: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TomlTask:
    """A task; without ``cmd`` it is an alias for what it depends on."""

    name: str
    path: KeyPath
    cmd: str | tuple[str, ...] | None = None
    depends_on: tuple[TomlTaskDependency, ...] = ()
    env: Mapping[str, str] = field(default_factory=lambda: _NO_STRINGS)
    cwd: str | None = None
    inputs: tuple[str, ...] | None = None
    outputs: tuple[str, ...] | None = None
    clean_env: bool = False
    description: str | None = None
    arguments: tuple[TomlTaskArgument, ...] = ()
    default_environment: str | None = None


def environment_name_problem(name: str) -> str | None:
    """Why ``name`` cannot name an environment, or None."""
    if _ENVIRONMENT.fullmatch(name):
        return None
    return f"`{name}` cannot name an environment: only lower-case letters, digits and `-` are allowed"


def read_tasks(outer: Table) -> dict[str, TomlTask]:
    """The table ``tasks`` of ``outer``."""
    table = outer.table("tasks", "a table of tasks")
    if table is None:
        return {}
    found: dict[str, TomlTask] = {}
    for name in table.data:
        task = _read_task(name, table.take(name), table.at(name), table.problems)
        if task is not None:
            found[name] = task
    return found


def _read_task(name: str, value: object, path: KeyPath, problems: Problems) -> TomlTask | None:
    if isinstance(value, str):
        return TomlTask(name=name, path=path, cmd=value)
    if isinstance(value, list):
        dependencies = _read_dependencies(cast("list[object]", value), path, problems, tables_only=True)
        return TomlTask(name=name, path=path, depends_on=dependencies)
    if not isinstance(value, dict):
        problems.error("type", f"expected a string or a table, found {type_name(value)}", problems.value(path))
        return None
    return read_task_table(name, Table(cast("dict[str, object]", value), path, problems))


def read_task_table(name: str, table: Table) -> TomlTask:
    """A task that is written as a table."""
    has_command = "cmd" in table
    command = _read_command(table)
    inputs = outputs = cwd = environment = None
    env: dict[str, str] = {}
    clean_env = False
    if has_command:
        inputs = table.strings("inputs")
        outputs = table.strings("outputs")
    dependencies = _read_depends_on(table)
    if has_command:
        cwd = table.string("cwd")
        env = table.string_map("env") or {}
        environment = table.parsed("default-environment", environment_name_problem)
    description = table.string("description")
    if has_command:
        clean_env = table.boolean("clean-env") or False
    arguments = _read_arguments(table)
    table.finish(hidden=("depends_on",), help=lambda key: None if has_command else _alias_help(key))
    return TomlTask(
        name=name,
        path=table.path,
        cmd=command,
        depends_on=dependencies,
        env=MappingProxyType(env),
        cwd=cwd,
        inputs=inputs,
        outputs=outputs,
        clean_env=clean_env,
        description=description,
        arguments=arguments,
        default_environment=environment,
    )


def _alias_help(key: str) -> str | None:
    only_commands = ("inputs", "outputs", "cwd", "env", "default-environment", "clean-env")
    return f"`{key}` needs a task with `cmd`" if key in only_commands else None


def _read_command(table: Table) -> str | tuple[str, ...] | None:
    value = table.take("cmd")
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list):
        return table.strings("cmd")
    table.wrong_type(table.at("cmd"), "a string or an array of strings", value)
    return None


def _read_depends_on(table: Table) -> tuple[TomlTaskDependency, ...]:
    key = "depends-on"
    value = table.take(key)
    old = table.take("depends_on")
    if value is None and old is not None:
        key, value = "depends_on", old
        table.problems.renamed("depends_on", "depends-on", table.at(key))
    elif old is not None:
        table.problems.error(
            "conflict", "`depends_on` means the same as `depends-on`", table.problems.key(table.at("depends_on"))
        )
    path = table.at(key)
    if value is None:
        return ()
    if isinstance(value, str):
        return (TomlTaskDependency(task=value, path=path),)
    if isinstance(value, list):
        return _read_dependencies(cast("list[object]", value), path, table.problems)
    table.wrong_type(path, "a string or an array", value)
    return ()


def _read_dependencies(
    values: list[object], path: KeyPath, problems: Problems, *, tables_only: bool = False
) -> tuple[TomlTaskDependency, ...]:
    found: list[TomlTaskDependency] = []
    for index, value in enumerate(values):
        at = (*path, index)
        if isinstance(value, str) and not tables_only:
            found.append(TomlTaskDependency(task=value, path=at))
        elif isinstance(value, dict):
            table = Table(cast("dict[str, object]", value), at, problems)
            task = table.string("task")
            arguments = _read_dependency_arguments(table)
            environment = table.parsed("environment", environment_name_problem)
            table.finish()
            if "task" not in table:
                table.missing("task")
            elif task is not None:
                found.append(TomlTaskDependency(task=task, arguments=arguments, environment=environment, path=at))
        else:
            expected = 'a table (`{ task = "…" }`)' if tables_only else "a string or a table"
            problems.error(
                "type",
                f"expected {expected}, found {type_name(value)}",
                problems.value(at),
                help="a task that is a list names the tasks that it depends on; a command is a string, or `cmd = [...]`"
                if tables_only
                else None,
            )
            if tables_only:
                break  # most likely all are commands: once is enough
    return tuple(found)


def _read_dependency_arguments(table: Table) -> tuple[str | tuple[str, str], ...] | None:
    values = table.array("args")
    if values is None:
        return None
    problems = table.problems
    found: list[str | tuple[str, str]] = []
    for index, value in enumerate(values):
        at = (*table.path, "args", index)
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, dict):
            entries = cast("dict[str, object]", value)
            if len(entries) != 1:
                problems.error("value", "a named argument is a table with one entry", problems.value(at))
                continue
            (name, text), *_ = entries.items()
            if isinstance(text, str):
                found.append((name, text))
            else:
                problems.error("type", f"expected a string, found {type_name(text)}", problems.value((*at, name)))
        else:
            problems.error("type", f"expected a string or a table, found {type_name(value)}", problems.value(at))
    return tuple(found)


def _read_arguments(table: Table) -> tuple[TomlTaskArgument, ...]:
    problems = table.problems
    found: list[TomlTaskArgument] = []
    seen: set[str] = set()
    for index, value in enumerate(table.array("args") or ()):
        at = (*table.path, "args", index)
        argument = _read_argument(value, at, problems)
        if argument is None:
            continue
        if argument.name in seen:
            problems.error("duplicate", f"the argument `{argument.name}` is given twice", problems.value(at))
            continue
        if argument.default is None and any(other.default is not None for other in found):
            problems.error(
                "value",
                f"default value required after previous arguments with defaults: `{argument.name}` needs one",
                problems.value(at),
                help="an argument before it has one, and arguments are given in order",
            )
        seen.add(argument.name)
        found.append(argument)
    return tuple(found)


def _read_argument(value: object, at: KeyPath, problems: Problems) -> TomlTaskArgument | None:
    if isinstance(value, str):
        complaint = _argument_problem(value)
        if complaint is not None:
            problems.error("value", complaint, problems.value(at))
            return None
        return TomlTaskArgument(name=value)
    if not isinstance(value, dict):
        problems.error("type", f"expected a string or a table, found {type_name(value)}", problems.value(at))
        return None
    table = Table(cast("dict[str, object]", value), at, problems)
    name = table.parsed("arg", _argument_problem)
    default = table.string("default")
    choices = table.strings("choices")
    table.finish()
    if "arg" not in table:
        table.missing("arg")
    if name is None:
        return None
    if default is not None and choices is not None and default not in choices:
        problems.error(
            "value",
            f"the default `{default}` is not one of the choices",
            problems.value(table.at("default")),
            help=f"the choices are {', '.join(choices)}",
        )
    return TomlTaskArgument(name=name, default=default, choices=choices)


def _argument_problem(name: str) -> str | None:
    if name == "pixi":
        return "an argument cannot be called `pixi`: templates know the workspace under this name"
    if "-" in name:
        return (
            f"'{name}' is not a valid argument name since it contains the character '-', "
            "which templates would read as minus"
        )
    return None if name else "the name of an argument cannot be empty"
