"""The conda solver against real repodata on disk."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from smelt.errors import ChannelError, SolveError
from smelt.solve.conda import CondaSolver
from smelt.solve.cutoff import parse_cutoff
from smelt.solve.matching import RattlerMatcher
from smelt.solve.records import from_rattler, from_repodata, to_rattler, to_repodata
from smelt.solve.request import SolveRequest
from smelt.solve.run_exports import RunExportsSource
from smelt.types import CondaRecord, VirtualPackage


def entry(name: str, version: str = "1.0", build: str = "h0_0", **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "version": version,
        "build": build,
        "build_number": 0,
        "subdir": "linux-64",
        "depends": [],
        "sha256": "0" * 64,
        **more,
    }


@pytest.fixture
def channel(tmp_path: Path) -> str:
    packages = [
        entry("app", depends=["lib >=1"], run_exports={"weak": ["app >=1.0,<2.0a0"]}),
        entry("lib", "1.0"),
        entry("lib", "2.0", timestamp=1_700_000_000_000),
        entry("needs-cuda", depends=["__cuda >=12"]),
    ]
    for subdir in ("linux-64", "noarch"):
        folder = tmp_path / "channel" / subdir
        folder.mkdir(parents=True)
        listed = {f"{p['name']}-{p['version']}-{p['build']}.conda": p for p in packages if p["subdir"] == subdir}
        (folder / "repodata.json").write_text(
            json.dumps({"info": {"subdir": subdir}, "packages": {}, "packages.conda": listed, "repodata_version": 2})
        )
    return (tmp_path / "channel").as_uri() + "/"


def solve(tmp_path: Path, *requests: SolveRequest) -> list[tuple[CondaRecord, ...]]:
    async def main() -> list[tuple[CondaRecord, ...]]:
        solver = CondaSolver(tmp_path / "cache")
        return [await solver.solve(request) for request in requests]

    return asyncio.run(main())


def test_it_picks_the_highest_version_and_keeps_what_is_locked(channel: str, tmp_path: Path) -> None:
    request = SolveRequest(specs=("app",), channels=(channel,), subdir="linux-64")
    ((app, lib),) = solve(tmp_path, request)
    assert (app.name, lib.name, lib.version) == ("app", "lib", "2.0")
    assert app.run_exports is not None
    assert app.run_exports.weak == ("app >=1.0,<2.0a0",)
    assert app.channel == channel
    old = CondaRecord(
        name="lib",
        version="1.0",
        build="h0_0",
        build_number=0,
        subdir="linux-64",
        url=channel + "linux-64/lib-1.0-h0_0.conda",
        file_name="lib-1.0-h0_0.conda",
        channel=channel,
    )
    locked = SolveRequest(specs=("app",), channels=(channel,), subdir="linux-64", locked=(old,))
    assert solve(tmp_path, locked)[0][1].version == "1.0"


def test_a_source_candidate_is_taken_and_never_the_channels_package(channel: str, tmp_path: Path) -> None:
    candidate = CondaRecord(
        name="lib",
        version="0.5",
        build="src_0",
        build_number=0,
        subdir="linux-64",
        url="smelt:lib",
        file_name="lib-0.5-src_0.conda",
        channel=None,
    )
    request = SolveRequest(specs=("lib",), channels=(channel,), subdir="linux-64", candidates=(candidate,))
    assert solve(tmp_path, request) == [(candidate,)]
    unsolvable = SolveRequest(specs=("app",), channels=(channel,), subdir="linux-64", candidates=(candidate,))
    with pytest.raises(SolveError) as caught:
        solve(tmp_path, unsolvable)
    assert "lib" in caught.value.notes[0]
    assert "smelt-source" not in caught.value.notes[0]


def test_of_equal_candidates_the_first_listed_wins(channel: str, tmp_path: Path) -> None:
    def candidate(build: str) -> CondaRecord:
        return CondaRecord(
            name="pkg",
            version="1.0",
            build=build,
            build_number=0,
            subdir="linux-64",
            url=f"smelt:pkg:{build}",
            file_name=f"pkg-1.0-{build}.conda",
            channel=None,
        )

    first, second = candidate("a_0"), candidate("b_0")
    for order in ((first, second), (second, first)):
        request = SolveRequest(specs=("pkg",), channels=(channel,), subdir="linux-64", candidates=order)
        assert solve(tmp_path, request) == [(order[0],)]


def test_virtual_packages_count(channel: str, tmp_path: Path) -> None:
    request = SolveRequest(specs=("needs-cuda",), channels=(channel,), subdir="linux-64")
    with pytest.raises(SolveError) as caught:
        solve(tmp_path, request)
    assert "__cuda" in caught.value.notes[0]
    cuda = VirtualPackage(name="__cuda", version="12.8")
    with_cuda = SolveRequest(specs=("needs-cuda",), channels=(channel,), subdir="linux-64", virtual_packages=(cuda,))
    assert [r.name for r in solve(tmp_path, with_cuda)[0]] == ["needs-cuda"]


def test_a_channel_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = (tmp_path / "nowhere").as_uri() + "/"
    with pytest.raises(ChannelError) as caught:
        solve(tmp_path, SolveRequest(specs=("a",), channels=(missing,), subdir="linux-64"))
    assert missing in caught.value.message


@pytest.mark.parametrize("spec", ["a =>> 1", "[", "a >=1,,<"])
def test_a_spec_that_means_nothing_is_an_error(channel: str, tmp_path: Path, spec: str) -> None:
    with pytest.raises(SolveError) as caught:
        solve(tmp_path, SolveRequest(specs=(spec,), channels=(channel,), subdir="linux-64"))
    assert caught.value.kind == "invalid-spec"


def test_exclude_newer_leaves_newer_records_out(channel: str, tmp_path: Path) -> None:
    request = SolveRequest(specs=("lib",), channels=(channel,), subdir="linux-64", exclude_newer="2020-01-01")
    assert solve(tmp_path, request)[0][0].version == "1.0"


def test_a_record_survives_the_way_to_rattler_and_back() -> None:
    data = entry(
        "x",
        noarch="python",
        depends=["a", "b >=1"],
        constrains=["c <2"],
        md5="1" * 32,
        size=3,
        timestamp=1_700_000_000_000,
        license="MIT",
        license_family="MIT",
        track_features="p q",
        python_site_packages_path="lib/site-packages",
    )
    record = from_repodata(data, url="https://c.example/linux-64/x-1.0-h0_0.conda", file_name="x-1.0-h0_0.conda",
                           channel="https://c.example")  # fmt: skip
    assert from_rattler([to_rattler(record)]) == [record]
    again = from_repodata(to_repodata(record), url=record.url, file_name=record.file_name, channel=record.channel)
    assert again == record


def test_run_exports_come_from_the_channels_table(tmp_path: Path) -> None:
    folder = tmp_path / "linux-64"
    folder.mkdir()
    (folder / "run_exports.json").write_text(
        json.dumps({"packages.conda": {"x-1.0-h0_0.conda": {"run_exports": {"strong": ["x >=1"]}}}})
    )
    url = folder.as_uri() + "/x-1.0-h0_0.conda"
    record = from_repodata(entry("x"), url=url, file_name="x-1.0-h0_0.conda", channel=tmp_path.as_uri())
    (found,) = asyncio.run(RunExportsSource().complete([record]))
    assert found.run_exports is not None
    assert found.run_exports.strong == ("x >=1",)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ([], "is no table of run-exports"),
        ({"packages.conda": {"x-1.0-h0_0.conda": {"run_exports": "x"}}}, "make no sense"),
        ({"packages.conda": {"x-1.0-h0_0.conda": {"run_exports": {"weak": "x"}}}}, "weak must be a list"),
        ({"packages.conda": {"x-1.0-h0_0.conda": []}, "packages": 7}, "cannot read the run-exports of"),
    ],
)
def test_run_exports_that_make_no_sense(tmp_path: Path, table: object, said: str) -> None:
    (tmp_path / "linux-64").mkdir()
    (tmp_path / "linux-64/run_exports.json").write_text(json.dumps(table))
    url = (tmp_path / "linux-64/x-1.0-h0_0.conda").as_uri()
    record = from_repodata(entry("x"), url=url, file_name="x-1.0-h0_0.conda", channel=tmp_path.as_uri())
    with pytest.raises(ChannelError, match=said):
        asyncio.run(RunExportsSource().complete([record]))


def test_run_exports_of_the_oldest_form(tmp_path: Path) -> None:
    (tmp_path / "linux-64").mkdir()
    table = {"packages": {"x-1.0-h0_0.conda": {"run_exports": ["x >=1"]}}}
    (tmp_path / "linux-64/run_exports.json").write_text(json.dumps(table))
    url = (tmp_path / "linux-64/x-1.0-h0_0.conda").as_uri()
    record = from_repodata(entry("x"), url=url, file_name="x-1.0-h0_0.conda", channel=tmp_path.as_uri())
    (found,) = asyncio.run(RunExportsSource().complete([record]))
    assert found.run_exports is not None and found.run_exports.weak == ("x >=1",)


def test_matching() -> None:
    matcher = RattlerMatcher()
    record = from_repodata(entry("x", "1.5"), url="https://c.example/linux-64/x-1.5-h0_0.conda",
                           file_name="x-1.5-h0_0.conda", channel="https://c.example")  # fmt: skip
    assert matcher.matches("x >=1.4,<2", record)
    assert not matcher.matches("x >=2", record)
    assert matcher.matches_virtual("__glibc >=2.17", VirtualPackage(name="__glibc", version="2.28"))
    assert not matcher.matches_virtual("__glibc >=2.30", VirtualPackage(name="__glibc", version="2.28"))


def test_cutoffs() -> None:
    assert str(parse_cutoff("2026-03-30")) == "2026-03-31 00:00:00+00:00"
    assert str(parse_cutoff("2026-03-30T01:00:00Z")) == "2026-03-30 01:00:00+00:00"
    assert str(parse_cutoff("1h30m")) == "1:30:00"
    with pytest.raises(Exception, match="is not a date"):
        parse_cutoff("soon")
