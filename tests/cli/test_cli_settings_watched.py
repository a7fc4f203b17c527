"""What is known to be unchanged is not, once a configuration file changed: wherever that lies."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from spine_kit import Channel, manifest, smelt

CALLS = {"install": ["install"], "run": ["run", "hello"]}


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    channel = Channel(tmp_path / "channel")
    channel.add("tool", "1.0")
    root = tmp_path / "ws"
    manifest(root, [channel.index().url], '[dependencies]\ntool = "*"\n[tasks]\nhello = "echo hello"\n')
    return root


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("place", ["pixi", "xdg", "local"])
def test_a_changed_file_is_noticed(workspace: Path, tmp_path: Path, place: str, call: str) -> None:
    env = {"PIXI_HOME": str(tmp_path / "pixi"), "XDG_CONFIG_HOME": str(tmp_path / "xdg"), "HOME": str(tmp_path)}
    files = {
        "pixi": tmp_path / "pixi" / "config.toml",
        "xdg": tmp_path / "xdg" / "pixi" / "config.toml",
        "local": workspace / ".pixi" / "config.toml",
    }

    def run() -> str:
        done = smelt(workspace, *CALLS[call], env=env)
        assert done.returncode == 0, done.stderr
        return done.stderr

    run()
    assert "no-such-key" not in run()
    path = files[place]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("no-such-key = 3\n", encoding="utf-8")
    assert "no-such-key" in run()
    assert "no-such-key" in run(), "a warning is not given once only"
    path.write_text("allow-ref-links = false\n", encoding="utf-8")
    stamp = time.time() - 100
    os.utime(path, (stamp, stamp))
    assert "no-such-key" not in run()


@pytest.mark.parametrize("call", CALLS)
def test_a_file_that_the_command_line_names_is_read(workspace: Path, tmp_path: Path, call: str) -> None:
    other = tmp_path / "other.toml"
    other.write_text("no-such-key = 3\n", encoding="utf-8")
    command, *words = CALLS[call]
    assert smelt(workspace, *CALLS[call]).returncode == 0
    assert "no-such-key" in smelt(workspace, command, "--config-file", str(other), *words).stderr
    assert "no-such-key" in smelt(workspace, *CALLS[call], env={"PIXI_CONFIG_FILE": str(other)}).stderr
    assert "no-such-key" not in smelt(workspace, *CALLS[call]).stderr
