"""Whether a lock fits a workspace, and why not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from satisfiability_kit import (
    CHANNEL,
    CUDA,
    LINUX,
    PYTHON,
    ZLIB,
    Rattler,
    checks,
    dependency,
    environment,
    fits,
    lock_of,
    record,
    rendered,
    source,
    why,
    workspace_of,
)

from smelt.lock.model import (
    LockedPlatform,
    PypiPackage,
)
from smelt.lock.requirement import Both, describe, parse_condition, parse_requirement
from smelt.lock.satisfiability import check, outdated
from smelt.text import SourceText
from smelt.types import CondaRecord, CondaSpec, GitReference, SourceLocation, VirtualPackage
from smelt.workspace.model import WorkspacePlatform


def test_a_lock_that_fits_without_asking_rattler() -> None:
    matcher = Rattler()
    lock = lock_of(PYTHON, ZLIB)
    assert check(workspace_of(environment("python >=3.11")), lock, checks(matcher)) == ()
    assert not matcher.asked


def test_requirement_is_not_met() -> None:
    place = SourceText(path="pixi.toml", text="python = '3.13.*'").place(0, 6)
    wanted = replace(dependency("python 3.13.*"), place=place)
    found = why(environment(wanted), lock_of(PYTHON, ZLIB))
    assert found.code == "unsatisfied"
    assert found.reason == "the requirement 'python 3.13.*' could not be satisfied (required by '<environment>')"
    assert found.place == place
    assert str(found).startswith("environment 'default' on linux-64: the requirement")


def test_nothing_is_locked_for_it() -> None:
    assert why(environment("scipy"), lock_of(PYTHON, ZLIB)).code == "unsatisfied"


@pytest.mark.parametrize(
    ("package", "words"),
    [
        (
            record("python 3.12.1", "zlib >=2"),
            "'zlib >=2' could not be satisfied (required by 'python-3.12.1-h0_0.conda')",
        ),
        (record("python 3.12.1", "zlib", "missing >=1"), "'missing >=1'"),
        (record("python 3.12.1", "zlib", "__cuda >=12"), "'__cuda >=12'"),
        (record("python 3.12.1", "zlib", "__glibc >=2.99"), "'__glibc >=2.99'"),
        (record("python 3.12.1", "zlib 1.3 other_0"), "'zlib 1.3 other_0'"),
    ],
)
def test_requirement_of_a_locked_package_is_not_met(package: CondaRecord, words: str) -> None:
    found = why(environment("python"), lock_of(package, ZLIB))
    assert (found.code, words in found.reason) == ("unsatisfied", True), found.reason


def test_superfluous_packages() -> None:
    found = why(environment("zlib"), lock_of(PYTHON, ZLIB, record("b 1"), record("a 1")))
    assert found.code == "superfluous"
    assert found.reason.endswith("that nothing requires: a, b, python")
    assert why(environment(), lock_of(ZLIB)).code == "superfluous"
    assert fits(environment(), lock_of())


def test_constraints_bind_what_is_locked() -> None:
    lock = lock_of(PYTHON, ZLIB)
    assert fits(environment("python", constraints=(dependency("zlib <2"), dependency("absent >5"))), lock)
    found = why(environment("python", constraints=(dependency("zlib <1.3"),)), lock)
    assert found.code == "constraint"
    assert "'zlib 1.3 h0_0' violates the constraint 'zlib <1.3'" in found.reason


def test_channels() -> None:
    lock = lock_of(ZLIB, channels=("https://channel.example/forge",))
    assert fits(environment("zlib"), lock)
    assert why(environment("zlib", channels=(CHANNEL, "https://b.example/")), lock).code == "channels-extended"
    assert why(environment("zlib", channels=("https://b.example/", CHANNEL)), lock).code == "channels"
    assert why(environment("zlib", channels=()), lock).code == "channels"
    assert fits(environment("zlib"), lock_of(ZLIB, channels=("forge",)))


def test_options() -> None:
    assert fits(environment("zlib", solve_strategy="lowest"), lock_of(ZLIB, options={"strategy": "lowest-version"}))
    assert why(environment("zlib", solve_strategy="lowest"), lock_of(ZLIB)).code == "solve-strategy"
    assert why(environment("zlib"), lock_of(ZLIB, options={"strategy": "lowest-version"})).code == "solve-strategy"
    found = why(environment("zlib", channel_priority="disabled"), lock_of(ZLIB))
    assert found.code == "channel-priority"
    assert "(strict) than the one selected (disabled)" in found.reason


def test_exclude_newer() -> None:
    old = replace(ZLIB, timestamp=1_762_300_000_000)  # 2025-11-04T23:46:40Z
    assert fits(environment("zlib", exclude_newer="2025-11-05T00:00:00+00:00"), lock_of(old))
    found = why(environment("zlib", exclude_newer="2025-11-04T00:00:00+00:00"), lock_of(old))
    assert found.code == "exclude-newer"
    assert "'zlib' is of 2025-11-04T23:46:40Z, which is newer than the cut-off 2025-11-04T00:00:00Z" in found.reason
    assert fits(environment("zlib", exclude_newer="7d"), lock_of(old))
    assert fits(environment("zlib", exclude_newer="2020-01-01T00:00:00+00:00"), lock_of(ZLIB))


def test_platform_definition() -> None:
    lock = lock_of(ZLIB, platform=CUDA)
    assert fits(environment("zlib", platform=CUDA), lock)
    reordered = replace(CUDA, virtual_packages=tuple(reversed(CUDA.virtual_packages)))
    assert fits(environment("zlib", platform=reordered), lock)
    newer = replace(CUDA, virtual_packages=(*LINUX.virtual_packages, VirtualPackage(name="__cuda", version="13")))
    found = why(environment("zlib", platform=newer), lock)
    assert found.code == "platform-definition"
    assert "declares the virtual packages [__cuda=13], the lock file was solved with [__cuda=12]" in found.reason
    moved = replace(CUDA, subdir="linux-aarch64")
    assert "was solved for linux-64" in why(environment("zlib", platform=moved), lock).reason


def test_platforms_of_old_locks_count_for_their_subdir() -> None:
    lock = lock_of(ZLIB)
    bare = replace(lock, platforms=(replace(lock.platforms[0], virtual_packages=()),))
    assert fits(environment("zlib", platform=CUDA), bare)
    assert why(environment("zlib", platform=CUDA), lock).code == "unsatisfied"


def test_platforms_and_environments_come_and_go() -> None:
    lock = lock_of(ZLIB)
    mac = WorkspacePlatform(name="osx-arm64", subdir="osx-arm64", virtual_packages=())
    here = environment("zlib")
    both = workspace_of(here, environment("zlib", platform=mac))
    found = check(both, lock, checks())
    assert [(m.environment, m.platform, m.code) for m in found] == [("default", "osx-arm64", "unsatisfied")]
    assert outdated(both, found) == {("default", "osx-arm64")}

    extra = replace(
        lock,
        platforms=(*lock.platforms, LockedPlatform(name="osx-arm64", subdir="osx-arm64")),
        environments={
            "default": replace(
                lock.environments["default"], packages={**lock.environments["default"].packages, "osx-arm64": ()}
            )
        },
    )
    [found_extra] = check(workspace_of(here), extra, checks())
    assert (found_extra.code, found_extra.platform) == ("platforms", None)

    [removed] = check(
        workspace_of(here),
        replace(lock, environments={**lock.environments, "gone": lock.environments["default"]}),
        checks(),
    )
    assert (removed.environment, removed.code) == ("gone", "removed-environment")

    other = workspace_of(here, environment("zlib", name="other"))
    [missing] = check(other, lock, checks())
    assert (missing.environment, missing.code) == ("other", "missing-environment")
    assert outdated(other, [missing]) == {("other", "linux-64")}


def test_solve_groups_hold_one_package_of_a_name() -> None:
    one, two = lock_of(ZLIB, name="one"), lock_of(record("zlib 1.2"), name="two")
    lock = replace(
        one, environments={**one.environments, **two.environments}, packages={**one.packages, **two.packages}
    )
    apart = workspace_of(environment("zlib", name="one"), environment("zlib", name="two"))
    assert check(apart, lock, checks()) == ()
    together = workspace_of(
        environment("zlib", name="one", solve_group="g"), environment("zlib", name="two", solve_group="g")
    )
    [found] = check(together, lock, checks())
    assert (found.environment, found.code) == ("two", "solve-group")
    assert outdated(together, [found]) == {("one", "linux-64"), ("two", "linux-64")}


def test_duplicates() -> None:
    assert why(environment("zlib"), lock_of(ZLIB, record("zlib 1.2"))).code == "duplicate"


def test_extras() -> None:
    package = record("a 1", "zlib", extra_depends={"test": ("pytest >=8",), "docs": ("sphinx",)})
    pytest_ = record("pytest 8.1")
    wanted = dependency("a *", extras=("test",))
    assert fits(environment(wanted), lock_of(package, ZLIB, pytest_))
    assert why(environment(wanted), lock_of(package, ZLIB)).code == "unsatisfied"
    assert why(environment("a"), lock_of(package, ZLIB, pytest_)).code == "superfluous"
    # the extra is asked for only after the package was visited without it
    through = record("b 1", "a[extras=[test]]")
    assert fits(environment("a", "b"), lock_of(package, ZLIB, pytest_, through))


def test_conditions() -> None:
    wanted = (dependency("zlib"), dependency("gpu *", when="__cuda>=12"))
    assert fits(environment(*wanted), lock_of(ZLIB))
    assert fits(environment(*wanted, platform=CUDA), lock_of(ZLIB, record("gpu 1"), platform=CUDA))
    found = why(environment(*wanted, platform=CUDA), lock_of(ZLIB, platform=CUDA))
    assert "'gpu *[when=\"__cuda>=12\"]'" in found.reason
    backport = record("a 1", 'backport *[when="python <3.11"]', "python")
    assert fits(environment("a"), lock_of(backport, PYTHON, ZLIB))
    old = record("python 3.10.2")
    assert why(environment("a"), lock_of(backport, old)).code == "unsatisfied"


def test_condition_grammar() -> None:
    found = parse_condition("python >=3.10 and (__unix or __win) or zlib")
    assert isinstance(found, Both)
    assert found.kind == "or"
    assert isinstance(found.left, Both)
    assert found.left.kind == "and"
    for text in ("", "and", "a or", "(a", "a)", "a b c and"):
        with pytest.raises(ValueError, match="is not a condition"):
            parse_condition(text)


def test_requirement_texts() -> None:
    found = parse_requirement("Foo[version='>=1', extras=[a, 'b'], when=\"c >1 and d\"]")
    assert (found.name, found.extras) == ("foo", ("a", "b"))
    assert found.quick is None
    assert isinstance(found.condition, Both)
    assert parse_requirement("forge::foo >=1").name == "foo"
    spec = CondaSpec(version=">=1", build="h*", channel="forge", when="__unix")
    assert describe("foo", spec) == 'foo >=1 h*[channel="forge", when="__unix"]'


def test_source_packages() -> None:
    own = source("own", "pkg", "zlib >=1.3")
    here = dependency("own", location=SourceLocation(path="./pkg"))
    lock = lock_of(own, ZLIB, sources={own.identifier: rendered()})
    assert fits(environment(here), lock)
    assert why(environment("own"), lock).code == "unwanted-source"
    elsewhere = why(environment(dependency("own", location=SourceLocation(path="other"))), lock)
    assert elsewhere.code == "source-location"
    assert "the locked path 'pkg' does not match the requested path 'other'" in elsewhere.reason
    assert why(environment(here), lock_of(record("own 1.0"))).code == "source-is-binary"
    assert why(environment(here), lock_of(ZLIB)).code == "missing-source"
    git = why(environment(dependency("own", location=SourceLocation(git="https://git.example/x"))), lock)
    assert "source type does not match" in git.reason


def test_version_of_a_source_package() -> None:
    own = source("own", "pkg", "zlib")
    wanted = environment(dependency("own >=2", location=SourceLocation(path="pkg")))
    known = lock_of(own, ZLIB, sources={own.identifier: rendered("2.1")})
    assert fits(wanted, known)
    assert why(wanted, lock_of(own, ZLIB, sources={own.identifier: rendered("1.9")})).code == "unsatisfied"
    unknown = lock_of(own, ZLIB)
    assert why(wanted, unknown).code == "source-unknown"
    assert fits(wanted, unknown, source_records={own.identifier: record("own 2.0")})


def test_source_dependencies_of_source_packages() -> None:
    inner = source("inner", "libs/inner")
    own = source("own", "libs/own", "inner", source_depends={"inner": SourceLocation(path="../inner")})
    wanted = environment(dependency("own", location=SourceLocation(path="libs/own")))
    assert fits(wanted, lock_of(own, inner))
    moved = source("inner", "inner")
    found = why(wanted, lock_of(own, moved))
    assert found.code == "source-location"
    assert "the locked path 'inner' does not match the requested path 'libs/inner'" in found.reason
    assert why(wanted, lock_of(own, record("inner 1"))).code == "source-is-binary"


def test_changed_metadata() -> None:
    inner = replace(source("inner", "inner"), hash="00000002")
    own = replace(source("own", "."), host_packages=(inner.reference,))
    digests = {own.identifier: "one", inner.identifier: "two"}
    sources = {own.identifier: rendered(digest="one"), inner.identifier: rendered(digest="two")}
    lock = lock_of(own, built_with=[inner], sources=sources)
    wanted = environment(dependency("own", location=SourceLocation(path=".")))
    assert fits(wanted, lock)
    assert fits(wanted, lock, source_digests=digests)
    found = why(wanted, lock, source_digests={**digests, inner.identifier: "changed"})
    assert found.code == "source-changed"
    assert "'inner'" in found.reason
    assert why(wanted, lock, source_digests={own.identifier: "one"}).code == "source-changed"
    unrecorded = replace(lock, sources={})
    found = why(wanted, unrecorded, source_digests=digests)
    assert found.reason.endswith("the lock file does not say what it was rendered from")
    same: dict[str, str | None] = {own.identifier: None, inner.identifier: None}
    assert fits(wanted, unrecorded, source_digests=digests, source_differences=same)
    other = {**same, inner.identifier: "it now requires `zlib`"}
    found = why(wanted, unrecorded, source_digests=digests, source_differences=other)
    assert found.reason == "the source package 'inner' has changed: it now requires `zlib`"


@pytest.mark.parametrize(
    ("wanted", "mismatch"),
    [
        (SourceLocation(git="https://git.example/x.git", reference=GitReference(branch="main")), None),
        (SourceLocation(git="https://user:secret@git.example/x"), None),
        (SourceLocation(git="https://git.example/x", reference=GitReference(rev="abc")), None),
        (SourceLocation(git="https://git.example/x", reference=GitReference(rev="fff")), "commit"),
        (SourceLocation(git="https://git.example/x", reference=GitReference(tag="v1")), "tag"),
        (SourceLocation(git="https://git.example/y"), "repository"),
        (SourceLocation(git="https://git.example/x", subdirectory="sub"), "subdirectory"),
        (SourceLocation(url="https://git.example/x"), "type"),
        (SourceLocation(pypi="own==1.0"), "own==1.0"),
    ],
)
def test_git_sources(wanted: SourceLocation, mismatch: str | None) -> None:
    own = source("own", "git+https://git.example/x?branch=main#abcdef")
    effective = environment(dependency("own", location=wanted))
    if mismatch is None:
        assert fits(effective, lock_of(own))
    else:
        assert mismatch in why(effective, lock_of(own)).reason


def test_sdists_by_name() -> None:
    own = source("own", "https://files.example/own-1.0.tar.gz")
    lock = lock_of(own, sources={own.identifier: rendered(pypi="own==1.0")})
    assert fits(environment(dependency("own", location=SourceLocation(pypi="own==1.0"))), lock)
    assert why(environment(dependency("own", location=SourceLocation(pypi="own==1.1"))), lock).code == "source-location"


def test_url_sources() -> None:
    own = source("own", "https://files.example/own.tar.gz#sha256=aa")
    assert fits(
        environment(dependency("own", location=SourceLocation(url="https://files.example/own.tar.gz"))), lock_of(own)
    )
    other = SourceLocation(url="https://files.example/own.tar.gz", sha256="bb")
    assert "sha256" in why(environment(dependency("own", location=other)), lock_of(own)).reason


def test_pypi_packages_that_nothing_requires() -> None:
    wheel = PypiPackage(location="https://files.example/a.whl", name="a", version="1")
    assert why(environment("zlib"), lock_of(ZLIB, wheel)).code == "superfluous"


def test_names_are_compared_without_case() -> None:
    assert fits(environment("Zlib"), lock_of(record("zlib 1.3")))


def test_answers_are_remembered() -> None:
    matcher = Rattler()
    odd = record("odd 1.0", "zlib[version='>=1', build='h*']")
    lock = lock_of(odd, ZLIB)
    twice = replace(lock, environments={**lock.environments, "two": lock.environments["default"]})
    workspace = workspace_of(environment("odd"), environment("odd", name="two"))
    assert check(workspace, twice, checks(matcher)) == ()
    assert matcher.asked == ["zlib[version='>=1', build='h*']"]
