"""What a command finds around it: no working folder, no home, links in the place of files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from spine_kit import Channel, environment, manifest, posix, smelt

pytestmark = posix

UNKNOWN = """
import os, pwd, sys
def nobody(number): raise KeyError(number)
pwd.getpwuid = nobody
from smelt.cli.main import run
run(sys.argv[1:])
"""
"""smelt for a user that the system does not know, as in many a container."""


@pytest.mark.parametrize("command", [["info"], ["list"], ["run", "x"], ["init"]], ids=lambda words: words[0])
def test_the_working_folder_is_gone(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "gone").mkdir()
    start = "os.execv(sys.executable, [sys.executable, '-m', 'smelt', *sys.argv[1:]])"
    code = f"import os, sys; os.rmdir(os.getcwd()); {start}"
    done = subprocess.run(
        [sys.executable, "-c", code, *command],
        cwd=tmp_path / "gone",
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "error[file-system]: the folder that this was called in is no longer there" in done.stderr


def test_no_home(tmp_path: Path, channel: Channel) -> None:
    manifest(tmp_path / "ws", [channel.url], "")
    variables = environment()
    for name in ("HOME", "PIXI_CACHE_DIR", "XDG_CACHE_HOME"):
        variables.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-c", UNKNOWN, "lock"],
        cwd=tmp_path / "ws",
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "error[file-system]: there is no home folder" in done.stderr and "set HOME" in done.stderr


def test_links_stay_links(tmp_path: Path) -> None:
    """People keep manifests and settings elsewhere."""
    channel = Channel(tmp_path / "own")
    channel.add("tool")
    channel.index()
    root, kept = tmp_path / "ws", tmp_path / "kept"
    kept.mkdir()
    manifest(root, [channel.url], "")
    (root / "pixi.toml").rename(kept / "pixi.toml")
    assert smelt(kept, "lock").returncode == 0
    (kept / "pixi.lock").write_text((kept / "pixi.lock").read_text() + "\n")
    (kept / "config.toml").touch()
    (root / ".pixi").mkdir()
    for link, target in (("pixi.toml", "pixi.toml"), ("pixi.lock", "pixi.lock"), (".pixi/config.toml", "config.toml")):
        (root / link).symlink_to(kept / target)
    assert smelt(root, "config", "set", "--local", "pinning-strategy", "minor").returncode == 0
    assert smelt(root, "task", "add", "hello", "echo hello").returncode == 0
    assert smelt(root, "add", "tool").returncode == 0
    assert all((root / link).is_symlink() for link in ("pixi.toml", "pixi.lock", ".pixi/config.toml"))
    assert "pinning-strategy" in (kept / "config.toml").read_text()
    assert "hello" in (kept / "pixi.toml").read_text() and "tool" in (kept / "pixi.lock").read_text()
