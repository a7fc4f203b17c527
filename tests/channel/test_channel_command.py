"""``smelt channel`` as a user calls it."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest

from smelt.cli.main import execute
from smelt.cli.terminal import Terminal


def call(*arguments: object) -> tuple[int, str, str]:
    terminal = Terminal(out=io.StringIO(), err=io.StringIO(), color="never")
    code = execute(["channel", *(str(argument) for argument in arguments)], terminal)
    return code, terminal.out.getvalue(), terminal.err.getvalue()  # type: ignore[attr-defined]


def test_create_and_index(tmp_path: Path) -> None:
    channel = tmp_path / "channel"
    assert call("create", channel) == (0, f"created   {channel}\n", "")
    assert call("create", channel) == (0, f"unchanged {channel}\n", "")
    code, out, err = call("index", channel)
    assert (code, err) == (0, "")
    assert "unchanged noarch: 0 packages\n" in out


def test_wheels_and_words(make_wheel, channel: Path) -> None:
    wheel = make_wheel()
    code, out, err = call("add-wheel", channel, wheel, "--python", "3.12", "--no-deps")
    assert (code, err) == (0, "")
    assert out.startswith("added     demo 1.0 pyh")
    assert out.endswith("_0 (noarch)\n")
    code, again, _ = call("add-wheel", channel, wheel, "--python", "3.12", "--no-deps", "-v")
    assert (code, again) == (0, out.replace("added    ", "unchanged"))


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, "the following arguments are required"),
        (("creat", "x"), 2, "invalid choice"),
        (("index", "/nonexistent/channel"), 1, "error[channel]: there is no folder"),
        (("add-python", "/nonexistent/channel"), 1, "error[channel]: there is no channel"),
        (("add-wheel", "/nonexistent/channel", "!!"), 2, "error[usage]: `!!` is neither a wheel nor a requirement"),
        (("add-python", "c", "python3", "--all"), 2, "error[usage]: `--all` does not go with"),
        (("add-python", "c", "/nonexistent/python"), 1, "there is no Python interpreter /nonexistent/python"),
    ],
)
def test_mistakes_are_explained(arguments: tuple[str, ...], code: int, message: str) -> None:
    found, out, err = call(*arguments)
    assert (found, out) == (code, "")
    assert message in err
    assert "Traceback" not in err


def test_two_processes_at_once(make_wheel, channel: Path, tmp_path: Path) -> None:
    wheels = [make_wheel(f"demo{number}") for number in range(2)]
    command = [sys.executable, "-m", "smelt", "channel", "add-wheel", channel]
    running = [
        subprocess.Popen([*command, wheel, "--python", "3.12", "--no-deps"], stderr=subprocess.PIPE, text=True)
        for wheel in (*wheels, wheels[0])
    ]
    errors = [process.communicate()[1] for process in running]
    assert [process.returncode for process in running] == [0] * 3, errors
    code, out, _ = call("index", channel)
    assert code == 0
    assert "unchanged noarch: 2 packages" in out


def test_a_folder_that_cannot_be_written(channel: Path, make_wheel) -> None:
    import os

    if sys.platform == "win32" or os.geteuid() == 0:
        pytest.skip("permissions do not bind this user")
    channel.chmod(0o500)
    try:
        code, _, err = call("add-wheel", channel, make_wheel(), "--python", "3.12", "--no-deps")
    finally:
        channel.chmod(0o700)
    assert code == 1
    assert "cannot be written" in err
