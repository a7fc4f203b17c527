"""The lines that say what is being run."""

from __future__ import annotations

from smelt.tasks.model import PlannedTask

_BOLD, _GREEN, _MAGENTA, _BLUE, _YELLOW, _END = "\x1b[1m", "\x1b[1;32m", "\x1b[35m", "\x1b[1;34m", "\x1b[33m", "\x1b[0m"


def announcement(task: PlannedTask, *, several_environments: bool, color: bool) -> str:
    """``smelt task (name in environment): command: (description)``; the environment only if there are several.

    Commands that are no tasks are not announced: the user has just typed them.
    """

    def paint(style: str, text: str) -> str:
        return f"{style}{text}{_END}" if color else text

    where = f" in {paint(_MAGENTA, task.environment)}" if several_environments else ""
    description = paint(_YELLOW, f": ({task.description})") if task.description else ""
    name = paint(_GREEN, task.name or "unnamed")
    head = f"{paint(_BOLD, 'smelt task (')}{name}{where}{paint(_BOLD, '): ')}"
    return f"{head}{paint(_BLUE, task.command)}{description}"


def skipped(task: PlannedTask) -> str:
    """What is said of a task whose inputs and outputs are as they were."""
    arguments = str(task.arguments)
    given = f" with args {arguments}" if arguments else ""
    return f"Task '{task.name or ''}'{given} can be skipped (cache hit)"
