"""Requirements as a lock file holds them: MatchSpec text with extras and conditions.

Source: CEP 29 and the repodata v3 additions (``foo[extras=[a], when="python >=3.10"]``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

from smelt.lock.versions import QuickMatch, quick_match
from smelt.types import CondaSpec, spec_name

_WHEN = re.compile(r"""when\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_EXTRAS = re.compile(r"""extras\s*=\s*\[([^\]]*)\]""")
_JOINED = re.compile(r"\(|\)|\band\b|\bor\b")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One requirement on the package ``name`` (normalised).

    ``text``: the MatchSpec, for the matcher and for messages; ``quick`` answers for the simple ones.
    """

    name: str
    text: str
    quick: QuickMatch | None
    extras: tuple[str, ...] = ()
    condition: Condition | None = None

    @property
    def any_version(self) -> bool:
        """Whether every package of the name satisfies it."""
        return self.quick is not None and self.quick.anything


@dataclass(frozen=True, slots=True)
class Both:
    """Two conditions joined by ``and`` or ``or``."""

    kind: Literal["and", "or"]
    left: Condition
    right: Condition


Condition = Requirement | Both


def parse_requirement(text: str) -> Requirement:
    """A requirement from the ``depends`` of a package. Raises ValueError for a condition that makes no sense."""
    name = spec_name(text)
    if "[" not in text:
        return Requirement(name, text, quick_match(text))
    when = _WHEN.search(text)
    rest = _WHEN.sub("", text)
    extras = _EXTRAS.search(rest)
    plain = re.sub(r"\[[\s,]*\]", "", _EXTRAS.sub("", rest)).strip()
    return Requirement(
        name,
        text,
        quick_match(plain),
        tuple(item.strip().strip("\"'") for item in extras.group(1).split(",")) if extras is not None else (),
        parse_condition(when.group(1) or when.group(2) or "") if when is not None else None,
    )


def from_spec(name: str, spec: CondaSpec) -> Requirement:
    """The requirement of a manifest entry; for a source, what it asks of the package's metadata."""
    core = replace(spec, extras=(), when=None, inline_package=None)
    # rattler does not look at the channel and the subdir of a record; whether they are right `Walk` says
    plain = replace(core, channel=None, subdir=None)
    simple = plain == CondaSpec(version=spec.version, build=spec.build, location=spec.location)
    version = (spec.version or "*").replace(" ", "")
    return Requirement(
        name.lower(),
        core.matchspec(name),
        quick_match(f"{name} {version} {spec.build}" if spec.build else f"{name} {version}") if simple else None,
        spec.extras,
        parse_condition(spec.when) if spec.when is not None else None,
    )


def describe(name: str, spec: CondaSpec) -> str:
    """A manifest entry for messages: ``python >=3.11,<3.13`` rather than the bracket form."""
    if spec.url is not None and not spec.is_source:
        return spec.url
    head = " ".join((name, spec.version or "*", *((spec.build,) if spec.build else ())))
    rest = replace(spec, version=None, build=None, url=None).matchspec("")
    return head + rest


def parse_condition(text: str) -> Condition:
    """``python >=3.10 and (__unix or __win)``; ``and`` binds tighter. Raises ValueError."""
    tokens: list[str] = []
    position = 0
    for found in _JOINED.finditer(text):
        tokens += [part] if (part := text[position : found.start()].strip()) else []
        tokens.append(found.group())
        position = found.end()
    tokens += [part] if (part := text[position:].strip()) else []
    condition, rest = _either(tokens, text)
    if rest:
        raise ValueError(f"`{text}` is not a condition")
    return condition


def _either(tokens: list[str], text: str) -> tuple[Condition, list[str]]:
    left, rest = _all(tokens, text)
    while rest[:1] == ["or"]:
        right, rest = _all(rest[1:], text)
        left = Both("or", left, right)
    return left, rest


def _all(tokens: list[str], text: str) -> tuple[Condition, list[str]]:
    left, rest = _one(tokens, text)
    while rest[:1] == ["and"]:
        right, rest = _one(rest[1:], text)
        left = Both("and", left, right)
    return left, rest


def _one(tokens: list[str], text: str) -> tuple[Condition, list[str]]:
    if tokens[:1] == ["("]:
        inside, rest = _either(tokens[1:], text)
        if rest[:1] == [")"]:
            return inside, rest[1:]
    elif tokens and tokens[0] not in ("and", "or", ")"):
        return Requirement(spec_name(tokens[0]), tokens[0], quick_match(tokens[0])), tokens[1:]
    raise ValueError(f"`{text}` is not a condition")
