"""Where keys and values stand in a TOML text.

``tomli`` gives values without places, and tracking places while parsing would make every load pay for what
only an error message needs. So this is a second, light pass over a text that is already known to be valid
TOML 1.1 (https://toml.io/en/v1.1.0): it only finds where things begin and end and understands no values.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from smelt.manifest.tokens import (
    BARE_KEY,
    BASIC,
    FILLER,
    INSIDE,
    LITERAL,
    MULTILINE_BASIC,
    MULTILINE_LITERAL,
    SCALAR,
    SPACE,
    STRING,
    unescape_key,
)

KeyPath = tuple[str | int, ...]
"""The way to a value: keys of tables and indices of arrays."""


@dataclass(frozen=True, slots=True)
class Span:
    """Offsets of a key and of its value: start and end, in characters; quotes of strings are left out.

    A table that a header opens has the header (with its brackets) as value. An element of an array has no key
    of its own: its key is its value.
    """

    key: tuple[int, int]
    value: tuple[int, int]


def find_positions(text: str) -> dict[KeyPath, Span]:
    """The place of every key and every element of an array in ``text``, which must be valid TOML.

    Raises ValueError where the text is not what TOML allows (which a text that ``tomli`` read never does).
    """
    return _Scanner(text).scan()


_DEPTH = 50  # No manifest means anything so deep; what lies deeper has the place of what holds it.


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0
        self.spans: dict[KeyPath, Span] = {}
        self.lengths: dict[KeyPath, int] = {}

    def scan(self) -> dict[KeyPath, Span]:
        table: KeyPath = ()
        self.skip(FILLER)
        while self.at < len(self.text):
            table = self.header() if self.text[self.at] == "[" else self.pair(table)
            self.skip(FILLER)
        return self.spans

    def skip(self, pattern: re.Pattern[str]) -> None:
        found = pattern.match(self.text, self.at)
        if found is not None:
            self.at = found.end()

    def expect(self, token: str) -> None:
        if not self.text.startswith(token, self.at):
            raise ValueError(f"expected {token!r} at offset {self.at}")
        self.at += len(token)

    def match(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self.text, self.at)
        if found is None or found.end() == self.at:
            raise ValueError(f"unexpected text at offset {self.at}")
        self.at = found.end()
        return found.group()

    def header(self) -> KeyPath:
        start = self.at
        is_array = self.text.startswith("[[", self.at)
        self.at += 2 if is_array else 1
        self.skip(SPACE)
        names = self.key()
        self.skip(SPACE)
        self.expect("]]" if is_array else "]")
        value = (start, self.at)
        path: KeyPath = ()
        for index, (name, span) in enumerate(names):
            path = (*path, name)
            last = index == len(names) - 1
            if path not in self.spans or (last and not is_array):
                self.spans[path] = Span(span, value)
            if path in self.lengths and not (last and is_array):
                path = (*path, self.lengths[path] - 1)
        if is_array:
            position = self.lengths.get(path, 0)
            self.lengths[path] = position + 1
            path = (*path, position)
            self.spans[path] = Span(value, value)
        return path

    def pair(self, table: KeyPath) -> KeyPath:
        """One ``key = value`` inside ``table``; gives ``table`` back."""
        names = self.key()
        self.skip(SPACE)
        self.expect("=")
        self.skip(SPACE)
        path = (*table, *(name for name, _ in names))
        value = self.value(path)
        self.spans[path] = Span(names[-1][1], value)
        whole = (names[0][1][0], value[1])
        for length in range(1, len(names)):
            self.spans.setdefault(path[: len(table) + length], Span(names[length - 1][1], whole))
        return table

    def key(self) -> list[tuple[str, tuple[int, int]]]:
        names = [self.segment()]
        while True:
            self.skip(SPACE)
            if not self.text.startswith(".", self.at):
                return names
            self.at += 1
            self.skip(SPACE)
            names.append(self.segment())

    def segment(self) -> tuple[str, tuple[int, int]]:
        start = self.at
        mark = self.text[start : start + 1]
        if mark not in ('"', "'"):
            return self.match(BARE_KEY), (start, self.at)
        token = self.match(BASIC if mark == '"' else LITERAL)
        name = unescape_key(token) if "\\" in token and mark == '"' else token[1:-1]
        inner = (start + 1, self.at - 1)
        return name, inner if inner[0] < inner[1] else (start, self.at)

    def value(self, path: KeyPath) -> tuple[int, int]:
        start = self.at
        mark = self.text[start : start + 1]
        if mark in ("[", "{"):
            self.depth += 1
            if self.depth > _DEPTH:
                self.skip_nested()
            elif mark == "[":
                self.array(path)
            else:
                self.inline_table(path)
            self.depth -= 1
        elif mark in ('"', "'"):
            return self.string()
        else:
            self.match(SCALAR)
        return start, self.at

    def string(self) -> tuple[int, int]:
        start = self.at
        if self.text.startswith('"""', start):
            self.match(MULTILINE_BASIC)
            return start, self.at
        if self.text.startswith("'''", start):
            self.match(MULTILINE_LITERAL)
            return start, self.at
        self.match(BASIC if self.text[start] == '"' else LITERAL)
        return (start + 1, self.at - 1) if self.at - start > 2 else (start, self.at)

    def skip_nested(self) -> None:
        """Pass over an array or inline table without a look inside."""
        open_brackets = 0
        while True:
            mark = self.text[self.at : self.at + 1]
            if mark in ("[", "{"):
                open_brackets += 1
                self.at += 1
            elif mark in ("]", "}"):
                open_brackets -= 1
                self.at += 1
                if open_brackets == 0:
                    return
            else:
                self.match(STRING if mark in ('"', "'") else INSIDE)

    def array(self, path: KeyPath) -> None:
        self.at += 1
        index = 0
        while True:
            self.skip(FILLER)
            if self.text.startswith("]", self.at):
                self.at += 1
                return
            element = (*path, index)
            value = self.value(element)
            self.spans[element] = Span(value, value)
            index += 1
            self.skip(FILLER)
            if self.text.startswith(",", self.at):
                self.at += 1

    def inline_table(self, path: KeyPath) -> None:
        self.at += 1
        while True:
            self.skip(FILLER)
            if self.text.startswith("}", self.at):
                self.at += 1
                return
            self.pair(path)
            self.skip(FILLER)
            if self.text.startswith(",", self.at):
                self.at += 1
