"""Many builds at once: all failures at the end, nothing left of an end that comes at any moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from build_kit import left_in
from process_kit import needs_proc, wait_until

from smelt.build.store import Store
from spine_kit import Channel, environment, manifest, package, partial, posix, recipe, smelt

pytestmark = [pytest.mark.build, posix]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``early`` is built first; ``slow0`` to ``slow3`` need it and take their time while the file ``wait`` is there."""
    monkeypatch.setenv("PIXI_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("PIXI_IN_SHELL", raising=False)
    channel = Channel(tmp_path / "channel").index()
    root = tmp_path / "ws"
    recipe(root, "early")
    script = [
        "mkdir -p $PREFIX/share",
        f"echo $$ >> {tmp_path}/running; if [ -e {tmp_path}/wait ]; then sleep 300 & sleep 300; fi",
        "echo done > $PREFIX/share/$PKG_NAME",
    ]
    names = [f"slow{n}" for n in range(4)]
    for name in names:
        package(root, name, host=["early"], sources={"host": {"early": "../early"}}, script=script)
    text = "".join(f'{name} = {{ path = "{name}" }}\n' for name in names)
    manifest(root, [channel.url], f"[dependencies]\n{text}")
    assert smelt(root, "lock").returncode == 0
    return root


def ours(root: Path) -> list[int]:
    """Processes that have anything to do with the test's folder."""
    found: list[int] = []
    for path in Path("/proc").glob("[0-9]*"):
        if int(path.name) == os.getpid():
            continue
        try:
            text = (
                (path / "cmdline").read_bytes()
                + (path / "environ").read_bytes()
                + os.fsencode((path / "cwd").readlink())
            )
            state = (path / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if os.fsencode(root) in text and state != "Z":
            found.append(int(path.name))
    return found


@needs_proc
@pytest.mark.parametrize(
    ("number", "sandbox"),
    [(signal.SIGINT, False), (signal.SIGTERM, False), (signal.SIGKILL, False), (signal.SIGKILL, True)],
)
def test_nothing_is_left_of_parallel_builds(root: Path, number: signal.Signals, sandbox: bool) -> None:
    if sandbox and smelt(root, "build", "--sandbox", "-p", "early").returncode != 0:
        pytest.skip("this machine makes no sandboxes")
    top = root.parent
    (top / "wait").touch()
    process = subprocess.Popen(
        [sys.executable, "-m", "smelt", "build", "-j", "4", *(["--sandbox"] if sandbox else [])],
        cwd=root,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    running = top / "running"
    assert wait_until(lambda: running.exists() and len(running.read_text().split()) == 4, 60)
    assert len(ours(top)) > 8
    started = time.monotonic()
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode != 0
    assert "Traceback" not in errors
    assert wait_until(lambda: ours(top) == [], 10), ours(top)
    assert time.monotonic() - started < 15
    store = Store(top / "cache" / "smelt")
    assert [store.folder(key).name for key in store.stored_keys() if store.verify(key)] == [
        p.parent.name for p in _packages(top)
    ]
    assert len(_packages(top)) == 1
    assert not partial(top / "cache" / "smelt" / "artifacts")
    if number == signal.SIGINT:
        assert left_in(top / "cache" / "smelt" / "work") == []
    # the next run goes on where that one was ended
    (top / "wait").unlink()
    done = smelt(root, "build", "-j", "4")
    assert done.returncode == 0, done.stderr
    words = sorted(line.split()[0] for line in done.stdout.splitlines())
    assert words == ["built"] * 4 + ["cached"]
    assert left_in(top / "cache" / "smelt" / "work") == []


def _packages(top: Path) -> list[Path]:
    return sorted((top / "cache" / "smelt" / "artifacts").glob("??/*/*.conda"))


def test_all_failures_are_listed_at_the_end(root: Path) -> None:
    for number in (1, 2):
        recipe(root, f"slow{number}", host=["early"], script=[f"echo broken {number}", "exit 3"])
    package(root, "needs", host=["slow1"], sources={"host": {"slow1": "../slow1"}})
    text = (root / "pixi.toml").read_text()
    (root / "pixi.toml").write_text(text + 'needs = { path = "needs" }\n')
    done = smelt(root, "build", "-j", "2", "--keep-going")
    assert done.returncode == 1
    assert "2 of 6 builds failed" in done.stderr
    tail = done.stderr[done.stderr.index("2 of 6 builds failed") :]
    assert "broken 1" in done.stderr and "broken 2" in done.stderr
    failed, _, skipped = tail.partition("not tried:")
    assert "slow1 1.0" in failed and "slow2 1.0" in failed and "needs 1.0" in skipped
    # what could be built was
    (root / "pixi.toml").write_text(text)
    for number in (1, 2):
        recipe(root, f"slow{number}", host=["early"], script=["true"])
    again = smelt(root, "build", "-p", "slow0", "-p", "slow3", "-p", "early")
    assert again.stdout.count("cached") == 3


def test_one_failure_names_what_was_not_tried(root: Path) -> None:
    recipe(root, "early", script=["exit 3"])
    done = smelt(root, "build", "--keep-going")
    assert done.returncode == 1
    assert "early 1.0" in done.stderr and "error[build-failed]" in done.stderr
    for number in range(4):
        assert f"slow{number} 1.0" in done.stderr[done.stderr.index("not tried:") :]
