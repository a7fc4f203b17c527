"""Values and keys as TOML text."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import date, time
from typing import cast

from smelt.manifest.tokens import BARE_KEY

_ESCAPES = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SPECIAL = re.compile(r'[\x00-\x1f\x7f"\\]')
_INSIDE_LINES = re.compile(r'[\x00-\x08\x0b-\x1f\x7f\\]|"(?="")|"$')


def toml_key(name: str) -> str:
    """``name`` as one part of a key: bare where it may be."""
    return name if BARE_KEY.fullmatch(name) else _basic(name)


def toml_value(value: object, like: str = "", newline: str = "\n") -> str:
    """``value`` as TOML: tables and arrays in one line; ``like``: the old text, whose kind of quotes is kept.

    Raises TypeError for what TOML cannot say.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return toml_string(value, like, newline)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if math.isnan(value):
            return "nan"
        return ("inf" if value > 0 else "-inf") if math.isinf(value) else repr(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Mapping):
        entries = cast("Mapping[str, object]", value).items()
        inner = ", ".join(f"{toml_key(name)} = {toml_value(each, newline=newline)}" for name, each in entries)
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, Sequence):
        return f"[{', '.join(toml_value(each, newline=newline) for each in cast('Sequence[object]', value))}]"
    raise TypeError(f"TOML has no {type(value).__name__}")


def toml_string(text: str, like: str = "", newline: str = "\n") -> str:
    """A string: as ``like`` is quoted where that can be, else so that the fewest escapes are needed."""
    plain = _CONTROL.search(text) is None
    if like.startswith("'") and not like.startswith("'''") and plain and "'" not in text:
        return f"'{text}'"
    if "\n" in text and "\r" not in text:
        body = _INSIDE_LINES.sub(_escape, text).replace("\n", newline)
        return f'"""{newline}{body}"""'
    if plain and _SPECIAL.search(text) is not None and "'" not in text and not like.startswith('"'):
        return f"'{text}'"
    return _basic(text)


def _basic(text: str) -> str:
    return f'"{_SPECIAL.sub(_escape, text)}"'


def _escape(found: re.Match[str]) -> str:
    character = found.group()
    return _ESCAPES.get(character) or f"\\u{ord(character):04X}"
