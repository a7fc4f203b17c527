"""A place in a text file: what an error message points at."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceText:
    """The text of one file, with the name a message calls it by.

    ``path`` is what is shown (relative to the working folder where that is shorter); ``text`` is the
    whole decoded content.
    """

    path: str
    text: str = field(repr=False)

    def line(self, number: int) -> str:
        """The text of line ``number`` (from 1), without its line ending; empty if there is none."""
        lines = self.text.split("\n")
        return lines[number - 1].rstrip("\r") if 1 <= number <= len(lines) else ""

    def place(self, offset: int, length: int = 1) -> Place:
        """The place of ``length`` characters at character ``offset`` (from 0)."""
        before = self.text[:offset]
        line = before.count("\n") + 1
        column = offset - (before.rfind("\n") + 1) + 1
        return Place(source=self, line=line, column=column, length=max(length, 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """``length`` characters at ``line`` and ``column`` (both from 1, in characters) of ``source``."""

    source: SourceText
    line: int
    column: int
    length: int = 1

    def __str__(self) -> str:
        return f"{self.source.path}:{self.line}:{self.column}"
