"""Undeclared inputs that can be seen in what was built."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from build_kit import Recorder, build, channel_records, node, render, script, write_source
from hypothesis import given
from hypothesis import strategies as st

from smelt.archive import Member
from smelt.build.dynamic import dynamic_section
from smelt.build.store import Store
from smelt.build.surroundings import Surroundings
from smelt.build.undeclared import surroundings, undeclared
from spine_kit import Channel, posix

pytestmark = posix
linux = pytest.mark.skipif(
    not sys.platform.startswith("linux") or shutil.which("gcc") is None, reason="needs Linux and gcc"
)

PLACEHOLDER = b"/smelt/host_env_placehold_placehold"


def lines(*members: Member, foreign: dict[Path, str] | None = None, prefix: Path | None = None) -> tuple[str, ...]:
    return undeclared(members, surroundings([prefix] if prefix else [], PLACEHOLDER, foreign or {}))


@pytest.mark.parametrize(
    ("first", "told"),
    [
        (b"#!/bin/sh", None),
        (b"#!/usr/bin/env python", None),
        (b"#!" + PLACEHOLDER + b"/bin/python3.12", None),
        (b"#!/usr/bin/python3", "/usr/bin/python3"),
        (b"#! /opt/tools/bin/perl -w", "/opt/tools/bin/perl"),
        (b"#!python", None),
    ],
)
def test_interpreters(first: bytes, told: str | None) -> None:
    found = lines(Member(name="bin/x", data=first + b"\necho\n", executable=True))
    assert found == (() if told is None else (f"bin/x is run by {told}, which is of this machine",))


def test_links_and_paths(tmp_path: Path) -> None:
    home = write_source(tmp_path / "home", {"tools/x": ""})
    found = lines(
        Member(name="lib/a", link="../lib/b"),
        Member(name="lib/c", link="/usr/lib/c"),
        Member(name="share/config", data=f"not '{home}/none', root = '{home}/tools/x'\n".encode()),
        Member(name="share/docs", data=f"for example {home}/no/such/path\n".encode()),
        Member(name="share/short", data=f"{home}\n".encode()),
        foreign={home: "the home folder", Path("/"): "everything", Path("/x"): "too short"},
    )
    assert found == (
        "lib/c is a link to /usr/lib/c",
        f"share/config holds {home}/tools/x, a path in the home folder",
    )


def test_not_too_many() -> None:
    found = lines(*(Member(name=f"bin/{n:02}", data=b"#!/opt/x\n") for n in range(30)))
    assert len(found) == 21
    assert found[-1] == "and 10 more"


@given(st.binary(max_size=300), st.integers(0, 200))
def test_damaged_elf_files(data: bytes, cut: int) -> None:
    header = b"\x7fELF\x02\x01" + bytes(26) + struct.pack("<Q", 64) + bytes(14) + struct.pack("<HH", 56, 3)
    for each in (data, b"\x7fELF" + data, header[:cut] + data):
        dynamic_section(each)


@linux
def test_linked_libraries(tmp_path: Path) -> None:
    write_source(
        tmp_path,
        {"mine.c": "int mine(void) { return 1; }\n", "use.c": "int mine(void); int main(void) { return mine(); }"},
    )
    for command in (
        ["gcc", "-shared", "-fPIC", "-Wl,-soname,libmine.so.1", "-o", "libmine.so.1", "mine.c"],
        ["gcc", "-o", "use", "use.c", "libmine.so.1", "-lm", "-Wl,-rpath,/opt/lib:$ORIGIN/../lib"],
    ):
        subprocess.run(command, cwd=tmp_path, check=True)
    program = Member(name="bin/use", data=(tmp_path / "use").read_bytes(), executable=True)
    library = Member(name="lib/libmine.so.1", data=(tmp_path / "libmine.so.1").read_bytes())
    path = "bin/use looks for libraries in /opt/lib, a folder of this machine"
    missing = "bin/use is linked with libmine.so.1, which no package of its environment has"
    assert lines(program) == (missing, path)
    assert lines(program, library) == (path,)
    (tmp_path / "prefix" / "lib").mkdir(parents=True)
    shutil.copyfile(tmp_path / "libmine.so.1", tmp_path / "prefix" / "lib" / "libmine.so.1")
    assert lines(program, prefix=tmp_path / "prefix") == (path,)


@pytest.mark.build
def test_they_are_told_and_kept(tmp_path: Path) -> None:
    home = write_source(tmp_path / "home", {"tools/x": ""})
    one = script(
        tmp_path / "source",
        "mkdir -p $PREFIX/bin",
        f"printf '#!/opt/perl\\n{home}/tools/x\\n' > $PREFIX/bin/run",
        "chmod +x $PREFIX/bin/run",
    )
    recorder = Recorder()
    artifact = build([one], tmp_path, recorder, surroundings=Surroundings(home=home))[one.key]
    told = (
        "bin/run is run by /opt/perl, which is of this machine",
        f"bin/run holds {home}/tools/x, a path in the home folder",
    )
    assert artifact.undeclared == told
    assert recorder.warnings == [f"{one.label}: {line}" for line in told]
    assert f"undeclared: {told[0]}" in artifact.log.read_text()
    again = Store(tmp_path / "store").lookup(one.key)
    assert again is not None and again.undeclared == told


@linux
@pytest.mark.build
def test_a_library_of_the_system(tmp_path: Path) -> None:
    """What the package of the environment has is declared, what the machine has is not; both link."""
    outside = write_source(tmp_path / "outside", {"foo.c": "int foo(void) { return 1; }\n"})
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-Wl,-soname,libfoo.so.1", "-o", "libfoo.so", "foo.c"], cwd=outside, check=True
    )
    channel = Channel(tmp_path / "channel")
    channel.add("foo", files={"lib/libfoo.so.1": "the file alone counts\n"})
    records = channel_records(tmp_path / "channel" / "noarch")
    text = {
        "package": {"name": "use", "version": "1"},
        "source": [{"path": "."}],
        "requirements": {"host": []},
        "build": {
            "script": ["mkdir -p $PREFIX/bin", f"gcc -o $PREFIX/bin/use use.c {outside}/libfoo.so"],
            "dynamic_linking": {"rpaths": ["lib/"]},
        },
    }
    source = write_source(tmp_path / "source", {"use.c": "int foo(void); int main(void) { return foo(); }\n"})
    one = node(render(json.dumps(text), source)[0], source)
    told = build([one], tmp_path)[one.key].undeclared
    assert any("bin/use is linked with" in line and "libfoo" in line for line in told)
    other = node(render(json.dumps(text), source)[0], source, host=[records["foo"]])
    told = build([other], tmp_path)[other.key].undeclared
    assert not any("linked with" in line for line in told)
