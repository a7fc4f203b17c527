"""Programs of channels that only a package from elsewhere names: run when somebody said so, and then without asking."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from test_resolve_foreign_backend import DEMO, add_backend, prefix, workspace
from test_resolve_foreign_backend import channel as channel  # a fixture

from spine_kit import Channel, environment, manifest, posix, smelt

pytestmark = [pytest.mark.build, posix]
NAME = "pixi-build-evil"


@pytest.fixture
def other(tmp_path: Path) -> Channel:
    found = Channel(tmp_path / "other")
    add_backend(found, name=NAME)
    return found.index()


def from_git(root: Path, channel: Channel, other: Channel, more: str = "") -> Path:
    """A workspace with a package of a repository, which names a channel for its backend."""
    workspace(root, channel)
    repository = root.parent / "repository"
    repository.mkdir()
    for name in ("mine", "helper"):
        shutil.move(root / name, repository / name)
    path = repository / "mine" / "pixi.toml"
    path.write_text(
        path.read_text().replace(f'"{DEMO}", version = "*"', f'"{NAME}", version = "*", channels = ["{other.url}"]')
    )
    for command in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b.example", "commit", "-qm", "all"],
    ):
        subprocess.run(["git", *command], cwd=repository, check=True)
    text = f'[dependencies]\nmine = {{ git = "{repository.as_uri()}", subdirectory = "mine" }}\nlib = "2.*"\n{more}'
    manifest(root, [channel.url], text)
    return root


def backends(tmp_path: Path) -> list[str]:
    folder = tmp_path / "cache" / "smelt" / "backends"
    return sorted(p.name.rpartition("-")[0] for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []


def test_nobody_to_ask(tmp_path: Path, channel: Channel, other: Channel) -> None:
    root = from_git(tmp_path / "ws", channel, other)
    for command in (["lock"], ["install"], ["build"]):
        done = smelt(root, *command)
        assert done.returncode not in (0, 70), done.stderr
        assert "error[backend-untrusted]" in done.stderr
        assert f"`{NAME}` of a channel that this workspace does not use: {other.url}/" in done.stderr
        assert f"smelt config append --local tool.smelt.trusted-backend-channels {other.url}/" in done.stderr
        assert "mine/pixi.toml:6" in done.stderr
    # nothing of it was fetched, let alone run
    assert NAME not in backends(tmp_path)
    assert not (root / "pixi.lock").exists()


@pytest.mark.parametrize("value", ["*", "https://a.example/c,{url}", "{url}"])
def test_a_variable_says_yes(tmp_path: Path, channel: Channel, other: Channel, value: str) -> None:
    root = from_git(tmp_path / "ws", channel, other)
    done = smelt(root, "lock", env={"SMELT_TRUSTED_BACKEND_CHANNELS": value.format(url=other.url)})
    assert done.returncode == 0, done.stderr


def test_what_is_locked_needs_no_word(tmp_path: Path, channel: Channel, other: Channel) -> None:
    """A CI service with the lock of somebody who was asked, or of somebody who uses Pixi."""
    root = from_git(tmp_path / "ws", channel, other)
    trusted = {"SMELT_TRUSTED_BACKEND_CHANNELS": other.url}
    assert smelt(root, "lock", env=trusted).returncode == 0
    done = smelt(root, "install", "--locked", env={"PIXI_CACHE_DIR": str(tmp_path / "new")})
    assert done.returncode == 0, done.stderr
    assert "made by tool" in (prefix(root) / "share" / "mine.txt").read_text()
    text = (root / "pixi.lock").read_text()
    (root / "pixi.lock").write_text(text[: text.index("\nsmelt:") + 1])
    assert smelt(root, "install", env={"PIXI_CACHE_DIR": str(tmp_path / "newer")}).returncode == 0
    # another commit is another package
    repository = tmp_path / "repository"
    (repository / "mine" / "data.txt").write_text("new\n")
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b.example", "commit", "-qam", "x"], cwd=repository)
    done = smelt(root, "update")
    assert "error[backend-untrusted]" in done.stderr


def test_what_the_workspace_says_itself(tmp_path: Path, channel: Channel, other: Channel) -> None:
    """As with Pixi: a package in a folder, a channel of some feature, and a definition in the manifest."""
    root = workspace(tmp_path / "ws", channel)
    path = root / "mine" / "pixi.toml"
    own = path.read_text()
    path.write_text(own.replace(f'"{DEMO}", version = "*"', f'"{NAME}", version = "*", channels = ["{other.url}"]'))
    done = smelt(root, "lock")
    assert done.returncode == 0, done.stderr
    path.write_text(own)
    more = f'[feature.x]\nchannels = ["{other.url}"]\n[environments]\nx = ["x"]\n'
    root = from_git(tmp_path / "second", channel, other, more)
    done = smelt(root, "lock")
    assert done.returncode == 0, done.stderr


def test_the_configuration(tmp_path: Path, channel: Channel, other: Channel) -> None:
    root = from_git(tmp_path / "ws", channel, other)
    key = "tool.smelt.trusted-backend-channels"
    assert smelt(root, "config", "append", "--local", key, "https://a.example/c").returncode == 0
    assert "backend-untrusted" in smelt(root, "lock").stderr
    assert smelt(root, "config", "append", "--local", key, other.url).returncode == 0
    done = smelt(root, "lock")
    assert done.returncode == 0, done.stderr
    # a word that is no list
    (root / ".pixi" / "config.toml").write_text(f'{key} = "x"\n')
    done = smelt(root, "update")
    assert "Traceback" not in done.stderr and "trusted-backend-channels" in done.stderr


def at_a_terminal(root: Path, answer: bytes, *arguments: str) -> tuple[int, str]:
    import pty  # not on Windows

    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "smelt", *arguments],
        cwd=root,
        env=environment(),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    said = b""
    while True:
        try:
            data = os.read(ours, 4096)
        except OSError:
            break
        if not data:
            break
        said += data
        if answer and b"[y/N]" in said:
            os.write(ours, answer)
            answer = b""
    os.close(ours)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said.decode()).replace("\r", "")
    return process.wait(), plain


def test_somebody_is_asked_once(tmp_path: Path, channel: Channel, other: Channel) -> None:
    root = from_git(tmp_path / "ws", channel, other)
    code, said = at_a_terminal(root, b"n\n", "lock")
    assert code == 1, said
    assert "Install it and run it? [y/N]" in said
    assert "error[backend-untrusted]" in said
    assert NAME not in backends(tmp_path)
    code, said = at_a_terminal(root, b"y\n", "lock")
    assert code == 0, said
    assert said.count("[y/N]") == 1
    assert other.url in (root / ".pixi" / "config.toml").read_text()
    code, said = at_a_terminal(root, b"", "update")
    assert code == 0 and "[y/N]" not in said
    # the answer outlives what is only remembered
    assert smelt(root, "clean").returncode == 0
    (root / "pixi.lock").unlink()
    assert smelt(root, "lock").returncode == 0


def test_the_one_who_is_asked_goes_away(tmp_path: Path, channel: Channel, other: Channel) -> None:
    root = from_git(tmp_path / "ws", channel, other)
    code, said = at_a_terminal(root, b"\x04", "lock")
    assert code == 1 and "error[backend-untrusted]" in said, said
