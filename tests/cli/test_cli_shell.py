"""``smelt shell`` on a real terminal."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from spine_kit import Channel, environment, manifest, posix, smelt

pytestmark = posix

START = {
    "bash": (".bashrc", "PATH=/usr/bin:/bin\nPS1='me> '\n", "me> "),
    "zsh": (".zshrc", "PATH=/usr/bin:/bin\nPS1='me> '\n", "me> "),
    "fish": (
        ".config/fish/config.fish",
        "set -gx PATH /usr/bin /bin\nfunction fish_prompt\n    echo -n 'me> '\nend\n",
        "me> ",
    ),
}


# Makes the terminal on standard input the controlling one of a new session, and becomes the command.
ADOPT = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"


class Screen:
    """A process on a terminal of its own."""

    def __init__(self, arguments: list[str], cwd: Path, variables: dict[str, str]) -> None:
        self.terminal, inner = os.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-Sc", ADOPT, *arguments],
            cwd=cwd,
            env=variables,
            stdin=inner,
            stdout=inner,
            stderr=inner,
            start_new_session=True,
        )
        os.close(inner)
        self.seen = b""

    def expect(self, text: str, timeout: float = 20) -> str:
        """Everything up to ``text``."""
        end = time.monotonic() + timeout
        while text.encode() not in self.seen:
            ready, _, _ = select.select([self.terminal], [], [], max(end - time.monotonic(), 0))
            assert ready, f"no {text!r} in {self.seen!r}"
            try:
                data = os.read(self.terminal, 65536)
            except OSError:
                data = b""
            assert data, f"ended without {text!r}: {self.seen!r}"
            self.seen += data
        before, _, self.seen = self.seen.partition(text.encode())
        return before.decode(errors="replace")

    def send(self, text: str) -> None:
        os.write(self.terminal, text.encode())

    def end(self, timeout: float = 20) -> int:
        """The exit code."""
        until = time.monotonic() + timeout
        while (code := self.process.poll()) is None:
            with suppress(OSError):
                if select.select([self.terminal], [], [], 0.05)[0]:
                    os.read(self.terminal, 65536)
            assert time.monotonic() < until, "does not end"
        return code

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.terminal)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    channel = Channel(tmp_path / "channel")
    channel.add("tool", "1.0", files={"bin/mytool": "#!/bin/sh\necho I am the tool\n"})
    root = tmp_path / "ws"
    manifest(root, [channel.index().url], '[dependencies]\ntool = "*"\n[activation]\nenv = { MINE = "a b" }\n')
    assert smelt(root, "install").returncode == 0
    return root


def start(shell: str, workspace: Path, *more: str) -> Screen:
    home = workspace.parent / "home"
    name, text, _ = START[shell]
    (home / name).parent.mkdir(parents=True, exist_ok=True)
    (home / name).write_text(text)
    (home / ".local/share/fish/generated_completions").mkdir(parents=True, exist_ok=True)  # else it makes them, slowly
    variables = environment({"HOME": str(home), "TERM": "dumb", "SHELL": shutil.which(shell) or ""})
    variables.pop("ZDOTDIR", None)
    variables.pop("XDG_CONFIG_HOME", None)
    return Screen([sys.executable, "-m", "smelt", "shell", "--shell", shell, *more], workspace, variables)


@pytest.mark.parametrize("shell", START)
def test_a_session(shell: str, workspace: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    screen = start(shell, workspace)
    try:
        screen.expect("(test) ")
        screen.expect("me> ")
        screen.send("mytool\n")
        screen.expect("I am the tool")
        screen.send('echo "<$MINE>"\n')
        screen.expect("<a b>")
        screen.send(f'{sys.executable} -Sc \'import time; print("star" + "ted", flush=True); time.sleep(60)\'\n')
        screen.expect("started")
        screen.send("\x03")
        screen.send("echo still-$PIXI_ENVIRONMENT_NAME\n")
        screen.expect("still-default")
        screen.send("exit 7\n")
        assert screen.end() == 7
    finally:
        screen.kill()


@pytest.mark.parametrize("shell", START)
def test_the_prompt_stays_on_request(shell: str, workspace: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    screen = start(shell, workspace, "--change-ps1", "false")
    try:
        assert "(test)" not in screen.expect("me> ")
        screen.send("exit\n")
        assert screen.end() == 0
    finally:
        screen.kill()


def test_commands_from_a_pipe_and_a_shell_in_a_shell(workspace: Path) -> None:
    def piped(text: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "smelt", "shell", "--shell", "bash"],
            cwd=workspace,
            env=environment({"HOME": str(workspace.parent)}),
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    assert "I am the tool\n" in piped("mytool\nexit 3\n").stdout
    assert piped("exit 3\n").returncode == 3
    inner = piped(f"{sys.executable} -m smelt shell --shell bash </dev/null\n")
    assert "this shell is inside of one for test" in inner.stderr


def test_bad_input(workspace: Path) -> None:
    assert "did you mean `fish`?" in smelt(workspace, "shell", "--shell", "fsh").stderr
    assert "did you mean `default`?" in smelt(workspace, "shell", "-e", "defalt").stderr
    without = smelt(workspace, "shell", "--shell", "xonsh", env={"PATH": "/nowhere"})
    assert "error[shell-missing]" in without.stderr
    assert without.returncode == 1
