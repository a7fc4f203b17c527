"""``SOURCE_DATE_EPOCH``: environments that are the same in every bit, and the times of files among them."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest
from pypi_kit import wheel

from spine_kit import Channel, manifest, smelt, tree

EPOCH = 1_600_000_000

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the layout of prefixes is that of POSIX here")


def times(root: Path) -> dict[str, tuple[int, int]]:
    """Every file, link and folder below ``root``: time and mode."""
    found = {path.relative_to(root).as_posix(): path.lstat() for path in root.rglob("*")}
    return {name: (each.st_mtime_ns, each.st_mode) for name, each in {".": root.lstat(), **found}.items()}


@pytest.fixture
def root(tmp_path: Path, bare_channel: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PIXI_CACHE_DIR", str(tmp_path / "cache"))
    channel = Channel(tmp_path / "channel")
    channel.add("tool", files={"bin/tool": "#!/bin/sh\necho tool\n", "share/deep/er/file": "x"})
    channel.index()
    wheel(
        tmp_path / "ws" / "links",
        "app",
        files={"app/__init__.py": "", "app-1.0.dist-info/entry_points.txt": "[console_scripts]\napp = app:main\n"},
    )
    text = '[pypi-options]\nfind-links = [{ path = "links" }]\n[dependencies]\npython = "*"\ntool = "*"\n'
    manifest(tmp_path / "ws", [channel.url, bare_channel.as_uri()], text + '[pypi-dependencies]\napp = "*"\n')
    assert smelt(tmp_path / "ws", "lock").returncode == 0
    return tmp_path / "ws"


def test_everything_is_the_same_the_second_time(root: Path) -> None:
    states: list[tuple[dict[str, str], dict[str, tuple[int, int]]]] = []
    for _ in range(2):
        shutil.rmtree(root / ".pixi", ignore_errors=True)
        shutil.rmtree(root.parent / "cache", ignore_errors=True)
        done = smelt(root, "install", env={"SOURCE_DATE_EPOCH": str(EPOCH)})
        assert done.returncode == 0, done.stderr
        states.append((tree(root / ".pixi"), times(root / ".pixi")))
        time.sleep(0.1)
    assert states[0] == states[1]
    found = states[0][1]
    assert max(when for when, _ in found.values()) < time.time_ns() - 3600 * 10**9
    for name in (".", "envs", "envs/default", "envs/default/bin", "envs/default/conda-meta/history", ".gitignore"):
        assert found[name][0] == EPOCH * 10**9, name
    assert found["envs/default/bin/app"][0] == EPOCH * 10**9
    # what its package brought keeps its time
    assert found["envs/default/share/deep/er/file"][0] == 1_700_000_000 * 10**9

    assert "is up to date" in smelt(root, "install", env={"SOURCE_DATE_EPOCH": str(EPOCH)}).stderr
    assert (tree(root / ".pixi"), times(root / ".pixi")) == states[0]
    (root / ".pixi/envs/default/share/deep/er/file").unlink()
    assert "it was repaired" in smelt(root, "install", env={"SOURCE_DATE_EPOCH": str(EPOCH)}).stderr
    assert (tree(root / ".pixi"), times(root / ".pixi")) == states[0]


@pytest.mark.parametrize(("value", "expected"), [("0", 315_532_800), ("-7", 315_532_800), ("", None), ("soon", None)])
def test_values(root: Path, value: str, expected: int | None) -> None:
    done = smelt(root, "install", env={"SOURCE_DATE_EPOCH": value})
    assert done.returncode == 0, done.stderr
    assert ("is no number of seconds" in done.stderr) is (value == "soon")
    found = times(root / ".pixi")["envs/default/conda-meta"][0]
    assert (found == expected * 10**9) if expected is not None else (found > time.time_ns() - 3600 * 10**9)
