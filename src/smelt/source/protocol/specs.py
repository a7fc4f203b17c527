"""MatchSpecs and conditions (``when``) as objects, which is how the protocol writes them.

A condition is ``{"MatchSpec": …}``, ``{"And": [a, b]}`` or ``{"Or": [a, b]}``. In a text ``and`` binds stronger than
``or``, and parentheses group. Source: ``MatchSpecCondition`` of rattler; CEP on conditional dependencies.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from smelt.errors import SourceError
from smelt.types import spec_name

Wire = dict[str, object]

_TOKEN = re.compile(
    r"""\s*(?:(?P<mark>[()]) | (?P<word>(?:and|or)(?=[\s()]|$)) |
    (?P<leaf>(?:\[(?:"[^"]*"|'[^']*'|[^\]"'])*\] | (?!\s+(?:and|or)(?:[\s()]|$)) [^()\[\]])+))""",
    re.VERBOSE,
)
_LEAF_KEYS = ("name", "version", "build")
_DEEPEST = 100


def match_spec(text: str) -> Wire:
    """A MatchSpec as an object. Raises SourceError (``backend-requirement``) for a condition that cannot be read."""
    from rattler import MatchSpec

    parsed: Any = MatchSpec(text, strict=False)
    found: Wire = {"name": spec_name(text)}
    for key in ("version", "build", "build_number", "file_name", "subdir"):
        value = getattr(parsed, key)
        if value is not None:
            found[key] = str(value)
    if parsed.extras:
        found["extras"] = list(parsed.extras)
    if parsed.channel is not None:
        found["channel"] = {"base_url": str(parsed.channel.base_url), "name": parsed.channel.name}
    for key in ("md5", "sha256"):
        value = getattr(parsed, key)
        if value is not None:
            found[key] = value.hex()
    if parsed.condition is not None:
        found["condition"] = condition_to_wire(str(parsed.condition))
    return found


def condition_to_wire(text: str) -> Wire:
    """``python >=3.12 and __linux`` as an object. Raises SourceError (``backend-requirement``)."""
    tokens: list[tuple[str, str]] = []
    position = 0
    rest = text.rstrip()
    while position < len(rest):
        found = _TOKEN.match(rest, position)
        if found is None or found.lastgroup is None:
            raise _unreadable(text)
        tokens.append((found.lastgroup, found[found.lastgroup].strip()))
        position = found.end()
    tokens.append(("end", ""))
    parser = _Parser(tokens, text)
    result = parser.either(0)
    if parser.next() != ("end", ""):
        raise _unreadable(text)
    return result


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]], text: str) -> None:
        self._tokens = tokens
        self._text = text
        self._at = 0

    def next(self) -> tuple[str, str]:
        return self._tokens[self._at]

    def either(self, depth: int) -> Wire:
        return self._joined("or", "Or", depth)

    def _joined(self, word: str, tag: str, depth: int) -> Wire:
        if depth > _DEEPEST:
            raise _unreadable(self._text)
        found: Wire = self._joined("and", "And", depth) if word == "or" else self._one(depth)
        while self.next() == ("word", word):
            self._at += 1
            other = self._joined("and", "And", depth) if word == "or" else self._one(depth)
            found = {tag: [found, other]}
        return found

    def _one(self, depth: int) -> Wire:
        kind, value = self.next()
        self._at += 1
        if (kind, value) == ("mark", "("):
            found = self.either(depth + 1)
            if self.next() != ("mark", ")"):
                raise _unreadable(self._text)
            self._at += 1
            return found
        if kind != "leaf" or not value:
            raise _unreadable(self._text)
        try:
            return {"MatchSpec": match_spec(value)}
        except SourceError:
            raise
        except Exception as error:  # rattler's, of a kind of its own for each mistake
            raise _unreadable(self._text) from error


def condition_from_wire(value: object) -> str:
    """The inverse of ``condition_to_wire``. Raises ValueError for what no text can say."""
    return _text(value, 0)


def _text(value: object, depth: int) -> str:
    if not isinstance(value, Mapping) or len(cast("Mapping[str, object]", value)) != 1 or depth > _DEEPEST:
        raise ValueError(f"no condition: {value!r}")
    [(tag, inner)] = cast("Mapping[str, object]", value).items()
    if tag in ("And", "Or"):
        if not isinstance(inner, list) or len(cast("list[object]", inner)) != 2:
            raise ValueError(f"no condition: {value!r}")
        parts = [_text(each, depth + 1) for each in cast("list[object]", inner)]
        if tag == "Or":
            return f"({parts[0]} or {parts[1]})"
        return f"{parts[0]} and {parts[1]}"
    if tag != "MatchSpec" or not isinstance(inner, Mapping):
        raise ValueError(f"no condition: {value!r}")
    said = {key: each for key, each in cast("Mapping[str, object]", inner).items() if each not in (None, [])}
    more = sorted(said.keys() - set(_LEAF_KEYS))
    if more or not said.get("name"):
        raise ValueError(f"a condition on {said.get('name')!r} says {', '.join(more) or 'no name'}")
    version = said.get("version") or ("*" if "build" in said else None)
    return " ".join(str(each) for each in (said["name"], version, said.get("build")) if each)


def _unreadable(text: str) -> SourceError:
    return SourceError(
        f"the condition `{text}` cannot be told to a backend",
        code="backend-requirement",
        help="write MatchSpecs joined by `and` and `or`, with parentheses around what belongs together",
    )
