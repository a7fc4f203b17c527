"""What a script comes to, where that can be said without running anything.

Many tasks are one command, perhaps after some variables were set. Then what is to be executed is known from
the variables alone, and can be remembered.
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
class FinalCommand:
    """The only process of a script, or the text that it only prints.

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


def final_command(script: Script, state: State) -> FinalCommand | None:
    """What ``script`` does in ``state`` (not changed), or None if running it is the only way to know.

    Known are scripts of ``export``, ``unset`` and assignments and then one command without substitutions,
    redirects or patterns of file names, which is no built-in but ``echo``, ``true``, ``false`` and ``:``.
    """
    from smelt.tasks.shell.execute import BUILTINS

    scope = _Scope(state.copy())
    steps = _steps(script)
    if steps is None:
        return None
    try:
        for step in steps[:-1]:
            if isinstance(step, Assignment):
                scope.state.assign(step.name, expand_text(step.value, scope))
                continue
            argv = expand_words(step.words, scope)
            if step.assignments or not argv or argv[0] not in ("export", "unset") or argv[1:2] == ["-f"]:
                return None
            for arg in argv[1:]:
                name, equals, value = arg.partition("=")
                if argv[0] == "unset":
                    scope.unset(arg)
                elif equals:
                    scope.export(name, value)
        last = steps[-1]
        if isinstance(last, Assignment):
            return None
        argv = expand_words(last.words, scope)
        for assignment in last.assignments:
            scope.export(assignment.name, expand_text(assignment.value, scope))
    except (_NotStatic, ExpansionError):
        return None
    if not argv or not argv[0] or argv[0].startswith("!"):
        return None
    output, code = b"", 0
    if argv[0] in BUILTINS:
        if argv[0] == "echo":
            output = os.fsencode(" ".join(argv[1:]) + "\n")
        elif argv[0] in ("true", ":", "false"):
            code = int(argv[0] == "false")
        else:
            return None
        argv = []
    return FinalCommand(
        argv=tuple(argv),
        environment=scope.state.environment,
        cwd=scope.state.cwd,
        reads=frozenset(scope.reads),
        output=output,
        code=code,
    )


def _steps(script: Script) -> list[Command | Assignment] | None:
    """The commands of a script that run one after the other, if they are simple."""
    steps: list[Command | Assignment] = []
    for item in script.items:
        if item.background:
            return None
        for sequence in _sequences(item.sequence):
            if isinstance(sequence, Assignment):
                steps.append(sequence)
                continue
            if not isinstance(sequence, Pipeline) or sequence.negated or len(sequence.stages) != 1:
                return None
            stage = sequence.stages[0]
            if not isinstance(stage, Command) or stage.redirect is not None:
                return None
            steps.append(stage)
    return steps or None


def _sequences(sequence: Sequence) -> list[Sequence | None]:
    # what is not known to succeed ends the search later, so `&&` is as good as `;`
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
