"""Plain data (what JSON can hold) with a known shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast


def mapping(value: object) -> Mapping[str, object]:
    """``value`` if it is a mapping, else an empty one."""
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else {}


def sequence(value: object) -> Sequence[object]:
    """``value`` if it is a list or a tuple, else an empty one."""
    return cast("Sequence[object]", value) if isinstance(value, list | tuple) else ()


def texts(value: object) -> tuple[str, ...]:
    """The items of ``value`` as texts, if it is a list; a lone text is a list of one."""
    return (value,) if isinstance(value, str) else tuple(str(item) for item in sequence(value))
