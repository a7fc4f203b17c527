"""Channels that answer wrongly, slowly or with malice: a clear error, and the old lock byte for byte."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from network_kit import Answer, Server, content, never_ending, serving, status

from spine_kit import OTHER, SUBDIR, Channel, environment, manifest, partial, smelt

IMPATIENT = {"SMELT_HTTP_TIMEOUT": "1"}


@pytest.fixture
def locked(workspace: Path, tmp_path: Path) -> bytes:
    """The workspace is locked, its manifest asks for more since, and nothing is cached any more."""
    assert smelt(workspace, "lock").returncode == 0
    before = (workspace / "pixi.lock").read_bytes()
    path = workspace / "pixi.toml"
    path.write_text(path.read_text() + 'alpha = "1.*"\n')
    shutil.rmtree(tmp_path / "cache")
    return before


ANSWERS: dict[str, tuple[Answer, str]] = {
    "404": (status(404), "404"),
    "403": (status(403), "it wants credentials"),
    "500": (status(500), "the server has trouble"),
    "truncated": (content(b'{"info": {"subdir": "noarch"}, "packages.conda"', length=100_000), "cannot read"),
    "garbage": (content(b"\x00\xff\x00 this is no repodata"), "cannot read"),
    "page": (content(b"<!doctype html><title>Please log in</title>"), "cannot read"),
    "list": (content(b"[1, 2, 3]"), "cannot read"),
    "never ending": (never_ending, "cannot read"),
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_package_lists(kind: str, workspace: Path, locked: bytes, server: Server) -> None:
    answer, said = ANSWERS[kind]
    server.answers["/noarch/repodata.json"] = answer
    done = smelt(workspace, "lock", env=IMPATIENT)
    assert done.returncode == 1, done.stdout
    assert said in done.stderr
    assert server.url in done.stderr
    assert "Traceback" not in done.stderr
    assert (workspace / "pixi.lock").read_bytes() == locked
    assert partial(workspace) == []
    del server.answers["/noarch/repodata.json"]
    assert smelt(workspace, "lock").returncode == 0  # nothing of it was kept


def test_nobody_answers(workspace: Path, locked: bytes) -> None:
    path = workspace / "pixi.toml"
    lines = path.read_text().splitlines()
    lines[2] = 'channels = ["http://127.0.0.1:9/"]'
    path.write_text("\n".join(lines))
    done = smelt(workspace, "lock", env=IMPATIENT)
    assert done.returncode == 1
    assert "http://127.0.0.1:9" in done.stderr
    assert (workspace / "pixi.lock").read_bytes() == locked


PACKAGES: dict[str, tuple[Answer, str]] = {
    "404": (status(404), "cannot download alpha-2.0-0.conda"),
    "500": (status(500), "cannot download alpha-2.0-0.conda"),
    "other": (content(b"PK" + b"x" * 300), "is not the package that was locked"),
    "truncated": (content(b"PK" + b"x" * 300, length=5000), "cannot download alpha-2.0-0.conda"),
    "never ending": (never_ending, "nothing came for 1 seconds"),
}


@pytest.mark.parametrize("kind", PACKAGES)
def test_packages(kind: str, workspace: Path, server: Server) -> None:
    assert smelt(workspace, "lock").returncode == 0
    before = (workspace / "pixi.lock").read_bytes()
    answer, said = PACKAGES[kind]
    server.answers["alpha-2.0-0.conda"] = answer
    done = smelt(workspace, "install", env=IMPATIENT)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert (workspace / "pixi.lock").read_bytes() == before
    assert not (workspace / ".pixi/envs/default/share").exists()
    server.answers.clear()
    assert smelt(workspace, "install").returncode == 0


def described(server: Server, change: Callable[[dict[str, object]], None], file_name: str | None = None) -> None:
    """Let the index say something else of ``alpha`` 2.0."""
    path = server.folder / "noarch/repodata.json"
    data = json.loads(path.read_text())
    section = data["packages.conda"]
    record = section.pop("alpha-2.0-0.conda")
    change(record)
    section[file_name or "alpha-2.0-0.conda"] = record
    path.write_text(json.dumps(data))


HOSTILE: dict[str, tuple[dict[str, object], str | None]] = {
    "name": ({"name": "../../alpha"}, None),
    "build": ({"build": "../../x"}, None),
    "version": ({"version": "../../2.0"}, None),
    "file name": ({}, "../../../alpha-2.0-0.conda"),
    "absolute file name": ({}, "/etc/alpha-2.0-0.conda"),
    "control characters": ({"build": "0\x1b[2J"}, None),
    "long build": ({"build": "x" * 5000}, None),
    "no hash": ({"sha256": "not hexadecimal"}, None),
    "depends": ({"depends": ["beta >=1,<"]}, None),
    "no list": ({"depends": "beta"}, None),
    "size": ({"size": -5}, None),
    "subdir": ({"subdir": "../../linux-64"}, None),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_descriptions(kind: str, workspace: Path, server: Server, tmp_path: Path) -> None:
    change, file_name = HOSTILE[kind]
    described(server, lambda record: record.update(change), file_name)
    outside = {path for path in tmp_path.rglob("*") if not path.is_relative_to(workspace)}
    done = smelt(workspace, "install")
    assert "Traceback" not in done.stderr and done.returncode in (0, 1), done.stderr
    assert "\x1b" not in done.stderr
    cache = tmp_path / "cache"
    new = {
        path
        for path in tmp_path.rglob("*")
        if not path.is_relative_to(workspace) and not path.is_relative_to(cache) and path not in outside
    }
    assert new <= {cache}
    if kind in ("build", "version", "control characters", "long build", "subdir"):
        assert done.returncode == 1
        assert server.url in done.stderr
        assert not (workspace / "pixi.lock").exists()
    if done.returncode == 0:  # another version was taken, or what is wrong does no harm
        share = workspace / ".pixi/envs/default/share"
        assert {path.name for path in share.iterdir()} == {"alpha.txt", "beta.txt"}


def test_killed_while_locking(workspace: Path, locked: bytes, server: Server) -> None:
    server.answers["/noarch/repodata.json"] = never_ending
    running = subprocess.Popen(
        [sys.executable, "-m", "smelt", "lock"],
        cwd=workspace,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    while not any("noarch" in path for path in server.asked) and running.poll() is None:
        time.sleep(0.02)
    running.kill()
    running.communicate()
    assert (workspace / "pixi.lock").read_bytes() == locked
    server.answers.clear()
    assert smelt(workspace, "lock").returncode == 0
    assert smelt(workspace, "lock", "--check").returncode == 0


_KILLED_WRITING = """
import os, signal, sys
from pathlib import Path
import smelt.fs.atomic as atomic
moment = sys.argv[1]
real = os.replace
real_path = Path.replace
def kill(*a, **k):
    os.kill(os.getpid(), signal.SIGKILL)
def after(self, target):
    done = real_path(self, target)
    if Path(target).name == "pixi.lock":
        kill()
    return done
def before(self, target):
    if Path(target).name == "pixi.lock":
        kill()
    return real_path(self, target)
def replaced(source, target, **more):
    if Path(target).name == "pixi.lock" and moment == "before":
        kill()
    done = real(source, target, **more)
    if Path(target).name == "pixi.lock":
        kill()
    return done
Path.replace = before if moment == "before" else after
os.replace = replaced
from smelt.api.workspace import Workspace
Workspace.load(Path.cwd() / "pixi.toml").lock()
"""


@pytest.mark.skipif(os.name != "posix", reason="signals are for POSIX")
@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_while_writing(moment: str, workspace: Path, locked: bytes) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _KILLED_WRITING, moment], cwd=workspace, env=environment(), check=False
    )
    assert done.returncode == -signal.SIGKILL
    text = (workspace / "pixi.lock").read_bytes()
    assert (text == locked) is (moment == "before")
    assert smelt(workspace, "lock").returncode == 0
    assert smelt(workspace, "lock", "--check").returncode == 0
    assert "alpha-1.0-0.conda" in (workspace / "pixi.lock").read_text()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can mount a small file system")
def test_full_disk(workspace: Path, locked: bytes, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(small)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("no file system can be mounted here")
    try:
        for name in ("pixi.toml", "pixi.lock"):
            shutil.copy2(workspace / name, small)
        (small / ".pixi").mkdir()
        (small / ".pixi/smelt").mkdir()
        (small / "filler").write_bytes(b"")
        with (small / "filler").open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 1024)
            except OSError:
                pass
        done = smelt(small, "lock")
        assert done.returncode == 1, done.stdout
        assert "space" in done.stderr
        assert "Traceback" not in done.stderr
        assert (small / "pixi.lock").read_bytes() == locked
        (small / "filler").unlink()
        assert smelt(small, "lock").returncode == 0
    finally:
        subprocess.run(["umount", "-l", str(small)], check=False)


def test_one_broken_channel_of_two_is_named(tmp_path: Path, server: Server) -> None:
    with serving(tmp_path / "other") as other:
        Channel(other.folder).index()
        other.answers["repodata.json"] = status(500)
        root = tmp_path / "two"
        manifest(root, [server.url, other.url], '[dependencies]\nbeta = "*"\n', platforms=[SUBDIR])
        done = smelt(root, "lock", env=IMPATIENT)
        assert f"cannot read the package lists of {other.url}" in done.stderr
        assert server.url not in done.stderr


def test_a_broken_channel_is_asked_once_for_all_environments(tmp_path: Path, server: Server) -> None:
    server.answers["/noarch/repodata.json"] = status(500)
    table = '[dependencies]\nbeta = "*"\n'
    more = "".join(f'[feature.f{number}.dependencies]\nalpha = "{number}.*"\n' for number in range(4))
    names = ", ".join(f'e{number} = ["f{number}"]' for number in range(4))
    asked: list[int] = []
    for name, text in (("one", table), ("many", f"{table}{more}[environments]\n{names.replace(', ', chr(10))}\n")):
        root = tmp_path / name
        manifest(root, [server.url], text, platforms=[SUBDIR, OTHER])
        server.asked.clear()
        done = smelt(root, "lock", env={**IMPATIENT, "PIXI_CACHE_DIR": str(tmp_path / f"cache-{name}")})
        assert done.returncode == 1
        assert done.stderr.count("cannot read the package lists") == 1
        assert "coalesced" not in done.stderr
        asked.append(sum(path.endswith("/noarch/repodata.json") for path in server.asked))
    assert asked[0] > 0
    assert asked[1] == asked[0]
