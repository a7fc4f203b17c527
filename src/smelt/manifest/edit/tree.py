"""The concrete syntax of a TOML text, as far as edits need it: where headers, keys, values and items stand.

Comments and white space are what lies between. The text must be valid TOML 1.1 (https://toml.io/en/v1.1.0);
values are not understood.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from smelt.manifest.positions import KeyPath
from smelt.manifest.tokens import BARE_KEY, BASIC, FILLER, LITERAL, SCALAR, SPACE, STRING, unescape_key

Extent = tuple[int, int]
"""Start and end, as offsets in characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A value with its brackets and quotes. ``items``: the elements of an array."""

    start: int
    end: int
    items: tuple[Value, ...] | None = None
    entries: tuple[Entry, ...] | None = None

    @property
    def extent(self) -> Extent:
        """Start and end."""
        return self.start, self.end


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """``a.b = value``. ``names`` are the parts of its key, ``parts`` where they stand (with quotes)."""

    names: tuple[str, ...]
    parts: tuple[Extent, ...]
    value: Value

    @property
    def extent(self) -> Extent:
        """From the key to the end of the value."""
        return self.parts[0][0], self.value.end


@dataclass(slots=True, kw_only=True)
class Section:
    """A header and the entries that follow it. ``header`` None: what stands before the first header.

    ``path`` holds the index in an array of tables (``[[…]]``, then ``is_item``).
    """

    path: KeyPath
    header: Extent | None
    is_item: bool = False
    entries: list[Entry] = field(default_factory=list[Entry])

    @property
    def end(self) -> int:
        """Where its last entry ends, or its header."""
        if self.entries:
            return self.entries[-1].value.end
        return self.header[1] if self.header is not None else 0


def parse_tree(text: str) -> tuple[Section, ...]:
    """The sections of ``text`` in order; the first is the one without a header.

    Raises ValueError where the text is not valid TOML, RecursionError where it is nested too deeply.
    """
    return _Parser(text).parse()


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lengths: dict[KeyPath, int] = {}

    def parse(self) -> tuple[Section, ...]:
        sections = [Section(path=(), header=None)]
        self.skip(FILLER)
        while self.at < len(self.text):
            if self.text[self.at] == "[":
                sections.append(self.header())
            else:
                sections[-1].entries.append(self.entry())
            self.skip(FILLER)
        return tuple(sections)

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

    def header(self) -> Section:
        start = self.at
        is_item = self.text.startswith("[[", self.at)
        self.at += 2 if is_item else 1
        self.skip(SPACE)
        names, _ = self.key()
        self.skip(SPACE)
        self.expect("]]" if is_item else "]")
        path: KeyPath = ()
        for index, name in enumerate(names):
            path = (*path, name)
            if path in self.lengths and not (is_item and index == len(names) - 1):
                path = (*path, self.lengths[path] - 1)
        if is_item:
            position = self.lengths.get(path, 0)
            self.lengths[path] = position + 1
            path = (*path, position)
        return Section(path=path, header=(start, self.at), is_item=is_item)

    def entry(self) -> Entry:
        names, parts = self.key()
        self.skip(SPACE)
        self.expect("=")
        self.skip(SPACE)
        return Entry(names=names, parts=parts, value=self.value())

    def key(self) -> tuple[tuple[str, ...], tuple[Extent, ...]]:
        names: list[str] = []
        parts: list[Extent] = []
        while True:
            start = self.at
            names.append(self.segment())
            parts.append((start, self.at))
            before = self.at
            self.skip(SPACE)
            if not self.text.startswith(".", self.at):
                self.at = before
                return tuple(names), tuple(parts)
            self.at += 1
            self.skip(SPACE)

    def segment(self) -> str:
        mark = self.text[self.at : self.at + 1]
        if mark not in ('"', "'"):
            return self.match(BARE_KEY)
        token = self.match(BASIC if mark == '"' else LITERAL)
        return unescape_key(token) if "\\" in token and mark == '"' else token[1:-1]

    def value(self) -> Value:
        start = self.at
        mark = self.text[start : start + 1]
        if mark == "[":
            return Value(start=start, items=tuple(self.items()), end=self.at)
        if mark == "{":
            return Value(start=start, entries=tuple(self.entries()), end=self.at)
        self.match(STRING if mark in ('"', "'") else SCALAR)
        return Value(start=start, end=self.at)

    def items(self) -> list[Value]:
        self.at += 1
        found: list[Value] = []
        while not self.closed("]"):
            found.append(self.value())
        return found

    def entries(self) -> list[Entry]:
        self.at += 1
        found: list[Entry] = []
        while not self.closed("}"):
            found.append(self.entry())
        return found

    def closed(self, mark: str) -> bool:
        """Pass what separates items; whether the closing bracket was reached (and passed)."""
        self.skip(FILLER)
        if self.text.startswith(",", self.at):
            self.at += 1
            self.skip(FILLER)
        if self.text.startswith(mark, self.at):
            self.at += 1
            return True
        return False
