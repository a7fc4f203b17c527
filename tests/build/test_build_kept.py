"""What a workspace keeps of its builds: a `.pixi` that comes to another machine needs no build there."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from spine_kit import Channel, manifest, package, partial, posix, recipe, smelt

pytestmark = [pytest.mark.build, posix]


def workspace(root: Path, more: str = "") -> Path:
    channel = Channel(root.parent / "channel").index()
    recipe(root, "base")
    package(root, "top", host=["base"], sources={"host": {"base": "../base"}})
    manifest(root, [channel.url], f'[dependencies]\nbase = {{ path = "base" }}\ntop = {{ path = "top" }}\n{more}')
    return root


def run(root: Path, machine: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    done = smelt(root, *arguments, env={"PIXI_CACHE_DIR": str(root.parent / machine), **variables})
    assert done.returncode == 0, done.stderr
    return done


def kept(root: Path) -> list[Path]:
    return sorted((root / ".pixi" / "smelt" / "builds" / "content").glob("*/*.conda"))


def keys(root: Path) -> set[str]:
    return {path.stem for path in (root / ".pixi" / "smelt" / "builds" / "keys").glob("*/*.json")}


def test_a_restored_folder_needs_no_build(tmp_path: Path) -> None:
    root = workspace(tmp_path / "ws")
    run(root, "a", "install")
    stored = {path.stat().st_ino for path in (tmp_path / "a" / "smelt" / "artifacts").glob("*/*/*.conda")}
    assert {path.stat().st_ino for path in kept(root)} == stored and len(stored) == 2
    # a CI service: the repository is cloned anew, the folder comes out of a cache
    other = tmp_path / "elsewhere" / "ws"
    shutil.copytree(root, other)
    shutil.rmtree(other / ".pixi" / "envs")
    shutil.copytree(tmp_path / "channel", other.parent / "channel")
    done = run(other, "b", "install", "--locked")
    assert done.stderr.count("is from the workspace's store") == 2
    assert "building" not in done.stderr
    assert (other / ".pixi" / "envs" / "default" / "share" / "top.txt").is_file()
    log = next((other.parent / "b" / "smelt" / "artifacts").glob("*/*/build.log")).read_text()
    assert log.startswith("taken from the workspace's store ")
    # from then on it is in the machine's store too
    assert "cached" in run(other, "b", "build").stdout
    assert not partial(tmp_path)


def test_only_what_is_needed_is_kept(tmp_path: Path) -> None:
    more = '[feature.more.dependencies]\nextra = { path = "extra" }\n[environments]\nmore = ["more"]\n'
    root = tmp_path / "ws"
    recipe(root, "extra")
    workspace(root, more)
    run(root, "a", "install", "--all")
    first = keys(root)
    assert len(first) == len(kept(root)) == 3
    (root / "base" / "new.txt").write_text("new\n")
    run(root, "a", "install")
    # what the other environment needs stays, although `base` of it is of the old source
    assert first < keys(root) and len(keys(root)) == 5
    run(root, "a", "install", "--all")
    assert len(keys(root)) == 3 and len(first & keys(root)) == 1
    # an environment that is no more needs nothing
    text = (root / "pixi.toml").read_text()
    (root / "pixi.toml").write_text(text.replace(more, ""))
    run(root, "a", "install")
    assert len(keys(root)) == len(kept(root)) == 2
    run(root, "a", "clean")
    assert not (root / ".pixi" / "smelt" / "builds").exists()
    # what the machine has built comes back with the next installation
    assert "building" not in run(root, "a", "install").stderr
    assert len(kept(root)) == 2


def test_damage_is_told_and_healed(tmp_path: Path) -> None:
    root = workspace(tmp_path / "ws")
    run(root, "a", "build")
    for path in kept(root):
        path.unlink()
        path.write_bytes(b"rubbish")
    done = run(root, "b", "build")
    assert done.stderr.count("is refused, and built here: its sha256 is") == 2
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["built", "built"]
    assert run(root, "c", "build").stdout.count("fetched") == 2
    (root / ".pixi" / "smelt" / "builds" / "users.json").write_text("[")
    assert run(root, "c", "build").stdout.count("cached") == 2
    # a package of another build under the name of this one
    entries = sorted((root / ".pixi" / "smelt" / "builds" / "keys").glob("*/*.json"))
    one, two = (json.loads(path.read_text()) for path in entries)
    entries[0].write_text(json.dumps({**one, "sha256": two["sha256"]}))
    done = run(root, "d", "build")
    assert done.stderr.count("is refused, and built here") == 1


def test_a_folder_that_cannot_be_used_stops_nothing(tmp_path: Path) -> None:
    root = workspace(tmp_path / "ws")
    (root / ".pixi" / "smelt").mkdir(parents=True)
    (root / ".pixi" / "smelt" / "builds").write_text("a file")
    done = run(root, "a", "install")
    assert "builds cannot be" in done.stderr
    assert "Traceback" not in done.stderr


def test_where_nothing_is_kept(tmp_path: Path) -> None:
    root = workspace(tmp_path / "ws")
    run(root, "a", "build", SMELT_KEEP_BUILDS="0")
    assert not (root / ".pixi" / "smelt" / "builds").exists()
    run(root, "a", "config", "set", "--local", "tool.smelt.keep-builds", "false")
    run(root, "a", "build")
    assert not (root / ".pixi" / "smelt" / "builds").exists()


def test_what_is_published_is_not_kept(tmp_path: Path) -> None:
    root = workspace(tmp_path / "ws")
    run(root, "a", "publish", "--path", str(root / "base"), "--target-dir", str(tmp_path / "out"))
    assert not kept(root)


def test_a_sandbox_takes_nothing_from_the_workspace(tmp_path: Path) -> None:
    root = workspace(tmp_path / "ws")
    run(root, "a", "build")
    done = smelt(root, "build", "--sandbox", env={"PIXI_CACHE_DIR": str(tmp_path / "b")})
    if "error[sandbox]" in done.stderr or "error[not-supported]" in done.stderr:
        pytest.skip("this machine makes no sandboxes")
    assert done.returncode == 0, done.stderr
    assert "fetched" not in done.stdout and done.stdout.count("built") == 2
