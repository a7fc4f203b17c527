"""Quick answers about simple MatchSpecs, with rattler as the judge."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rattler import MatchSpec, PackageRecord, exceptions
from rattler.package.build_string import BuildString

from smelt.errors import LockError
from smelt.lock.reader import read
from smelt.lock.versions import quick_match
from smelt.types import CondaRecord, spec_name

numbers = st.lists(st.integers(0, 12), min_size=1, max_size=4).map(lambda parts: ".".join(map(str, parts)))
suffixes = st.sampled_from(("", "", "", "a0", ".*", "rc1", ".dev0", "dev1", "b2", ".post1", "_1"))
signs = st.sampled_from((">=", "<=", ">", "<", "==", "!=", "", "=", "~="))
bounds = st.builds("{}{}{}".format, signs, numbers, suffixes)
version_specs = st.lists(st.lists(bounds, min_size=1, max_size=2).map(",".join), min_size=1, max_size=2).map("|".join)
build_specs = st.sampled_from(("", " *", " h0_1", " *_1", " h*", " *0*"))
locked_versions = st.builds("{}{}".format, numbers, st.sampled_from(("", "", "", "a0", "rc1", ".post1", ".dev0", "_1")))


def by_rattler(spec: str, version: str, build: str) -> bool | None:
    record = PackageRecord("x", version, BuildString(build), 0, "linux-64")
    try:
        return MatchSpec(spec).matches(record)
    except (exceptions.InvalidMatchSpecError, exceptions.InvalidVersionSpecError):
        return None


@settings(max_examples=1500, deadline=None)
@given(version_specs, build_specs, locked_versions, st.sampled_from(("h0_1", "h0_0", "py_1")))
def test_quick_answers_are_rattlers(versions: str, builds: str, version: str, build: str) -> None:
    spec = f"x {versions}{builds}"
    quick = quick_match(spec)
    answer = quick.matches(version, build) if quick is not None else None
    judged = by_rattler(spec, version, build)
    assert answer is None or judged is None or answer == judged


@pytest.mark.parametrize(
    ("spec", "version", "answer"),
    [
        ("x", "1a", True),
        ("x *", "1a", True),
        ("x >=1.2,<2.0a0", "1.10", True),
        ("x >=1.2,<2.0a0", "2.0", False),
        ("x 3.12.*", "3.12.1", True),
        ("x 3.1.*", "3.12.1", False),
        ("x 1.0", "1.0.0", True),
        ("x 1.0.1b", "1.0.1b", True),
        ("x >=1.1", "1.1.1w", None),
        ("x >=3.8|<2", "1.0", True),
        ("x[build=h0]", "1.0", "no"),
        ("x ~=1.0", "1.0", "no"),
    ],
)
def test_examples(spec: str, version: str, answer: bool | str | None) -> None:
    quick = quick_match(spec)
    if answer == "no":
        assert quick is None
    else:
        assert quick is not None
        assert quick.matches(version, "h0_0") is answer


def test_corpus_requirements(corpus: Path) -> None:
    """What packages of real locks ask of each other: nearly all of it is answered, all of it rightly."""
    asked = answered = 0
    for path in sorted(corpus.rglob("pixi.lock"))[::5]:
        try:
            lock = read(path)
        except LockError:
            continue
        records = [package for package in lock.packages.values() if isinstance(package, CondaRecord)][:400]
        by_name: dict[str, list[CondaRecord]] = {}
        for record in records:
            by_name.setdefault(record.name, []).append(record)
        for text in {text for record in records for text in (*record.depends, *record.constrains)}:
            for record in by_name.get(spec_name(text), ())[:2]:
                asked += 1
                quick = quick_match(text)
                answer = quick.matches(record.version, record.build) if quick is not None else None
                if answer is not None:
                    answered += 1
                    spec = MatchSpec(text)
                    plain = PackageRecord(
                        record.name, record.version, BuildString.new_unchecked(record.build), 0, record.subdir
                    )
                    assert answer == spec.matches(plain), (text, record)
    assert asked > 3000
    assert answered / asked > 0.95
