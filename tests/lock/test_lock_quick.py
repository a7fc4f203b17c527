"""What is told of simple MatchSpecs without rattler is what rattler tells."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import example, given, settings
from hypothesis import strategies as st

from smelt.lock.versions import quick_match
from smelt.solve.matching import RattlerMatcher
from smelt.types import CondaRecord

MATCHER = RattlerMatcher()

numbers = st.lists(st.integers(0, 3), min_size=1, max_size=4).map(lambda parts: ".".join(map(str, parts)))
suffixes = st.sampled_from(("", "", "", ".post0", ".post1", "a0", "rc1", ".dev0", "b", ".r4.g1a", "+1.2", "_1"))
epochs = st.sampled_from(("", "", "", "0!", "1!"))
versions = st.builds(lambda epoch, number, suffix: epoch + number + suffix, epochs, numbers, suffixes)
signs = st.sampled_from(("", "==", ">=", "<=", ">", "<", "!="))
bounds = st.builds(lambda sign, version: sign + version, signs, versions) | numbers.map("{}.*".format)


@given(alternatives=st.lists(st.lists(bounds, min_size=1, max_size=2), min_size=1, max_size=2), version=versions)
@example([[">=2.9.1"]], "2.9.post0")
@example([["<2.9.1"]], "2.9.post0")
@example([["2.9.*"]], "2.9.post0")
@example([[">=1!164.3095", "<1!165"]], "1!164.3095")
@example([[">=2.7"]], "1!0.1")
@example([[">=12.0.0.r4.gg4f2fc60ca"]], "12.0.0.r4.gg4f2fc60ca")
@example([["==1.0"]], "0!1")
@settings(max_examples=600, deadline=None)
def test_as_rattler_has_it(alternatives: list[list[str]], version: str) -> None:
    spec = "p " + "|".join(",".join(each) for each in alternatives)
    quick = quick_match(spec)
    if quick is None:
        return
    told = quick.matches(version, "h0_0")
    if told is not None:
        assert told == MATCHER.matches(spec, record(version)), (spec, version)


def test_what_real_locks_hold_is_told_without_rattler() -> None:
    for spec, version in (
        ("python-dateutil >=2.7", "2.9.0.post0"),
        ("x264 >=1!164.3095,<1!165", "1!164.3095"),
        ("libwinpthread >=12.0.0.r4.gg4f2fc60ca", "12.0.0.r4.gg4f2fc60ca"),
        ("openssl >=3.5.4,<4.0a0", "3.5.4"),
    ):
        quick = quick_match(spec)
        assert quick is not None and quick.matches(version, "h0_0") is True


def record(version: str) -> CondaRecord:
    return CondaRecord(
        name="p",
        version=version,
        build="h0_0",
        build_number=0,
        subdir="noarch",
        url=f"file:///c/noarch/p-{version}-h0_0.conda",
        file_name=f"p-{version}-h0_0.conda",
        channel="file:///c/",
    )


@given(
    pattern=st.lists(st.sampled_from(("py", "3", "_", "*", "h0")), min_size=1, max_size=5)
    .map("".join)
    .filter(lambda text: "**" not in text),
    build=st.lists(st.sampled_from(("py", "3", "_", "h0", "x")), min_size=1, max_size=5).map("".join),
)
@example("py*", "py3")
@example("*_0", "h_0")
@example("*py*", "h_py_0")
@settings(max_examples=300, deadline=None)
def test_build_strings_as_rattler_has_them(pattern: str, build: str) -> None:
    spec = f"p * {pattern}"
    quick = quick_match(spec)
    if quick is not None:
        assert quick.matches("1", build) == MATCHER.matches(spec, replace(record("1"), build=build)), (pattern, build)
