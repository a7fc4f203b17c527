"""Parsing a task's command into its syntax tree."""

from __future__ import annotations

from typing import Literal

from smelt.tasks.shell.syntax import (
    Assignment,
    Chain,
    Command,
    Item,
    Pipeline,
    Redirect,
    Script,
    Sequence,
    Subshell,
    Text,
    Word,
)
from smelt.tasks.shell.words import ShellSyntaxError, WordReader

__all__ = ["ShellSyntaxError", "parse"]

_RESERVED: frozenset[Word] = frozenset(
    (Text(word),)
    for word in ("if", "then", "else", "elif", "fi", "do", "done", "case", "esac", "while", "until", "for", "in")
)


def parse(text: str) -> Script:
    """The syntax tree of ``text``. Raises ShellSyntaxError."""
    parser = _Parser(text)
    script = parser.script()
    if not parser.ended():
        raise parser.fail("unexpected character")
    if not script.items:
        raise parser.fail("the command is empty", 0)
    return script


class _Parser(WordReader):
    def _skip_blank(self) -> None:
        """Skip spaces, joined lines, and a comment up to (not with) the end of its line."""
        while not self.ended():
            if self.peek() not in "\r\n" and self.peek().isspace():
                self.at += 1
            elif self.startswith("\\\n"):
                self.at += 2
            elif self.startswith("\\\r\n"):
                self.at += 3
            else:
                break
        if self.peek() == "#":
            while not self.ended() and self.peek() not in "\r\n":
                self.at += 1

    def _skip_space(self) -> None:
        """Skip spaces, line ends and comments."""
        while True:
            before = self.at
            self._skip_blank()
            while self.peek().isspace():
                self.at += 1
            if self.at == before:
                return

    def script(self) -> Script:
        self._skip_space()
        items: list[Item] = []
        while not self.ended():
            sequence = self._sequence()
            if sequence is None:
                break
            self._skip_blank()
            background, separated = self._separator()
            items.append(Item(sequence=sequence, background=background))
            if not separated:
                break
        return Script(items=tuple(items))

    def _separator(self) -> tuple[bool, bool]:
        """Skip what separates entries: whether it was ``&``, and whether anything was there."""
        before = self.at
        background = False
        if self.peek() == "&" and self.peek(1) not in ("|", "&"):
            background = True
            self.at += 1
            self._skip_blank()
        elif self.peek() == ";":
            self.at += 1
            self._skip_blank()
        if self.peek() == "\n" or self.startswith("\r\n"):
            self._skip_space()
        return background, self.at != before

    def _sequence(self) -> Sequence | None:
        first = self._pipeline()
        if first is None:
            return None
        rest: list[tuple[Literal["&&", "||"], Pipeline | Assignment]] = []
        while True:
            self._skip_blank()
            operator = self._boolean_operator()
            if operator is None:
                break
            following = self._pipeline()
            if following is None:
                raise self.fail("expected a command following the boolean operator")
            rest.append((operator, following))
        return Chain(first=first, rest=tuple(rest)) if rest else first

    def _boolean_operator(self) -> Literal["&&", "||"] | None:
        for operator in ("&&", "||"):
            if self.startswith(operator) and self.peek(2) not in ("|", "&"):
                self.at += 2
                self._skip_space()
                return operator
        return None

    def _pipeline(self) -> Pipeline | Assignment | None:
        negated = self.peek() == "!" and self.peek(1).isspace()
        if negated:
            self.at += 1
            self._skip_space()
        first = self._stage(alone=not negated)
        if first is None:
            if negated:
                raise self.fail("expected a command following `!`")
            return None
        if isinstance(first, Assignment):
            return first
        stages = [first]
        with_errors: list[bool] = []
        while True:
            operator = self._pipe_operator()
            if operator is None:
                break
            following = self._stage(alone=False)
            if following is None or isinstance(following, Assignment):
                raise self.fail("expected a command following the pipeline operator")
            with_errors.append(operator == "|&")
            stages.append(following)
        return Pipeline(stages=tuple(stages), with_errors=tuple(with_errors), negated=negated)

    def _pipe_operator(self) -> str | None:
        self._skip_blank()
        for operator in ("|&", "|"):
            if self.startswith(operator) and self.peek(len(operator)) not in ("|", "&"):
                self.at += len(operator)
                self._skip_space()
                return operator
        return None

    def _stage(self, *, alone: bool) -> Command | Subshell | Assignment | None:
        """One command; an assignment without one only where that may stand (``alone``)."""
        start = self.at
        if self.peek() == "(":
            self.at += 1
            script = self.script()
            if self.peek() != ")":
                raise self.fail("expected a closing parenthesis of the subshell", start)
            self.at += 1
            self._skip_blank()
            return Subshell(script=script, redirect=self._redirects())
        assignments = self._assignments()
        words = self._words()
        if not words:
            if not assignments:
                return None
            assignment, *others = assignments
            if others:
                raise self.fail(
                    "several variables are set, but no command follows", start, help="set them one by one, with `;`"
                )
            if not alone:
                raise self.fail("expected a command following the variable", start)
            return assignment
        return Command(words=words, assignments=assignments, redirect=self._redirects())

    def _assignments(self) -> tuple[Assignment, ...]:
        found: list[Assignment] = []
        while True:
            start = self.at
            name = self.name()
            if not name or self.peek() != "=":
                self.at = start
                return tuple(found)
            self.at += 1
            value = self.word()
            self._end_of_word()
            found.append(Assignment(name=name, value=value))
            self._skip_blank()

    def _words(self) -> tuple[Word, ...]:
        words: list[Word] = []
        while not self.ended() and not self._at_redirect():
            start = self.at
            word = self.word()
            if not word:
                break
            if not words and word in _RESERVED:
                raise self.fail(
                    f"the reserved word `{self.text[start : self.at]}` is not supported",
                    start,
                    help="write a script for what needs loops or conditions, and let the task call it",
                )
            self._end_of_word()
            words.append(word)
            self._skip_blank()
        return tuple(words)

    def _end_of_word(self) -> None:
        following = self.peek()
        if following and not following.isspace() and following not in ";&|()":
            help = "put a space before it" if following in "<>" else None
            raise self.fail("unexpected character", help=help)

    def _at_redirect(self) -> bool:
        ahead = 0
        while self.peek(ahead).isdigit() and self.peek(ahead).isascii():
            ahead += 1
        if ahead == 0 and self.peek() == "&":
            ahead = 1
        return self.peek(ahead) in ("<", ">")

    def _redirects(self) -> Redirect | None:
        self._skip_blank()
        start = self.at
        redirect = self._redirect()
        self._skip_blank()
        if redirect is not None and self._at_redirect():
            raise self.fail(
                "several redirects of one command are not supported",
                start,
                help="`&> file` sends both outputs to a file",
            )
        return redirect

    def _redirect(self) -> Redirect | None:
        if not self._at_redirect():
            return None
        start = self.at
        descriptor: int | Literal["both"] | None = None
        if self.peek() == "&":
            descriptor = "both"
            self.at += 1
        else:
            while self.peek().isdigit():
                self.at += 1
            if self.at > start:
                descriptor = int(self.text[start : self.at])
        operator: Literal["<", ">", ">>"]
        if self.startswith(">>"):
            operator, length = ">>", 2
        elif self.startswith(">|"):
            operator, length = ">", 2
        else:
            operator, length = (">" if self.peek() == ">" else "<"), 1
        sign = self.at
        self.at += length
        if self.peek() == "&" and self.peek(1).isdigit():
            self.at += 1
            begin = self.at
            while self.peek().isdigit():
                self.at += 1
            return Redirect(operator=operator, target=int(self.text[begin : self.at]), descriptor=descriptor)
        self._skip_blank()
        word = self.word()
        if not word:
            raise self.fail("expected the path of the redirect", sign)
        return Redirect(operator=operator, target=word, descriptor=descriptor)
