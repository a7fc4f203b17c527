"""Generated locks: what is written is read back as it was."""

from __future__ import annotations

import re
import string
from types import MappingProxyType

import ryaml
from hypothesis import given, settings
from hypothesis import strategies as st

from smelt.lock import section
from smelt.lock.codec import to_text
from smelt.lock.identity import canonical, reference_of
from smelt.lock.model import (
    BuildSource,
    Lock,
    LockedEnvironment,
    LockedPackage,
    LockedPlatform,
    Reference,
    SourceLock,
    SourcePackage,
)
from smelt.lock.reader import parse
from smelt.types import CondaRecord, GitReference, RunExports, SourceLocation

words = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
versions = st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3}){0,2}(a0|\.post1)?", fullmatch=True)
builds = st.from_regex(r"[a-z0-9][a-z0-9_]{0,8}", fullmatch=True)
texts = st.text(st.characters(exclude_categories=["Cs", "Cn"]), max_size=12)
specs = st.lists(words, max_size=3).map(tuple)
run_exports = st.builds(
    RunExports, noarch=specs, strong=specs, strong_constrains=specs, weak=specs, weak_constrains=specs
)
hexes = st.text(string.hexdigits.lower()[:16], min_size=64, max_size=64)
extras = st.dictionaries(words, st.lists(words, min_size=1, max_size=2).map(tuple), max_size=2)
purls = st.none() | st.sets(words, max_size=2).map(lambda names: tuple(sorted(f"pkg:pypi/{name}" for name in names)))
stamps = st.none() | st.integers(10**12, 10**13)
platforms = ("linux-64", "osx-arm64", "win-64")


@st.composite
def records(draw: st.DrawFn) -> CondaRecord:
    name, version, build = draw(words), draw(versions), draw(builds)
    subdir = draw(st.sampled_from(("noarch", *platforms)))
    base = draw(st.sampled_from(("https://one.example/forge/", "http://two.example/a/b/", "file:///a%20b/c/")))
    file_name = f"{name}-{version}-{build}{draw(st.sampled_from(('.conda', '.tar.bz2')))}"
    return CondaRecord(
        name=name,
        version=version,
        build=build,
        build_number=draw(st.integers(0, 10**6)),
        subdir=subdir,
        url=f"{base}{subdir}/{file_name}",
        file_name=file_name,
        channel=draw(st.sampled_from((base, "https://mirror.example/"))),
        noarch=draw(st.sampled_from((None, "python", "generic"))),
        depends=draw(specs),
        constrains=draw(specs),
        extra_depends=draw(extras),
        sha256=draw(st.none() | hexes),
        md5=draw(st.none() | hexes.map(lambda text: text[:32])),
        size=draw(st.none() | st.integers(0, 2**63)),
        timestamp=draw(stamps),
        license=draw(st.none() | texts),
        license_family=draw(st.none() | texts),
        features=draw(st.none() | texts),
        track_features=draw(specs),
        flags=draw(specs),
        purls=draw(purls),
        run_exports=draw(st.none() | run_exports),
        python_site_packages_path=draw(st.none() | words),
    )


build_sources = st.one_of(
    st.builds(BuildSource, path=words),
    st.builds(BuildSource, url=words.map("https://src.example/{}".format), sha256=hexes, subdir=st.none() | words),
    st.builds(
        BuildSource,
        git=words.map("https://git.example/{}".format),
        rev=hexes.map("a{}".format),
        branch=st.none() | words,
    ),
)
locations = st.one_of(
    st.builds(SourceLocation, path=words),
    st.builds(
        SourceLocation,
        git=words.map("https://git.example/{}".format),
        reference=st.none() | st.builds(GitReference, tag=words.map("v{}".format)),
        subdirectory=st.none() | words,
        lfs=st.none() | st.booleans(),
    ),
    st.builds(SourceLocation, url=words.map("https://src.example/{}".format), sha256=st.none() | hexes),
)


@st.composite
def sources(draw: st.DrawFn, references: list[Reference]) -> SourcePackage:
    some = st.sets(st.sampled_from(references), max_size=3) if references else st.just(set[Reference]())
    full = draw(st.booleans())
    return SourcePackage(
        name=draw(words),
        hash="c" + draw(hexes)[:7],
        location=draw(
            st.sampled_from((".", "sub/folder", "../beside", "git+https://git.example/x?branch=main#abc123"))
        ),
        version=draw(versions) if full else None,
        build=draw(builds) if full else "",
        build_number=draw(st.integers(0, 9)) if full else 0,
        subdir="linux-64" if full else None,
        noarch=draw(st.sampled_from((None, "python"))) if full else None,
        variants=MappingProxyType(draw(st.dictionaries(words, texts | st.integers(0, 99) | st.booleans(), max_size=3))),
        depends=draw(specs),
        constrains=draw(specs),
        extra_depends=draw(extras),
        flags=draw(specs),
        license=draw(st.none() | texts),
        purls=draw(purls),
        run_exports=draw(run_exports),
        source=draw(st.none() | build_sources),
        source_depends=MappingProxyType(draw(st.dictionaries(words, locations, max_size=2))),
        build_packages=tuple(draw(some)),
        host_packages=tuple(draw(some)),
    )


own = st.builds(
    SourceLock,
    version=versions,
    build=builds | texts,
    build_number=st.integers(0, 99),
    subdir=st.sampled_from(platforms),
    backend=texts,
    backend_version=texts,
    metadata_digest=hexes,
    noarch=st.none() | words,
    profile=st.none() | texts,
    build_key=st.none() | hexes,
)


@st.composite
def locks(draw: st.DrawFn) -> Lock:
    packages: dict[Reference, LockedPackage] = {reference_of(r): r for r in draw(st.lists(records(), max_size=5))}
    references = list(packages)
    for _ in range(draw(st.integers(0, 2))):
        package = draw(sources(references))
        packages[package.reference] = package
    names = draw(st.sets(st.sampled_from(platforms), min_size=1))
    rows = tuple(
        LockedPlatform(
            name=name, subdir=name, virtual_packages=tuple(draw(st.lists(words.map("__{}=1".format), max_size=2)))
        )
        for name in sorted(names)
    )
    some = st.sets(st.sampled_from(list(packages)), max_size=4) if packages else st.just(set[Reference]())
    environment = st.builds(
        LockedEnvironment,
        channels=st.just(("https://one.example/forge/",)),
        packages=st.dictionaries(st.sampled_from(sorted(names)), some.map(tuple), max_size=3),
        options=st.sampled_from(({}, {"strategy": "lowest-version"}, {"channel-priority": "disabled"})),
    )
    return Lock(
        version=7,
        platforms=rows,
        environments=draw(st.dictionaries(words, environment, max_size=3)),
        packages=packages,
        sources={reference.value: draw(own) for reference in packages if reference.kind == "conda_source"},
    )


@settings(max_examples=40, deadline=None)
@given(locks())
def test_reading_undoes_writing(lock: Lock) -> None:
    text = to_text(lock)
    again = parse(text, "pixi.lock")
    assert again == canonical(lock)
    assert to_text(again) == text


@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
    | st.from_regex(r"[0-9.eE+_~tfTFnN-]{1,6}", fullmatch=True)
)
def test_scalars_of_our_section_are_texts(text: str) -> None:
    written = section.scalar(text)
    assert "\n" not in written
    assert (
        ryaml.loads(f"a: {written}\n{written}: b\n" if len(text) < 900 and text != "a" else f"a: {written}\n")["a"]
        == text
    )
    assert not re.search(r"[\x00-\x08\x7f]", written)
