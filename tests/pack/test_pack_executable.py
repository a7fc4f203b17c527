"""The self-extracting form of pixi-pack: its parts, and that it unpacks."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pack_kit import packed

from smelt.api.workspace import Workspace
from smelt.errors import PackError, SourceError, UsageError
from smelt.pack.model import SilentReporter
from spine_kit import environment, partial, smelt

pytestmark = pytest.mark.skipif(os.name != "posix", reason="its script is for a POSIX shell")


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program that takes what pixi-unpack takes."""
    path = tmp_path / "unpacker"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m smelt unpack "$@"\n', encoding="utf-8")
    return path


def test_its_parts_and_that_it_runs(small: Workspace, small_pack: Path, program: Path, tmp_path: Path) -> None:
    done = packed(small, tmp_path / "made.tar", executable=True, unpacker=str(program))
    assert done.output == tmp_path / "made.sh"
    assert not (tmp_path / "made.tar").exists()
    script = tmp_path / "made.sh"
    assert os.access(script, os.X_OK)
    assert done.size == script.stat().st_size
    lines = script.read_bytes().split(b"\n")
    start = lines.index(b"@@END_HEADER@@")
    assert lines[start + 1] == b""
    assert base64.b64decode(lines[start + 2], validate=True) == small_pack.read_bytes()
    assert lines[start + 3] == b"@@END_ARCHIVE@@"
    assert base64.b64decode(lines[start + 4], validate=True) == program.read_bytes()
    assert len(lines) == start + 5
    run = subprocess.run(
        ["sh", script, "-o", tmp_path / "out", "-e", "mine"],
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
    )
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "out" / "mine" / "share" / "mine.txt").is_file()
    again = packed(small, tmp_path / "again", executable=True, unpacker=program.as_uri())
    assert again.output is not None
    assert again.output.read_bytes() == script.read_bytes()
    data = bytearray(script.read_bytes())
    at = data.index(b"@@END_ARCHIVE@@") - 2000
    data[at] = ord("A") if data[at] != ord("A") else ord("B")
    script.write_bytes(data)
    run = subprocess.run(["sh", script, "-o", tmp_path / "bad"], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "damaged" in run.stderr
    assert not (tmp_path / "bad").exists()


@pytest.mark.skipif(shutil.which("pixi-unpack") is None, reason="needs pixi-unpack")
def test_with_pixi_unpack(small: Workspace, tmp_path: Path) -> None:
    packed(small, tmp_path / "p.sh", executable=True, unpacker=shutil.which("pixi-unpack"))
    run = subprocess.run([tmp_path / "p.sh", "-o", tmp_path / "out"], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "out" / "env" / "share" / "mine.txt").is_file()


def test_for_windows(small: Workspace, program: Path, tmp_path: Path) -> None:
    """Only its parts: no PowerShell runs here."""
    from dataclasses import replace

    from smelt.api.packing import PackOptions, pack_content
    from smelt.pack.formats import executable

    content = replace(pack_content(small, PackOptions(), tmp_path, SilentReporter()), platform="win-64")
    with pytest.raises(UsageError, match="needs the program that does it"):
        executable("win-64", None)
    with pytest.raises(PackError, match="it is not for Windows"):
        executable("win-64", program).write(content, tmp_path / "e.ps1", SilentReporter())
    program.write_bytes(b"MZ program")
    executable("win-64", program).write(content, tmp_path / "e.ps1", SilentReporter())
    lines = (tmp_path / "e.ps1").read_bytes().split(b"\r\n")
    assert all(b"\n" not in line for line in lines)
    start = lines.index(b"__END_HEADER__")
    assert f"$lines[{start + 3} - 1]".encode() in b"".join(lines[:start])
    assert lines[start + 1] == b""
    assert lines[start + 3] == b"__END_ARCHIVE__"
    assert base64.b64decode(lines[start + 4], validate=True) == b"MZ program"
    if shutil.which("pwsh") is not None:
        pytest.skip("the script could be tried here")


def test_without_a_program_it_is_ours(small: Workspace, tmp_path: Path) -> None:
    done = smelt(small.model.root, "pack", "--create-executable", "-o", tmp_path / "made.exe")
    assert done.returncode == 0, done.stderr
    run = subprocess.run([tmp_path / "made.sh", "--check"], capture_output=True, text=True, check=True)
    assert "is whole" in run.stdout


def test_wrong_ways_to_ask(small: Workspace, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    windows = tmp_path / "windows.exe"
    windows.write_bytes(b"MZ")
    for source, words in ((empty, "it is empty"), (windows, "it is for Windows"), (tmp_path / "no", "No such file")):
        with pytest.raises(PackError, match=words) as caught:
            packed(small, tmp_path / "e.sh", executable=True, unpacker=str(source))
        assert caught.value.kind == "pack-executable"
    with pytest.raises(SourceError, match="cannot download"):
        packed(small, tmp_path / "e.sh", executable=True, unpacker="file:///nowhere/pixi-unpack")
    root = small.model.root
    done = smelt(root, "pack", "--pixi-unpack-source", empty)
    assert "needs `--create-executable`" in done.stderr
    done = smelt(root, "pack", "--create-executable", "--directory-only")
    assert "cannot be used with" in done.stderr
    assert not (tmp_path / "e.sh").exists()
    assert partial(tmp_path) == []
