"""The simple MatchSpecs, decided without rattler.

Most requirements in a lock are a name, or a name with bounds on a version of plain numbers. Comparing those here
spares loading rattler and turning thousands of records into its types. What is not plainly simple is left to
the matcher: ``None`` is the answer "ask". Source: the version ordering of conda (CEP 33), CEP 29.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from functools import lru_cache

_SPEC = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.-]*)(?:\s*([<>=!~*0-9][^\s\[\]()]*)(?:\s+([A-Za-z0-9_.*]+))?)?")
_NUMBERS = re.compile(r"(?:([0-9]+)!)?([0-9]+(?:\.[0-9]+)*)(\.post[0-9]*)?")
_BOUND = re.compile(r"(>=|<=|==|!=|>|<)?((?:[0-9]+!)?[0-9]+(?:\.[0-9]+)*)(\.\*|\.?(?:a|alpha|b|beta|rc|dev)[0-9]*)?")
_TEXT = re.compile(r"(>=|<=|==|!=|>|<)?([0-9][A-Za-z0-9_.+!]*)")
_WITH_EQUAL = frozenset((">=", "<=", "=="))

Numbers = tuple[int, ...]
"""The epoch and the numbers of a version; with ``_POST`` at the end what has a post-release part."""

_POST = -1
Bound = Callable[[str, Numbers | None], bool | None]


class QuickMatch:
    """A MatchSpec of simple bounds on the version, and perhaps a pattern for the build string.

    ``alternatives``: one of them must hold; each is a tuple of bounds that must all hold.
    """

    __slots__ = ("_alternatives", "_answers", "_build")

    def __init__(self, alternatives: tuple[tuple[Bound, ...], ...], build: Callable[[str], object] | None) -> None:
        self._alternatives = alternatives
        self._build = build
        self._answers: dict[str, bool | None] = {}

    @property
    def anything(self) -> bool:
        """Whether it asks for nothing but the name."""
        return self._alternatives == ((),) and self._build is None

    def matches(self, version: str, build: str) -> bool | None:
        """Whether a package of this version and build satisfies it; None where only rattler can tell."""
        if self._build is not None and not self._build(build):
            return False
        if version not in self._answers:
            self._answers[version] = self._holds(version)
        return self._answers[version]

    def _holds(self, version: str) -> bool | None:
        numbers = _numbers(version)
        answer: bool | None = False
        for bounds in self._alternatives:
            held = _all_hold(bounds, version, numbers)
            if held:
                return True
            if held is None:
                answer = None
        return answer


def _all_hold(bounds: tuple[Bound, ...], version: str, numbers: Numbers | None) -> bool | None:
    answer: bool | None = True
    for bound in bounds:
        held = bound(version, numbers)
        if held is False:
            return False
        if held is None:
            answer = None
    return answer


def quick_match(spec: str) -> QuickMatch | None:
    """``spec`` (a MatchSpec text) for a quick answer; None if it is not one of the simple forms."""
    found = _SPEC.fullmatch(spec.strip())
    if found is None:
        return None
    version, build = found.group(2), found.group(3)
    pattern = _build(build) if build is not None and build != "*" else None
    if version is None or version == "*":
        return QuickMatch(((),), pattern)
    alternatives: list[tuple[Bound, ...]] = []
    for alternative in version.split("|"):
        bounds = [_bound(part) for part in alternative.split(",")]
        known = tuple(bound for bound in bounds if bound is not None)
        if len(known) < len(bounds):
            return None
        alternatives.append(known)
    return QuickMatch(tuple(alternatives), pattern)


def _build(pattern: str) -> Callable[[str], object]:
    """Whether a build string is as ``pattern`` has it: mostly without a regular expression, which is slow to make."""
    start, *more = pattern.split("*")
    if not more:
        return pattern.__eq__
    if more == [""]:
        return lambda build: build.startswith(start)
    if len(more) == 1 and not start:
        return lambda build: build.endswith(more[0])
    return re.compile(".*".join(map(re.escape, (start, *more))), re.DOTALL).fullmatch


@lru_cache(maxsize=65536)
def _bound(text: str) -> Bound | None:
    found = _BOUND.fullmatch(text)
    if found is None or (found.group(3) not in (None, ".*") and found.group(1) not in ("<", ">=")):
        same = _TEXT.fullmatch(text)
        if same is None:
            return None
        # Equal text is an equal version; how other text compares is for rattler to say.
        whole, equal = same.group(2), (same.group(1) or "==") in _WITH_EQUAL
        return lambda version, numbers: equal if version == whole else None
    sign, number, suffix = found.groups()
    given = _numbers(number)
    if given is None or (suffix == ".*" and sign is not None):
        return None
    if suffix == ".*":
        return _starts_with(given)
    # A version of numbers is below ``2.0a0`` (``rc1``, ``.dev0``) exactly where it is below ``2.0``.
    return _compared(_COMPARE[sign or "=="], given)


def _compared(compare: Callable[[Numbers, Numbers], bool], given: Numbers) -> Bound:
    limit = _stripped(given)

    def bound(version: str, numbers: Numbers | None) -> bool | None:
        if numbers is None:
            return None
        if numbers[-1] != _POST:
            return compare(_stripped(numbers), limit)
        # ``1.2.post1`` comes after all that starts with ``1.2``, but its text may hold surprises: where the numbers
        # before it do not decide, rattler does
        head = numbers[:-1]
        other = (given + (0,) * len(head))[: len(head)]
        return compare(head, other) if head != other else None

    return bound


_COMPARE: dict[str, Callable[[Numbers, Numbers], bool]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}


def _starts_with(prefix: Numbers) -> Bound:
    # Whether ``1`` starts with ``1.0`` is for rattler to say.
    def bound(version: str, numbers: Numbers | None) -> bool | None:
        length = len(numbers) - (numbers[-1] == _POST) if numbers is not None else 0
        return numbers[: len(prefix)] == prefix if numbers is not None and length >= len(prefix) else None

    return bound


def _stripped(numbers: Numbers) -> Numbers:
    """Without zeros at the end: ``1.0`` and ``1`` are equal versions."""
    end = len(numbers)
    while end and numbers[end - 1] == 0:
        end -= 1
    return numbers[:end]


@lru_cache(maxsize=65536)
def _numbers(version: str) -> Numbers | None:
    found = _NUMBERS.fullmatch(version)
    if found is None:
        return None
    epoch, numbers, post = found.groups()
    return (int(epoch or 0), *map(int, numbers.split(".")), *((_POST,) if post else ()))
