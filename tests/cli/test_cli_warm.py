"""What an unchanged workspace does not import."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from spine_kit import environment, posix, smelt

pytestmark = [pytest.mark.build, posix]

HEAVY = ("rattler", "rattler_build", "ryaml", "rich", "tomlkit", "uv")

# Runs a command and tells at the end, or before the process becomes another, which of the heavy modules are loaded.
PROBE = """
import os, sys
heavy, pipe = sys.argv[1].split(","), int(sys.argv[2])
def tell(*ignored):
    loaded = [name for name in heavy if name in sys.modules]
    os.write(pipe, (" ".join(loaded) or "nothing").encode())
really_exit, really_exec = os._exit, os.execve
os._exit = lambda code: (tell(), really_exit(code))
os.execve = lambda *arguments: (tell(), really_exec(*arguments))
sys.argv = ["smelt", *sys.argv[3:]]
from smelt.__main__ import main
main()
"""


def loaded(root: Path, *arguments: str) -> tuple[str, str]:
    """Which heavy modules a command loads, and what it prints."""
    read, write = os.pipe()
    with os.fdopen(read) as pipe:
        try:
            result = subprocess.run(
                [sys.executable, "-c", PROBE, ",".join(HEAVY), str(write), *arguments],
                cwd=root,
                env=environment(),
                capture_output=True,
                text=True,
                pass_fds=(write,),
                check=False,
            )
        finally:
            os.close(write)
        assert result.returncode == 0, result.stderr
        return pipe.read(), result.stdout


@pytest.fixture
def installed(workspace: Path) -> Path:
    """The workspace, installed, and its files old enough to be trusted by their stats."""
    assert smelt(workspace, "install", "--all").returncode == 0
    time.sleep(0.1)
    assert smelt(workspace, "install", "--all").returncode == 0
    return workspace


def test_installing_what_is_installed(installed: Path) -> None:
    assert loaded(installed, "install") == ("nothing", "")
    assert loaded(installed, "install", "--all", "--locked") == ("nothing", "")


def test_running_a_task_again(installed: Path) -> None:
    assert loaded(installed, "run", "hello") == ("nothing", "greetings\n")
    time.sleep(0.1)
    assert smelt(installed, "run", "hello").stdout == "greetings\n"
    assert any((installed / ".pixi" / "smelt" / "warm").iterdir())
    assert loaded(installed, "run", "hello") == ("nothing", "greetings\n")
    assert loaded(installed, "run", "both") == ("nothing", "greetings\ntool 1.0 spoken\n")


def test_a_change_is_seen(installed: Path) -> None:
    """Also of the source of a package, below what the record of a task rests on."""
    assert smelt(installed, "run", "hello").stdout == "greetings\n"
    time.sleep(0.1)
    assert smelt(installed, "run", "hello").stdout == "greetings\n"
    path = installed / "greet" / "recipe.yaml"
    path.write_text(path.read_text().replace("greetings", "hi"))
    assert smelt(installed, "run", "hello").stdout == "hi\n"
    path = installed / "pixi.toml"
    path.write_text(path.read_text().replace('hello = "greet"', 'hello = "tool changed"'))
    assert smelt(installed, "run", "hello").stdout == "tool 1.0 changed\n"
