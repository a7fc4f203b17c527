"""``smelt completion``: what shells are told, asked in real shells."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from smelt.cli.completing import complete
from smelt.cli.registry import COMMANDS
from spine_kit import environment, posix, smelt

MANIFEST = """
[workspace]
name = "w"
channels = ["./here", { channel = "https://c.example/far", priority = 1 }]
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
        (["remove", "--feature", ""], {"default", "py312", "cu12"}),
        (["workspace", "chan"], {"channel"}),
        (["workspace", "environment", "remove", "py"], {"py312", "py312-cu12"}),
        (["workspace", "platform", "move", "g"], {"gpu"}),
        (["task", "remove", "te"], {"test"}),
        (["completion", "--shell", "z"], {"zsh"}),
        (["--ver"], {"--version", "--verbose"}),
        (["remove", "-f", "py312", "py"], {"python"}),
        (["run", "build", "-e", ""], set[str]()),
        (["run", "--", "te"], {"test"}),
        (["exec", "--platform", "osx"], {"osx-64", "osx-arm64"}),
        (["task", "add", "t", "--depends-on", "te"], {"test"}),
        (["task", "rm", "te"], {"test"}),
        (["workspace", "platform", "add", "win-a"], {"win-arm64"}),
        (["workspace", "channel", "rm", ""], {"./here", "https://c.example/far"}),
        (["config", "get", "shell.ch"], {"shell.change-ps1"}),
        (["--color", "a"], {"always", "auto"}),
        (["no-such-command", ""], set[str]()),
        (["-m", "/no/such/place", "run", ""], set[str]()),
    ],
)
def test_candidates(workspace: Path, words: list[str], expected: set[str]) -> None:
    assert set(complete(words).candidates) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["run", "./scr"], True),  # a file can be run
        (["run", "python", ""], True),
        (["exec", ""], True),
        (["install", "--manifest-path", ""], True),
        (["-m", ""], True),
        (["no-such-command", ""], True),
        (["run", "-e", "no"], False),
        (["init", "--platform", "nope"], False),
        (["workspace", "no"], False),
        (["add", "--branch", ""], False),
        (["info", ""], False),
    ],
)
def test_files_where_they_can_be_meant(workspace: Path, words: list[str], expected: bool) -> None:
    answer = complete(words)
    assert answer.files is expected
    assert not answer.candidates


def test_the_workspace_that_is_meant(workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "pixi.toml").write_text("[workspace]\nname = 'e'\nchannels = []\n[tasks]\nfar = 'x'\n")
    assert set(complete(["run", "-m", str(elsewhere), ""]).candidates) == {"far"}
    assert set(complete(["run", f"--manifest-path={elsewhere / 'pixi.toml'}", ""]).candidates) == {"far"}
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("PIXI_HOME", str(home))
    (home / "workspaces.toml").write_text(f"[named-workspaces]\nout-there = '{elsewhere}'\n")
    assert set(complete(["run", "-w", "out"]).candidates) == {"out-there"}
    assert set(complete(["-w", "out-there", "run", ""]).candidates) == {"far"}
    monkeypatch.chdir(tmp_path.parent)  # above the workspace
    monkeypatch.setenv("PIXI_PROJECT_MANIFEST", str(elsewhere / "pixi.toml"))
    assert set(complete(["run", ""]).candidates) == {"far"}


def test_every_command_answers(workspace: Path) -> None:
    assert set(complete([""]).candidates) == {command.name for command in COMMANDS}
    for command in COMMANDS:
        assert "--help" in complete([command.name, "--"]).candidates, command.name
        complete([command.name, ""])


def test_manifests_that_cannot_be_read(workspace: Path) -> None:
    for text in ("[", "tasks = 3\nworkspace = []\nenvironments = 'x'", "[tasks]\na = 3\nb = { args = 3 }\n"):
        (workspace / "pixi.toml").write_text(text)
        for words in (["run", ""], ["run", "b", ""], ["run", "-e", ""], ["install", "-p", ""], ["remove", ""]):
            complete(words)
    (workspace / "pixi.toml").unlink()
    assert set(complete(["run", "-e", ""]).candidates) == {"default"}
    (workspace / "pyproject.toml").write_text("[tool.pixi.tasks]\nit = 'x'\n")
    assert set(complete(["run", ""]).candidates) == {"it"}


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
@pytest.mark.parametrize(
    ("line", "becomes"),
    [
        ("smelt run te", "smelt run test "),
        ("smelt run lint:ru", "smelt run lint:ruff "),
        ("smelt run --environment=py312-", "smelt run --environment=py312-cu12 "),
        ("smelt run -e no", "smelt run -e no"),
        ("smelt install -m no", "smelt install -m nowhere.txt "),
        ("smelt install --manifest-path=no", "smelt install --manifest-path=nowhere.txt "),
    ],
)
def test_bash_with_a_key_pressed(workspace: Path, line: str, becomes: str) -> None:
    (workspace / "pixi.toml").write_text(MANIFEST.replace("build =", '"lint:ruff" = "x"\nbuild ='))
    (workspace / "nowhere.txt").write_text("")
    terminal, inner = os.openpty()
    variables = environment({"PATH": f"{SCRIPT.parent}:{environment()['PATH']}", "PS1": "ready> ", "TERM": "dumb"})
    bash = subprocess.Popen(
        ["bash", "--norc", "--noprofile", "-i"],
        cwd=workspace,
        env=variables,
        stdin=inner,
        stdout=inner,
        stderr=inner,
        start_new_session=True,
    )
    os.close(inner)
    seen = ""

    def until(text: str) -> None:
        nonlocal seen
        end = time.monotonic() + 20
        while text not in seen:
            assert time.monotonic() < end, seen
            if select.select([terminal], [], [], 0.1)[0]:
                seen += os.read(terminal, 65536).decode().replace("\a", "")

    try:
        until("ready> ")
        os.write(terminal, b'eval "$(smelt completion --shell bash)"; echo lo"aded"\n')
        until("loaded\r\nready> ")
        seen = ""
        os.write(terminal, f"{line}\t#end".encode())
        until("#end")
        assert seen == f"{becomes}#end"
    finally:
        bash.kill()
        bash.wait()
        os.close(terminal)


ZSH = """
zmodload zsh/zpty
zpty -b probe "PS1='ready> ' zsh -f -i"
seen=
read_until() { while [[ $seen != *$1* ]]; do zpty -r probe chunk && seen+=$chunk; done; seen= }
read_until 'ready> '
zpty -w probe 'autoload -Uz compinit && compinit -u -d $PWD/.dump; unsetopt auto_menu auto_list'
zpty -w probe 'eval "$(smelt completion --shell zsh)"; report() { print -r -- $BUFFER >! buffer }; zle -N report'
zpty -w probe 'bindkey "^G" report; echo lo"aded"'
read_until 'loaded'
zpty -w -n probe "$1"$'\\t\\C-g'
until [[ -s buffer ]]; do zpty -r -t probe chunk; sleep 0.05; done
zpty -d probe
cat buffer
"""


@posix
def test_zsh(workspace: Path) -> None:
    if shutil.which("zsh") is None:
        pytest.skip("no zsh here")
    (workspace / "nowhere.txt").write_text("")
    (workspace / "probe.zsh").write_text(ZSH)
    path = f"{SCRIPT.parent}:{environment()['PATH']}"

    def pressed(line: str) -> str:
        (workspace / "buffer").unlink(missing_ok=True)
        done = subprocess.run(
            ["zsh", "-f", "probe.zsh", line],
            cwd=workspace,
            env=environment({"HOME": str(workspace), "PATH": path}),
            capture_output=True,
            text=True,
            timeout=30,
        )
        return done.stdout.rstrip("\n")

    assert pressed("smelt run --environment=py312-") == "smelt run --environment=py312-cu12 "
    assert pressed("smelt run -e no") == "smelt run -e no"
    assert pressed("smelt install -m no") == "smelt install -m nowhere.txt "


@posix
def test_under_another_name(workspace: Path) -> None:
    (workspace / "other-name").symlink_to(SCRIPT)
    done = subprocess.run(
        [str(workspace / "other-name"), "completion", "--shell", "bash"],
        cwd=workspace,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.stdout.endswith("complete -o default -F _other_name other-name\n")


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
