"""The ways into an environment: a file, a folder, a stream, compressed, with pipes and without."""

from __future__ import annotations

import io
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
import zstandard
from pack_kit import foreign, members, packed, raw_package, unpacked, write_tar

from smelt.api.packing import PackOptions, pack
from smelt.api.unpacking import unpack
from smelt.api.workspace import Workspace
from smelt.errors import PackError, SmeltError
from smelt.pack.archive import PackStream
from smelt.pack.feeding import Feed, Region, Stopped, Store
from spine_kit import SUBDIR, environment, tree

posix = pytest.mark.skipif(os.name != "posix", reason="needs named pipes")

BETA = f"channel/{SUBDIR}/beta-2.0-0.conda"
INDEX = f"channel/{SUBDIR}/repodata.json"


@contextmanager
def piped(data: bytes) -> Generator[IO[bytes]]:
    """A stream that cannot go back, and gives a little at a time."""
    out, into = os.pipe()

    def write() -> None:
        try:
            with os.fdopen(into, "wb", buffering=0) as file:
                for start in range(0, len(data), 7000):
                    file.write(data[start : start + 7000])
        except BrokenPipeError:
            pass  # whoever reads has seen enough

    thread = threading.Thread(target=write)
    thread.start()
    try:
        with os.fdopen(out, "rb") as file:
            yield file
    finally:
        thread.join()


@pytest.fixture
def pipes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With ``False``: as where pipes have no names."""
    if not request.param:
        monkeypatch.setattr("smelt.pack.extraction.pipes_have_names", lambda folder: False)


both = pytest.mark.parametrize("pipes", [True, False], indirect=True, ids=["pipes", "files"])


@both
def test_every_way_gives_the_same(small: Workspace, small_pack: Path, tmp_path: Path, pipes: None) -> None:
    packed(small, tmp_path / "p.tar.zst")
    packed(small, tmp_path / "folder", format="directory")
    good = {name for name in tree(unpacked(small_pack, tmp_path / "a").prefix) if not name.startswith("conda-meta/")}
    assert good
    ways: list[Callable[[Path], object]] = [
        lambda out: unpacked(tmp_path / "p.tar.zst", out),
        lambda out: unpacked(tmp_path / "folder", out),
        lambda out: unpack(io.BytesIO(small_pack.read_bytes()), out),
    ]
    for number, way in enumerate(ways):
        way(tmp_path / str(number))
        found = tree(tmp_path / str(number) / "env")
        assert {name for name in found if not name.startswith("conda-meta/")} == good
        beside = {path.name for path in (tmp_path / str(number)).iterdir()}
        assert beside == {path.name for path in (tmp_path / "a").iterdir()}
    for source in (tmp_path / "p.tar.zst", small_pack):
        with piped(source.read_bytes()) as stream:
            assert unpack(stream, tmp_path / "piped").packages == 4
    before = tree(tmp_path / "folder")
    unpacked(tmp_path / "folder", tmp_path / "again")
    assert tree(tmp_path / "folder") == before


@both
def test_damaged_streams_are_refused(small_pack: Path, tmp_path: Path, untouched: Path, pipes: None) -> None:
    data = small_pack.read_bytes()
    chance = random.Random(11)
    for number in range(60):
        changed = bytearray(data)
        if number % 3:
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
        else:
            del changed[chance.randrange(len(changed)) :]
        with pytest.raises(SmeltError) as caught, piped(bytes(changed)) as stream:
            unpack(stream, untouched)
        assert caught.value.message
        assert caught.value.help
        assert not untouched.exists()


def wrong_package(small_pack: Path, target: Path, data: bytes) -> Path:
    """A pack of pixi-pack with ``data`` in the place of a package, and its right hash."""
    import hashlib

    files = members(foreign(small_pack, target))
    index = json.loads(files[INDEX])
    sha256, md5 = hashlib.sha256(data).hexdigest(), hashlib.md5(data).hexdigest()
    index["packages.conda"]["beta-2.0-0.conda"].update(sha256=sha256, md5=md5, size=len(data))
    return write_tar(target, {**files, BETA: data, INDEX: json.dumps(index).encode()})


@both
def test_what_was_packed_and_is_no_package(
    small_pack: Path, tmp_path_factory: pytest.TempPathFactory, untouched: Path, pipes: None
) -> None:
    folder = tmp_path_factory.mktemp("wrong")
    for content in (b"", b"no package", random.Random(1).randbytes(300_000)):
        source = wrong_package(small_pack, folder / "p.tar", content)
        with pytest.raises(SmeltError, match=r"beta-2\.0-0\.conda cannot be unpacked") as caught:
            unpacked(source, untouched)
        assert caught.value.kind == "bad-archive"
        assert not untouched.exists()
        with pytest.raises(SmeltError, match=r"beta-2\.0-0\.conda cannot be extracted") as caught:
            unpack(io.BytesIO(source.read_bytes()), untouched)
        assert caught.value.kind == "pack-damaged"
        assert not untouched.exists()


def test_a_package_with_nothing_but_md5(small_pack: Path, tmp_path: Path) -> None:
    files = members(foreign(small_pack, tmp_path / "p.tar"))
    index = json.loads(files[INDEX])
    assert index["packages.conda"]["beta-2.0-0.conda"]["md5"]
    del index["packages.conda"]["beta-2.0-0.conda"]["sha256"]
    write_tar(tmp_path / "p.tar", {**files, INDEX: json.dumps(index).encode()})
    assert unpacked(tmp_path / "p.tar", tmp_path / "out").warnings == ()


@both
def test_packages_larger_than_what_is_kept(
    small_pack: Path, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, pipes: None
) -> None:
    """More than is kept of a stream, by packages before and after it too."""
    folder = tmp_path_factory.mktemp("large")
    files = members(foreign(small_pack, folder / "p.tar"))
    index = json.loads(files["channel/noarch/repodata.json"])
    for number, size in enumerate((1_000, 50_000_000, 3_000_000, 20_000_000)):
        name = f"large{number}"
        made = raw_package(folder, name, {"share/" + name: random.Random(number).randbytes(size)})
        files[f"channel/noarch/{made.name}"] = made.read_bytes()
        index["packages.conda"][made.name] = {
            "name": name, "version": "1.0", "build": "0", "build_number": 0, "depends": [], "subdir": "noarch"
        }  # fmt: skip
    files["channel/noarch/repodata.json"] = json.dumps(index).encode()
    source = write_tar(folder / "p.tar", dict(sorted(files.items())))
    assert unpacked(source, tmp_path / "a").packages == 8
    with piped(source.read_bytes()) as stream:
        assert unpack(stream, tmp_path / "b").packages == 8
    share = tree(tmp_path / "a" / "env" / "share")
    assert len(share) >= 4
    assert tree(tmp_path / "b" / "env" / "share") == share
    with piped(source.read_bytes()[:40_000_000]) as stream, pytest.raises(SmeltError, match="ends"):
        unpack(stream, tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_what_a_pack_says_of_itself_comes_first(small_pack: Path, tmp_path: Path, untouched: Path) -> None:
    """Nothing is extracted of a pack for another platform, even where its packages are damaged."""
    files = members(foreign(small_pack, tmp_path / "p.tar"))
    said = json.loads(files["pixi-pack.json"]) | {"platform": "win-64"}
    write_tar(tmp_path / "p.tar", {**files, BETA: b"damaged", "pixi-pack.json": json.dumps(said).encode()})
    with pytest.raises(SmeltError, match="different platform"):
        unpacked(tmp_path / "p.tar", untouched)
    (tmp_path / "p.tar").unlink()


@posix
def test_interrupted_while_it_waits_for_more(small_pack: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "smelt", "unpack", "-", "-o", str(out)]
    process = subprocess.Popen(
        command, env=environment(), stdin=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    assert process.stdin is not None
    process.stdin.write(small_pack.read_bytes()[:-2000])
    process.stdin.flush()
    while not (out / ".env.unpacking" / "work").exists():
        time.sleep(0.01)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    try:
        process.wait(timeout=10)
    finally:
        process.kill()
    assert process.returncode == 130
    assert b"Traceback" not in process.stderr.read()  # type: ignore[union-attr]
    process.stdin.close()
    assert not out.exists()


def test_a_region_of_a_file(tmp_path: Path) -> None:
    data = random.Random(2).randbytes(3_000_000)
    (tmp_path / "f").write_bytes(data)
    with (tmp_path / "f").open("rb") as file, (tmp_path / "g").open("w+b") as target:
        region = Region(descriptor=file.fileno(), path=tmp_path / "f", offset=100, size=2_500_000)
        region.send(target.fileno())
        assert (tmp_path / "g").read_bytes() == data[100:2_500_100]
        short = Region(descriptor=file.fileno(), path=tmp_path / "f", offset=100, size=5_000_000)
        target.truncate(0)
        target.seek(0)
        short.send(target.fileno())
        assert (tmp_path / "g").read_bytes() == data[100:]


def test_a_feed_that_nobody_takes_is_stopped(tmp_path: Path) -> None:
    store = Store()
    feed = Feed(store)
    threading.Timer(0.05, store.stop).start()
    with pytest.raises(Stopped):
        for _ in range(1000):
            feed.put(memoryview(bytes(1 << 20)))
    with pytest.raises(Stopped), (tmp_path / "f").open("wb") as file:
        feed.send(file.fileno())


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.tar", b"", "is empty"),
        ("a.toml", b"[workspace]\n", "is no pack: it is a text"),
        ("a.tar.gz", b"\x1f\x8b\x08\0", "is compressed by gzip"),
        ("a.tar.xz", b"\xfd7zXZ\0", "is compressed by xz"),
        ("a.zip", b"PK\x03\x04\0", "is no pack: it is a zip archive"),
    ],
)
def test_what_is_no_pack(
    name: str, content: bytes, words: str, tmp_path_factory: pytest.TempPathFactory, untouched: Path
) -> None:
    source = tmp_path_factory.mktemp("other") / name
    source.write_bytes(content)
    with pytest.raises(PackError, match=words) as caught:
        unpacked(source, untouched)
    assert caught.value.kind == "pack-form"
    assert not untouched.exists()


def test_an_empty_stream(untouched: Path) -> None:
    with pytest.raises(PackError, match="nothing came"):
        unpack(io.BytesIO(), untouched)
    assert not untouched.exists()


def test_scripts_are_all_written_or_none(small_pack: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "activate.ps1").mkdir(parents=True)
    (out / "activate.sh").write_text("mine", encoding="utf-8")
    before = tree(out)
    with pytest.raises(PackError, match=r"cannot write .*activate\.ps1"):
        unpack(small_pack, out, shells=["bash", "fish", "powershell"])
    assert tree(out) == before
    assert {path.name for path in out.iterdir()} == {"activate.sh", "activate.ps1"}
    (out / "activate.ps1").rmdir()
    unpack(small_pack, out, shells=["bash", "fish", "powershell"])
    assert (out / "activate.sh").read_text(encoding="utf-8") != "mine"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("form", ["tar", "tar.zst", "sh"])
def test_packing_onto_a_full_disk(small: Workspace, form: str) -> None:
    with Path("/dev/full").open("wb", buffering=0) as full, pytest.raises(PackError, match="no space left") as caught:
        pack(small, PackOptions(output=full, format=form))  # type: ignore[arg-type]
    assert caught.value.kind == "disk-full"


def test_unpacking_onto_a_full_disk(small_pack: Path, tmp_path: Path) -> None:
    """Wherever it happens: that is what the user is told, and nothing is left."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(folder)]
    if sys.platform != "linux" or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("needs to mount a small file system")
    refusals = 0
    try:
        for size in range(20, 400, 20):
            subprocess.run(["mount", "-o", f"remount,size={size}k", str(folder)], check=True)
            try:
                unpacked(small_pack, folder / "out")
                break
            except SmeltError as error:
                assert error.kind == "disk-full", error
                refusals += 1
            assert not list(folder.iterdir())
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
    assert 3 < refusals < 18


def decompressed(data: bytes, step: int) -> bytes:
    stream = PackStream(io.BytesIO(data))
    found, buffer = bytearray(), bytearray(step)
    while length := stream.readinto(memoryview(buffer)):
        found += buffer[:length]
    return bytes(found)


def test_what_is_missing_of_a_compressed_stream_is_missed() -> None:
    """Whatever the frames are like, and wherever they are cut; between two frames nothing is missing."""
    chance = random.Random(4)
    refused = 0
    for _ in range(80):
        parts = [
            chance.choice([chance.randbytes(chance.randrange(300_000)), bytes(chance.randrange(3_000_000)), b""])
            for _ in range(chance.randrange(1, 4))
        ]
        frames = [
            zstandard.ZstdCompressor(
                level=chance.choice([1, 9]),
                write_checksum=chance.random() < 0.5,
                write_content_size=chance.random() < 0.5,
            ).compress(part)
            for part in parts
        ]
        data, step = b"".join(frames), chance.choice([512, 70_000, 1 << 20])
        assert decompressed(data, step) == b"".join(parts)
        ends = {sum(map(len, frames[:number])): b"".join(parts[:number]) for number in range(len(parts))}
        for missing in (1, 2, 4, 5, chance.randrange(1, 60), chance.randrange(1, len(data))):
            cut = len(data) - missing
            if cut in ends and cut > 0:
                assert decompressed(data[:cut], step) == ends[cut]
            elif cut >= 4:
                with pytest.raises(PackError, match=r"ends too early|cannot be decompressed"):
                    decompressed(data[:cut], step)
                refused += 1
    assert refused > 300


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="looks for the memory used in /proc")
def test_a_little_that_stands_for_much_takes_little_memory() -> None:
    code = (
        "import io, re, zstandard\n"
        "from pathlib import Path\n"
        "from smelt.pack.archive import PackStream\n"
        "frame = zstandard.ZstdCompressor(level=1).compressobj(size=1 << 32)\n"
        "data = b''.join(frame.compress(bytes(1 << 22)) for _ in range(1 << 10)) + frame.flush()\n"
        "stream, buffer, length = PackStream(io.BytesIO(data)), memoryview(bytearray(1 << 20)), 0\n"
        "while more := stream.readinto(buffer):\n"
        "    length += more\n"
        "peak = int(re.search(r'VmHWM:\\s+(\\d+) kB', Path('/proc/self/status').read_text())[1])\n"
        "assert length == 1 << 32, length\n"
        "assert peak < 60_000, peak\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=environment())
