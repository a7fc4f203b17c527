"""A backend that is a program builds for another platform."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from smelt.archive import read_conda
from spine_kit import SUBDIR, Channel, manifest, posix, smelt

pytestmark = [pytest.mark.build, posix]

PROGRAM = Path(__file__).resolve().parents[1] / "backend_program.py"
TARGET = "linux-aarch64" if SUBDIR != "linux-aarch64" else "linux-64"

MINE = """\
[package]
name = "mine"
version = "1.5"
[package.build]
backend = { name = "pixi-build-demo", version = "*" }
[package.build.config]
script = [
  "mkdir -p $PREFIX/share",
  "cat $BUILD_PREFIX/share/tool.txt $PREFIX/share/lib.txt > $PREFIX/share/mine.txt",
]
[package.build-dependencies]
tool = "*"
[package.host-dependencies]
lib = "*"
"""


def test_environments_of_two_platforms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXI_CACHE_DIR", str(tmp_path / "cache"))
    channel = Channel(tmp_path / "channel")
    channel.add("pixi-build-api-version", "7")
    text = f"#!{sys.executable}\n{PROGRAM.read_text(encoding='utf-8')}"
    files = {"bin/pixi-build-demo": text}
    channel.add("pixi-build-demo", depends=["pixi-build-api-version 7.*"], files=files)
    for subdir in (SUBDIR, TARGET):
        for name in ("tool", "lib"):
            channel.add(name, subdir=subdir, files={f"share/{name}.txt": f"{name} for {subdir}\n"})
    channel.index()
    root = tmp_path / "ws"
    (root / "mine").mkdir(parents=True)
    (root / "mine" / "pixi.toml").write_text(MINE)
    cross = f'[dependencies]\nmine = {{ path = "mine" }}\n[tool.smelt.build-platform]\n{TARGET} = "{SUBDIR}"\n'
    manifest(root, [channel.url], cross, [TARGET])
    done = smelt(root, "build", "--platform", TARGET, "-o", "out")
    assert done.returncode == 0, done.stderr
    (path,) = (root / "out" / TARGET).glob("mine-*.conda")
    (data,) = (member.data for member in read_conda(path).files if member.name == "share/mine.txt")
    assert data.decode() == f"tool for {SUBDIR}\nlib for {TARGET}\n"
