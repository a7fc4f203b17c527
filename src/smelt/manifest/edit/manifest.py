"""A manifest that is being edited: its text and what it says, kept together.

Each change is made to the text and, independently, to the data; the two must agree before the new text is given out.
So an edit can never say something else than what was meant, whatever the text looks like.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast

from smelt.errors import ManifestError
from smelt.manifest.document import Document, parse_document
from smelt.manifest.edit import document as edits
from smelt.manifest.manifest import Kind
from smelt.manifest.positions import KeyPath

_BOM = "\ufeff"
Data = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestText:
    """The text of a manifest (a byte order mark included) and its data. ``shown``: what messages call the file.

    Paths that its methods take are those of the file; ``at`` gives the path of a table of the manifest, which is
    below ``tool.pixi`` in a ``pyproject.toml``.
    """

    text: str
    kind: Kind
    shown: str
    data: Data = field(compare=False, repr=False)

    @classmethod
    def parse(cls, text: str, kind: Kind, shown: str) -> ManifestText:
        """The manifest of ``text``. Raises ManifestError (``manifest-syntax``)."""
        return cls(text=text, kind=kind, shown=shown, data=parse_document(text, shown).data)

    @property
    def document(self) -> Document:
        """The text with the places of everything in it."""
        return parse_document(self.text, self.shown)

    @property
    def base(self) -> KeyPath:
        """The path of the manifest's tables."""
        return ("tool", "pixi") if self.kind == "pyproject" else ()

    @property
    def workspace(self) -> KeyPath:
        """The path of the workspace table, by the name that it has."""
        return (
            self.at("project")
            if self.get(self.at("workspace")) is None and self.has("project")
            else self.at("workspace")
        )

    def at(self, *keys: str) -> KeyPath:
        """The path of a table or key of the manifest."""
        return (*self.base, *keys)

    def has(self, *keys: str) -> bool:
        """Whether the manifest has something at ``keys``."""
        return self.get(self.at(*keys)) is not None

    def get(self, path: KeyPath) -> object | None:
        """What the file says at ``path``, or None."""
        value: object = self.data
        for part in path:
            if isinstance(part, int):
                items = cast("list[object]", value) if isinstance(value, list) else []
                value = items[part] if part < len(items) else None
            else:
                value = _below(value, part)
        return value

    def table(self, path: KeyPath) -> Mapping[str, object]:
        """The table at ``path``; empty where there is none. Raises ManifestError where it is something else."""
        value = self.get(path)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise _not_editable(path, "it is not a table")
        return cast("Data", value)

    def array(self, path: KeyPath) -> list[object]:
        """The array at ``path``; empty where there is none. Raises ManifestError where it is something else."""
        value = self.get(path)
        if value is None:
            return []
        if not isinstance(value, list):
            raise _not_editable(path, "it is not an array")
        return cast("list[object]", value)

    def set(self, path: KeyPath, value: object) -> ManifestText:
        """With ``value`` at ``path``."""

        def expected(data: Data) -> None:
            _table_above(data, path)[str(path[-1])] = copy.deepcopy(value)

        return self._edit(lambda text: edits.set_value(text, path, value), expected)

    def remove(self, path: KeyPath) -> ManifestText:
        """Without what is at ``path``. Raises KeyError where there is nothing."""
        if self.get(path) is None:
            raise KeyError(path)

        def expected(data: Data) -> None:
            del _table_above(data, path)[str(path[-1])]

        return self._edit(lambda text: edits.remove_key(text, path), expected, path[:-1])

    def declare(self, path: KeyPath) -> ManifestText:
        """With a table at ``path``, empty if there was none."""
        if self.get(path) is not None:
            return self
        return self._edit(
            lambda text: edits.add_header(text, path), lambda data: _table_above(data, path).update({str(path[-1]): {}})
        )

    def insert(self, path: KeyPath, value: object, index: int | None = None) -> ManifestText:
        """With ``value`` before item ``index`` of the array at ``path``, or at its end; the array is made if needed."""

        def expected(data: Data) -> None:
            array = _array(data, path)
            array.insert(len(array) if index is None else index, copy.deepcopy(value))

        self.array(path)
        return self._edit(lambda text: edits.insert_item(text, path, value, index), expected)

    def pop(self, path: KeyPath, index: int) -> ManifestText:
        """Without item ``index`` of the array at ``path``."""

        def expected(data: Data) -> None:
            _array(data, path).pop(index)

        return self._edit(lambda text: edits.remove_item(text, path, index), expected, path)

    def replace(self, path: KeyPath, index: int, value: object) -> ManifestText:
        """With ``value`` in the place of item ``index`` of the array at ``path``."""

        def expected(data: Data) -> None:
            _array(data, path)[index] = copy.deepcopy(value)

        return self._edit(lambda text: edits.replace_item(text, path, index, value), expected)

    def prune(self, path: KeyPath, keep: int) -> ManifestText:
        """Without the empty tables at ``path`` and above it, but for the first ``keep`` keys."""
        manifest = self
        while len(path) > keep and manifest.get(path) in (None, {}):
            if manifest.get(path) == {}:
                manifest = manifest.remove(path)
            path = path[:-1]
        return manifest

    def _edit(
        self, change: Callable[[str], str], expect: Callable[[Data], None], implied: KeyPath = ()
    ) -> ManifestText:
        mark = _BOM if self.text.startswith(_BOM) else ""
        try:
            new = mark + change(self.text.removeprefix(_BOM))
        except RecursionError:
            raise ManifestError(f"{self.shown} is nested too deeply to be edited", code="manifest-edit") from None
        expected = copy.deepcopy(self.data)
        expect(expected)
        data = parse_document(new, self.shown).data
        _drop_implied(expected, data, implied)
        if not _equal(expected, data):
            raise AssertionError(f"the edit of {self.shown} came out wrong:\n{new}")
        return ManifestText(text=new, kind=self.kind, shown=self.shown, data=data)


def _not_editable(path: KeyPath, why: str) -> ManifestError:
    return ManifestError(f"`{'.'.join(map(str, path))}` cannot be edited: {why}", code="manifest-edit")


def _below(value: object, key: str) -> object | None:
    return cast("Data", value).get(key) if isinstance(value, dict) else None


def _table_above(data: Data, path: KeyPath) -> Data:
    table = data
    for part in path[:-1]:
        table = cast("Data", table.setdefault(str(part), {}))
    return table


def _array(data: Data, path: KeyPath) -> list[object]:
    return cast("list[object]", _table_above(data, path).setdefault(str(path[-1]), []))


def _drop_implied(expected: Data, data: Data, path: KeyPath) -> None:
    """Of the tables on ``path``, forget in ``expected`` those that are empty and were only implied by what went."""
    for depth in range(len(path), 0, -1):
        above, name = _table_above(expected, path[:depth]), str(path[depth - 1])
        found = above.get(name)
        if found not in ({}, []):
            return
        here: object = data
        for part in path[:depth]:
            here = _below(here, str(part))
        if here is not None:
            return
        del above[name]


def _equal(left: object, right: object) -> bool:
    """Whether two values say the same in TOML: types count, and ``nan`` equals itself."""
    if type(left) is not type(right):
        return isinstance(left, tuple | list) and isinstance(right, tuple | list) and _equal(list(left), list(right))  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(left, dict):
        first, second = cast("Data", left), cast("Data", right)
        return first.keys() == second.keys() and all(_equal(each, second[key]) for key, each in first.items())
    if isinstance(left, list):
        items, others = cast("list[object]", left), cast("list[object]", right)
        return len(items) == len(others) and all(map(_equal, items, others))
    return left == right or (isinstance(left, float) and left != left and right != right)
