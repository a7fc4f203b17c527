"""A store that several machines share: folders and buckets, damage, many writers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from build_kit import HELLO, Recorder, build, hello, node, render, script

from s3_kit import s3_server
from smelt.build.model import BuildNode
from smelt.build.shared import FolderObjects, Objects, SharedStore, shared_store
from smelt.config.network import Network
from smelt.errors import ConfigError
from smelt.fs.bucket import Bucket, BucketError, BucketOptions
from smelt.types import sha256_file
from spine_kit import Channel, environment, manifest, package, partial, posix, recipe, smelt

pytestmark = [pytest.mark.build, posix]


@pytest.fixture(params=["folder", "bucket"])
def objects(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Objects]:
    if request.param == "folder":
        (tmp_path / "shared").mkdir()
        yield FolderObjects(tmp_path / "shared")
        return
    with s3_server(monkeypatch) as bucket:
        yield bucket


def make(root: Path, one: BuildNode, objects: Objects, **options: object) -> tuple[Recorder, object]:
    """Build on a machine whose everything is in ``root``."""
    recorder = Recorder()
    shared = SharedStore(objects, "the-store", writes=bool(options.pop("writes", True)), warn=recorder.warning)
    return recorder, build([one], root, recorder, shared=shared, **options)[one.key]


def entry(objects: Objects, one: BuildNode) -> dict[str, object]:
    return json.loads(objects.read(f"keys/{one.key[:2]}/{one.key}.json") or b"null")


def test_what_one_machine_builds_another_takes(objects: Objects, tmp_path: Path) -> None:
    one = hello(tmp_path / "source")
    _, built = make(tmp_path / "first", one, objects)
    assert built.built and not built.fetched
    recorder, taken = make(tmp_path / "second", one, objects)
    assert (taken.built, taken.fetched, taken.origin) == (False, True, "the shared store the-store")
    assert recorder.events == [("cached", "hello")] and not recorder.warnings
    assert taken.record.sha256 == built.record.sha256 == sha256_file(taken.path)
    log = taken.log.read_text().splitlines()
    assert log[0] == "taken from the shared store the-store"
    assert "\n".join(log[1:]) in built.log.read_text()
    # from then on it is in the own store, which remembers where it is from
    _, again = make(tmp_path / "second", one, FolderObjects(tmp_path / "nowhere"))
    assert (again.fetched, again.origin) == (False, "the shared store the-store")
    assert not partial(tmp_path)


def test_the_reader_that_does_not_write(objects: Objects, tmp_path: Path) -> None:
    one = hello(tmp_path / "source")
    make(tmp_path / "first", one, objects, writes=False)
    assert entry(objects, one) is None
    make(tmp_path / "first", one, objects, rebuild=frozenset(["hello"]))
    assert entry(objects, one)["key"] == one.key


def spoil_content(objects: Objects, one: BuildNode) -> None:
    sha256 = str(entry(objects, one)["sha256"])
    objects.write(f"content/{sha256[:2]}/{sha256}.conda", b"PK rubbish")


def cut_content(objects: Objects, one: BuildNode) -> None:
    sha256 = str(entry(objects, one)["sha256"])
    whole = objects.read(f"content/{sha256[:2]}/{sha256}.conda") or b""
    objects.write(f"content/{sha256[:2]}/{sha256}.conda", whole[:-7])


def put_entry(objects: Objects, one: BuildNode, data: dict[str, object]) -> None:
    objects.write(f"keys/{one.key[:2]}/{one.key}.json", json.dumps(data).encode())


def other_package(objects: Objects, one: BuildNode) -> None:
    """The digest fits, the package is another one: somebody put it there."""
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        text = HELLO.replace("  script:", "  number: 3\n  script:")
        other = node(render(text, hello(root / "source").checkout.folder)[0], root / "source")
        _, artifact = make(root / "m", other, FolderObjects(_made(root / "s")))
        sha256 = artifact.record.sha256
        objects.write(f"content/{sha256[:2]}/{sha256}.conda", artifact.path)
        put_entry(objects, one, {**entry(objects, one), "sha256": sha256})


def _made(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


SPOILERS: dict[str, tuple[Callable[[Objects, BuildNode], None], str]] = {
    "content": (spoil_content, "its sha256 is"),
    "cut off": (cut_content, "its sha256 is"),
    "another package": (other_package, "its dependencies are not those that are locked"),
    "no json": (lambda objects, one: objects.write(f"keys/{one.key[:2]}/{one.key}.json", b"{") and None, "Expecting"),
    "another key": (lambda o, n: put_entry(o, n, {**entry(o, n), "key": "0" * 64}), "is about another build"),
    "hostile digest": (lambda o, n: put_entry(o, n, {**entry(o, n), "sha256": "../../../etc/passwd"}), "has no digest"),
    "hostile name": (lambda o, n: put_entry(o, n, {**entry(o, n), "file": "../x.conda"}), "is about another build"),
    "another format": (lambda o, n: put_entry(o, n, {**entry(o, n), "schema": 99}), "is of format 99"),
    "gone": (lambda o, n: put_entry(o, n, {**entry(o, n), "sha256": "f" * 64}), "is gone"),
    "a list": (lambda o, n: o.write(f"keys/{n.key[:2]}/{n.key}.json", b"[1]") and None, "is of format None"),
}


@pytest.mark.parametrize("name", SPOILERS)
def test_a_poisoned_entry_is_refused_told_and_built_anew(name: str, tmp_path: Path) -> None:
    objects = FolderObjects(_made(tmp_path / "shared"))
    one = hello(tmp_path / "source")
    _, built = make(tmp_path / "first", one, objects)
    spoil, said = SPOILERS[name]
    spoil(objects, one)
    recorder, healed = make(tmp_path / "second", one, objects)
    assert healed.built and healed.record.sha256 == built.record.sha256
    assert any("is refused, and built here" in text and said in text for text in recorder.warnings), recorder.warnings
    _, third = make(tmp_path / "third", one, objects)
    assert third.fetched
    assert not partial(tmp_path)


def test_a_store_that_is_not_there_stops_nothing(tmp_path: Path) -> None:
    nodes = [hello(tmp_path / "source"), script(tmp_path / "other", "true")]
    recorder = Recorder()
    shared = SharedStore(FolderObjects(tmp_path / "nowhere"), "nowhere", writes=True, warn=recorder.warning)
    found = build(nodes, tmp_path, recorder, shared=shared, jobs=1)
    assert all(found[each.key].built for each in nodes)
    [warning] = recorder.warnings
    assert "the shared store nowhere cannot be read and is not used: No such file" in warning


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_store_that_cannot_be_written(tmp_path: Path) -> None:
    shared = _made(tmp_path / "shared")
    shared.chmod(0o555)
    recorder, artifact = make(tmp_path, hello(tmp_path / "source"), FolderObjects(shared))
    assert artifact.built
    assert "cannot be written" in recorder.warnings[0]


def test_a_bucket_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("obstore")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    bucket = Bucket(BucketOptions(bucket="x", endpoint="http://127.0.0.1:9", region="r", path_style=True, timeout=2))
    with pytest.raises(BucketError) as caught:
        bucket.read("a")
    assert "s3cret" not in str(caught.value) and len(str(caught.value)) < 600
    recorder, artifact = make(tmp_path, hello(tmp_path / "source"), bucket)
    assert artifact.built
    assert len(recorder.warnings) == 1


def test_many_writers(tmp_path: Path) -> None:
    """Eight machines build the same at once, while readers look: every entry that is seen is whole."""
    objects = FolderObjects(_made(tmp_path / "shared"))
    one = hello(tmp_path / "source")
    _, first = make(tmp_path / "first", one, FolderObjects(_made(tmp_path / "own")))
    shared = [SharedStore(objects, "s", writes=True, warn=lambda text: seen.append(text)) for _ in range(8)]
    seen: list[str] = []
    stop = threading.Event()

    def read() -> None:
        folder = tmp_path / f"read-{threading.get_ident()}"
        while not stop.is_set():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            shared[0].fetch(one, folder)

    readers = [threading.Thread(target=read) for _ in range(2)]
    writers = [
        threading.Thread(target=lambda each=each: [each.offer(one, first) for _ in range(20)]) for each in shared
    ]
    for thread in (*readers, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    for thread in readers:
        thread.join()
    assert seen == []
    assert not partial(tmp_path / "shared")


def test_what_a_killed_writer_left_goes(tmp_path: Path) -> None:
    one = hello(tmp_path / "source")
    objects = FolderObjects(_made(tmp_path / "shared"))
    _, artifact = make(tmp_path / "first", one, objects)
    sha256 = artifact.record.sha256
    old, young = (tmp_path / "shared" / "content" / sha256[:2] / f".{name}.part" for name in ("old", "young"))
    for path in (old, young):
        path.write_text("half")
    os.utime(old, (1, 1))
    objects.write(f"content/{sha256[:2]}/{sha256}.conda", artifact.path)
    assert young.exists() and not old.exists()


@posix
def test_an_interrupt_while_a_bucket_is_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("obstore")
    root = tmp_path / "ws"
    recipe(root, "base")
    manifest(root, [Channel(tmp_path / "channel").index().url], '[dependencies]\nbase = { path = "base" }\n')
    with socket.create_server(("127.0.0.1", 0)) as silent:
        variables = {
            "PIXI_CACHE_DIR": str(tmp_path / "cache"),
            "SMELT_SHARED_STORE": "s3://bucket/x",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "smelt", "build"],
            cwd=root,
            env=environment(variables),
            stderr=subprocess.PIPE,
            text=True,
        )
        silent.settimeout(60)
        connection, _ = silent.accept()
        with connection:
            connection.recv(10)
            started = time.monotonic()
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=30)
    assert time.monotonic() - started < 10
    assert process.returncode == 130 and "Traceback" not in errors
    assert not partial(tmp_path / "cache" / "smelt")


def test_addresses() -> None:
    network = Network()
    for text in ("relative/path", "https://host.example/x", "s3://", "s3://u:p@bucket/x"):
        with pytest.raises(ConfigError):
            shared_store(text, network, writes=True, warn=print)
    assert shared_store("/some/where", network, writes=True, warn=print).label == "/some/where"
    assert shared_store("file:///some/where", network, writes=True, warn=print).label == "/some/where"


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_the_command(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    channel = Channel(tmp_path / "channel").index()
    root = tmp_path / "ws"
    recipe(root, "base")
    package(root, "top", host=["base"], sources={"host": {"base": "../base"}})
    manifest(root, [channel.url], '[dependencies]\nbase = { path = "base" }\ntop = { path = "top" }\n')

    def run(machine: str, *arguments: str, **variables: str) -> str:
        done = smelt(
            root, *arguments, env={"PIXI_CACHE_DIR": str(tmp_path / machine), "SMELT_KEEP_BUILDS": "0", **variables}
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def use(address: str) -> None:
        assert run("a", "lock")
        run("a", "build", SMELT_SHARED_STORE=address)
        jobs = json.loads(run("b", "build", "--matrix-json", SMELT_SHARED_STORE=address).partition("\n}\n")[0] + "}")
        assert all(job["stored"] for job in jobs["include"])
        said = run("b", "install", SMELT_SHARED_STORE=address)
        assert f"is from the shared store {address}" in said and "building" not in said
        said = run("c", "build", SMELT_SHARED_STORE=address)
        assert said.count("fetched ") == 2
        assert "cached" in run("c", "build", SMELT_SHARED_STORE=address)

    if kind == "bucket":
        with s3_server(monkeypatch):
            use("s3://parcels/store")
        return
    (tmp_path / "shared").mkdir()
    use(str(tmp_path / "shared"))
    # the same by the configuration
    run("d", "config", "set", "--local", "tool.smelt.shared-store", str(tmp_path / "shared"))
    assert "fetched " in run("d", "build")
    bad = smelt(root, "build", env={"PIXI_CACHE_DIR": str(tmp_path / "e"), "SMELT_SHARED_STORE": "x"})
    assert bad.returncode in (0, 1)
    assert "Traceback" not in bad.stderr
