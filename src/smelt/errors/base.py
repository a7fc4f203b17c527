"""The base of every error that a user may see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

from smelt.text import Place


class ExitCode(IntEnum):
    """Exit codes of the ``smelt`` command.

    The reference ends every failure with 1 and scripts rely on it, so the *kind* of a failure is told by the
    kebab-case code in the message (``error[lock-outdated]``), not by the exit code.
    ``smelt run`` ends with the exit code of the task.
    """

    SUCCESS = 0
    FAILURE = 1
    USAGE = 2
    INTERNAL = 70
    COMMAND_NOT_FOUND = 127
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A place in a file and what is to be said about it (may be empty)."""

    place: Place
    message: str = ""


class SmeltError(Exception):
    """A failure that is explained to the user.

    ``message``: what happened, lower case, no full stop. ``labels``: where. ``help``: what to do next.
    ``notes``: what else is known (for example rattler's explanation, or the end of a build log), each
    shown as its own block. Subclasses fix ``code`` (kebab-case, stable, documented) and ``exit_code``;
    an instance may carry a more precise ``code``.
    """

    code: ClassVar[str] = "error"
    exit_code: ClassVar[ExitCode] = ExitCode.FAILURE

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        labels: Sequence[Label] = (),
        help: str | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.labels = tuple(labels)
        self.help = help
        self.notes = tuple(notes)
        self.kind = code or type(self).code

    def __str__(self) -> str:
        return self.message


class ErrorGroup(SmeltError):
    """Several errors that are reported together (all errors of one file, all failed builds)."""

    code = "errors"

    def __init__(self, message: str, errors: Sequence[SmeltError], notes: Sequence[str] = ()) -> None:
        super().__init__(message, notes=notes)
        self.errors = tuple(errors)
