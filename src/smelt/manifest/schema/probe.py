"""Asking the readers: what do they say of a value at a place?

A probe is a small manifest as data. It is read as every manifest is, and what the readers complain of is the answer;
so the readers are the only place where the language of manifests is declared.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from smelt.manifest.document import Document, LazyPlace
from smelt.manifest.manifest import parse_manifest
from smelt.manifest.positions import KeyPath
from smelt.manifest.reading import Problems
from smelt.text import Place, SourceText

UNKNOWN = "a key that nobody knows"
SAMPLES: tuple[tuple[str, object], ...] = (
    ("string", "x"),
    ("true", True),
    ("false", False),
    ("integer", 1),
    ("float", 1.5),
    ("array", []),
    ("table", {}),
    ("date", datetime.date(2025, 1, 1)),
)
"""One value of each type that TOML has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """What a reader said: of which kind, and of the key or the value at which path."""

    kind: str
    path: KeyPath
    of_key: bool


class Answer(Problems):
    """Everything that the readers said of one probe.

    ``allowed``: table → the keys that are known there (only of tables with an unknown key). ``required``: table →
    keys that it must have. ``checks``: path of a text → the check that refused it. ``choices``: path → what is
    allowed. ``deprecated``: paths of keys.
    """

    def __init__(self, document: Document) -> None:
        super().__init__(document)
        self.complaints: list[Complaint] = []
        self.allowed: dict[KeyPath, tuple[str, ...]] = {}
        self.required: dict[KeyPath, list[str]] = {}
        self.checks: dict[KeyPath, Callable[[str], str | None]] = {}
        self.choices: dict[KeyPath, tuple[str, ...]] = {}
        self.deprecated: set[KeyPath] = set()

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
        super().error(kind, message, place, label, help=help, also=also)
        if isinstance(place, LazyPlace):
            self.complaints.append(Complaint(kind=kind, path=place.path, of_key=place.of_key))

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
        if kind == "deprecated" and isinstance(place, LazyPlace) and place.of_key:
            self.deprecated.add(place.path)

    def unknown(
        self, table: KeyPath, key: str, allowed: Sequence[str], advice: str | None, hidden: Sequence[str] = ()
    ) -> None:
        super().unknown(table, key, allowed, advice, hidden)
        self.allowed[table] = (*allowed, *hidden)

    def missing(self, table: KeyPath, key: str, help: str | None = None) -> None:
        super().missing(table, key, help)
        self.required.setdefault(table, []).append(key)

    def refused(self, path: KeyPath, check: Callable[[str], str | None], complaint: str) -> None:
        super().refused(path, check, complaint)
        self.checks[path] = check

    def no_choice(self, path: KeyPath, value: str, allowed: Sequence[str]) -> None:
        super().no_choice(path, value, allowed)
        self.choices[path] = tuple(allowed)

    def about(self, path: KeyPath) -> list[Complaint]:
        """The complaints of the value at ``path`` itself, or of its key."""
        return [each for each in self.complaints if each.path == path]


def ask(path: KeyPath, value: object, contexts: Mapping[KeyPath, Mapping[str, object]]) -> Answer:
    """What the readers say of ``value`` at ``path``; ``contexts``: what else is in the tables on the way there."""
    source = SourceText(path="probe", text="")
    answer = Answer(Document(source, cast("dict[str, object]", _around((), path, value, contexts))))
    parse_manifest(answer.document, "pixi", answer)
    return answer


def _around(prefix: KeyPath, path: KeyPath, value: object, contexts: Mapping[KeyPath, Mapping[str, object]]) -> object:
    if prefix == path:
        return value
    part = path[len(prefix)]
    inner = _around((*prefix, part), path, value, contexts)
    return [inner] if isinstance(part, int) else {**contexts.get(prefix, {}), part: inner}
