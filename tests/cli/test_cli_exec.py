"""``smelt exec``: commands of packages, in environments that are made for them."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from spine_kit import Channel, partial, posix, smelt

pytestmark = posix


@pytest.fixture
def channel(tmp_path: Path) -> Channel:
    channel = Channel(tmp_path / "channel")
    channel.add("greet", "1.0", depends=["words"], files={"bin/greet": '#!/bin/sh\necho "hello $*"\nexit ${CODE:-0}\n'})
    channel.add("words", "1.0")
    channel.add("other", "2.0", files={"bin/tool": "#!/bin/sh\nenv\n"})
    return channel.index()


class User:
    def __init__(self, folder: Path, channel: Channel) -> None:
        self.cwd = folder / "here"
        self.cwd.mkdir()
        self.cache = folder / "cache"
        self.channel = channel

    def run(self, *arguments: str, code: int = 0, **env: str) -> subprocess.CompletedProcess[str]:
        found = smelt(
            self.cwd, "exec", "-c", self.channel.url, *arguments, env={"PIXI_CACHE_DIR": str(self.cache), **env}
        )
        assert found.returncode == code, (found.returncode, found.stderr)
        assert "Traceback" not in found.stderr
        return found


@pytest.fixture
def user(tmp_path: Path, channel: Channel) -> User:
    return User(tmp_path, channel)


def test_the_command_names_the_package(user: User) -> None:
    assert user.run("greet", "a", "--list", "-s").stdout == "hello a --list -s\n"
    assert user.run("greet", code=7, CODE="7").stdout == "hello \n"
    assert [path.name.rpartition("-")[0] for path in (user.cache / "smelt" / "exec").iterdir() if path.is_dir()] == [
        "greet"
    ]


def test_signals_have_their_default_meaning(user: User) -> None:
    """Python ignores SIGPIPE; what is called by it must not, or it complains where its reader is gone."""
    assert user.run("-s", "words", "sh", "-c", "kill -PIPE $$; echo ignored", code=-13).stdout == ""


def test_an_environment_is_made_once(user: User) -> None:
    user.run("greet")
    (made,) = (path for path in (user.cache / "smelt" / "exec").iterdir() if path.is_dir())
    marker = made / "conda-meta" / "history"
    before = marker.stat().st_mtime_ns
    user.channel.folder.rename(user.channel.folder.with_name("gone"))  # nothing is solved or fetched
    user.run("greet")
    assert marker.stat().st_mtime_ns == before
    user.channel.folder.with_name("gone").rename(user.channel.folder)
    user.run("--force-reinstall", "greet")
    assert marker.stat().st_mtime_ns != before


def test_many_at_once(user: User) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda number: user.run("greet", str(number)).stdout, range(4)))
    assert found == [f"hello {number}\n" for number in range(4)]
    assert partial(user.cache) == []


def test_specs_and_what_is_beside_the_command(user: User) -> None:
    shown = user.run("-s", "other=2.*", "-s", "words", "tool").stdout.splitlines()
    assert "PIXI_ENVIRONMENT_NAME=temp:other,words" in shown
    assert r"PS1=(pixi:temp:other,words) [\w] \$" in shown
    assert not any(line.startswith("PIXI_PROJECT") for line in shown)
    assert "PS1=" not in user.run("--no-modify-ps1", "-s", "other", "tool", PS1="").stdout.replace("PS1=\n", "")
    assert user.run("--with", "other", "greet", "x").stdout == "hello x\n"
    beside = user.run("--with", "other", "tool")
    assert "the environment is without it" in beside.stderr


def test_lists_packages_first(user: User) -> None:
    listed = user.run("--list", "greet").stdout.splitlines()
    assert listed[0] == "The environment has 2 packages:"
    assert [line.split()[:2] for line in listed[1:3]] == [["greet", "1.0"], ["words", "1.0"]]
    assert listed[3] == "hello "
    assert "The environment has 1 packages filtered by regex `^w`:" in user.run("--list=^w", "greet").stdout


def test_packages_from_files(user: User) -> None:
    archive = next(user.channel.folder.rglob("greet-*.conda"))
    relative = os.path.relpath(archive, user.cwd)
    assert user.run("-s", relative if relative.startswith(".") else f"./{relative}", "greet").stdout == "hello \n"
    assert user.run("-s", str(archive), "greet").stdout == "hello \n"


def test_bad_input(user: User) -> None:
    assert "error[usage]: there is no command to execute" in user.run(code=2).stderr
    missing = user.run("-s", "greet", "gret", code=1).stderr
    assert "error[command-not-found]" in missing and "the environment has greet" in missing
    unknown = user.run("no-such-package", code=1).stderr
    assert "no-such-package" in unknown
    assert "is not a valid requirement" in user.run("-s", "a ==", "b", code=1).stderr
    assert "is no conda platform" in user.run("-p", "linux-65", "greet", code=2).stderr
    assert "cannot be used with" in user.run("-s", "greet", "-w", "words", "greet", code=2).stderr
    assert "is not a regular expression" in user.run("--list=(", "greet", code=2).stderr
    assert partial(user.cache) == []


def test_the_cache_knows_them(user: User) -> None:
    user.run("greet")
    env = {"PIXI_CACHE_DIR": str(user.cache)}
    assert "exec" in smelt(user.cwd, "cache", "info", env=env).stdout
    done = smelt(user.cwd, "cache", "gc", "--older-than", "0s", env=env)
    assert done.returncode == 0, done.stderr
    assert [path for path in (user.cache / "smelt" / "exec").iterdir() if path.is_dir()] == []
    assert user.run("greet").stdout == "hello \n"
