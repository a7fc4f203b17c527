"""Conditions of requirements as the protocol writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smelt.errors import SourceError
from smelt.source.protocol.specs import condition_from_wire, condition_to_wire, match_spec

LEAVES = st.builds(
    lambda name, version: {"MatchSpec": {"name": name, **({"version": version} if version else {})}},
    st.sampled_from(["python", "android", "oracle", "__linux", "a-or-b"]),
    st.sampled_from([None, ">=3", ">=1,<2", "3.12.*"]),
)
CONDITIONS = st.recursive(
    LEAVES, lambda inner: st.builds(lambda tag, a, b: {tag: [a, b]}, st.sampled_from(["And", "Or"]), inner, inner)
)


def meaning(wire: dict[str, object]) -> object:
    """The same for conditions that mean the same: the order of equal operators does not matter."""
    [(tag, inner)] = wire.items()
    if tag == "MatchSpec":
        return str(inner)
    parts = [meaning(each) for each in inner]
    flat = [each for part in parts for each in (part[1] if isinstance(part, tuple) and part[0] == tag else [part])]
    return (tag, flat)


@given(CONDITIONS)
def test_there_and_back(wire: dict[str, object]) -> None:
    assert meaning(condition_to_wire(condition_from_wire(wire))) == meaning(wire)


def test_and_binds_stronger_than_or() -> None:
    wire = condition_to_wire("a or b and c >=2")
    assert wire == {
        "Or": [
            {"MatchSpec": {"name": "a"}},
            {"And": [{"MatchSpec": {"name": "b"}}, {"MatchSpec": {"name": "c", "version": ">=2"}}]},
        ]
    }
    assert match_spec('x[when="a and b"]')["condition"] == condition_to_wire("a and b")


@pytest.mark.parametrize("text", ["", "a and", "(a", "and a", "a)", "a >=", "a or or b", "(" * 500 + "a" + ")" * 500])
def test_what_is_no_condition(text: str) -> None:
    with pytest.raises(SourceError) as caught:
        condition_to_wire(text)
    assert caught.value.kind == "backend-requirement"


@pytest.mark.parametrize(
    "value",
    ["a", {}, {"Not": []}, {"And": [{}]}, {"MatchSpec": "a"}, {"MatchSpec": {"name": "a", "channel": {"name": "c"}}}],
)
def test_what_is_no_object_of_one(value: object) -> None:
    with pytest.raises(ValueError, match="condition"):
        condition_from_wire(value)
