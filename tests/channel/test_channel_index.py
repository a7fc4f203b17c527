"""The index: what rattler reads, true after every change, the same for the same channel."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from channel_support import package

from smelt.channel.archive import write_archive
from smelt.channel.folder import create, editing, index, is_channel
from smelt.channel.model import Package
from smelt.errors import ChannelError
from smelt.types import RunExports

SHARED = Path(__file__).resolve().parents[2] / "../shared/channels"


def put(channel: Path, thing: Package) -> Path:
    folder = channel / thing.head.subdir
    folder.mkdir(exist_ok=True)
    write_archive(thing, folder / thing.head.file_name)
    return folder / thing.head.file_name


def repodata(channel: Path, subdir: str = "noarch") -> dict[str, dict[str, dict[str, object]]]:
    return json.loads((channel / subdir / "repodata.json").read_text())


def test_create_is_idempotent_and_leaves_other_folders_alone(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "channel"
    assert create(folder)
    assert is_channel(folder)
    assert not create(folder)
    other = tmp_path / "home"
    other.mkdir()
    (other / "letter.txt").write_text("dear")
    with pytest.raises(ChannelError, match="not empty") as caught:
        create(other)
    assert "new or empty" in str(caught.value.help)
    assert sorted(p.name for p in other.iterdir()) == ["letter.txt"]


def test_a_rebuilt_package_of_the_same_name_is_described_anew(channel: Path) -> None:
    first = package()
    path = put(channel, first)
    index(channel)
    put(channel, replace(package(content=b"other\n"), head=first.head))
    index(channel)
    record = repodata(channel)["packages.conda"][path.name]
    data = path.read_bytes()
    assert record["sha256"] == hashlib.sha256(data).hexdigest()
    assert record["md5"] == hashlib.md5(data).hexdigest()
    assert record["size"] == len(data)


def test_run_exports_are_in_the_record_and_in_their_file(channel: Path) -> None:
    path = put(channel, package(run_exports=RunExports(weak=("a >=1",), noarch=("b",))))
    plain = put(channel, package("plain"))
    index(channel)
    expected = {"weak": ["a >=1"], "noarch": ["b"]}
    assert repodata(channel)["packages.conda"][path.name]["run_exports"] == expected
    exports = json.loads((channel / "noarch" / "run_exports.json").read_text())
    assert exports["info"] == {"subdir": "noarch", "version": 1}
    assert exports["packages.conda"][path.name] == {"run_exports": expected}
    assert exports["packages.conda"][plain.name] == {"run_exports": {}}


def test_other_forms_of_the_index_are_removed(channel: Path) -> None:
    (channel / "noarch" / "repodata.json.zst").write_bytes(b"old")
    (channel / "noarch" / "shards").mkdir()
    (channel / "noarch" / "repodata_shards.msgpack.zst").write_bytes(b"old")
    assert any(one.changed for one in index(channel))
    left = {path.name for path in (channel / "noarch").iterdir()}
    assert left == {"repodata.json", "run_exports.json"}
    assert not any(one.changed for one in index(channel))


def test_a_package_in_the_wrong_folder_is_an_error(channel: Path) -> None:
    path = put(channel, package())
    (channel / "win-64").mkdir()
    path.rename(channel / "win-64" / path.name)
    with pytest.raises(ChannelError, match="belongs to `noarch`"):
        index(channel)


@pytest.mark.parametrize("cut", [0, 10, 200, -30])
def test_a_truncated_package_is_named(channel: Path, cut: int) -> None:
    path = put(channel, package())
    index(channel)
    before = (channel / "noarch" / "repodata.json").read_bytes()
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ChannelError, match=path.name) as caught:
        index(channel)
    assert caught.value.kind == "corrupt-package"
    assert (channel / "noarch" / "repodata.json").read_bytes() == before


def test_rattler_indexes_the_same(channel: Path) -> None:
    from rattler.index import index_fs

    put(channel, package(depends=("zlib >=1",), license="MIT", purls=("pkg:pypi/thing@1.0",)))
    put(channel, package("lib", subdir="linux-64", noarch=None, constrains=("x <2",)))
    put(channel, package("extra", depends=('numpy[when="python >=3.12"]',)))
    index(channel)
    ours = {subdir: repodata(channel, subdir) for subdir in ("noarch", "linux-64")}
    asyncio.run(index_fs(channel, write_zst=False, write_shards=False, force=True))
    for subdir, data in ours.items():
        theirs = repodata(channel, subdir)
        assert data["packages.conda"].keys() == theirs["packages.conda"].keys()
        assert data.get("v3", {}).get("conda", {}).keys() == theirs.get("v3", {}).get("conda", {}).keys()
        for name, record in theirs["packages.conda"].items():
            assert {key: data["packages.conda"][name].get(key) for key in record} == record


@pytest.mark.skipif(not SHARED.is_dir(), reason="the channels of the reference's tests are not beside the repository")
def test_channels_of_the_reference_are_indexed_as_they_were(tmp_path: Path) -> None:
    for name in ("dummy_channel_1", "multiple_versions_channel_1", "shortcuts_channel_1"):
        channel = tmp_path / name
        shutil.copytree(SHARED / name, channel)
        before = {path.parent.name: json.loads(path.read_text()) for path in channel.glob("*/repodata.json")}
        index(channel)
        for subdir, data in before.items():
            for file_name, record in data["packages.conda"].items():
                now = repodata(channel, subdir)["packages.conda"][file_name]
                assert {key: now.get(key) for key in ("sha256", "md5", "size", "depends")} == {
                    key: record.get(key) for key in ("sha256", "md5", "size", "depends")
                }


def test_a_damaged_package_is_made_again(channel: Path) -> None:
    thing = package()
    with editing(channel, "testing") as edit:
        assert edit.add(thing.head, lambda _: thing).added
    path = edit.additions[0].path
    good = path.read_bytes()
    path.write_bytes(good[:-1] + b"!")
    with editing(channel, "testing") as edit:
        assert edit.add(thing.head, lambda _: thing).added
    assert path.read_bytes() == good
    with editing(channel, "testing") as edit:
        assert not edit.add(thing.head, lambda _: thing).added


def test_what_was_added_before_a_failure_is_indexed_and_nothing_is_left_over(channel: Path) -> None:
    thing = package()

    def fail(work: Path) -> Package:
        (work / "half").write_text("")
        raise ChannelError("it broke")

    with pytest.raises(ChannelError, match="it broke"), editing(channel, "testing") as edit:
        edit.add(thing.head, lambda _: thing)
        edit.add(package("other").head, fail)
    assert list(repodata(channel)["packages.conda"]) == [thing.head.file_name]
    assert not list(channel.glob(".add-*"))


def test_left_overs_of_killed_processes_are_removed(channel: Path) -> None:
    left = channel / ".add-x.part"
    (left / "work").mkdir(parents=True)
    index(channel)
    assert not left.exists()


def test_a_changed_package_supersedes_the_one_before(channel: Path) -> None:
    builds: list[str] = []
    for identity in ({"a": 1}, {"a": 2}, {"a": 1}, {"a": 3}):
        with editing(channel, "testing") as edit:
            head = edit.build_string(replace(package().head, identity=identity), "h", "_x")
            thing = replace(package(), head=head)
            edit.add(head, lambda _, thing=thing: thing)
        builds.append(head.build)
    assert [build.partition("_")[2] for build in builds] == ["0_x", "1_x", "0_x", "2_x"]
    assert builds[0] == builds[2]


def test_no_channel_is_said_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ChannelError, match="there is no channel") as caught, editing(tmp_path / "no", "testing"):
        pass
    assert "smelt channel create" in str(caught.value.help)
    with pytest.raises(ChannelError, match="there is no folder"):
        index(tmp_path / "no")


def test_a_damaged_index_is_said_with_what_to_do(channel: Path) -> None:
    (channel / "noarch" / "repodata.json").write_text("{")
    with pytest.raises(ChannelError, match="cannot be read") as caught, editing(channel, "testing") as edit:
        edit.build_string(package().head, "h")
    assert "smelt channel index" in str(caught.value.help)
    index(channel)
    assert repodata(channel)["packages.conda"] == {}
