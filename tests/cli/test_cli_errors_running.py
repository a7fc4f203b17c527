"""What a user reads when builds, locks, channels, packages or the system are in the way; what is left behind."""

from __future__ import annotations

import http.server
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from errors_kit import fails, golden

from spine_kit import SUBDIR, Channel, environment, manifest, posix, recipe, smelt

pytestmark = posix


@pytest.mark.build
def test_a_build_that_fails(root: Path, channel: Channel, cache: Path) -> None:
    # the trace of the shell comes through another pipe than the lines: it must have come before them
    script = ["{ set +x; } 2>&1", "sleep 1", *(f"echo line {index}" for index in range(40)), "echo the end", "exit 4"]
    recipe(root, "mine", "1.5", host=["library"], script=script)
    manifest(
        root,
        [channel.url],
        """
[workspace.build-variants]
library = ["1.0"]
[feature.x.dependencies]
mine = { path = "mine" }
[environments]
x = ["x"]
""",
    )
    text = fails(root, "install", "-e", "x")
    log = next((cache / "smelt" / "logs").glob("mine-1.5-*.log"))
    lines = "".join(f"        line {index}\n" for index in range(12, 40))
    golden(
        text,
        f"""\
building mine 1.5 {{…}}  (x)
✘ mine 1.5 {{…}} failed after {{…}} s
error[build-failed]: failed to build 'mine' 1.5 {{…}}
  note: package mine 1.5, build {{…}}
        variant library=1.0, target_platform={SUBDIR}
        for the environment x
  note: {{…}}
  note: the last 30 lines of the log:
{lines}        the end
        Script failed with status 4
  note: the whole log: {log}
""",
    )
    assert "line 0" in log.read_text()
    assert list((cache / "smelt").rglob("*.conda")) == []
    assert not (root / ".pixi" / "envs" / "x").exists()
    assert [p for p in (cache / "smelt" / "work").iterdir() if not p.name.endswith((".lock", ".holder"))] == []
    # the lock is right: it is the build that is wrong
    assert smelt(root, "lock", "--check").returncode == 0


@pytest.mark.build
def test_a_failure_leaves_the_environment_as_it_was(workspace: Path, cache: Path) -> None:
    assert smelt(workspace, "install").returncode == 0
    recipe(workspace, "greet", "0.2", host=["library"], script=["exit 1"])
    assert "greet 0.2" in fails(workspace, "install")
    assert smelt(workspace, "run", "--as-is", "greet").stdout == "greetings\n"


@pytest.mark.build
def test_a_command_that_a_build_does_not_find(root: Path, channel: Channel, cache: Path) -> None:
    recipe(root, "mine", script=["PATH=$BUILD_PREFIX/bin gcc -c x.c"])
    manifest(root, [channel.url], '[dependencies]\nmine = { path = "mine" }\n')
    text = fails(root, "install")
    assert "gcc: " in text
    assert "help: no compiler or build tool was found" in text


def test_a_lock_that_does_not_fit(workspace: Path) -> None:
    assert smelt(workspace, "lock").returncode == 0
    before = (workspace / "pixi.lock").read_bytes()
    path = workspace / "pixi.toml"
    path.write_text(
        path.read_text().replace('tool = "1.*"', 'tool = "2.*"').replace('library = "*"', 'library = "1.*"')
    )
    for arguments in (("install", "--locked"), ("lock", "--check"), ("run", "--locked", "tool"), ("list", "--locked")):
        golden(
            fails(workspace, *arguments),
            f"""\
error[lock-outdated]: the lock file does not fit: environment 'default' on {SUBDIR}: the requirement 'tool 2.*' {{…}}
  --> pixi.toml:8:9
   |
 8 | tool = "2.*"
   |         ^^^
  note: environment 'two' on {SUBDIR}: the requirement 'library 1.*' {{…}}
  help: run `smelt lock` to update it
""",
        )
    assert (workspace / "pixi.lock").read_bytes() == before
    assert not (workspace / ".pixi" / "envs").exists()


def test_no_lock(workspace: Path) -> None:
    for arguments in (("install", "--locked"), ("install", "--frozen"), ("lock", "--check")):
        golden(
            fails(workspace, *arguments),
            """\
error[lock-missing]: there is no lock file pixi.lock
  help: run `smelt lock`
""",
        )


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("", "lock-empty"),
        ("version: 7\nenv: [", "lock-syntax"),
        ("<<<<<<< HEAD\nversion: 7\n=======\nversion: 6\n>>>>>>> other\n", "lock-conflict"),
        ("version: 99\nenvironments: {}\npackages: []\n", "lock-"),
        ("version https://git-lfs.example/spec/v1\noid sha256:0\nsize 3\n", "lock-"),
        ("version: 7\nenvironments:\n  default:\n    channels: 3\npackages: []\n", "lock-value"),
    ],
)
def test_a_corrupt_lock_is_named_and_kept(workspace: Path, content: str, code: str) -> None:
    path = workspace / "pixi.lock"
    path.write_text(content)
    for command in ("install", "lock"):
        text = fails(workspace, command)
        assert text.startswith(f"error[{code}")
        assert "pixi.lock" in text
        assert "help: " in text
    assert path.read_text() == content


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_lock_cut_off(workspace: Path, share: float) -> None:
    assert smelt(workspace, "lock").returncode == 0
    path = workspace / "pixi.lock"
    text = path.read_text()
    path.write_text(text[: int(len(text) * share)])
    result = smelt(workspace, "lock", "--check")
    assert result.returncode == 1
    assert result.stderr.startswith("error[lock-")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """An HTTP server that has nothing."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object, **options: object) -> None:
            super().__init__(*arguments, directory=str(folder), **options)  # type: ignore[arg-type, misc]

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}/channel"
        running.shutdown()
        thread.join()


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.mark.parametrize("kind", ["file", "http 404", "refused"])
def test_a_channel_that_cannot_be_reached(root: Path, tmp_path: Path, server: str, cache: Path, kind: str) -> None:
    url = {
        "file": (tmp_path / "nowhere").as_uri(),
        "http 404": server,
        "refused": f"http://127.0.0.1:{closed_port()}/channel",
    }[kind]
    reason = {"file": "No such file", "http 404": "404", "refused": "refused"}[kind]
    manifest(root, [url], '[dependencies]\ntool = "*"\n')
    text = fails(root, "install")
    assert text.startswith(f"error[channel-unreachable]: cannot read the package lists of {url}/\n")
    assert reason in text
    assert text.endswith("help: check that the channel exists and can be reached, and its spelling in `channels`\n")
    assert not (root / "pixi.lock").exists()
    assert not (root / ".pixi" / "envs").exists()


def test_a_channel_that_is_no_channel(root: Path, tmp_path: Path, cache: Path) -> None:
    folder = tmp_path / "odd" / "noarch"
    folder.mkdir(parents=True)
    (folder / "repodata.json").write_text("<html>not here</html>")
    manifest(root, [folder.parent.as_uri()], '[dependencies]\ntool = "*"\n')
    text = fails(root, "lock")
    assert text.startswith("error[channel-")
    assert folder.parent.as_uri() in text


def test_a_package_that_is_not_what_was_locked(root: Path, channel: Channel, cache: Path) -> None:
    manifest(root, [channel.url], '[dependencies]\ntool = "*"\n')
    assert smelt(root, "lock").returncode == 0
    archive = channel.folder / "noarch" / "tool-2.0-0.conda"
    data = archive.read_bytes()
    archive.write_bytes(data[:-20])
    text = fails(root, "install")
    assert text.startswith("error[hash-mismatch]: tool-2.0-0.conda is not the package that was locked\n")
    assert not (root / ".pixi" / "envs" / "default" / "conda-meta").exists()
    archive.unlink()
    assert fails(root, "install").startswith(
        "error[archive-missing]: the package tool-2.0-0.conda is no longer there\n"
    )
    archive.write_bytes(data)
    assert smelt(root, "install").returncode == 0


def test_a_corrupt_cached_package_is_fetched_again(root: Path, channel: Channel, cache: Path) -> None:
    manifest(root, [channel.url], '[dependencies]\ntool = "*"\n')
    assert smelt(root, "install").returncode == 0
    cached = next((cache / "pkgs").glob("tool-2.0*/bin/tool"))
    cached.unlink()
    cached.write_text("garbage")
    shutil.rmtree(root / ".pixi")
    assert smelt(root, "install").returncode == 0
    assert smelt(root, "run", "tool").stdout == "tool 2.0\n"


@pytest.mark.build
def test_a_corrupt_stored_build_is_made_again(workspace: Path, cache: Path) -> None:
    assert smelt(workspace, "install").returncode == 0
    (archive,) = (cache / "smelt" / "artifacts").rglob("greet-*.conda")
    data = archive.read_bytes()
    archive.write_bytes(data[:100])
    shutil.rmtree(workspace / ".pixi")
    shutil.rmtree(cache / "pkgs")
    result = smelt(workspace, "install")
    assert result.returncode == 0
    assert f"warning: the stored package {archive.name} is damaged: it is made again" in result.stderr
    assert archive.read_bytes() == data
    assert smelt(workspace, "run", "greet").stdout == "greetings\n"


def test_a_file_in_the_place_of_a_folder(workspace: Path, tmp_path: Path) -> None:
    (workspace / ".pixi").write_text("")
    for arguments in (("install",), ("lock",), ("run", "tool")):
        text = fails(workspace, *arguments)
        assert text.startswith(f"error[not-writable]: cannot write {workspace / '.pixi'}: ")
        assert "help: " in text
    assert not (workspace / "pixi.lock").exists()
    (workspace / ".pixi").unlink()
    (tmp_path / "file").write_text("")
    text = fails(workspace, "install", PIXI_CACHE_DIR=str(tmp_path / "file" / "cache"))
    assert text.startswith("error[")
    assert str(tmp_path / "file") in text


def bound_by_permissions() -> None:
    """Before exec: what binds other users binds root too."""
    if os.geteuid() == 0:
        import ctypes

        prctl = ctypes.CDLL(None, use_errno=True).prctl
        for capability in (1, 2, 3):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER
            if prctl(24, capability, 0, 0, 0) != 0:
                raise OSError(ctypes.get_errno(), "PR_CAPBSET_DROP")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="capabilities are Linux's")
@pytest.mark.parametrize("where", [".pixi", "workspace", "lock", "manifest"])
def test_what_may_not_be_written_or_read(workspace: Path, where: str) -> None:
    assert smelt(workspace, "install").returncode == 0
    path = workspace / "pixi.toml"
    before = (workspace / "pixi.lock").read_bytes()
    path.write_text(path.read_text().replace('tool = "1.*"', 'tool = "2.*"'))
    target, mode, code = {
        ".pixi": (workspace / ".pixi" / "envs", 0o555, "not-writable"),
        "workspace": (workspace, 0o555, "lock-unwritable"),
        "lock": (workspace / "pixi.lock", 0o000, "lock-unreadable"),
        "manifest": (path, 0o000, "manifest-unreadable"),
    }[where]
    for arguments in (("install",), ("install", "-e", "two")) if where == ".pixi" else (("install",),):
        old = target.stat().st_mode & 0o777
        target.chmod(mode)
        try:
            text = fails_bound(workspace, *arguments)
        finally:
            target.chmod(old)
        if where != ".pixi" or "-e" in arguments:
            assert text.startswith(f"error[{code}]"), text
    if where != ".pixi":
        assert (workspace / "pixi.lock").read_bytes() == before
        assert smelt(workspace, "run", "--frozen", "tool").stdout == "tool 1.0\n"


def fails_bound(root: Path, *arguments: str) -> str:
    """What a command says that may not write where the permissions forbid it."""
    result = subprocess.run(
        [sys.executable, "-m", "smelt", *arguments],
        cwd=root,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=bound_by_permissions,
    )
    assert "Traceback" not in result.stderr
    assert "internal error" not in result.stderr
    return result.stderr
