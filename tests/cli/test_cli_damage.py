"""Damaged environments are repaired by plain ``smelt install``, which says what it found."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from smelt.fs import remove_tree
from smelt.install.verify import verify
from spine_kit import Channel, manifest, posix, recipe, smelt, tree

pytestmark = posix


def _meta(prefix: Path) -> Path:
    return next((prefix / "conda-meta").glob("tool-*.json"))


def _replace(path: Path, text: str) -> None:
    path.unlink()
    path.write_text(text)


def _half_removed(prefix: Path) -> None:
    """What ``rm -rf`` leaves that was stopped."""
    shutil.rmtree(prefix / "bin")
    shutil.rmtree(prefix / "conda-meta")


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a file is missing": (lambda p: (p / "bin/tool").unlink(), "bin/tool is missing (tool)"),
    "a folder is missing": (lambda p: shutil.rmtree(p / "share"), "share/"),
    "a file is empty": (lambda p: _replace(p / "bin/tool", ""), "bin/tool has another size (tool)"),
    "a file was changed": (
        lambda p: _replace(p / "bin/tool", (p / "bin/tool").read_text().replace("2.0", "6.6")),
        "bin/tool was changed (tool)",
    ),
    "a file is a folder": (
        lambda p: ((p / "bin/tool").unlink(), (p / "bin/tool").mkdir()),
        "bin/tool is something else (tool)",
    ),
    "a file is a link": (
        lambda p: ((p / "bin/tool").unlink(), (p / "bin/tool").symlink_to("/bin/sh")),
        "bin/tool is something else (tool)",
    ),
    "a record is missing": (lambda p: _meta(p).unlink(), ""),
    "a record is truncated": (lambda p: os.truncate(_meta(p), 10), "conda-meta/tool-2.0-0.json cannot be read"),
    "conda-meta is missing": (lambda p: shutil.rmtree(p / "conda-meta"), ""),
    "the marker is missing": (lambda p: (p / "conda-meta/smelt").unlink(), ""),
    "only conda-meta is left": (
        lambda p: [remove_tree(each) for each in p.iterdir() if each.name != "conda-meta"],
        "is missing",
    ),
    "half removed": (_half_removed, ""),
    "the prefix is missing": (shutil.rmtree, ""),
    "marked as unfinished by the reference": (
        lambda p: (p / "conda-meta/.pixi-environment-fingerprint").write_text("pixi:installing!"),
        "its last installation was cut off",
    ),
    "of another version of smelt": (
        lambda p: _replace(p / "conda-meta/smelt", json.dumps({"format": 99, "status": "installed"})),
        "",
    ),
}


def _workspace(root: Path, channel: Channel) -> Path:
    manifest(root, [channel.url], '[dependencies]\ntool = "*"\nlibrary = "*"\n')
    return root


@pytest.fixture
def workspace(tmp_path: Path, channel: Channel) -> Path:
    return _workspace(tmp_path / "ws", channel)


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace that one test after the other damages."""
    folder = tmp_path_factory.mktemp("damage")
    channel = Channel(folder / "channel")
    channel.add("tool", "2.0", files={"bin/tool": "#!/bin/sh\necho tool 2.0\n"})
    channel.add("library", "2.0")
    return _workspace(folder / "ws", channel.index())


@pytest.mark.parametrize("kind", DAMAGES)
def test_plain_install_repairs(used: Path, kind: str) -> None:
    workspace = used
    prefix = workspace / ".pixi/envs/default"
    assert smelt(workspace, "install").returncode == 0
    whole = {k: v for k, v in tree(prefix).items() if not k.startswith("conda-meta")}
    damage, words = DAMAGES[kind]
    damage(prefix)
    done = smelt(workspace, "install")
    assert done.returncode == 0, done.stderr
    assert words in done.stderr
    assert verify(prefix) == []
    assert {k: v for k, v in tree(prefix).items() if not k.startswith("conda-meta")} == whole
    assert "is up to date" in smelt(workspace, "install").stderr


def test_what_the_user_put_there_stays(workspace: Path) -> None:
    prefix = workspace / ".pixi/envs/default"
    assert smelt(workspace, "install").returncode == 0
    (prefix / "share/notes.txt").write_text("mine")
    (prefix / "bin/tool").unlink()
    done = smelt(workspace, "install")
    assert "it was repaired: bin/tool is missing (tool)" in done.stderr
    assert (prefix / "share/notes.txt").read_text() == "mine"


def test_a_damaged_cache_is_healed_with_a_word(workspace: Path, cache: Path) -> None:
    assert smelt(workspace, "install").returncode == 0
    entry = next((cache / "pkgs").glob("tool-2.0-0"))
    (entry / "bin/tool").unlink()
    assert smelt(workspace, "clean").returncode == 0
    done = smelt(workspace, "install")
    assert done.returncode == 0, done.stderr
    assert "warning: tool-2.0-0 in the package cache is damaged: " in done.stderr
    assert smelt(workspace, "run", "tool").stdout.startswith("tool 2.0")


@pytest.mark.parametrize("text", ["[]", "{}", "[1]", '[{"name": 1}]', "null"])
def test_what_is_kept_of_recipes_is_made_again(tmp_path: Path, channel: Channel, text: str) -> None:
    recipe(tmp_path / "ws", "mine")
    root = tmp_path / "ws"
    manifest(root, [channel.url], '[dependencies]\nmine = { path = "mine" }\n')
    cache = {"PIXI_CACHE_DIR": str(tmp_path / "own")}
    assert smelt(root, "lock", env=cache).returncode == 0
    for path in (tmp_path / "own/smelt/render").rglob("*.json"):
        path.write_text(text)
    (root / "pixi.lock").unlink()
    done = smelt(root, "lock", env=cache)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("key", ["packages", "records", "pypi"])
def test_a_marker_that_makes_no_sense_is_none(used: Path, key: str) -> None:
    assert smelt(used, "install").returncode == 0
    marker = used / ".pixi/envs/default/conda-meta/smelt"
    data = json.loads(marker.read_text())
    for value in ([{}], {"a": 1}, 7, "x"):
        marker.write_text(json.dumps({**data, key: value}))
        done = smelt(used, "install")
        assert done.returncode == 0, (value, done.stderr)
