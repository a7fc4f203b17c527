"""What a script comes to, where that can be said without running anything.

Many tasks are one command, or a few that are joined by ``&&``, perhaps after some variables were set. Then what is to
be executed is known from the variables alone, and can be remembered.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from smelt.tasks.shell.expand import ExpansionError, expand_text, expand_words
from smelt.tasks.shell.globs import Character
from smelt.tasks.shell.state import Options, State
from smelt.tasks.shell.syntax import Assignment, Chain, Command, Pipeline, Script, Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownCommand:
    """One process of a script, or a text that it prints.

    ``argv`` is empty where nothing is started: then ``output`` goes to standard output and ``code`` is the
    exit code. ``environment`` and ``cwd`` are what the process gets. ``reads``: the variables whose values, from
    the environment at the start, went into any of this.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    cwd: str
    reads: frozenset[str]
    output: bytes = b""
    code: int = 0


def known_commands(script: Script, state: State) -> tuple[KnownCommand, ...] | None:
    """What ``script`` does in ``state`` (not changed), or None if running it is the only way to know.

    The commands run one after the other; the first one that fails ends the script. Known are scripts of ``export``,
    ``unset``, assignments, ``echo``, ``true``, ``false``, ``:`` and programs, without substitutions, redirects or
    patterns of file names, where nothing follows a program but after ``&&``.
    """
    steps = _steps(script)
    if steps is None:
        return None
    scope = _Scope(state.copy())
    found: list[KnownCommand] = []
    try:
        for number, (step, needed) in enumerate(steps, 1):
            if isinstance(step, Assignment):
                scope.state.assign(step.name, expand_text(step.value, scope))
                command = None
            else:
                command = _command(step, scope)
            last = number == len(steps)
            if command is None and last and not found:
                return None  # only variables
            if command is not None:
                found.append(command)
                fails = bool(command.argv or command.code)
                if fails and not last and (not needed or command.code):
                    return None
    except (_NotStatic, ExpansionError):
        return None
    return tuple(found)


def _command(step: Command, scope: _Scope) -> KnownCommand | None:
    """What ``step`` does; None where it only changes variables of ``scope``. Raises _NotStatic, ExpansionError."""
    from smelt.tasks.shell.execute import BUILTINS

    argv = expand_words(step.words, scope)
    if not argv or not argv[0] or argv[0].startswith("!"):
        raise _NotStatic
    if argv[0] in ("export", "unset"):
        if step.assignments or argv[1:2] == ["-f"]:
            raise _NotStatic
        for arg in argv[1:]:
            name, equals, value = arg.partition("=")
            if argv[0] == "unset":
                scope.unset(arg)
            elif equals:
                scope.export(name, value)
        return None
    own = scope.inner()
    for assignment in step.assignments:
        own.export(assignment.name, expand_text(assignment.value, own))
    output, code = b"", 0
    if argv[0] in BUILTINS:
        if argv[0] == "echo":
            output = os.fsencode(" ".join(argv[1:]) + "\n")
        elif argv[0] in ("true", ":", "false"):
            code = int(argv[0] == "false")
        else:
            raise _NotStatic
        argv = []
    return KnownCommand(
        argv=tuple(argv),
        environment=own.state.environment,
        cwd=own.state.cwd,
        reads=frozenset(own.reads),
        output=output,
        code=code,
    )


def _steps(script: Script) -> list[tuple[Command | Assignment, bool]] | None:
    """The commands of a script that run one after the other, if they are simple.

    With each of them, whether the next one runs only if it succeeds.
    """
    steps: list[tuple[Command | Assignment, bool]] = []
    for item in script.items:
        if item.background:
            return None
        sequences = _sequences(item.sequence)
        for number, sequence in enumerate(sequences, 1):
            needed = number < len(sequences)
            if isinstance(sequence, Assignment):
                steps.append((sequence, needed))
                continue
            if not isinstance(sequence, Pipeline) or sequence.negated or len(sequence.stages) != 1:
                return None
            stage = sequence.stages[0]
            if not isinstance(stage, Command) or stage.redirect is not None:
                return None
            steps.append((stage, needed))
    return steps or None


def _sequences(sequence: Sequence) -> list[Sequence | None]:
    """What ``&&`` joins; None in place of what ``||`` does."""
    if not isinstance(sequence, Chain):
        return [sequence]
    return [sequence.first, *(each if operator == "&&" else None for operator, each in sequence.rest)]


class _NotStatic(Exception):
    """Expansion would have to run or look at something."""


class _Scope:
    """Variables only (``smelt.tasks.shell.expand.Scope``); notes those that come from outside."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.reads: set[str] = set()
        self._own: set[str] = set()

    @property
    def cwd(self) -> str:
        return self.state.cwd

    @property
    def options(self) -> Options:
        return self.state.options

    def inner(self) -> _Scope:
        """For the variables of one command, which end with it; what it reads is noted here as well."""
        copy = _Scope(self.state.copy())
        copy.reads, copy._own = self.reads, set(self._own)
        return copy

    def export(self, name: str, value: str) -> None:
        if name.upper() == "PWD":
            raise _NotStatic
        self.state.export(name, value)
        self._own.add(name)

    def unset(self, name: str) -> None:
        self.state.unset(name)
        self._own.add(name)

    def variable(self, name: str) -> str | None:
        if name == "?":
            raise _NotStatic
        if name not in self._own:
            self.reads.add(name)
        return self.state.get(name)

    def substitute(self, script: Script) -> str:
        raise _NotStatic

    def match(self, characters: list[Character]) -> list[str] | None:
        raise _NotStatic
