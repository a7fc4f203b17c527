"""What is wrong with a package's table for its backend is told at its place; channels that have no say are not read."""

from __future__ import annotations

from pathlib import Path

import pytest

from spine_kit import SUBDIR, manifest, posix, recipe, smelt

HEAD = """\
[dependencies]
mine = { path = "mine" }
"""

PACKAGE = """\
[package]
name = "mine"
version = "1.0"
[package.build]
backend = { name = "pixi-build-cmake", version = "*" }
"""

NOWHERE = "file:///nowhere/at/all"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PIXI_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("PIXI_IN_SHELL", raising=False)
    root = tmp_path / "ws"
    manifest(root, [NOWHERE], HEAD)
    (root / "mine").mkdir()
    return root


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("[package.build.config]\nextra-arg = []\n", "7:1", "failed to parse configuration of pixi-build-cmake"),
        ("[package.build.config]\nextra-arg = []\n", "7:1", "did you mean `extra-args`?"),
        ("[package.build.config]\ncompilers = 'c'\n", "7:1", "`compilers` must be a list of texts"),
        ("[package.build.config]\ndebug_dir = 'c'\nfoo = 1\n", "8:1", "unknown field `foo`"),
        (
            f"[package.build.target.{SUBDIR}.config]\nenv = 'A=B'\n",
            "7:1",
            "failed to parse target configuration of pixi-build-cmake for package `mine`: `env` must be a table",
        ),
        (
            '[package.host-dependencies]\na = "*"\n[package.run-dependencies."if(host_platform ==)"]\nb = "*"\n',
            "8:28",
            "invalid selector expression `host_platform ==`: syntax error",
        ),
    ],
)
def test_places(root: Path, text: str, place: str, words: str) -> None:
    (root / "mine" / "pixi.toml").write_text(PACKAGE + text)
    done = smelt(root, "lock")
    assert done.returncode == 1, done.stderr
    assert f"mine/pixi.toml:{place}" in done.stderr
    assert words in done.stderr


def test_requirements_beside_a_recipe(root: Path) -> None:
    recipe(root, "mine")
    text = PACKAGE.replace("cmake", "rattler-build") + '[package.host-dependencies]\nhatchling = "*"\n'
    (root / "mine" / "pixi.toml").write_text(text)
    done = smelt(root, "lock")
    assert done.returncode == 1
    assert "mine/pixi.toml:7:1" in done.stderr
    assert "Please specify all binary dependencies in the recipe" in done.stderr


@posix
@pytest.mark.build
def test_channels_that_have_no_say_are_not_read(root: Path) -> None:
    recipe(root, "mine", run=["other", "__unix"])
    recipe(root, "other")
    text = PACKAGE.replace("cmake", "rattler-build") + '[package.run-dependencies]\nother = { path = "../other" }\n'
    (root / "mine" / "pixi.toml").write_text(text)
    done = smelt(root, "install")
    assert done.returncode == 0, done.stderr
    assert (root / ".pixi" / "envs" / "default" / "share" / "other.txt").is_file()
    manifest(root, [NOWHERE], HEAD + 'third = "*"\n')
    done = smelt(root, "lock")
    assert done.returncode == 1
    assert "channel-unreachable" in done.stderr
