"""``smelt build``: what is chosen, forgotten, verified, told."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from smelt.api.build_options import BuildOptions
from smelt.api.build_selection import selected
from smelt.api.building import matrix, verify_builds
from smelt.api.reporter import Reporters
from smelt.api.workspace import Workspace
from smelt.errors import UnknownNameError
from spine_kit import Channel, manifest, package, posix, recipe, smelt

pytestmark = [pytest.mark.build, posix]

TEXT = """
[workspace.build-variants]
tool = ["1.*", "2.*"]
[dependencies]
base = { path = "base" }
[feature.one.dependencies]
mine = { path = "mine" }
tool = "1.*"
[feature.two.dependencies]
mine = { path = "mine" }
tool = "2.*"
[environments]
one = ["one"]
two = ["two"]
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PIXI_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("PIXI_IN_SHELL", raising=False)
    channel = Channel(tmp_path / "channel")
    for version in ("1.0", "2.0"):
        channel.add("tool", version)
    channel.index()
    root = tmp_path / "ws"
    recipe(root, "base")
    package(
        root,
        "mine",
        host=["tool", "base"],
        sources={"host": {"base": "../base"}},
        script=["mkdir -p $PREFIX/share", "cat $PREFIX/share/tool.txt > $PREFIX/share/mine.txt"],
    )
    manifest(root, [channel.url], TEXT)
    return root


def test_matrix_and_variants(root: Path) -> None:
    done = smelt(root, "build", "--matrix-json")
    assert done.returncode == 0, done.stderr
    jobs = json.loads(done.stdout)["include"]
    found = {(job["package"], *job["variant"].values()): job for job in jobs}
    assert set(found) == {("base",), ("mine", "1.*"), ("mine", "2.*")}
    assert found["base",]["environments"] == ["default", "one", "two"]
    assert found["mine", "1.*"]["environments"] == ["one"]
    assert found["mine", "1.*"]["needs"] == [found["base",]["key"]]
    assert not any(job["stored"] for job in jobs)
    done = smelt(root, "build", "--variant", "tool=2.*", "--log-dir", "logs/here")
    assert done.returncode == 0, done.stderr
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [["built", "base"], ["built", "mine"]]
    logs = [path.name.rpartition("-")[0].partition("-")[0] for path in sorted((root / "logs" / "here").iterdir())]
    assert logs == ["base", "mine"]
    jobs = json.loads(smelt(root, "build", "--matrix-json", "--variant", "tool=2.*").stdout)["include"]
    assert [(job["package"], job["stored"]) for job in jobs] == [("base", True), ("mine", True)]
    done = smelt(root, "build", "--variant", "tool=3.*")
    assert done.returncode != 0
    assert "unknown-variant" in done.stderr
    assert "there are tool=1.*, tool=2.*" in done.stderr
    done = smelt(root, "build", "--variant", "tool")
    assert done.returncode != 0
    assert "is not `key=value`" in done.stderr


def test_what_is_selected(root: Path) -> None:
    plan = Workspace.load(root).plan()

    def names(**options: object) -> list[str]:
        return [node.variant.name for node in selected(plan, BuildOptions(**options))]  # type: ignore[arg-type]

    assert names() == ["base", "mine", "mine"]
    assert names(packages=["base"]) == ["base"]
    assert names(variants={"tool": "1.*"}, packages=["mine"]) == ["base", "mine"]
    with pytest.raises(UnknownNameError):
        names(variants={"tool": "1.*"}, packages=["base"])
    with pytest.raises(UnknownNameError, match="no build with the variant other=1"):
        names(variants={"other": "1"})
    assert [job["package"] for job in matrix(plan, BuildOptions(packages=["base"]))] == ["base"]


def test_clean_forgets(root: Path) -> None:
    assert "built" in smelt(root, "build", "-p", "base").stdout
    assert "cached" in smelt(root, "build", "-p", "base").stdout
    cleaned = smelt(root, "build", "-p", "base", "--clean")
    assert cleaned.stdout.startswith("built")
    assert "reproducible" not in cleaned.stderr
    # it is forgotten even if it cannot be built again
    recipe(root, "base", script=["exit 3"])
    assert smelt(root, "build", "-p", "base").returncode != 0
    recipe(root, "base")
    assert "cached" in smelt(root, "build", "-p", "base").stdout


def test_the_log_of_a_failed_build_is_delivered(root: Path) -> None:
    recipe(root, "base", script=["echo here it ends", "exit 3"])
    assert smelt(root, "build", "--log-dir", "logs").returncode != 0
    (log,) = (root / "logs").iterdir()
    assert "here it ends" in log.read_text()


def test_verify(root: Path) -> None:
    done = smelt(root, "build", "--verify")
    assert done.returncode == 0, done.stderr
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [
        *([["built", "base"], ["built", "mine"], ["built", "mine"]]),
        *([["verified", "base"], ["verified", "mine"], ["verified", "mine"]]),
    ]
    recipe(root, "base", script=["mkdir -p $PREFIX/share", "date +%N > $PREFIX/share/time", "echo > $PREFIX/share/x"])
    done = smelt(root, "build", "--verify", "-p", "base")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[1].startswith("differs base 1.0")
    assert lines[2].startswith("  share/time: ")
    assert not any("share/x" in line for line in lines)
    assert list((root.parent / "cache" / "smelt" / "v").iterdir()) == []


def test_killed_verifications_have_left_no_room(root: Path) -> None:
    left = root.parent / "cache" / "smelt" / "v"
    for number in range(256):
        (left / f"{number:02x}").mkdir(parents=True)
    done = smelt(root, "build", "--verify", "-p", "base")
    assert done.returncode == 1
    assert "error[work-folder]: there is no room for another verification" in done.stderr
    assert smelt(root, "cache", "gc").returncode == 0
    assert smelt(root, "build", "--verify", "-p", "base").returncode == 0


def test_a_repacked_build_is_verified_by_a_whole_one(root: Path) -> None:
    workspace = Workspace.load(root)
    workspace.build()
    path = root / "base" / "recipe.yaml"
    data = json.loads(path.read_text())
    path.write_text(json.dumps({**data, "about": {"summary": "a base"}}))
    workspace = Workspace.load(root)
    plan = workspace.plan()
    artifacts = workspace.build()
    assert all(artifact.repacked for artifact in artifacts.values())
    found = verify_builds(plan, BuildOptions(), Reporters(), artifacts)
    assert [each.differences for each in found] == [(), (), ()]
    assert os.listdir(root.parent / "cache" / "smelt" / "v") == []  # noqa: PTH208


def test_variables_that_a_package_declares(root: Path) -> None:
    text = (root / "mine" / "pixi.toml").read_text()
    (root / "mine" / "pixi.toml").write_text(text.replace("[package.build]", '[package.build]\nsecrets = ["TOKEN"]'))
    recipe(
        root, "mine", script=["mkdir -p $PREFIX/share", "echo $TOKEN", "expr length $TOKEN > $PREFIX/share/mine.txt"]
    )
    done = smelt(root, "build", "-e", "one", "-p", "mine", "--log-dir", "logs", env={"TOKEN": "s3cr3t-value"})
    assert done.returncode == 0, done.stderr
    logs = "".join(path.read_text() for path in (root / "logs").iterdir())
    assert "s3cr3t" not in logs + done.stdout + done.stderr
    # the value is no input
    why = smelt(root, "build", "-e", "one", "-p", "mine", "--why", env={"TOKEN": "another"})
    assert "in the store, nothing to build" in why.stdout
