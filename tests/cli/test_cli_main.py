"""What all commands have in common."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from spine_kit import SUBDIR, Channel, manifest, posix, smelt


@pytest.fixture
def root(tmp_path: Path) -> Path:
    channel = Channel(tmp_path / "channel")
    channel.add("app")
    channel.index()
    manifest(tmp_path / "w", [channel.url], '[dependencies]\napp = "*"\n[target.zos-z.tasks]\nx = "x"\n')
    return tmp_path / "w"


def test_help(tmp_path: Path) -> None:
    overview = smelt(tmp_path, "--help").stdout
    assert smelt(tmp_path, "help").stdout == overview
    listed = smelt(tmp_path, "--list").stdout.split()
    assert {"tree", "config", "info", "run"} <= set(listed)
    assert all(f"  {name} " in overview for name in listed)
    tree = smelt(tmp_path, "tree", "--help").stdout
    assert "--invert" in tree
    assert smelt(tmp_path, "help", "tree").stdout == tree
    assert smelt(tmp_path, "--help", "tree").stdout == tree
    assert smelt(tmp_path, "help", "config", "set").stdout == smelt(tmp_path, "config", "set", "--help").stdout
    assert smelt(tmp_path, "help", "tee").returncode == 2


def test_a_command_that_nobody_knows(tmp_path: Path) -> None:
    result = smelt(tmp_path, "tee")
    assert result.returncode == 2
    assert "there is no command `tee`" in result.stderr
    assert "did you mean `smelt tree`?" in result.stderr


def test_the_manifest_before_and_after_the_command(tmp_path: Path, root: Path) -> None:
    after = smelt(tmp_path, "list", "--manifest-path", str(root))
    assert after.returncode == 0, after.stderr
    for before in (["--manifest-path", str(root)], ["-m", str(root / "pixi.toml")], [f"--manifest-path={root}"]):
        assert smelt(tmp_path, *before, "list").stdout == after.stdout
    assert smelt(tmp_path, "-m", str(root), "-v", "--no-config", "list").stdout == after.stdout
    assert smelt(tmp_path, "-m", str(tmp_path / "none"), "list").returncode == 2


def test_colors(root: Path) -> None:
    assert "\x1b[" not in smelt(root, "list").stdout
    assert "\x1b[" in smelt(root, "list", "--color", "always").stdout
    assert "\x1b[" in smelt(root, "list", env={"PIXI_COLOR": "always"}).stdout
    assert "\x1b[" not in smelt(root, "list", "--color", "never", env={"PIXI_COLOR": "always"}).stdout


def test_warnings_say_where_and_what_to_do(root: Path) -> None:
    stderr = smelt(root, "list").stderr
    assert "warning: the target `zos-z` matches no platform of the workspace" in stderr
    assert "--> pixi.toml:" in stderr
    assert "help: add `zos-z` to the platforms: `smelt workspace platform add zos-z`" in stderr
    assert smelt(root, "list", "-q").stderr == ""


def test_variables_of_options(root: Path) -> None:
    assert "lock-missing" in smelt(root, "list", env={"PIXI_FROZEN": "1"}).stderr
    assert "lock-missing" in smelt(root, "install", env={"PIXI_LOCKED": "true"}).stderr
    assert smelt(root, "install", env={"PIXI_LOCKED": "0"}).returncode == 0


@posix
def test_commands_of_others(tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("pixi-hello", "smelt-both", "pixi-both", "smelt-tree"):
        (folder / name).write_text(f'#!/bin/sh\necho {name} "$@"\nexit 3\n', encoding="utf-8")
        (folder / name).chmod(0o755)
    env = {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
    result = smelt(tmp_path, "hello", "--help", "a b", env=env)
    assert (result.returncode, result.stdout) == (3, "pixi-hello --help a b\n")
    assert smelt(tmp_path, "both", env=env).stdout == "smelt-both\n"
    assert smelt(tmp_path, "both", env={"PIXI_HOME": str(tmp_path)}).stdout == "smelt-both\n"
    assert "smelt-tree" not in smelt(tmp_path, "tree", env=env).stdout
    assert smelt(tmp_path, "../bin/pixi-hello", env=env).returncode == 2


def test_run_without_a_task(tmp_path: Path) -> None:
    (tmp_path / "pixi.toml").write_text('[workspace]\nchannels = []\nplatforms = ["zos-z"]\n', encoding="utf-8")
    result = smelt(tmp_path, "run")
    assert (result.returncode, result.stdout) == (0, "")
    assert "The workspace has no tasks" in result.stderr
    assert "platform add" not in result.stderr, "what installs nothing runs anywhere"
    with (tmp_path / "pixi.toml").open("a", encoding="utf-8") as file:
        file.write('[dependencies]\nx = "*"\n[tasks]\nhello = { cmd = "echo", description = "greet" }\n')
    stderr = smelt(tmp_path, "run").stderr
    assert "Available tasks:\n  hello  greet\n" in stderr
    assert f"`smelt workspace platform add {SUBDIR}`" in stderr
