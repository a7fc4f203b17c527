"""Entries that are laid out here are those that rattler writes."""

from __future__ import annotations

import string
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rattler import Version
from test_lock_properties import locks as generated_locks
from test_lock_properties import records

from smelt.lock import codec
from smelt.lock.identity import reference_of, referenced
from smelt.lock.lines import Entries, put_in
from smelt.lock.location import to_location
from smelt.lock.model import Lock, LockedEnvironment, LockedPlatform
from smelt.lock.reader import read
from smelt.types import CondaRecord, RunExports

URL = "https://channel.example/forge/linux-64/tool-1.0-h0_1.conda"
TOOL = CondaRecord(
    name="tool", version="1.0", build="h0_1", build_number=1, subdir="linux-64", url=URL,
    file_name="tool-1.0-h0_1.conda", channel="https://channel.example/forge/",
)  # fmt: skip


def with_rattler(lock: Lock) -> str:
    """What rattler writes when it is asked for all."""
    return codec._through_rattler(codec._as_json(lock, referenced(lock)))


def lock_of(*packages: CondaRecord) -> Lock:
    """One environment on one platform."""
    references = {reference_of(each): each for each in packages}
    environment = LockedEnvironment(channels=(), packages={"linux-64": tuple(references)})
    return Lock(
        version=7,
        platforms=(LockedPlatform(name="linux-64", subdir="linux-64"),),
        environments={"default": environment},
        packages=references,
    )


def entry_of(record: CondaRecord) -> str | None:
    return Entries().entry(to_location(record.url), record)


def assert_as_rattler(record: CondaRecord) -> None:
    """The entry is what rattler writes, where there is one."""
    entry = entry_of(record)
    assert entry is not None
    assert with_rattler(lock_of(record)).partition("\npackages:\n")[2] == f"{entry}\n"


@settings(max_examples=60, deadline=None)
@given(generated_locks())
def test_locks_are_laid_out_as_rattler_lays_them_out(lock: Lock) -> None:
    assert codec._laid_out(lock, referenced(lock)) == with_rattler(lock)


@settings(max_examples=150, deadline=None)
@given(records())
def test_entries_are_those_of_rattler(record: CondaRecord) -> None:
    if entry_of(record) is not None:
        assert_as_rattler(record)


texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs", "Cn"]), max_size=10),
    st.text("0123456789eExXoObBaAfF.+-_ ", min_size=1, max_size=7),
    st.text(string.printable, min_size=1, max_size=8),
    st.sampled_from(("tool", "0BSD", "7zip >=1", "__glibc", "./a", "../a", "/a", "x")).flatmap(
        lambda head: st.text(string.printable, max_size=5).map(head.__add__)
    ),
    st.sampled_from(("true", "NO", "y", "null", "Off", ".inf", ".nan", "nan", "inf", "~", "=", "<<", "-", "?", "0o7")),
)


@settings(max_examples=400, deadline=None)
@given(texts)
def test_no_text_is_taken_for_plain_that_rattler_would_quote(text: str) -> None:
    record = replace(TOOL, depends=(text,), license=text, run_exports=RunExports(weak=(text,)))
    if entry_of(record) is not None:
        assert_as_rattler(record)


@settings(max_examples=200, deadline=None)
@given(st.text("0123456789e", min_size=32, max_size=32) | st.text("0b1e", min_size=32, max_size=32))
def test_digests_that_look_like_numbers(digest: str) -> None:
    record = replace(TOOL, md5=digest)
    if entry_of(record) is not None:
        assert_as_rattler(record)


@settings(max_examples=200, deadline=None)
@given(st.from_regex(r"[0-9]{1,3}!?[0-9a-z._]{1,20}", fullmatch=True))
def test_versions_are_some_that_rattler_takes(version: str) -> None:
    file_name = f"tool-{version}-h0_1.conda"
    url = f"https://channel.example/forge/linux-64/{file_name}"
    if entry_of(replace(TOOL, version=version, file_name=file_name, url=url)) is not None:
        Version(version)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"license": "0BSD"},
        {"license": "MIT AND (BSD-3-Clause OR 0BSD)"},
        {"depends": ("__glibc >=2.17,<3.0.a0", "libblas   3.9.0   32*_mkl", "tool[version='>=1', build=x]")},
        {"constrains": ("7zip >=1",), "track_features": ("nomkl",)},
        {"noarch": "python"},
        {"build_number": 7},
        {"md5": "1" * 32, "sha256": "a" * 64},
        {"channel": "https://mirror.example/forge/"},
        {"channel": None},
        {"purls": ()},
        {"purls": ("pkg:pypi/tool?source=hash-mapping",)},
        {"purls": ("pkg:pypi/b", "pkg:pypi/a")},
        {"run_exports": RunExports()},
        {"run_exports": RunExports(noarch=("python",), weak=("a 1.*",), strong=("b",), strong_constrains=("c",))},
        {"size": 0, "timestamp": 10**12},
        {"size": 2**62, "timestamp": 1_700_000_000_123},
        {"python_site_packages_path": "lib/python3.13t/site-packages"},
        {"url": "http://a.example:8080/b/linux-64/tool-1.0-h0_1.conda"},
        {"url": "file:///some/where/linux-64/tool-1.0-h0_1.conda"},
        {"url": "https://channel.example/other/tool-1.0-h0_1.conda"},
        {"subdir": "noarch", "url": "https://channel.example/forge/noarch/tool-1.0-h0_1.conda"},
    ],
)
def test_usual_records_have_entries(change: dict[str, object]) -> None:
    assert_as_rattler(replace(TOOL, **change))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"license": ""},
        {"license": "true"},
        {"license": "a: b"},
        {"license": "a #b"},
        {"license": "line\nline"},
        {"license": "1e3"},
        {"license": "é"},
        {"md5": "E" * 32},
        {"md5": "0" * 30 + "e1"},
        {"sha256": "no digest"},
        {"name": "other"},
        {"version": "2"},
        {"timestamp": 1_700_000_000},
        {"size": -1},
        {"extra_depends": {"a": ("b",)}},
        {"flags": ("a",)},
        {"features": "mkl"},
        {"noarch": "other"},
        {"subdir": "no subdir"},
        {"channel": "HTTPS://CHANNEL.example/forge/"},
        {"purls": ("pkg:pypi/A_b",)},
        {"url": "https://CHANNEL.example/forge/linux-64/tool-1.0-h0_1.conda"},
        {"url": "https://channel.example:443/forge/linux-64/tool-1.0-h0_1.conda"},
        {"url": "https://channel.example/forge/../linux-64/tool-1.0-h0_1.conda"},
        {"url": "https://user:secret@channel.example/linux-64/tool-1.0-h0_1.conda"},
        {"url": "https://1.2/linux-64/tool-1.0-h0_1.conda"},
        {"url": "file:///some%20where/linux-64/tool-1.0-h0_1.conda"},
        {"url": "file:///C:/where/linux-64/tool-1.0-h0_1.conda"},
    ],
)
def test_what_may_be_written_otherwise_is_left_to_rattler(change: dict[str, object]) -> None:
    assert entry_of(replace(TOOL, **change)) is None  # type: ignore[arg-type]


def test_a_lock_with_both_kinds_is_in_order() -> None:
    """Packages that rattler writes stand between those that are laid out here."""
    odd = [
        replace(TOOL, url=URL.replace("tool-", f"{name}-"), name=name, file_name=f"{name}-1.0-h0_1.conda", license=text)
        for name, text in (("a", "yes"), ("m", "MIT"), ("n", ""), ("z", "a: b"))
    ]
    lock = lock_of(TOOL, *odd)
    assert [entry_of(each) is None for each in odd] == [True, False, True, True]
    assert codec._laid_out(lock, referenced(lock)) == with_rattler(lock)


def test_a_text_that_is_laid_out_otherwise_is_not_touched() -> None:
    rows, entries = {"default": {"linux-64": [URL]}}, {URL: f"- conda: {URL}"}
    head = "version: 7\nenvironments:\n  default:\n    channels: []\n    packages:\n"
    assert put_in(f"{head}      linux-64: []\npackages: []\n", rows, entries) == (
        f"{head}      linux-64:\n      - conda: {URL}\npackages:\n- conda: {URL}\n"
    )
    assert put_in(f"{head}      linux-64: []\n", rows, entries) is None
    assert put_in(f"{head}      linux-64: []\n      win-64: []\npackages: []\n", rows, entries) is None
    assert put_in("environments: {}\npackages: []\n", rows, entries) is None
    assert put_in(f"{head}      linux-64:\n      - conda: 'a'\npackages: []\n", rows, entries) is None
    assert put_in(f"{head}      linux-64: []\npackages:\n- conda: 'a'\n", rows, entries) is None


def test_nearly_all_of_the_corpus_is_laid_out(corpus: Path) -> None:
    packages = odd = 0
    for path in sorted(corpus.rglob("pixi.lock"))[::4]:
        lock = read(path)
        entries = Entries()
        for reference, package in lock.packages.items():
            if isinstance(package, CondaRecord):
                packages += 1
                odd += entries.entry(to_location(reference.value), package) is None
    assert packages > 3_000
    assert odd < packages / 50
