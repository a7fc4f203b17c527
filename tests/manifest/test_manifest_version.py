"""Versions and version specs: the same answers as the solver's own parser."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smelt.manifest.version import (
    compare_versions,
    exclude_newer_problem,
    version_matches,
    version_problem,
    version_spec_problem,
)

VERSIONS = [
    "0.9",
    "1.0",
    "1",
    "1.0.0",
    "1.0.1",
    "1.0a1",
    "1.0.dev1",
    "1.0.post1",
    "1.0rc1",
    "1.0b",
    "1.0_1",
    "1-2",
    "1!0.5",
    "1.0+x",
    "1.0+2.a",
    "v1",
    "a",
    "2",
    "4.18",
    "12.9",
    "2.28",
    "2024-01-01",
    "1.2.3.4.5",
    "1.10",
    "1.9",
    "1.1g",
    "1.1a",
]
SPECS = [
    *("1.2", "=1.2", "==1.2", ">=1.2.*", "==1.2.*", "!=1.2.*", "~=1.2", "~=1.2.*", "~=1", ">1.2,<2", "1.2|1.3"),
    *("(>1,<2)|3", "*", "1.*", "1.2*", ">=1.2*", "", " >=1", ">=1 ", ">= 1", ">=1, <2", ">=1 ,<2", "x.y.z", "^1.*$"),
    *("a!0", ">=", ">=1,", "1.0+local", "foo bar", "=*", ">*", "1.*.2", "*.1", "../foo", "1.2==", "((1)", "1)"),
    *("!==1", "=>1", "1.2 | 1.3", ",1", "|", "()", "1..2", "latest"),
]


def solver_accepts(spec: str) -> bool:
    """As the reference reads it: strict, but for a bare version, which is ambiguous and taken as ``==``."""
    from rattler import VersionSpec

    try:
        VersionSpec(spec, True)
    except Exception as error:  # noqa: BLE001 - the binding raises its own class
        if "missing range specifier" not in str(error):
            return False
        try:
            VersionSpec(spec, False)
        except Exception:  # noqa: BLE001
            return False
    return True


@pytest.mark.parametrize("spec", SPECS)
def test_version_specs_as_the_solver(spec: str) -> None:
    assert (version_spec_problem(spec) is None) == solver_accepts(spec)


@given(st.text("0123456789.*,|()<>=!~ab", max_size=8))
def test_what_is_refused_has_a_reason(spec: str) -> None:
    complaint = version_spec_problem(spec)
    assert complaint is None or spec.strip() in complaint or "empty" in complaint


def test_order_as_the_solver() -> None:
    from rattler import Version

    for left, right in itertools.product(VERSIONS, VERSIONS):
        expected = (Version(left) > Version(right)) - (Version(left) < Version(right))
        order = compare_versions(left, right)
        assert (order > 0) - (order < 0) == expected, (left, right)


@pytest.mark.parametrize(
    "spec",
    [">=0.70", "<0.77", "~=0.77", "=0.77", "0.77.*", "!=0.77.*", ">=0.70,<0.80|>=1", "==0.77.0", "0.77", "*",
     "(>=0.5,<0.6)|0.77.*", ">0.77", "<=0.77", "!=0.77", "~=0.76.1", "0.7*"],
)  # fmt: skip
@pytest.mark.parametrize("version", ["0.77.0", "0.77.1", "0.76.9", "0.5.1", "1.0"])
def test_matching_as_the_solver(spec: str, version: str) -> None:
    from rattler import Version, VersionSpec

    assert version_matches(spec, version) == VersionSpec(spec).matches(Version(version))


@pytest.mark.parametrize("version", ["1.0", "a", "1!2", "1.2.3-rc", "1.0+x.y", "1_2", "v1", "1.0_"])
def test_versions(version: str) -> None:
    assert version_problem(version) is None


@pytest.mark.parametrize("version", ["", "a!0", "1..2", "1.", "_1", "-1", "1.2*", "1 2", "1.0.", "ü"])
def test_no_versions(version: str) -> None:
    assert version_problem(version) is not None


@pytest.mark.parametrize(
    "text", ["7d", "1h30m", "2 weeks", "1h 30min", "2025-01-31", "2025-01-31T12:00:00Z", "2025-01-31T12:00:00+02:00"]
)
def test_cutoffs(text: str) -> None:
    assert exclude_newer_problem(text) is None


@pytest.mark.parametrize(
    "text", ["", "7", "7 foos", "2025-02-31", "2025", "31.1.2025", "2025-01-31T12:00:00", "yesterday"]
)
def test_no_cutoffs(text: str) -> None:
    assert exclude_newer_problem(text) is not None


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("../foo", "{ path ="),
        ("https://host.example/x.git", "{ git ="),
        ("https://host.example/x", "{ url ="),
        ("conda-forge::1.2", 'channel = "conda-forge"'),
        (">=1.2 py3*", 'build = "py3*"'),
        ("=>1", "not an operator"),
    ],
)
def test_advice(text: str, advice: str) -> None:
    assert advice in (version_spec_problem(text) or "")
