"""Reading tables: what is there, of which type, and what should not be there.

Every reader of the room works in the same way: it takes a ``Table``, asks it for each key that it knows and
ends with ``finish``, which reports the keys that nobody asked for. Mistakes are collected in ``Problems``, so
that all mistakes of a file are told at once; a reader goes on with a default after one.
"""

from __future__ import annotations

import datetime
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar, cast

from smelt.errors import ErrorGroup, Label, ManifestError
from smelt.manifest.document import Document
from smelt.manifest.positions import KeyPath
from smelt.text import Place, closest

T = TypeVar("T")


class ManifestWarning(str):
    """Something that works and should be changed. The text is the message; ``labels`` and ``help`` as in errors."""

    __slots__ = ("help", "kind", "labels")

    def __new__(
        cls, message: str, *, kind: str, labels: Sequence[Label] = (), help: str | None = None
    ) -> ManifestWarning:
        warning = super().__new__(cls, message)
        warning.kind = kind
        warning.labels = tuple(labels)
        warning.help = help
        return warning

    kind: str
    labels: tuple[Label, ...]
    help: str | None


class Problems:
    """The mistakes and warnings that were found in one document."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.errors: list[ManifestError] = []
        self.warnings: list[ManifestWarning] = []

    def key(self, path: KeyPath) -> Place:
        """The place of a key."""
        return self.document.key(path)

    def value(self, path: KeyPath) -> Place:
        """The place of a value."""
        return self.document.value(path)

    def error(
        self,
        kind: str,
        message: str,
        place: Place | None = None,
        label: str = "",
        *,
        help: str | None = None,
        also: Sequence[tuple[Place, str]] = (),
    ) -> None:
        """Add a mistake; ``kind`` is its code without ``manifest-``."""
        labels = [Label(place=place, message=label)] if place is not None else []
        labels += [Label(place=each, message=words) for each, words in also]
        self.errors.append(ManifestError(message, code=f"manifest-{kind}", labels=labels, help=help))

    def warn(
        self,
        kind: str,
        message: str,
        place: Place | None = None,
        label: str = "",
        *,
        help: str | None = None,
        also: Sequence[tuple[Place, str]] = (),
    ) -> None:
        """Add a warning."""
        labels = [Label(place=place, message=label)] if place is not None else []
        labels += [Label(place=each, message=words) for each, words in also]
        self.warnings.append(ManifestWarning(message, kind=f"manifest-{kind}", labels=labels, help=help))

    def unknown(
        self, table: KeyPath, key: str, allowed: Sequence[str], advice: str | None, hidden: Sequence[str] = ()
    ) -> None:
        """A key of ``table`` that nobody asked for; ``allowed`` are known, ``hidden`` not to be named."""
        known = f"known here: {', '.join(allowed)}"
        self.error(
            "unknown-key",
            f"`{key}` is not known here" if not table else f"`{key}` is not known in `{_dotted(table)}`",
            self.key((*table, key)),
            help=f"{advice}\n{known}" if advice else known,
        )

    def missing(self, table: KeyPath, key: str, help: str | None = None) -> None:
        """A key that ``table`` must have."""
        where = f"[{'.'.join(str(part) for part in table)}]" if table else "the manifest"
        self.error("missing-key", f"`{key}` is missing in {where}", self.value(table), help=help)

    def refused(self, path: KeyPath, check: Callable[[str], str | None], complaint: str) -> None:
        """A text at ``path`` that ``check`` has a complaint of."""
        self.error("value", complaint, self.value(path))

    def no_choice(self, path: KeyPath, value: str, allowed: Sequence[str]) -> None:
        """A text at ``path`` that is none of ``allowed``."""
        guess = closest(value, allowed)
        self.error(
            "value",
            f"`{path[-1]}` cannot be `{value}`",
            self.value(path),
            f"expected {listing(allowed)}",
            help=f"did you mean `{guess}`?" if guess else None,
        )

    def renamed(self, old: str, new: str, path: KeyPath) -> None:
        """Warn of a deprecated key."""
        self.warn("deprecated", f"`{old}` is deprecated", self.key(path), f"write `{new}` instead")

    def raise_errors(self) -> None:
        """Raise what was found: one ManifestError, or an ErrorGroup of several; nothing if there is none."""
        if not self.errors:
            return
        if len(self.errors) == 1:
            raise self.errors[0]
        ordered = sorted(self.errors, key=_position)
        raise ErrorGroup(f"{self.document.source.path} has {len(ordered)} mistakes", ordered)


def _position(error: ManifestError) -> tuple[int, int]:
    """Where an error is, for an order in which the file can be mended from its top; those without a place last."""
    if not error.labels:
        return sys.maxsize, 0
    place = error.labels[0].place
    return place.line, place.column


def type_name(value: object) -> str:
    """What TOML calls the type of ``value``, with its article."""
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, int):
        return "an integer"
    if isinstance(value, float):
        return "a float"
    if isinstance(value, list):
        return "an array"
    if isinstance(value, dict):
        return "a table"
    return "a date or time" if isinstance(value, datetime.date | datetime.time) else type(value).__name__


def listing(names: Iterable[str], conjunction: str = "or") -> str:
    """```a`, `b` or `c``."""
    quoted = [f"`{name}`" for name in names]
    if len(quoted) < 2:
        return "".join(quoted)
    return f"{', '.join(quoted[:-1])} {conjunction} {quoted[-1]}"


class Table:
    """One table while it is read: it remembers which keys were asked for."""

    __slots__ = ("asked", "data", "path", "problems")

    def __init__(self, data: dict[str, object], path: KeyPath, problems: Problems) -> None:
        self.data = data
        self.path = path
        self.problems = problems
        self.asked: dict[str, None] = {}

    def __contains__(self, key: str) -> bool:
        return key in self.data

    def at(self, key: str) -> KeyPath:
        """The path of ``key`` of this table."""
        return (*self.path, key)

    @property
    def place(self) -> Place:
        """The place of the table itself."""
        return self.problems.value(self.path)

    def take(self, key: str) -> object | None:
        """The raw value of ``key``, or None (TOML has no null)."""
        self.asked[key] = None
        return self.data.get(key)

    def wrong_type(self, path: KeyPath, expected: str, value: object, help: str | None = None) -> None:
        """Report a value that is not ``expected``."""
        self.problems.error(
            "type", f"expected {expected}, found {type_name(value)}", self.problems.value(path), help=help
        )

    def string(self, key: str, expected: str = "a string") -> str | None:
        """A string, or None."""
        value = self.take(key)
        if value is None or isinstance(value, str):
            return value
        help = "write it in quotes" if isinstance(value, int | float | datetime.date) else None
        self.wrong_type(self.at(key), expected, value, None if isinstance(value, bool) else help)
        return None

    def boolean(self, key: str) -> bool | None:
        """A boolean, or None."""
        value = self.take(key)
        if value is None or isinstance(value, bool):
            return value
        self.wrong_type(self.at(key), "a boolean (`true` or `false`)", value)
        return None

    def integer(self, key: str, *, least: int | None = None) -> int | None:
        """An integer, not below ``least``, or None."""
        value = self.take(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            self.wrong_type(self.at(key), "an integer", value)
            return None
        if least is not None and value < least:
            self.problems.error(
                "value", f"`{key}` must be at least {least}, found {value}", self.problems.value(self.at(key))
            )
            return None
        if abs(value) >= 2**63:
            self.problems.error("value", f"the number of `{key}` is too big", self.problems.value(self.at(key)))
            return None
        return value

    def choice(self, key: str, allowed: Sequence[str]) -> str | None:
        """A string that is one of ``allowed``, or None."""
        value = self.string(key)
        if value is None or value in allowed:
            return value
        self.problems.no_choice(self.at(key), value, allowed)
        return None

    def parsed(self, key: str, parse: Callable[[str], str | None]) -> str | None:
        """A string for which ``parse`` says no complaint (it gives the complaint, or None), or None."""
        value = self.string(key)
        if value is None:
            return None
        complaint = parse(value)
        if complaint is None:
            return value
        self.problems.refused(self.at(key), parse, complaint)
        return None

    def array(self, key: str, expected: str = "an array") -> list[object] | None:
        """An array, or None."""
        value = self.take(key)
        if value is None:
            return None
        if isinstance(value, list):
            return cast("list[object]", value)
        self.wrong_type(
            self.at(key), expected, value, f'write `["{value}"]`' if isinstance(value, str) and value else None
        )
        return None

    def strings(self, key: str, parse: Callable[[str], str | None] | None = None) -> tuple[str, ...] | None:
        """An array of strings, or None; each is checked with ``parse`` as in ``parsed``."""
        values = self.array(key, "an array of strings")
        if values is None:
            return None
        found: list[str] = []
        for index, value in enumerate(values):
            path = (*self.path, key, index)
            if not isinstance(value, str):
                self.wrong_type(path, "a string", value)
            elif parse is not None and (complaint := parse(value)) is not None:
                self.problems.refused(path, parse, complaint)
            else:
                found.append(value)
        return tuple(found)

    def string_map(self, key: str, expected: str = "a string") -> dict[str, str] | None:
        """A table of strings, or None."""
        table = self.table(key)
        if table is None:
            return None
        found = {name: table.string(name, expected) for name in table.data}
        return {name: value for name, value in found.items() if value is not None}

    def table(self, key: str, expected: str = "a table") -> Table | None:
        """A table, or None."""
        value = self.take(key)
        if value is None:
            return None
        if isinstance(value, dict):
            return Table(cast("dict[str, object]", value), self.at(key), self.problems)
        self.wrong_type(self.at(key), expected, value)
        return None

    def tables(self, key: str) -> list[Table] | None:
        """The tables that the table of ``key`` holds, or None; what is no table is reported and left out."""
        outer = self.table(key)
        if outer is None:
            return None
        found = [outer.table(name) for name in outer.data]
        return [table for table in found if table is not None]

    @property
    def name(self) -> str:
        """The last key of the table's path."""
        return str(self.path[-1]) if self.path else ""

    def missing(self, key: str, help: str | None = None) -> None:
        """Report that a required key is not there."""
        self.problems.missing(self.path, key, help)

    def finish(self, hidden: Iterable[str] = (), help: Callable[[str], str | None] | None = None) -> None:
        """Report every key that was not asked for.

        ``hidden`` are keys that are asked for but not to be named among those that are allowed; ``help`` may
        give a better advice than the name that looks most like it.
        """
        unknown = [key for key in self.data if key not in self.asked]
        if not unknown:
            return
        silent = tuple(hidden)
        allowed = [key for key in self.asked if key not in silent]
        for key in unknown:
            advice = help(key) if help is not None else None
            if advice is None:
                guess = closest(key, allowed)
                advice = f"did you mean `{guess}`?" if guess else None
            self.problems.unknown(self.path, key, allowed, advice, silent)


def _dotted(path: KeyPath) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
