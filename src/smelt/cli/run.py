"""``smelt run``."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from smelt.cli.options import (
    add_environment,
    add_jobs,
    add_lock_usage,
    add_no_install,
    add_workspace,
    load,
    lock_mode,
    split_words,
)
from smelt.cli.settings import WITH_VALUE, add_settings
from smelt.cli.terminal import Terminal, program
from smelt.errors import ExitCode
from smelt.text import closest
from smelt.types import current_platform

if TYPE_CHECKING:
    from smelt.api.workspace import Workspace
    from smelt.tasks.model import TaskPlan

_WITH_VALUE = WITH_VALUE | frozenset(
    (
        *("-e", "--environment", "-p", "--platform", "-m", "--manifest-path", "-w", "--workspace", "-s", "--script"),
        *("-j", "--jobs", "--color"),
    )
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options. Source: the reference's page ``pixi run``."""
    parser.usage = "smelt run [options] [task or command] [arguments ...]"
    add_workspace(parser, script=True)
    add_environment(parser, "the environment to run in")
    parser.add_argument("--platform", "-p", metavar="PLATFORM", help="the platform of the environment")
    parser.add_argument("--executable", "-x", action="store_true", help="a command, even if a task has its name")
    parser.add_argument("--clean-env", action="store_true", help="keep hardly anything of the outer environment")
    parser.add_argument("--skip-deps", action="store_true", help="do not run what the task depends on")
    parser.add_argument("--templated", action="store_true", help="render templates in the command")
    parser.add_argument("--dry-run", "-n", action="store_true", help="only show what would be run")
    add_no_install(parser, "do not install or change the environment")
    parser.add_argument("--as-is", action="store_true", help="--no-install and --frozen")
    parser.add_argument("--force-activate", action="store_true", help="ask activation scripts again")
    add_lock_usage(parser)
    add_jobs(parser, "tasks, and builds, at the same time (default: tasks one by one, builds by the cores)")
    add_settings(parser)


def separate(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Our options, and the task or command with all that follows it (a ``--`` before it is ours)."""
    return split_words(arguments, _WITH_VALUE)


def execute(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Run a task with what it depends on, or a command; or a script, whose arguments follow."""
    if arguments.script is not None:
        from smelt.cli.run_script import run_script

        return run_script(arguments, terminal)
    from smelt.api.installing import InstallOptions
    from smelt.api.platforms import active_environment, chosen_platforms
    from smelt.tasks.cache import TaskCache
    from smelt.tasks.graph import plan_tasks
    from smelt.tasks.model import TaskRequest
    from smelt.tasks.record import write_warm_record
    from smelt.tasks.run import run_plan
    from smelt.tasks.search import task_scope, visible_tasks
    from smelt.workspace.on_demand import on_demand_name

    started = time.time_ns()
    workspace = load(arguments, terminal)
    words: tuple[str, ...] = tuple(arguments.words)
    if not words:
        return _list_tasks(workspace, terminal)
    given = on_demand_name(arguments.environment) if arguments.environment else None
    asked = given or active_environment(workspace.model, os.environ)
    init_cwd = Path.cwd()
    request = TaskRequest(
        words=words,
        init_cwd=init_cwd,
        environment=asked,
        platform=arguments.platform,
        skip_deps=arguments.skip_deps,
        executable=arguments.executable,
        templated=arguments.templated,
    )
    choose = _chooser(terminal) if terminal.err.isatty() and sys.stdin.isatty() else None
    scope = task_scope(
        workspace.model,
        environment=asked,
        platform=arguments.platform,
        installed=chosen_platforms(workspace.model),
        choose=choose,
    )
    plan = plan_tasks(request, scope)
    install = not (arguments.no_install or arguments.as_is or arguments.dry_run)
    if install:
        workspace.install(plan.environments, mode=lock_mode(arguments), options=InstallOptions(jobs=arguments.jobs))
    workspace.check_installed(plan.environments)
    known = workspace.known_files(plan.environments)
    outer = dict(os.environ)
    cleaned = plan.environments if arguments.clean_env else _clean(plan)
    clean = {name: workspace.variables(name, outer, clean=True) for name in cleaned}
    environments = clean if arguments.clean_env else {n: workspace.variables(n, outer) for n in plan.environments}
    digests = {name: workspace.digest(name) or "" for name in plan.environments}
    cache = TaskCache.of(workspace.model.root, digests)
    lasting = known is not None and not known.warned and not workspace.settings.force_activate
    if known is not None and lasting and not arguments.dry_run:
        write_warm_record(
            sys.argv[1:],
            plan,
            workspace.model,
            environments,
            init_cwd=init_cwd,
            outer=outer,
            files=known.files,
            trees=known.trees,
            started=started,
            clean_environments=clean,
            cache=cache,
        )
    code = run_plan(
        plan,
        environments,
        init_cwd=init_cwd,
        clean_environments=clean,
        say=terminal.note if terminal.verbosity >= 0 else None,
        color=terminal.colored(err=True),
        dry_run=arguments.dry_run,
        cache=cache,
        jobs=arguments.jobs or 1,
    )
    if code == int(ExitCode.COMMAND_NOT_FOUND) and plan.tasks[-1].name is None:
        _not_found(words[0].split()[0] if words[0].split() else words[0], visible_tasks(scope), terminal)
    return code


def _not_found(name: str, tasks: Sequence[str], terminal: Terminal) -> None:
    """Say that ``name`` is no task either."""
    guess = closest(name, tasks)
    if guess is not None:
        terminal.note(f"there is no task `{name}` either; did you mean `{guess}`?")
    elif tasks:
        terminal.note(f"there is no task `{name}` either; the tasks are {', '.join(tasks)}")


def _chooser(terminal: Terminal) -> Callable[[str, tuple[str, ...]], str | None]:
    """Ask on the terminal in which environment a task is to run."""

    def choose(task: str, environments: tuple[str, ...]) -> str | None:
        terminal.note(f"task `{task}` is in several environments:")
        for number, name in enumerate(environments, 1):
            terminal.note(f"  {number}  {name}")
        terminal.err.write("run it in (number or name): ")
        terminal.err.flush()
        answer = sys.stdin.readline().strip()
        if answer.isdigit() and 1 <= int(answer) <= len(environments):
            return environments[int(answer) - 1]
        return answer if answer in environments else None

    return choose


def _clean(plan: TaskPlan) -> tuple[str, ...]:
    return tuple(dict.fromkeys(task.environment for task in plan.tasks if task.clean_env))


def _list_tasks(workspace: Workspace, terminal: Terminal) -> int:
    """Without a task: say which there are."""
    found: dict[str, str | None] = {}
    for effective in workspace.model.effective.values():
        for name, task in effective.tasks.items():
            if not name.startswith("_"):
                found.setdefault(name, task.description)
    if found:
        terminal.note("Available tasks:")
    else:
        terminal.note(f"The workspace has no tasks; `{program()} run <command>` runs a command.")
    for name in sorted(found):
        description = found[name]
        terminal.note(f"  {name}" + (f"  {terminal.style(description, 'dim', err=True)}" if description else ""))
    platforms = workspace.model.platforms_of("default")
    here = current_platform()
    if all(each.subdir != here for each in platforms) and any(
        workspace.model.effective["default", each.name].dependencies for each in platforms
    ):
        terminal.warn(
            f"the workspace is not for this machine's platform: `{program()} workspace platform add {here}` adds it"
        )
    return 0
