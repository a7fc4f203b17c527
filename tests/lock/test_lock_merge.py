"""Lock files with merge conflicts: their sides, and what is taken of each."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smelt.lock.merge import sides, unite
from smelt.lock.model import Lock, LockedEnvironment, LockedPlatform, Reference

MARKED = """\
a
<<<<<<< HEAD
ours
||||||| base
before
=======
theirs
>>>>>>> other
z
"""


def test_sides() -> None:
    assert sides(MARKED) == ("a\nours\nz\n", "a\ntheirs\nz\n")
    assert sides(MARKED.replace("||||||| base\nbefore\n", "")) == ("a\nours\nz\n", "a\ntheirs\nz\n")
    assert sides("a\n=======\nz") == ("a\n=======\nz", "a\n=======\nz")


@pytest.mark.parametrize("gone", ["<<<<<<< HEAD\n", "=======\n", ">>>>>>> other\n"])
def test_markers_that_do_not_belong_together(gone: str) -> None:
    assert sides(MARKED.replace(gone, "")) is None


LINES = st.lists(st.sampled_from(["a", "b: c", "- d", "", "<<", "=="]), max_size=6).map(
    lambda lines: "".join(f"{line}\n" for line in lines)
)


@given(st.lists(st.tuples(LINES, LINES, LINES), max_size=4), st.booleans())
def test_sides_of_any_conflicts(parts: list[tuple[str, str, str]], base: bool) -> None:
    middle = "||||||| 1\nx\n" if base else ""
    text = "".join(f"{c}<<<<<<< o\n{a}{middle}=======\n{b}>>>>>>> t\n" for c, a, b in parts)
    assert sides(text) == ("".join(c + a for c, a, _ in parts), "".join(c + b for c, _, b in parts))


def lock(**environments: dict[str, str]) -> Lock:
    """Environment → platform → the one package there."""
    platforms = tuple(LockedPlatform(name=name, subdir="linux-64") for name in ("p", "q"))
    return Lock(
        version=7,
        platforms=platforms,
        environments={
            name: LockedEnvironment(
                channels=("c",),
                packages={p: (Reference(kind="conda", value=package),) for p, package in packages.items()},
            )
            for name, packages in environments.items()
        },
        packages={},
    )


def taken(united: Lock) -> dict[str, dict[str, str]]:
    return {
        name: {platform: reference.value for platform, (reference,) in environment.packages.items()}
        for name, environment in united.environments.items()
    }


def test_each_part_is_from_the_side_that_it_fits_on() -> None:
    ours = lock(both={"p": "1", "q": "1"}, mine={"p": "1"}, none={"p": "1"})
    theirs = lock(both={"p": "2", "q": "2"}, none={"p": "2"}, yours={"p": "2"})
    misfits = ({("both", "q"), ("none", "p")}, {("none", "p")})
    assert taken(unite(ours, theirs, misfits)) == {
        "both": {"p": "1", "q": "2"},
        "mine": {"p": "1"},
        "none": {"p": "1"},
        "yours": {"p": "2"},
    }


def test_an_environment_with_other_channels_is_taken_whole() -> None:
    ours, theirs = lock(x={"p": "1", "q": "1"}), lock(x={"p": "2", "q": "2"})
    theirs = replace(theirs, environments={"x": replace(theirs.environments["x"], channels=("d",))})
    assert taken(unite(ours, theirs, ({("x", "p")}, ())))["x"] == {"p": "2", "q": "2"}
    assert taken(unite(ours, theirs, ((), ())))["x"] == {"p": "1", "q": "1"}
