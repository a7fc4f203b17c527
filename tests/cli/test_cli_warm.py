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


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["both"], "greetings\ntool 1.0 spoken\n"),
        (["several"], "greetings\nbetween\ntool 1.0 last\n"),
        (["--frozen", "hello"], "greetings\n"),
        (["--clean-env", "hello"], "greetings\n"),
        (["--skip-deps", "both"], "tool 1.0 spoken\n"),
        (["tool", "any", "$HOME"], "tool 1.0 any $HOME\n"),
        (["made"], ""),
    ],
)
def test_the_command_line_is_not_loaded(installed: Path, words: list[str], said: str) -> None:
    path = installed / "pixi.toml"
    text = """several = "greet && echo between && tool last"
made = { cmd = "tool made > made.txt", inputs = ["pixi.toml"], outputs = ["made.txt"] }
"""
    path.write_text(path.read_text().replace("[tasks]\n", f"[tasks]\n{text}"))
    smelt(installed, "run", words[-1])  # `--frozen` rests on what was found to fit before
    for _ in range(2):
        time.sleep(0.1)
        full = smelt(installed, "run", *words)
    assert (full.returncode, full.stdout) == (0, said)
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "smelt", "run", *words],
        cwd=installed,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    names = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert done.stdout == said
    assert "smelt.tasks.warm" in names
    assert not names & {"argparse", "json", "typing", "subprocess", "signal", "smelt.cli", "smelt.errors"}


@pytest.mark.parametrize(
    "words", [["--jobs", "0", "hello"], ["--jobs", "many", "hello"], ["--jobs"], ["-j", "-3", "hello"]]
)
def test_wrong_numbers_of_jobs(workspace: Path, words: list[str]) -> None:
    done = smelt(workspace, "run", *words)
    assert done.returncode == 2
    assert "--jobs" in done.stderr


def test_jobs(workspace: Path) -> None:
    path = workspace / "pixi.toml"
    text = """one = "tool one"
second = "tool second"
bad = "tool bad && exit 9"
all = { cmd = "tool last", depends-on = ["one", "second"] }
none = { cmd = "tool last", depends-on = ["one", "bad"] }
"""
    path.write_text(path.read_text().replace("[tasks]\n", f"[tasks]\n{text}"))
    done = smelt(workspace, "run", "--jobs", "2", "all")
    assert done.returncode == 0, done.stderr
    *labelled, last = done.stdout.splitlines()
    assert sorted(labelled) == ["one    | tool 1.0 one", "second | tool 1.0 second"]
    assert last == "tool 1.0 last"
    done = smelt(workspace, "run", "-j", "2", "none")
    assert done.returncode == 9
    assert "bad failed with exit code 9" in done.stderr
    assert "last" not in done.stdout
