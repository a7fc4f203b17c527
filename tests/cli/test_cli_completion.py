"""``smelt completion``: what shells are told, asked in real shells."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from smelt.cli.completing import complete
from smelt.cli.registry import COMMANDS
from spine_kit import environment, posix, smelt

MANIFEST = """
[workspace]
name = "w"
channels = []
platforms = ["linux-64", { name = "gpu", platform = "linux-64", cuda = "12" }]
[tasks]
test = { cmd = "x", description = "Run the  tests" }
_hidden = "x"
build = { cmd = "b {{ mode }}", args = [{ arg = "mode", choices = ["debug", "release"] }] }
[dependencies]
numpy = "*"
[feature.py312.dependencies]
python = "3.12.*"
[feature.cu12.target.unix.tasks]
gputest = "x"
[environments]
py312 = ["py312"]
[tool.smelt.matrix.m]
python = ["py312"]
cuda = ["cu12"]
"""
LOCK = """
version: 7
packages:
- conda: https://c.example/linux-64/numpy-2.0-py312_0.conda
- conda: https://c.example/noarch/ca-certificates-2025.1-0.tar.bz2
- pypi: https://p.example/requests-2.0-py3-none-any.whl
  name: requests
"""
SCRIPT = Path(sys.executable).with_name("smelt")


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pixi.toml").write_text(MANIFEST)
    (tmp_path / "pixi.lock").write_text(LOCK)
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["ru"], {"run"}),
        (["run", ""], {"test", "build", "gputest"}),
        (["run", "-e", ""], {"default", "py312", "py312-cu12"}),
        (["run", "--environment", "py"], {"py312", "py312-cu12"}),
        (["run", "--environment=d"], {"--environment=default"}),
        (["run", "-e", "py312", "te"], {"test"}),
        (["run", "build", ""], {"debug", "release"}),
        (["run", "test", ""], set[str]()),
        (["install", "--on"], {"--only"}),
        (["install", "--only", ""], {"numpy", "ca-certificates", "requests"}),
        (["install", "--platform", ""], {"linux-64", "gpu"}),
        (["reinstall", "numpy", ""], {"ca-certificates", "requests"}),
        (["remove", ""], {"numpy", "python"}),
        (["remove", "--feature", ""], {"py312", "cu12"}),
        (["workspace", "chan"], {"channel"}),
        (["workspace", "environment", "remove", "py"], {"py312", "py312-cu12"}),
        (["workspace", "platform", "move", "g"], {"gpu"}),
        (["task", "remove", "te"], {"test"}),
        (["completion", "--shell", "z"], {"zsh"}),
        (["--ver"], {"--version", "--verbose"}),
        (["no-such-command", ""], set[str]()),
        (["-m", "/no/such/place", "run", ""], set[str]()),
    ],
)
def test_candidates(workspace: Path, words: list[str], expected: set[str]) -> None:
    assert set(complete(words)) == expected


def test_every_command_answers(workspace: Path) -> None:
    assert set(complete([""])) == {command.name for command in COMMANDS}
    for command in COMMANDS:
        assert "--help" in complete([command.name, "--"]), command.name
        complete([command.name, ""])


def test_manifests_that_cannot_be_read(workspace: Path) -> None:
    for text in ("[", "tasks = 3\nworkspace = []\nenvironments = 'x'", "[tasks]\na = 3\nb = { args = 3 }\n"):
        (workspace / "pixi.toml").write_text(text)
        for words in (["run", ""], ["run", "b", ""], ["run", "-e", ""], ["install", "-p", ""], ["remove", ""]):
            complete(words)
    (workspace / "pixi.toml").unlink()
    assert set(complete(["run", "-e", ""])) == {"default"}
    (workspace / "pyproject.toml").write_text("[tool.pixi.tasks]\nit = 'x'\n")
    assert set(complete(["run", ""])) == {"it"}


@posix
def test_bash(workspace: Path) -> None:
    def asked(*words: str) -> list[str]:
        quoted = " ".join(f"'{word}'" for word in (str(SCRIPT), *words))
        program = (
            f'eval "$({SCRIPT} completion --shell bash)"\nCOMP_WORDS=({quoted})\nCOMP_CWORD={len(words)}\n'
            'complete -p smelt >/dev/null || exit 9\n_smelt\nprintf "%s\\n" "${COMPREPLY[@]}"\n'
        )
        done = subprocess.run(
            ["bash", "--norc", "-c", program], cwd=workspace, env=environment(), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split("\n")[:-1]

    assert asked("run", "t") == ["test"]
    assert asked("run", "-e", "") == ["default", "py312", "py312-cu12"]
    assert asked("run", "test", "") == [""]


@posix
def test_fish(workspace: Path) -> None:
    if shutil.which("fish") is None:
        pytest.skip("no fish here")
    program = f"{SCRIPT} completion --shell fish | source\ncomplete -C 'smelt run t'"
    path = f"{SCRIPT.parent}:{environment()['PATH']}"
    done = subprocess.run(
        ["fish", "--no-config", "-c", program],
        cwd=workspace,
        env=environment({"HOME": str(workspace), "PATH": path}),
        capture_output=True,
        text=True,
    )
    assert "test\tRun the tests" in done.stdout.splitlines(), done


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts_are_well_formed(shell: str, workspace: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    script = smelt(workspace, "completion", "--shell", shell).stdout
    checked = subprocess.run([shell, "-n"], input=script, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


def test_bad_input(workspace: Path) -> None:
    assert "error[usage]" in smelt(workspace, "completion").stderr
    assert "invalid choice: 'tcsh'" in smelt(workspace, "completion", "--shell", "tcsh").stderr
    assert smelt(workspace, "__complete").returncode == 0
