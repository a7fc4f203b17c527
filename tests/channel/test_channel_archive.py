"""Archives: equal bytes, sound contents, no way out of the prefix."""

from __future__ import annotations

import hashlib
import json
import posixpath
from dataclasses import replace
from pathlib import Path

import pytest
from channel_support import package
from hypothesis import given
from hypothesis import strategies as st

from smelt.channel.archive import write_archive
from smelt.channel.index import read_record
from smelt.channel.model import PLACEHOLDER, PackageFile, PackageLink
from smelt.channel.paths import check_relative, check_target
from smelt.errors import ChannelError
from smelt.types import RunExports


def extract(path: Path, target: Path) -> Path:
    from rattler.package_streaming import extract as unpack

    unpack(path, target)
    return target


def test_equal_packages_give_equal_bytes(tmp_path: Path) -> None:
    entries = (
        PackageFile(path="bin/b", content=b"b", executable=True),
        PackageFile(path="a", content=b"x" * 100_000),
        PackageLink(path="bin/c", target="b"),
    )
    one = replace(package(), entries=entries)
    source = tmp_path / "a"
    source.write_bytes(b"x" * 100_000)
    other = replace(one, entries=(*reversed(entries[2:]), PackageFile(path="a", content=source), entries[0]))
    paths = [tmp_path / "one" / one.head.file_name, tmp_path / "other" / one.head.file_name]
    for each, path in zip((one, other), paths, strict=True):
        path.parent.mkdir()
        write_archive(each, path)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_rattler_unpacks_what_is_described(tmp_path: Path) -> None:
    entries = (
        PackageFile(path="bin/tool", content=f"#!{PLACEHOLDER}/bin/sh\n".encode(), executable=True, placeholder=True),
        PackageLink(path="bin/alias", target="tool"),
        PackageLink(path="lib/deep/link", target="../../bin/alias"),
        PackageFile(path="lib/deep/empty", content=b""),
    )
    exports = RunExports(weak=("thing >=1",))
    thing = replace(package(run_exports=exports, depends=("zlib", "python >=3")), entries=entries)
    path = tmp_path / thing.head.file_name
    write_archive(thing, path)
    folder = extract(path, tmp_path / "out")
    described = {item["_path"]: item for item in json.loads((folder / "info/paths.json").read_text())["paths"]}
    assert list(described) == sorted(described)
    assert described["bin/tool"]["prefix_placeholder"] == PLACEHOLDER
    assert described["bin/tool"]["file_mode"] == "text"
    tool = (folder / "bin/tool").read_bytes()
    for name in ("bin/tool", "bin/alias", "lib/deep/link"):
        assert described[name]["sha256"] == hashlib.sha256(tool).hexdigest()
        assert described[name]["size_in_bytes"] == len(tool)
        assert (folder / name).read_bytes() == tool
    assert described["bin/alias"]["path_type"] == "softlink"
    assert (folder / "bin/tool").stat().st_mode & 0o111
    assert not (folder / "lib/deep/empty").stat().st_mode & 0o111
    record = read_record(path)
    assert record["depends"] == ["python >=3", "zlib"]
    assert record["run_exports"] == {"weak": ["thing >=1"]}
    assert record["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("path", ["../x", "/x", "a/../../x", "a//b", "./a", "", "C:/x", "a\\b", "a/\x00b", "a/"])
def test_paths_that_leave_the_prefix_are_refused(path: str, tmp_path: Path) -> None:
    bad = replace(package(), entries=(PackageFile(path=path, content=b""),))
    with pytest.raises(ChannelError, match="not allowed"):
        write_archive(bad, tmp_path / bad.head.file_name)


@pytest.mark.parametrize("target", ["/etc/passwd", "../../x", "../../../x"])
def test_links_that_leave_the_package_are_refused(target: str, tmp_path: Path) -> None:
    bad = replace(package(), entries=(PackageLink(path="bin/x", target=target),))
    with pytest.raises(ChannelError, match="leads out"):
        write_archive(bad, tmp_path / bad.head.file_name)


def test_one_path_twice_is_refused(tmp_path: Path) -> None:
    bad = replace(package(), entries=(PackageFile(path="a", content=b"1"), PackageFile(path="a", content=b"2")))
    with pytest.raises(ChannelError, match="twice"):
        write_archive(bad, tmp_path / bad.head.file_name)


@given(st.text(alphabet="ab./\\:C\x00 ", max_size=12))
def test_accepted_paths_stay_inside(path: str) -> None:
    try:
        check_relative(path, "it")
    except ChannelError:
        return
    assert posixpath.normpath(posixpath.join("/top", path)) == f"/top/{path}"
    assert ".." not in path.split("/")


@pytest.mark.parametrize(
    "path",
    [
        "conda-meta/x.json",
        "etc/conda/activate.d/x.sh",
        "bin/.demo-post-link.sh",
        "Scripts/.demo-pre-unlink.bat",
        "bin/python",
        "python-scripts/python3.12",
        "python.exe",
    ],
)
def test_what_belongs_to_the_environment_is_refused(path: str) -> None:
    with pytest.raises(ChannelError, match="belongs to the environment"):
        check_target(path, "demo.whl")
    check_target("share/python/x", "demo.whl")
    check_target("bin/python-argcomplete", "demo.whl")
