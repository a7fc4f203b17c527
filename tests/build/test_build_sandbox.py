"""``--sandbox``: no network, nothing of the user's home folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from build_kit import SUBDIR, Recorder, build, left_in, node, render, script, write_source
from process_kit import SLOW, alive, drive, started_processes, wait_until

from smelt.archive import read_conda
from smelt.build.sandbox import require_sandbox
from smelt.build.surroundings import Surroundings
from smelt.errors import BuildError, NotSupportedError
from smelt.source.download import fetch
from spine_kit import Channel, manifest, posix, recipe, smelt

pytestmark = [pytest.mark.build, posix]


def allowed() -> bool:
    try:
        require_sandbox()
    except (BuildError, NotSupportedError):
        return False
    return True


needs_sandbox = pytest.mark.skipif(not allowed(), reason="this machine makes no sandboxes")

ADDRESS = """
import socket
for address in (("192.0.2.1", 80), ("8.8.8.8", 53)):
    try:
        socket.create_connection(address, timeout=2)
        print("reached")
    except OSError as error:
        print(type(error).__name__, error.errno)
server = socket.create_server(("127.0.0.1", 0))
socket.create_connection(server.getsockname(), timeout=2)
print("loopback works")
"""


def content(artifact: object, name: str) -> str:
    return next(m for m in read_conda(artifact.path).files if m.name == name).data.decode()  # type: ignore[attr-defined]


@needs_sandbox
def test_no_network_and_no_home(tmp_path: Path) -> None:
    home = tmp_path / "home"
    write_source(home, {"secret.txt": "s3cret\n", "seen/here.txt": "seen\n"})
    source = tmp_path / "source"
    write_source(source, {"net.py": ADDRESS})
    recipe = {
        "package": {"name": "probe", "version": "1"},
        "source": [{"path": "."}],
        "build": {
            "script": [
                "mkdir -p $PREFIX/share",
                f"{sys.executable} net.py > $PREFIX/share/net",
                f"ls -a {home} > $PREFIX/share/home; cat {home}/secret.txt >> $PREFIX/share/home || true",
                f"cat {home}/seen/here.txt >> $PREFIX/share/home",
                f"echo x > {home}/seen/written; umount {home} 2>/dev/null && cat {home}/secret.txt || echo kept",
            ]
        },
    }
    import json

    one = node(render(json.dumps(recipe), source)[0], source)
    around = Surroundings(home=home, sandboxed=True, visible=(home / "seen",))
    artifact = build([one], tmp_path, surroundings=around)[one.key]
    assert content(artifact, "share/net").splitlines() == ["OSError 101", "OSError 101", "loopback works"]
    seen = content(artifact, "share/home").split()
    assert seen == [".", "..", "seen", "seen"]
    assert "s3cret" not in artifact.log.read_text()
    assert "\nkept" in artifact.log.read_text()
    # without it the same build, of the same key, sees what is there
    again = build([one], tmp_path, surroundings=Surroundings(home=home), rebuild=frozenset(["probe"]))[one.key]
    assert "s3cret" in content(again, "share/home")


@needs_sandbox
def test_archives_are_fetched_before(tmp_path: Path) -> None:
    import json
    import shutil

    write_source(tmp_path / "code" / "code-1", {"code.txt": "from the archive\n"})
    archive = Path(shutil.make_archive(str(tmp_path / "home" / "code-1"), "gztar", tmp_path / "code"))
    from smelt.types import sha256_file

    text = {
        "package": {"name": "fetched", "version": "1"},
        "source": [{"url": archive.as_uri(), "sha256": sha256_file(archive)}],
        "build": {"script": ["mkdir -p $PREFIX/share", "cp code.txt $PREFIX/share/"]},
    }
    one = node(render(json.dumps(text), write_source(tmp_path / "source", {"x": ""}))[0], tmp_path / "source")
    around = Surroundings(home=tmp_path / "home", sandboxed=True)
    fetched: list[str] = []

    def bring(url: str, sha256: str | None, md5: str | None) -> Path:
        fetched.append(url)
        return fetch(url, sha256, md5)[0]

    artifact = build([one], tmp_path, surroundings=around, fetch_source=bring)[one.key]
    assert content(artifact, "share/code.txt") == "from the archive\n"
    assert fetched == [archive.as_uri()]
    text["source"] = [{"git": "https://host.example/x.git"}]
    other = node(render(json.dumps(text), tmp_path / "source")[0], tmp_path / "source")
    with pytest.raises(NotSupportedError, match="fetches its source from git"):
        build([other], tmp_path, surroundings=around)


@needs_sandbox
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_nothing_is_left_of_a_sandboxed_build(tmp_path: Path, number: signal.Signals) -> None:
    make = f"script(root / 'source', {SLOW!r})"
    driver = drive(tmp_path, make, stderr=subprocess.PIPE, env={**os.environ, "SANDBOXED": "1"})
    processes = started_processes(driver)
    assert all(alive(pid) for pid in processes)
    driver.send_signal(number)
    driver.communicate(timeout=20)
    assert wait_until(lambda: not any(alive(pid) for pid in processes))
    one = script(tmp_path / "source", "true")
    assert build([one], tmp_path)[one.key].built
    assert left_in(tmp_path / "work") == []


@needs_sandbox
def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    write_source(home, {".secret": "s3cret"})
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PIXI_CACHE_DIR", str(home / "cache"))
    channel = Channel(home / "channel")
    channel.add("tool", files={"bin/tool": "#!/bin/sh\necho tool\n"})
    channel.index()
    root = home / "ws"
    recipe(
        root, "mine", build=["tool"], script=["mkdir -p $PREFIX/share", f"ls -a {home} > $PREFIX/share/seen", "tool"]
    )
    manifest(root, [channel.url], '[dependencies]\nmine = { path = "mine" }\n')
    done = smelt(root, "build", "--sandbox", "-o", "out")
    assert done.returncode == 0, done.stderr
    path = next((root / "out" / SUBDIR).glob("*.conda"))
    seen = next(m for m in read_conda(path).files if m.name == "share/seen").data.decode().split()
    assert "cache" in seen and ".secret" not in seen and "ws" not in seen
    # the sandbox is no input of a build
    why = smelt(root, "build", "--why")
    assert "in the store, nothing to build" in why.stdout


def test_a_kernel_that_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(BuildError, match="does not let this user make a sandbox") as caught:
        require_sandbox()
    assert caught.value.kind == "sandbox"
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(NotSupportedError, match="needs Linux"):
        require_sandbox()


def test_a_failure_is_told_once(tmp_path: Path) -> None:
    recorder = Recorder()
    one = script(tmp_path / "source", "cat /nowhere/at/all")
    with pytest.raises(BuildError) as caught:
        build([one], tmp_path, recorder, surroundings=Surroundings(sandboxed=allowed()))
    assert caught.value.kind == "build-failed"
