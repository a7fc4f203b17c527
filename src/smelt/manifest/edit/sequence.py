"""Items between brackets: adding to and removing from arrays and inline tables in the layout that they have.

In a layout over several lines a new item gets a line of its own, indented as its neighbours, with a comma behind
it. A comment on the line of an item goes with the item; comments on lines of their own stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from smelt.manifest.edit.tree import Extent

_INDENT = re.compile(r"[ \t]*")
_COMMENT_OR_COMMA = re.compile(r"#[^\n]*|,")
_TAIL = re.compile(r"[ \t]*(?:#[^\r\n]*)?(?=\r?\n)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Splice:
    """Replace ``text[start:end]`` by ``new``."""

    start: int
    end: int
    new: str = ""


def splice(text: str, splices: Iterable[Splice]) -> str:
    """``text`` with ``splices``, which do not overlap, in force; at one place the first comes first."""
    ordered = sorted(enumerate(splices), key=lambda pair: (pair[1].start, pair[1].end, pair[0]), reverse=True)
    for _, each in ordered:
        text = text[: each.start] + each.new + text[each.end :]
    return text


def newline_of(text: str) -> str:
    """The line ending of ``text``: that of its first line."""
    end = text.find("\n")
    return "\r\n" if end > 0 and text[end - 1] == "\r" else "\n"


def indent_at(text: str, at: int) -> str:
    """The white space that begins the line of ``at``."""
    found = _INDENT.match(text, text.rfind("\n", 0, at) + 1)
    return found.group() if found is not None else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slot:
    """An item with what surrounds it: ``lead`` begins behind the line of the item before, ``tail`` ends its own.

    ``comma`` is the offset of the comma that follows, if there is one.
    """

    lead: int
    start: int
    end: int
    comma: int | None
    tail: int


class Sequence:
    """The items of one array or inline table of ``text``. ``outer``: from bracket to bracket."""

    def __init__(self, text: str, outer: Extent, items: Iterable[Extent]) -> None:
        self.text = text
        self.open = outer[0] + 1
        self.close = outer[1] - 1
        self.slots: list[_Slot] = []
        extents = list(items)
        head = _TAIL.match(text, self.open, extents[0][0] if extents else self.close)
        lead = head.end() if head is not None else self.open
        for index, (start, end) in enumerate(extents):
            limit = extents[index + 1][0] if index + 1 < len(extents) else self.close
            comma = self._comma(end, limit)
            found = _TAIL.match(text, end if comma is None else comma + 1, limit)
            tail = found.end() if found is not None else end if comma is None else comma + 1
            self.slots.append(_Slot(lead=lead, start=start, end=end, comma=comma, tail=tail))
            lead = tail

    def insert(self, index: int, new: str) -> list[Splice]:
        """Put ``new`` before item ``index``, or at the end."""
        if not self.slots:
            return [self._fill(new)]
        if index >= len(self.slots):
            return self._append(new)
        slot = self.slots[index]
        lead = self.text[slot.lead : slot.start]
        if "\n" not in lead:
            return [Splice(start=slot.start, end=slot.start, new=f"{new}, ")]
        line = f"{newline_of(self.text)}{lead[lead.rfind(chr(10)) + 1 :]}{new},"
        return [Splice(start=slot.lead, end=slot.lead, new=line)]

    def remove(self, index: int) -> list[Splice]:
        """Take item ``index`` out, with its comma, its line, and the comment on this line."""
        slot = self.slots[index]
        last = index + 1 == len(self.slots)
        lead = self.text[slot.lead : slot.start]
        after_start = slot.tail
        after_end = self.close if last else self.slots[index + 1].start
        after = self.text[after_start:after_end]
        kept = _without_last_line(lead)
        between = kept + after
        if "\n" in lead and "\n" not in after and not last:
            between = lead
        elif "\n" not in lead and "\n" not in after and not last:
            between = lead if index == 0 else after
        before = self.text[self.slots[index - 1].end if index else self.open : slot.lead]
        if last and "\n" not in after and "#" in before + kept:
            between = f"{kept}{newline_of(self.text)}{indent_at(self.text, self.open - 1)}"
        if last and index == 0 and not (before + between).strip():
            between = ""
        splices = [Splice(start=slot.lead, end=after_end, new=between)]
        if last and index and slot.comma is None:
            comma = self.slots[index - 1].comma
            assert comma is not None
            splices.append(Splice(start=comma, end=comma + 1))
        return splices

    def _fill(self, new: str) -> Splice:
        inner = self.text[self.open : self.close]
        if "\n" not in inner:
            space = " " if self.text[self.open - 1] == "{" else ""
            return Splice(start=self.open, end=self.close, new=f"{space}{new}{space}")
        newline = newline_of(self.text)
        kept = _without_last_line(inner)
        comment = kept.rfind("#")
        outer = indent_at(self.text, self.open - 1)
        indent = indent_at(self.text, self.open + comment) if "\n" in kept[: max(comment, 0)] else f"{outer}    "
        start = self.open + len(kept)
        if not kept.strip():
            kept, start = "", self.open
        end = inner[inner.rfind("\n") + 1 :]
        return Splice(start=start, end=self.close, new=f"{newline}{indent}{new},{newline}{end}")

    def _append(self, new: str) -> list[Splice]:
        slot = self.slots[-1]
        after = self.text[slot.tail : self.close]
        indents = [lead for each in self.slots if "\n" in (lead := self.text[each.lead : each.start])]
        if not indents and "\n" not in after:
            if slot.comma is not None:
                return [Splice(start=slot.comma + 1, end=slot.comma + 1, new=f" {new},")]
            return [Splice(start=slot.end, end=slot.end, new=f", {new}")]
        newline = newline_of(self.text)
        outer = indent_at(self.text, self.open - 1)
        indent = indents[-1][indents[-1].rfind("\n") + 1 :] if indents else f"{outer}    "
        splices = [] if slot.comma is not None else [Splice(start=slot.end, end=slot.end, new=",")]
        line = f"{newline}{indent}{new},"
        if "\n" in after:
            at = slot.tail + len(_without_last_line(after))
            splices.append(Splice(start=at, end=at, new=line))
        else:
            splices.append(Splice(start=slot.tail, end=self.close, new=f"{line}{newline}{outer}"))
        return splices

    def _comma(self, start: int, limit: int) -> int | None:
        for found in _COMMENT_OR_COMMA.finditer(self.text, start, limit):
            if found.group() == ",":
                return found.start()
        return None


def _without_last_line(gap: str) -> str:
    """``gap`` up to its last line break; empty where it has none."""
    end = gap.rfind("\n")
    return gap[:end].removesuffix("\r") if end >= 0 else ""
