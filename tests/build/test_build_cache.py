"""``smelt cache``: what is counted, what goes, what stays, what is damaged."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from pathlib import Path

import pytest

from smelt.api.building import explain_builds, store
from smelt.api.cache import CachePart, cache_info, collect, verify_cache
from smelt.api.workspace import Workspace
from smelt.build.model import Artifact
from smelt.build.roots import used
from smelt.cli.cache import age, size
from smelt.fs import hold, smelt_cache
from spine_kit import Channel, manifest, package, posix, recipe, smelt

pytestmark = [pytest.mark.build, posix]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PIXI_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("PIXI_IN_SHELL", raising=False)
    channel = Channel(tmp_path / "channel").index()
    root = tmp_path / "ws"
    recipe(root, "base")
    package(root, "mine", host=["base"], sources={"host": {"base": "../base"}})
    manifest(root, [channel.url], '[dependencies]\nmine = { path = "mine" }\n')
    return root


def build(root: Path) -> dict[str, Artifact]:
    workspace = Workspace.load(root)
    workspace.install()
    store_ = store()
    found = [store_.lookup(node.key) for node in workspace.plan().nodes]
    return {artifact.record.name: artifact for artifact in found if artifact is not None}


def change(root: Path, number: int) -> dict[str, Artifact]:
    """Another ``base``, and so another ``mine``."""
    recipe(root, "base", script=["mkdir -p $PREFIX/share", f"echo {number} > $PREFIX/share/base.txt"])
    return build(root)


def part(kind: str) -> CachePart:
    return next(each for each in cache_info() if each.kind == kind)


def make_old(artifact: Artifact, days: float) -> None:
    then = time.time() - days * 86_400
    os.utime(artifact.path.parent / "record.json", (then, then))


def test_an_empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXI_CACHE_DIR", str(tmp_path / "none"))
    assert all((each.count, each.size) == (0, 0) for each in cache_info())
    assert collect().removed == ()
    assert verify_cache().checked == 0


def test_what_workspaces_use_stays(root: Path) -> None:
    old, new = build(root), change(root, 2)
    assert used().keys == {artifact.key for artifact in (*old.values(), *new.values())} - {
        artifact.key for artifact in old.values()
    }
    assert (part("artifacts").count, part("artifacts").rooted) == (4, 2)
    said = collect(dry_run=True)
    assert {entry.key for entry in said.removed} == {artifact.key for artifact in old.values()}
    assert part("artifacts").count == 4
    assert collect().removed == said.removed
    assert (part("artifacts").count, part("artifacts").rooted) == (2, 2)
    assert all(each.stored for each in explain_builds(Workspace.load(root).plan()))
    assert collect().removed == ()
    assert collect(max_size=0).left > 0
    assert part("artifacts").count == 2
    shutil.rmtree(root)
    assert len(collect().removed) == 2
    assert part("artifacts").count == 0
    assert not list((smelt_cache() / "artifacts" / "content").glob("*/*.json"))


def test_age_and_size(root: Path) -> None:
    builds = [build(root), change(root, 2), change(root, 3)]
    for index, each in enumerate(builds):
        for artifact in each.values():
            make_old(artifact, 40 - 10 * index)
    removed = collect(older_than=35 * 86_400, dry_run=True).removed
    assert {entry.key for entry in removed if entry.kind == "artifacts"} == {a.key for a in builds[0].values()}
    everything = sum(each.size for each in cache_info() if each.kind != "packages")
    found = collect(max_size=everything - 1, dry_run=True)
    (first,) = found.removed
    assert first.key in {a.key for a in builds[0].values()}
    assert found.left == everything - first.size
    assert collect(older_than=50 * 86_400).removed == ()
    # everything that can be made again, but what the workspace uses
    collect(older_than=0)
    assert part("artifacts").count == 2
    assert part("trees").count == 0
    assert part("render").count == 0
    assert all(each.stored for each in explain_builds(Workspace.load(root).plan()))


def test_a_hit_counts_as_use(root: Path) -> None:
    built = build(root)
    for artifact in built.values():
        make_old(artifact, 100)
    smelt(root, "build")
    assert all(time.time() - store().used(artifact.key) < 1000 for artifact in built.values())


def test_what_is_being_built_stays(root: Path) -> None:
    old, _ = build(root), change(root, 2)
    with hold(smelt_cache() / "locks" / f"{old['base'].key}.lock", "building"):
        found = collect()
    assert [entry.key for entry in found.busy] == [old["base"].key]
    assert [entry.key for entry in found.removed] == [old["mine"].key]
    assert found.left >= sum(entry.size for entry in found.busy)


def test_leftovers_of_killed_processes(root: Path) -> None:
    key = build(root)["base"].key
    left = [
        smelt_cache() / "work" / "base-12345678",
        smelt_cache() / "v" / "ab",
        smelt_cache() / "artifacts" / key[:2] / f".{key}.1.part",
    ]
    held = smelt_cache() / "work" / "mine-12345678"
    for folder in (*left, held):
        folder.mkdir(parents=True)
        (folder / "file").write_text("x")
    with hold(held.with_name(f"{held.name}.lock"), "building"):
        collect()
    assert not any(folder.exists() for folder in left)
    assert held.exists()


def test_sources_of_workspaces_stay(root: Path) -> None:
    build(root)
    for name in ("used", "unused"):
        (smelt_cache() / "sources" / "ab" / name / "code").mkdir(parents=True)
    (path,) = (smelt_cache() / "roots").iterdir()
    data = json.loads(path.read_text())
    assert data["sources"] == {"default": []}
    path.write_text(json.dumps({**data, "sources": {"default": ["sources/ab/used/code"]}}))
    removed = collect(older_than=0).removed
    assert [entry.label for entry in removed if entry.kind == "sources"] == ["sources/ab/unused"]
    assert (smelt_cache() / "sources" / "ab" / "used" / "code").is_dir()


def test_damage_is_found_and_healed(root: Path) -> None:
    built = build(root)
    assert smelt(root, "cache", "verify").returncode == 0
    path = built["base"].path
    stat = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    done = smelt(root, "cache", "verify")
    assert done.returncode == 1
    assert done.stdout.startswith("damaged base-1.0-")
    assert "read 2 built packages, 1 damaged" in done.stderr
    assert smelt(root, "cache", "verify").returncode == 0
    assert smelt(root, "build").stdout.split()[0] == "built"
    assert store().verify(built["base"].key)


def test_commands(root: Path) -> None:
    assert "built" in smelt(root, "build").stdout
    data = json.loads(smelt(root, "cache", "info", "--json").stdout)
    assert data["parts"]["artifacts"]["count"] == data["parts"]["artifacts"]["used"] == 2
    assert "artifacts" in smelt(root, "cache", "info").stdout
    recipe(root, "base", script=["true", "mkdir -p $PREFIX/share", "echo 2 > $PREFIX/share/base.txt"])
    assert "built" in smelt(root, "build").stdout
    said = smelt(root, "cache", "gc", "--dry-run")
    assert said.stdout.count("would remove artifacts ") == 2
    done = smelt(root, "cache", "gc")
    assert done.stdout == said.stdout.replace("would remove", "removed")
    assert "left" in done.stderr
    assert "more than 0 B is left" in smelt(root, "cache", "gc", "--max-size", "0").stderr
    wrong = smelt(root, "cache", "gc", "--older-than", "soon")
    assert wrong.returncode != 0
    assert "is no time" in wrong.stderr


def test_times_and_sizes() -> None:
    assert (age("90m"), age("2w"), age("1.5h"), age("0s")) == (5400, 1_209_600, 5400, 0)
    assert (size("0"), size("10"), size("1k"), size("1.5GiB"), size("2MB")) == (0, 10, 1024, 1_610_612_736, 2_097_152)
    for text in ("", "d", "-1d", "10", "ten"):
        with pytest.raises(argparse.ArgumentTypeError):
            age(text)
    for text in ("", "G", "-1", "10X", "ten"):
        with pytest.raises(argparse.ArgumentTypeError):
            size(text)
