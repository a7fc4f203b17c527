"""The setting ``detached-environments``: environments outside of their workspace."""

from __future__ import annotations

from pathlib import Path

import pytest

from spine_kit import Channel, manifest, posix, smelt

pytestmark = posix


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    channel = Channel(tmp_path / "channel")
    channel.add("tool", "1.0", files={"bin/mytool": "#!/bin/sh\necho I am the tool\n"})
    root = tmp_path / "ws"
    manifest(root, [channel.index().url], '[dependencies]\ntool = "*"\n')
    return root


def test_environments_are_elsewhere_and_work(workspace: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    assert smelt(workspace, "config", "set", "--local", "detached-environments", str(elsewhere)).returncode == 0
    for _ in range(2):
        done = smelt(workspace, "run", "mytool")
        assert done.stdout == "I am the tool\n", done.stderr
    envs = workspace / ".pixi" / "envs"
    assert envs.is_symlink()
    assert envs.readlink().parent.parent == elsewhere
    assert (envs.readlink() / "default" / "bin" / "mytool").is_file()
    assert "is up to date" in smelt(workspace, "install").stderr
    assert smelt(workspace, "clean").returncode == 0
    assert not envs.exists() and not envs.is_symlink()
    assert list(elsewhere.glob("*/envs")) == []


def test_true_means_the_cache(workspace: Path, tmp_path: Path) -> None:
    assert smelt(workspace, "config", "set", "--local", "detached-environments", "true").returncode == 0
    cache = tmp_path / "cache"
    assert smelt(workspace, "install", env={"PIXI_CACHE_DIR": str(cache)}).returncode == 0
    assert (workspace / ".pixi" / "envs").readlink().is_relative_to(cache / "envs")


def test_environments_that_are_there_are_not_hidden(workspace: Path, tmp_path: Path) -> None:
    assert smelt(workspace, "install").returncode == 0
    assert smelt(workspace, "config", "set", "--local", "detached-environments", str(tmp_path / "x")).returncode == 0
    refused = smelt(workspace, "install")
    assert refused.returncode == 1
    assert "error[detached-conflict]" in refused.stderr
    assert (workspace / ".pixi/envs/default/bin/mytool").is_file()
    assert smelt(workspace, "clean").returncode == 0
    assert smelt(workspace, "install").returncode == 0


def test_a_place_that_cannot_be(workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    place = str(tmp_path / "file" / "below")
    assert smelt(workspace, "config", "set", "--local", "detached-environments", place).returncode == 0
    refused = smelt(workspace, "install")
    assert refused.returncode == 1
    assert "error[not-writable]" in refused.stderr
