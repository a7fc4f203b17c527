"""Reading words: quotes, variables, substitutions, braces."""

from __future__ import annotations

from smelt.errors import TaskError
from smelt.tasks.shell.syntax import Braces, Part, Quoted, Script, Substitution, Text, Tilde, Variable, Word

_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_ENDS_WORD = frozenset("()<>|&;")
_ESCAPED = frozenset('$~`"()')
_MOST_ALTERNATIVES = 1_000_000


class ShellSyntaxError(TaskError):
    """The text of a command cannot be understood.

    ``reason``: what is wrong; ``offset``: where in the text (in characters from its start).
    """

    code = "task-syntax"

    def __init__(self, reason: str, text: str, offset: int, *, help: str | None = None) -> None:
        line = text.count("\n", 0, offset) + 1
        end = text.find("\n", offset)
        snippet = text[offset : end if end >= 0 else None].rstrip("\r")[:60]
        where = f" (line {line})" if "\n" in text else ""
        super().__init__(f"{reason}{where}", notes=[f"{snippet}\n~"] if snippet else (), help=help)
        self.reason = reason
        self.offset = offset


class WordReader:
    """A position in a text, and how words are read there; a parser adds what is made of words."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def script(self) -> Script:
        """Read a list of commands (for ``$(…)``)."""
        raise NotImplementedError

    def nested(self, text: str) -> WordReader:
        """A reader of another text, of the same kind."""
        return type(self)(text)

    def fail(self, reason: str, offset: int | None = None, *, help: str | None = None) -> ShellSyntaxError:
        """The error to raise for what is at ``offset`` (default: here)."""
        return ShellSyntaxError(reason, self.text, self.at if offset is None else offset, help=help)

    def ended(self) -> bool:
        """Whether the whole text was read."""
        return self.at >= len(self.text)

    def startswith(self, prefix: str) -> bool:
        """Whether ``prefix`` comes next."""
        return self.text.startswith(prefix, self.at)

    def peek(self, ahead: int = 0) -> str:
        """The character ``ahead`` of here, or nothing at the end."""
        index = self.at + ahead
        return self.text[index] if index < len(self.text) else ""

    def name(self) -> str:
        """Read the name of a variable; empty where none is."""
        start = self.at
        while self.peek() in _NAME and not self.ended():
            self.at += 1
        return self.text[start : self.at]

    def word(self) -> Word:
        """Read a word; empty where none is."""
        parts: list[Part] = []
        start = self.at
        while not self.ended():
            char = self.text[self.at]
            if char == "'":
                parts.append(Quoted((Text(self._single_quoted()),)))
            elif char == '"':
                parts.append(Quoted(self._double_quoted()))
            elif char == "\\":
                self._escape(parts, _ESCAPED | {" "})
            elif char == "$":
                self._dollar(parts)
            elif char == "`":
                parts.append(self._backticks())
            elif char == "~" and self.at == start:
                self._tilde(parts)
            elif char == "{":
                self._braces(parts)
            elif char.isspace() or char in _ENDS_WORD:
                break
            else:
                _append(parts, char)
                self.at += 1
        return tuple(parts)

    def _tilde(self, parts: list[Part]) -> None:
        following = self.peek(1)
        if following and following != "/" and not following.isspace() and following not in _ENDS_WORD:
            raise self.fail("unsupported tilde expansion", help="only `~` and `~/…` are known; quote it to mean it")
        self.at += 1
        parts.append(Tilde())

    def _escape(self, parts: list[Part], escaped: frozenset[str]) -> None:
        """A backslash: it joins lines, takes the meaning from some characters, and else is itself."""
        for newline in ("\\\r\n", "\\\n"):
            if self.startswith(newline):
                self.at += len(newline)
                return
        following = self.peek(1)
        if following and following in escaped:
            _append(parts, following)
            self.at += 2
        else:
            _append(parts, "\\")
            self.at += 1

    def _dollar(self, parts: list[Part]) -> None:
        following = self.peek(1)
        if following == "(":
            parts.append(self._substitution())
            return
        if following == "?":
            self.at += 2
            parts.append(Variable("?"))
            return
        if following and following in "$#*":
            raise self.fail(f"`${following}` is not supported", help="write `\\$` for a dollar sign")
        self.at += 1
        name = self.name()
        if name:
            parts.append(Variable(name))
        else:
            _append(parts, "$")

    def _substitution(self) -> Substitution:
        start = self.at
        self.at += 2
        script = self.script()
        if self.peek() != ")":
            raise self.fail("expected a closing parenthesis of the command substitution", start)
        self.at += 1
        return Substitution(script)

    def _backticks(self) -> Substitution:
        start = self.at
        end = start + 1
        while end < len(self.text) and not (self.text[end] == "`" and self.text[end - 1] != "\\"):
            end += 1
        if end >= len(self.text):
            raise self.fail("expected a closing backtick", start)
        inner = self.nested(self.text[start + 1 : end].replace("\\`", "`"))
        script = inner.script()
        if not inner.ended():
            raise self.fail(f"unexpected `{inner.peek()}` within backticks", start)
        self.at = end + 1
        return Substitution(script)

    def _single_quoted(self) -> str:
        end = self.text.find("'", self.at + 1)
        if end < 0:
            raise self.fail("expected a closing single quote")
        value = self.text[self.at + 1 : end]
        self.at = end + 1
        return value

    def _double_quoted(self) -> tuple[Part, ...]:
        """A string in double quotes.

        A quote that follows a backslash never closes it, however many backslashes there are; two
        backslashes stay two. So paths of Windows can be written as they are.
        """
        start = self.at
        self.at += 1
        parts: list[Part] = []
        while not self.ended():
            char = self.text[self.at]
            if char == '"':
                self.at += 1
                return tuple(parts)
            if char == "\\":
                self._escape(parts, _ESCAPED | {"'"})
            elif char == "$":
                self._dollar(parts)
            elif char == "`":
                parts.append(self._backticks())
            elif char == "~" and self.at == start + 1 and self.peek(1) in ('"', "/"):
                parts.append(Tilde())
                self.at += 1
            else:
                _append(parts, char)
                self.at += 1
        raise self.fail("expected a closing double quote", start)

    def _braces(self, parts: list[Part]) -> None:
        """``{a,b}`` and ranges; anything else that starts with a brace is itself."""
        scanned = _scan_braces(self.text, self.at + 1)
        alternatives: tuple[Word, ...] | None = None
        if scanned is not None:
            end, commas = scanned
            body = self.text[self.at + 1 : end]
            alternatives = self._alternatives(end, commas) if commas else _range(body)
            if alternatives is not None:
                parts.append(Braces(alternatives))
                self.at = end + 1
                return
        _append(parts, "{")
        self.at += 1

    def _alternatives(self, end: int, commas: list[int]) -> tuple[Word, ...] | None:
        words: list[Word] = []
        begin = self.at + 1
        for stop in [*commas, end]:
            reader = self.nested(self.text[begin:stop])
            words.append(reader.word())
            if not reader.ended():
                return None
            begin = stop + 1
        return tuple(words)


def _append(parts: list[Part], text: str) -> None:
    last = parts[-1] if parts else None
    if isinstance(last, Text):
        parts[-1] = Text(last.value + text)
    else:
        parts.append(Text(text))


def _scan_braces(text: str, begin: int) -> tuple[int, list[int]] | None:
    """The place of the brace that closes the one before ``begin``, and of the commas of its own level."""
    depth = 0
    commas: list[int] = []
    index = begin
    while index < len(text):
        char = text[index]
        if char == "\\":
            index += 1
        elif char in "'\"":
            index += 1
            while index < len(text) and text[index] != char:
                index += 2 if char == '"' and text[index] == "\\" else 1
        elif char == "{":
            depth += 1
        elif char == "}":
            if depth == 0:
                return index, commas
            depth -= 1
        elif char == "," and depth == 0:
            commas.append(index)
        index += 1
    return None


def _range(body: str) -> tuple[Word, ...] | None:
    """The words of ``1..3``, ``1..9..2`` or ``a..e``, or None if it is not a range."""
    first, dots, rest = body.partition("..")
    last, stepped, step_text = rest.partition("..")
    if not dots or not first or not last:
        return None
    start, stop = _integer(first), _integer(last)
    if start is not None and stop is not None:
        step = abs(_integer(step_text) or 0) if stepped else 1
        if step == 0 or abs(stop - start) // step > _MOST_ALTERNATIVES:
            return None
        numbers = range(start, stop + 1, step) if start <= stop else range(start, stop - 1, -step)
        return tuple((Text(str(number)),) for number in numbers)
    if stepped or len(first) != 1 or len(last) != 1 or not (first + last).isascii():
        return None
    low, high = ord(first), ord(last)
    codes = range(low, high + 1) if low <= high else range(low, high - 1, -1)
    return tuple((Text(chr(code)),) for code in codes)


def _integer(text: str) -> int | None:
    digits = text[1:] if text[:1] in ("-", "+") else text
    return int(text) if digits.isascii() and digits.isdigit() else None
