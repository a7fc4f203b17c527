"""A lock that was found to fit is known to fit until something that this rested on changes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from smelt.api.quick import lock_fits
from smelt.api.workspace import Workspace
from spine_kit import Channel, manifest, posix, recipe

pytestmark = [pytest.mark.build, posix]


@pytest.fixture
def checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace whose lock was checked after its files had come of age."""
    monkeypatch.setenv("PIXI_CACHE_DIR", str(tmp_path / "cache"))
    channel = Channel(tmp_path / "channel")
    channel.add("library")
    root = tmp_path / "ws"
    recipe(root, "made", host=["library"])
    manifest(root, [channel.index().url], '[dependencies]\nlibrary = "*"\nmade = { path = "made" }\n')
    Workspace.load(root).lock()
    assert not lock_fits(root)
    past = time.time() - 60
    for path in (root / "pixi.toml", root / "pixi.lock", root / "made" / "recipe.yaml"):
        os.utime(path, (past, past))
    time.sleep(0.1)  # a changed time is a change of the inode, which must be older than the check
    workspace = Workspace.load(root)
    assert workspace.check(workspace.read_lock()) == ()
    return root


def test_it_is_told_by_stats(checked: Path) -> None:
    assert lock_fits(checked)
    assert lock_fits(checked / "pixi.toml")


def append(path: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        with (root / path).open("a", encoding="utf-8") as file:
            file.write("\n")

    return change


def remove_lock(root: Path) -> None:
    (root / "pixi.lock").unlink()


def new_definition(root: Path) -> None:
    (root / "made" / "pixi.toml").write_text('[package]\nname = "made"\n', encoding="utf-8")


def damaged_record(root: Path) -> None:
    (root / ".pixi" / "smelt" / "fit.json").write_text("{", encoding="utf-8")


@pytest.mark.parametrize(
    "change",
    [append("pixi.toml"), append("pixi.lock"), append("made/recipe.yaml"), remove_lock, new_definition, damaged_record],
)
def test_any_change_goes_the_full_way(checked: Path, change: Callable[[Path], None]) -> None:
    change(checked)
    assert not lock_fits(checked)
