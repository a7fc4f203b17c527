"""A look at every file: what it sees, and what it rests on."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from install_kit import Content, make_package, request_for

from smelt.install.contents import contents_path, is_whole
from smelt.install.prefix import install
from smelt.install.request import InstallRequest
from smelt.install.state import marker_path


@pytest.fixture
def request_(tmp_path: Path) -> InstallRequest:
    files = {"bin/tool": b"#!/bin/sh\n", "share/a/b.txt": b"text", "lib/__pycache__/m.pyc": b"compiled"}
    request = request_for(tmp_path, make_package(tmp_path / "channel", "tool", files=files))
    asyncio.run(install(request))
    return request


def whole(request: InstallRequest) -> bool:
    assert request.state_folder is not None
    return is_whole(request.prefix, request.environment, request.state_folder)


def record(request: InstallRequest) -> Path:
    assert request.state_folder is not None
    return contents_path(request.state_folder, request.environment)


def edited(path: Path) -> None:
    """The same size, and another content."""
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(bytes(reversed(data)))


CHANGES: dict[str, tuple[Callable[[Path], object], bool]] = {
    "nothing": (lambda prefix: None, True),
    "a new file": (lambda prefix: (prefix / "share/mine").write_text("x"), True),
    "bytecode written anew": (lambda prefix: edited(prefix / "lib/__pycache__/m.pyc"), True),
    "an edit": (lambda prefix: edited(prefix / "share/a/b.txt"), False),
    "a file gone": (lambda prefix: (prefix / "bin/tool").unlink(), False),
    "a folder gone": (lambda prefix: [each.unlink() for each in (prefix / "share/a").iterdir()], False),
    "bytecode gone": (lambda prefix: (prefix / "lib/__pycache__/m.pyc").unlink(), False),
    "another size": (lambda prefix: os.truncate(prefix / "share/a/b.txt", 1), False),
}


@pytest.mark.parametrize("looked", [False, True])
@pytest.mark.parametrize("change", CHANGES)
def test_changes(request_: InstallRequest, change: str, looked: bool) -> None:
    if looked:
        assert whole(request_)
        assert record(request_).is_file()
    make, expected = CHANGES[change]
    make(request_.prefix)
    assert whole(request_) is expected
    assert record(request_).exists() is (looked or expected)


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"format": 99}', '{"format": 1}', '{"format": 1, "marker": [1, 2, 3], "files": 7}']
)
def test_a_record_that_is_none(request_: InstallRequest, text: str) -> None:
    record(request_).parent.mkdir(parents=True, exist_ok=True)
    record(request_).write_text(text)
    assert whole(request_)
    assert set(json.loads(record(request_).read_text())["files"]) >= {"bin/tool", "share/a/b.txt"}


def test_files_of_a_record_that_are_none(request_: InstallRequest) -> None:
    assert whole(request_)
    data = json.loads(record(request_).read_text())
    for files in (7, {"bin/tool": 3}, {"no/such": None}):
        record(request_).write_text(json.dumps({**data, "files": files}))
        assert not whole(request_)


def test_another_installation_is_looked_at_anew(request_: InstallRequest) -> None:
    assert whole(request_)
    before = record(request_).read_bytes()
    os.utime(marker_path(request_.prefix))
    assert whole(request_)
    assert record(request_).read_bytes() != before


def test_a_prefix_that_is_none(tmp_path: Path) -> None:
    assert not is_whole(tmp_path / "nowhere", "default", tmp_path / ".pixi")
    (tmp_path / "empty/conda-meta").mkdir(parents=True)
    (tmp_path / "empty/conda-meta/smelt").write_text("{}")
    assert not is_whole(tmp_path / "empty", "default", tmp_path / ".pixi")


@pytest.mark.skipif(os.name != "posix", reason="a script of sh")
def test_what_post_link_scripts_change_is_no_damage(tmp_path: Path) -> None:
    files: dict[str, Content] = {
        "share/list": b"one\n",
        "bin/.tool-post-link.sh": b'#!/bin/sh\necho two >> "$PREFIX/share/list"\n',
    }
    record = make_package(tmp_path / "channel", "tool", files=files)
    request = request_for(tmp_path, record, link_scripts=True, look=True)
    asyncio.run(install(request))
    changed = request.prefix / "share/list"
    assert changed.read_text() == "one\ntwo\n"
    for _ in range(2):
        assert not asyncio.run(install(request)).changed
    changed.unlink()
    assert asyncio.run(install(request)).repaired is not None
    assert not asyncio.run(install(request)).changed
