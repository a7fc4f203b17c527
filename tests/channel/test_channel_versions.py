"""Versions and specifiers: conda must order and choose as PEP 440 does."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from smelt.channel.versions import conda_dependency, conda_name, conda_spec, conda_version

NUMBER = st.integers(0, 12)
RELEASE = st.lists(NUMBER, min_size=1, max_size=4).map(lambda parts: ".".join(map(str, parts)))
FINAL = RELEASE
ANY = st.builds(
    lambda epoch, release, pre, post, dev: epoch + release + pre + post + dev,
    st.sampled_from(["", "", "", "1!"]),
    RELEASE,
    st.one_of(st.just(""), st.builds("{}{}".format, st.sampled_from(["a", "b", "rc"]), NUMBER)),
    st.one_of(st.just(""), st.builds(".post{}".format, NUMBER)),
    st.one_of(st.just(""), st.builds(".dev{}".format, NUMBER)),
)


def rattler_version(text: str) -> object:
    from rattler import Version as CondaVersion

    return CondaVersion(conda_version(text))


def matches(spec: str, version: str) -> bool:
    if not spec:
        return True
    from rattler.version import VersionSpec

    return VersionSpec(spec).matches(rattler_version(version))


@settings(max_examples=300, deadline=None)
@given(ANY, ANY)
def test_conda_orders_versions_as_pep_440(one: str, other: str) -> None:
    # what conda is known to order otherwise, and nobody mixes: pre-releases of pre-releases, development releases
    # beside alphas of one release, suffixes of `1.0` beside `1.0.0`
    versions = [Version(one), Version(other)]
    for version in versions:
        assume(sum((version.pre is not None, version.is_postrelease, version.dev is not None)) <= 1)
    if any(version.is_prerelease or version.is_postrelease for version in versions):
        assume(len(versions[0].release) == len(versions[1].release))
        assume(not (versions[0].is_devrelease != versions[1].is_devrelease and all(v.is_prerelease for v in versions)))
    assert (Version(one) < Version(other)) == (rattler_version(one) < rattler_version(other))
    assert (Version(one) == Version(other)) == (rattler_version(one) == rattler_version(other))


SPECIFIER = st.one_of(
    st.builds("{}{}".format, st.sampled_from([">=", "<", "<=", "==", "!="]), FINAL),
    st.builds("{}{}.*".format, st.sampled_from(["==", "!="]), FINAL),
    st.builds("~={}.{}".format, FINAL, NUMBER),
)


@settings(max_examples=500, deadline=None)
@given(st.lists(SPECIFIER, max_size=3).map(",".join), FINAL, st.sampled_from(["", "a1", "rc2"]))
def test_conda_chooses_as_pep_440(specifiers: str, release: str, pre: str) -> None:
    specifier_set = SpecifierSet(specifiers)
    version = release + pre
    expected = specifier_set.contains(version, prereleases=True)
    assert matches(conda_spec(specifier_set), version) == expected


@pytest.mark.parametrize(
    ("specifiers", "spec"),
    [
        ("", ""),
        (">=1.0", ">=1.0"),
        ("<2", "<2a0"),
        ("<2.0", "<2a0"),
        ("<2.1", "<2.1a0"),
        ("<2.0rc1", "<2.0rc1"),
        ("~=1.4.2", ">=1.4.2,1.4.*"),
        ("~=2.1", ">=2.1,2.*"),
        ("==1.*", "1.*"),
        ("!=1.5.*,>=1", ">=1,!=1.5.*"),
        ("===1.0", "==1.0"),
        ("==1.0+cu121", "==1.0+cu121"),
        (">=1!2.0", ">=1!2.0"),
    ],
)
def test_specifiers(specifiers: str, spec: str) -> None:
    assert conda_spec(SpecifierSet(specifiers)) == spec


def test_names() -> None:
    assert conda_name("Ruamel.YAML_clib") == "ruamel-yaml-clib"
    assert conda_dependency("Typing_Extensions", ">=4") == "typing-extensions >=4"
    assert conda_dependency("six", "") == "six"
