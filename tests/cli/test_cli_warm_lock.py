"""A lock that was found to fit, asked for again: what it said is said again, after a few stats."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from spine_kit import Channel, environment, manifest, posix

pytestmark = [pytest.mark.build, posix]

# Runs a command and says at the end, on standard output, whether the way was the short one.
PROBE = """
import os, sys
really_exit = os._exit
def leave(code):
    sys.stdout.write("full" if "argparse" in sys.modules else "short")
    sys.stdout.flush()
    really_exit(code)
os._exit = leave
sys.argv = ["smelt", *sys.argv[1:]]
from smelt.__main__ import main
main()
"""
FITS = "✔ the lock file fits the manifest\n"


def ask(
    folder: Path, *options: str, variables: Mapping[str, str] | None = None, command: str = "lock"
) -> tuple[str, str, int]:
    """Which way the command went, what it said, and its exit code."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, command, *options],
        cwd=folder,
        env=environment() | dict(variables or {}),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout, done.stderr, done.returncode


@pytest.fixture
def locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with a lock, and a deprecated table in its manifest; its files are of some age."""
    monkeypatch.setenv("PIXI_CACHE_DIR", str(tmp_path / "cache"))
    channel = Channel(tmp_path / "channel")
    channel.add("library")
    root = tmp_path / "ws"
    root.mkdir()
    manifest(root, [channel.index().url], '[dependencies]\nlibrary = "*"\n[system-requirements]\nlinux = "4.18"\n')
    assert ask(root)[2] == 0
    age(root)
    return root


def age(root: Path) -> None:
    past = time.time() - 60
    for path in (root / "pixi.toml", root / "pixi.lock"):
        os.utime(path, (past, past))
    time.sleep(0.1)  # a changed time is a change of the inode, which must be older than the check


@pytest.mark.parametrize("options", [["--check"], []])
def test_said_again_with_the_warnings(locked: Path, options: list[str]) -> None:
    way, said, code = ask(locked, *options)
    assert (way, code) == ("full", 0) and "`system-requirements` is deprecated" in said
    assert ask(locked, *options) == ("short", said, 0)
    below = locked / "below"
    below.mkdir()
    assert ask(below, *options)[0] == "full", "places are shown as seen from the folder"
    for _ in range(2):
        named = ask(locked.parent, *options, "--manifest-path", "ws")
    assert named[0] == "short" and "ws/pixi.toml:" in named[1]


def touch(path: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        with (root / path).open("a", encoding="utf-8") as file:
            file.write("\n")

    return change


def nearer_manifest(root: Path) -> None:
    (root / "pyproject.toml").write_text('[project]\nname = "p"\n', encoding="utf-8")
    (root / "pixi.toml").rename(root / "moved.toml")


def damaged(root: Path) -> None:
    for path in (root / ".pixi" / "smelt" / "warm").iterdir():
        path.write_bytes(path.read_bytes()[:-3])


@pytest.mark.parametrize("change", [touch("pixi.toml"), touch("pixi.lock"), nearer_manifest, damaged])
def test_any_change_goes_the_full_way(locked: Path, change: Callable[[Path], None]) -> None:
    for _ in range(2):
        assert ask(locked, "--check")[2] == 0
    change(locked)
    assert ask(locked, "--check")[0] == "full"


def test_a_change_that_matters_is_seen(locked: Path) -> None:
    for _ in range(2):
        ask(locked, "--check")
    text = (locked / "pixi.toml").read_text(encoding="utf-8")
    (locked / "pixi.toml").write_text(text.replace('library = "*"', 'library = ">=2"'), encoding="utf-8")
    way, said, code = ask(locked, "--check")
    assert way == "full" and code == 1 and "library >=2" in said
    (locked / "pixi.lock").unlink()
    assert ask(locked, "--check")[2] == 1


def test_variables_count(locked: Path) -> None:
    for _ in range(2):
        ask(locked, "--check")
    assert ask(locked, "--check")[0] == "short"
    assert ask(locked, "--check", variables={"UV_DEFAULT_INDEX": "https://pypi.example/simple"})[0] == "full"
    wanted = {"FORCE_COLOR": "1", "NO_COLOR": ""}
    colored = ask(locked, "--check", variables=wanted)
    assert colored[0] == "full" and "\x1b[" in colored[1]
    assert ask(locked, "--check", variables=wanted) == ("short", *colored[1:])


@pytest.mark.parametrize("options", [["--check", "-v"], ["--json"], ["--dry-run"], ["--check", "--no-config"]])
def test_other_options_go_the_full_way(locked: Path, options: list[str]) -> None:
    for _ in range(2):
        printed, _, code = ask(locked, *options)
        assert printed.endswith("full") and code == 0


def test_a_lock_that_does_not_fit_is_not_remembered(locked: Path) -> None:
    text = (locked / "pixi.toml").read_text(encoding="utf-8")
    (locked / "pixi.toml").write_text(text.replace('library = "*"', 'library = "==3"'), encoding="utf-8")
    age(locked)
    for _ in range(3):
        way, said, code = ask(locked, "--check")
        assert (way, code) == ("full", 1) and FITS not in said
