"""`smelt build --record`: what is built of the same inputs must be what the lock records."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from smelt.lock.reader import read
from smelt.types import sha256_file
from spine_kit import Channel, manifest, package, posix, recipe, smelt

pytestmark = [pytest.mark.build, posix]


def workspace(root: Path) -> Path:
    channel = Channel(root.parent / "channel").index()
    recipe(root, "base")
    package(root, "top", host=["base"], sources={"host": {"base": "../base"}})
    manifest(root, [channel.url], '[dependencies]\nbase = { path = "base" }\ntop = { path = "top" }\n')
    return root


def run(root: Path, machine: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    more = {"PIXI_CACHE_DIR": str(root.parent / machine), "SMELT_KEEP_BUILDS": "0", **variables}
    return smelt(root, *arguments, env=more)


def recorded(root: Path) -> dict[str, str | None]:
    return {name.partition("[")[0]: own.artifact_sha256 for name, own in read(root / "pixi.lock").sources.items()}


def words(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [line.split()[0] for line in done.stdout.splitlines()]


def test_what_is_recorded_must_match(tmp_path: Path) -> None:
    root = workspace(tmp_path / "ws")
    assert run(root, "a", "build").returncode == 0
    assert set(recorded(root).values()) == {None}
    done = run(root, "a", "build", "--record", "--verify")
    assert done.returncode == 0, done.stderr
    assert "recorded 2 builds in pixi.lock" in done.stderr
    built = {p.name.partition("-")[0]: sha256_file(p) for p in (tmp_path / "a/smelt/artifacts").glob("*/*/*.conda")}
    assert recorded(root) == built
    assert run(root, "a", "lock", "--check").returncode == 0
    # another machine gives the same
    done = run(root, "b", "install", "--locked")
    assert done.returncode == 0, done.stderr
    # a lock of other bytes
    text = (root / "pixi.lock").read_text()
    (root / "pixi.lock").write_text(text.replace(built["top"], "0" * 64))
    done = run(root, "c", "build")
    assert done.returncode == 1
    assert "error[artifact-mismatch]" in done.stderr and built["top"] in done.stderr
    assert "smelt build --verify" in done.stderr
    # nothing of it is stored, here or there, and what the store had is not taken
    again = run(root, "c", "build")
    assert again.returncode == 1 and "error[artifact-mismatch]" in again.stderr
    done = run(root, "a", "install")
    assert done.returncode == 1
    assert "is not the one that the lock records: it is made again" in done.stderr
    # told what differs, and recorded anew
    assert run(root, "a", "build", "--record").returncode == 0
    assert (root / "pixi.lock").read_text() == text


def test_a_record_is_about_its_inputs(tmp_path: Path) -> None:
    root = workspace(tmp_path / "ws")
    assert run(root, "a", "build", "--record").returncode == 0
    before = recorded(root)
    text = (root / "pixi.lock").read_text()
    # other inputs: nothing is said of them, and nothing of the lock is old
    (root / "base" / "build.txt").write_text("new\n")
    assert run(root, "a", "lock", "--check").returncode == 0
    done = run(root, "a", "build")
    assert done.returncode == 0, done.stderr
    assert (root / "pixi.lock").read_text() == text
    # it survives what does not concern it
    channel = Channel(tmp_path / "channel")
    channel.add("other")
    channel.index()
    path = root / "pixi.toml"
    path.write_text(path.read_text().replace("[dependencies]\n", '[dependencies]\nother = "*"\n'))
    assert run(root, "a", "lock").returncode == 0
    assert recorded(root) == before
    assert run(root, "a", "update").returncode == 0
    assert recorded(root) == before
    # a part is recorded, too
    assert run(root, "a", "build", "--record", "-p", "base").returncode == 0
    after = recorded(root)
    assert after["top"] == before["top"]
    keys = {name: own.build_key for name, own in read(root / "pixi.lock").sources.items()}
    assert len(set(keys.values())) == 2


def test_a_shared_store_is_held_to_the_record(tmp_path: Path) -> None:
    """Whoever may write to a store decides what everybody gets, but for what a lock records."""
    root = workspace(tmp_path / "ws")
    shared = tmp_path / "shared"
    shared.mkdir()
    assert run(root, "a", "build", "--record", SMELT_SHARED_STORE=str(shared)).returncode == 0
    sha256 = recorded(root)["base"]
    # another package of the same description, which the store's entry names rightly
    (root / "base" / "recipe.yaml").write_text(
        (root / "base" / "recipe.yaml").read_text().replace("mkdir", "echo x > $PREFIX/evil && mkdir")
    )
    text = (root / "pixi.lock").read_text()
    other = {path.stem for path in (shared / "content").glob("*/*.conda")}
    done = run(root, "x", "build", "-p", "base", SMELT_SHARED_STORE=str(shared))
    assert done.returncode == 0, done.stderr
    [evil] = {path.stem for path in (shared / "content").glob("*/*.conda")} - other
    entries = {json.loads(p.read_text())["sha256"]: p for p in (shared / "keys").glob("*/*.json")}
    good = json.loads(entries[str(sha256)].read_text())
    entries[str(sha256)].write_text(json.dumps({**good, "sha256": evil}))
    (root / "base" / "recipe.yaml").write_text(
        (root / "base" / "recipe.yaml").read_text().replace("echo x > $PREFIX/evil && ", "")
    )
    (root / "pixi.lock").write_text(text)
    done = run(root, "b", "build", SMELT_SHARED_STORE=str(shared))
    assert done.returncode == 0, done.stderr
    assert "is refused, and built here" in done.stderr
    assert words(done) == ["built", "fetched"]
