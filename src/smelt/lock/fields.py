"""Checked conversion of plain data, value by value.

Every function takes a value and the path to it, and raises ``WrongValue`` where the value is of another kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import cast

Convert = Callable[[object, str], object]
_SECONDS_LIMIT = 253_402_300_799  # the end of the year 9999; larger timestamps are milliseconds


class WrongValue(Exception):
    """``problem`` with the value at ``path``; ``near`` is text by which the line can be found in the file."""

    def __init__(self, path: str, problem: str, *, near: str | None = None) -> None:
        super().__init__(f"{path} {problem}" if problem.startswith(("must", "is ", "cannot")) else f"{path}: {problem}")
        self.path = path
        self.problem = problem
        self.near = near


def string(value: object, path: str) -> str:
    """Text."""
    if type(value) is not str:
        raise WrongValue(path, f"must be text, not {_kind(value)}")
    return value


def strings(value: object, path: str) -> tuple[str, ...]:
    """A list of texts."""
    if type(value) is not list:
        raise WrongValue(path, f"must be a list, not {_kind(value)}")
    found = tuple(cast("list[str]", value))
    try:
        "".join(found)  # looks at every item faster than a loop does
    except TypeError:
        index, item = next((index, item) for index, item in enumerate(found) if type(item) is not str)
        raise WrongValue(f"{path}[{index}]", f"must be text, not {_kind(item)}") from None
    return found


def strings_by_name(value: object, path: str) -> Mapping[str, tuple[str, ...]]:
    """A mapping of lists of texts."""
    return MappingProxyType({key: strings(item, f"{path}.{key}") for key, item in mapping(value, path).items()})


def natural(value: object, path: str) -> int:
    """A whole number from 0."""
    if type(value) is not int or value < 0:
        raise WrongValue(path, f"must be a whole number, not {_kind(value)}")
    return value


def timestamp(value: object, path: str) -> int:
    """Milliseconds since the epoch; a number too small for that is taken as seconds."""
    if type(value) is not int:
        raise WrongValue(path, f"must be a whole number, not {_kind(value)}")
    return value if value > _SECONDS_LIMIT else value * 1000


def flag(value: object, path: str) -> bool:
    """``true`` or ``false``."""
    if type(value) is not bool:
        raise WrongValue(path, f"must be true or false, not {_kind(value)}")
    return value


def number_or_text(value: object, path: str) -> str | int | bool:
    """The value of a variant key."""
    if type(value) not in (str, int, bool):
        raise WrongValue(path, f"must be text, a whole number or a truth value, not {_kind(value)}")
    return cast("str | int | bool", value)


def mapping(value: object, path: str) -> Mapping[str, object]:
    """A mapping whose keys are text."""
    if type(value) is not dict:
        raise WrongValue(path, f"must be a mapping, not {_kind(value)}")
    for key in cast("dict[object, object]", value):
        if type(key) is not str:
            raise WrongValue(path, f"cannot have the key {key!r}: keys are text")
    return cast("dict[str, object]", value)


def items(value: object, path: str) -> list[object]:
    """A list of anything."""
    if not isinstance(value, list):
        raise WrongValue(path, "must be a list")
    return cast("list[object]", value)


def required(fields: Mapping[str, object], key: str, path: str) -> object:
    """The field ``key``, which must be there."""
    if key not in fields:
        raise WrongValue(f"{path}.{key}", "is missing")
    return fields[key]


def convert_fields(
    value: object, table: Mapping[str, Convert], path: str, *, near: str | None = None
) -> dict[str, object]:
    """The known fields of a mapping, each converted; null counts as absent, other keys are passed over."""
    if type(value) is not dict:
        raise WrongValue(path, f"must be a mapping, not {_kind(value)}", near=near)
    found: dict[str, object] = {}
    try:
        for key, item in cast("dict[str, object]", value).items():
            convert = table.get(key)
            if convert is string and type(item) is str:  # as most are
                found[key] = item
            elif convert is not None and item is not None:
                found[key] = convert(item, key)
    except WrongValue as error:
        raise WrongValue(f"{path}.{error.path}", error.problem, near=near or error.near) from None
    return found


def choice(values: Mapping[object, object]) -> Convert:
    """A conversion of a few values."""

    def convert(value: object, path: str) -> object:
        if type(value) not in (str, bool) or value not in values:
            raise WrongValue(path, f"cannot be {value!r}")
        return values[value]

    return convert


def _kind(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, int | float):
        return f"the number {value!r}"
    if isinstance(value, str):
        return f"the text {value[:40]!r}"
    return "a list" if isinstance(value, list) else "a mapping"
