"""Where a path of keys is defined in a text: by an entry, by dotted keys, by headers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from smelt.manifest.edit.tree import Entry, Section, Value
from smelt.manifest.positions import KeyPath

Holder = Section | Value
"""What an entry stands in: a section or an inline table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """An entry, what it stands in, and the path of that."""

    entry: Entry
    holder: Holder
    path: KeyPath

    @property
    def index(self) -> int:
        """Its position among the entries of its holder."""
        return next(i for i, each in enumerate(self.holder.entries or ()) if each is self.entry)


@dataclass(slots=True, kw_only=True)
class Definition:
    """How a path is defined. ``exact``: ``path = value``; ``dotted``: entries whose keys lead through it, in order.

    ``sections``: those whose header is the path or leads through it, in order.
    """

    exact: Held | None = None
    dotted: list[Held] = field(default_factory=list[Held])
    sections: list[Section] = field(default_factory=list[Section])

    def __bool__(self) -> bool:
        return self.exact is not None or bool(self.dotted) or bool(self.sections)

    def header(self, path: KeyPath) -> Section | None:
        """The section of exactly ``path``."""
        return next((each for each in self.sections if each.path == path), None)

    def is_array_of_tables(self, path: KeyPath) -> bool:
        """Whether ``path``, which it defines, is written with ``[[…]]``."""
        return any(len(each.path) > len(path) and isinstance(each.path[len(path)], int) for each in self.sections)


def find_definition(sections: Iterable[Section], path: KeyPath) -> Definition:
    """How ``path`` is defined; falsy if it is not."""
    found = Definition()
    for section in sections:
        if section.path[: len(path)] == path and (section.header is not None or not path):
            found.sections.append(section)
        elif path[: len(section.path)] == section.path:
            _search(section, section.path, path, found)
    return found


def _search(holder: Holder, base: KeyPath, path: KeyPath, found: Definition) -> None:
    for entry in holder.entries or ():
        full = (*base, *entry.names)
        if full == path:
            found.exact = Held(entry=entry, holder=holder, path=base)
        elif full[: len(path)] == path:
            found.dotted.append(Held(entry=entry, holder=holder, path=base))
        elif path[: len(full)] == full and entry.value.entries is not None:
            _search(entry.value, full, path, found)
