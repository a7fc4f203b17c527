"""Turning words into arguments: variables, home, substitutions, braces, file names.

What surprises, and is so in the reference: the value of a variable and the output of a substitution are split at
spaces also within quotes, where the pieces are joined again by one space; an unset variable is nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from smelt.tasks.shell.globs import Character, expand_glob, has_glob
from smelt.tasks.shell.state import WINDOWS, Options
from smelt.tasks.shell.syntax import Braces, Part, Quoted, Script, Substitution, Text, Tilde, Variable, Word

_LINE_TO_SPACE = str.maketrans("\n\r\t", "   ")


class ExpansionError(Exception):
    """A word that cannot be expanded; the command that it is in fails with exit code 1."""


class Scope(Protocol):
    """What words may ask for."""

    @property
    def cwd(self) -> str:
        """The working folder."""
        ...

    @property
    def options(self) -> Options:
        """The options of the shell."""
        ...

    def variable(self, name: str) -> str | None:
        """The value of ``$name``."""
        ...

    def substitute(self, script: Script) -> str:
        """What ``script`` prints."""
        ...

    def match(self, characters: list[Character]) -> list[str] | None:
        """The files that match (see ``expand_glob``)."""
        ...


def match_files(characters: list[Character], scope: Scope) -> list[str] | None:
    """``Scope.match`` on the file system."""
    return expand_glob(characters, scope.cwd, globstar=scope.options.globstar)


def expand_words(words: tuple[Word, ...], scope: Scope) -> list[str]:
    """The arguments that ``words`` stand for. Raises ExpansionError."""
    return [argument for word in words for argument in expand_word(word, scope)]


def expand_text(word: Word, scope: Scope) -> str:
    """``word`` as the value of a variable: its arguments joined by spaces. Raises ExpansionError."""
    return " ".join(expand_word(word, scope))


def expand_word(word: Word, scope: Scope) -> list[str]:
    """The arguments that one word stands for: none, one or several. Raises ExpansionError."""
    return [argument for plain in _without_braces(word) for argument in _expand(plain, scope, quoted=False)]


def _without_braces(word: Word) -> list[Word]:
    results: list[Word] = [()]
    for part in word:
        if isinstance(part, Braces):
            choices = [plain for alternative in part.alternatives for plain in _without_braces(alternative)]
            results = [(*before, *choice) for before in results for choice in choices]
        else:
            results = [(*before, part) for before in results]
    return results


def _expand(parts: tuple[Part, ...], scope: Scope, *, quoted: bool) -> list[str]:
    arguments: list[str] = []
    current: list[Character] | None = None
    for part in parts:
        if isinstance(part, Text):
            current = [*(current or []), *((char, not quoted) for char in part.value)]
            continue
        if isinstance(part, Quoted):
            text = " ".join(_expand(part.parts, scope, quoted=True))
            current = [*(current or []), *((char, False) for char in text)]
            continue
        pieces = [piece for piece in (_value(part, scope) or "").split(" ") if piece]
        for index, piece in enumerate(pieces):
            if index > 0 and current is not None:
                arguments.extend(_finish(current, scope))
                current = None
            current = [*(current or []), *((char, not quoted) for char in piece)]
    if current is not None:
        arguments.extend(_finish(current, scope))
    return arguments


def _value(part: Variable | Tilde | Substitution | Braces, scope: Scope) -> str | None:
    if isinstance(part, Variable):
        return scope.variable(part.name)
    if isinstance(part, Substitution):
        words = scope.substitute(part.script).translate(_LINE_TO_SPACE).split(" ")
        return " ".join(word for word in words if word)
    if isinstance(part, Tilde):
        return _home(scope)
    raise AssertionError("braces are expanded before")


def _home(scope: Scope) -> str:
    value = scope.variable("USERPROFILE" if WINDOWS else "HOME")
    if value:
        return value
    try:
        return str(Path.home())
    except RuntimeError as error:
        raise ExpansionError("the home folder that `~` stands for is not known") from error


def _finish(characters: list[Character], scope: Scope) -> list[str]:
    text = "".join(char for char, _ in characters)
    if not has_glob(characters):
        return [text]
    found = scope.match(characters)
    if found:
        return found
    if scope.options.failglob:
        raise ExpansionError(
            f"glob: no matches found '{text}' (run `shopt -u failglob` to pass unmatched glob patterns literally)"
        )
    return [] if scope.options.nullglob else [text]
