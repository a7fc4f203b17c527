"""The syntax tree of a task's command.

Source: the reference's page "Advanced tasks", section "Our task runner", and the grammar of the shell that it
names there (a subset of the POSIX shell).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Text:
    """Characters that stand for themselves (but for ``*``, ``?`` and ``[`` outside of quotes)."""

    value: str


@dataclass(frozen=True, slots=True)
class Variable:
    """``$NAME``, or ``$?``."""

    name: str


@dataclass(frozen=True, slots=True)
class Tilde:
    """``~`` at the start of a word: the user's home."""


@dataclass(frozen=True, slots=True)
class Substitution:
    """``$(script)`` or the same in backticks: what the script prints."""

    script: Script


@dataclass(frozen=True, slots=True)
class Quoted:
    """A quoted string: never matched against file names, and always a part of one argument."""

    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Braces:
    """``{a,b}`` or ``{1..3}``: the word around it is repeated for each alternative."""

    alternatives: tuple[Word, ...]


Part = Text | Variable | Tilde | Substitution | Quoted | Braces
Word = tuple[Part, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """``NAME=word``: before a command for that command only, alone for the rest of the script."""

    name: str
    value: Word


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect:
    """``< word``, ``> word``, ``>> word``, ``&> word``, ``2>&1`` …

    ``descriptor``: the number before the operator, ``both`` for ``&>``, None where nothing is said.
    ``target``: a file name, or the number of a descriptor.
    """

    operator: Literal["<", ">", ">>"]
    target: Word | int
    descriptor: int | Literal["both"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """``NAME=value … command argument …``."""

    words: tuple[Word, ...]
    assignments: tuple[Assignment, ...] = ()
    redirect: Redirect | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subshell:
    """``( script )``: changes of variables and of the folder end with it."""

    script: Script
    redirect: Redirect | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """``! first | second |& third``; ``with_errors[i]``: stage ``i`` is joined to the next by ``|&``."""

    stages: tuple[Command | Subshell, ...]
    with_errors: tuple[bool, ...] = ()
    negated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """``first && second || third``, evaluated from left to right with equal precedence."""

    first: Pipeline | Assignment
    rest: tuple[tuple[Literal["&&", "||"], Pipeline | Assignment], ...]


Sequence = Chain | Pipeline | Assignment


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One entry of a list; ``background``: it ended with ``&``."""

    sequence: Sequence
    background: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """Entries separated by ``;``, ``&`` or line ends."""

    items: tuple[Item, ...]
