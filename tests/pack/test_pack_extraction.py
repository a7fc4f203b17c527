"""The processes that extract the packages of a pack: what they are given, and what becomes of them."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import stat
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from pack_kit import foreign, members, raw_package, unpacked, write_tar

from hostile_kit import CASES, Entry, listed, package
from smelt.api.unpacking import unpack
from smelt.errors import PackError, SmeltError
from smelt.install.request import SilentReporter
from smelt.pack.extraction import Extraction
from smelt.pack.extractor_process import ExtractorProcess
from smelt.pack.feeding import Feed, Store
from spine_kit import SUBDIR, environment, tree

posix = pytest.mark.skipif(os.name != "posix", reason="modes, links and signals as POSIX has them")


def with_package(small_pack: Path, target: Path, archive: Path, name: str) -> Path:
    """A pack of pixi-pack that holds a package more."""
    data = archive.read_bytes()
    files = members(foreign(small_pack, target))
    index = json.loads(files[f"channel/{SUBDIR}/repodata.json"])
    section = "packages.conda" if archive.suffix == ".conda" else "packages"
    index.setdefault(section, {})[archive.name] = {
        "name": name, "version": "1.0", "build": "0", "build_number": 0, "depends": [], "subdir": SUBDIR,
        "sha256": hashlib.sha256(data).hexdigest(), "size": len(data),
    }  # fmt: skip
    files[f"channel/{SUBDIR}/repodata.json"] = json.dumps(index).encode()
    return write_tar(target, {**files, f"channel/{SUBDIR}/{archive.name}": data})


@posix
@pytest.mark.parametrize("extension", [".conda", ".tar.bz2"])
@pytest.mark.parametrize("case", CASES)
def test_hostile_packages(small_pack: Path, tmp_path: Path, case: str, extension: str) -> None:
    """What installing from a channel refuses is refused; nothing outside of the environment is written."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret", encoding="utf-8")
    make, paths, words = CASES[case]
    entries = make(outside)
    record = package(tmp_path / "made", "more", entries, listed(*(entries if paths is None else paths)), extension)
    source = with_package(small_pack, tmp_path / "p.tar", tmp_path / "made" / SUBDIR / record.file_name, "more")
    before = tree(tmp_path)
    out = tmp_path / "out"
    try:
        unpacked(source, out)
    except SmeltError as error:
        assert words, error
        assert "more-1.0-0" in str(error) or "outside the environment" in str(error)
        assert not out.exists()
    else:
        assert not words or "outside of its folder" in words, "it has to be refused"
        for path in out.rglob("*"):
            mode = path.lstat().st_mode
            assert stat.S_ISREG(mode) or stat.S_ISDIR(mode), path
            assert not mode & (stat.S_ISUID | stat.S_ISGID)
            assert path.name != "evil"
    assert {name: what for name, what in tree(tmp_path).items() if not name.startswith("out/")} == before


def streamed(archive: Path, target: Path) -> Path:
    """The package as a program writes it that cannot go back in its output: the sizes come after the files."""

    class OneWay(io.RawIOBase):
        def __init__(self) -> None:
            self.data = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, data: object, /) -> int:
            self.data += memoryview(data)  # type: ignore[arg-type]
            return len(memoryview(data))  # type: ignore[arg-type]

    out = OneWay()
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(out, "w") as copy:
        for name in source.namelist():
            with copy.open(name, "w") as file:
                file.write(source.read(name))
    assert out.data[6] & 8
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(out.data)
    return target


def test_archives_with_sizes_after_the_files(small_pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = raw_package(tmp_path / "made", "more", {"share/more": b"x" * 100_000})
    source = with_package(small_pack, tmp_path / "p.tar", streamed(made, tmp_path / "streamed" / made.name), "more")
    unpacked(source, tmp_path / "a")
    unpack(io.BytesIO(source.read_bytes()), tmp_path / "b")
    folder = tmp_path / "folder"
    for name, data in members(source).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    unpacked(folder, tmp_path / "c")
    monkeypatch.chdir(tmp_path)
    unpacked(Path("folder"), Path("d"))
    for out in "abcd":
        assert (tmp_path / out / "env" / "share" / "more").read_bytes() == b"x" * 100_000


@posix
@pytest.mark.parametrize("extension", [".conda", ".tar.bz2"])
def test_modes_are_the_users(small_pack: Path, tmp_path: Path, extension: str) -> None:
    entries = [
        Entry("share/open", mode=0o666),
        Entry("share/closed", mode=0o400),
        Entry("bin/open", mode=0o777),
        Entry("bin/own", mode=0o700),
    ]
    record = package(tmp_path / "made", "more", entries, listed(*entries), extension)
    source = with_package(small_pack, tmp_path / "p.tar", tmp_path / "made" / SUBDIR / record.file_name, "more")
    command = [sys.executable, "-m", "smelt", "unpack", str(source), "-o", str(tmp_path / "out")]
    subprocess.run(command, env=environment(), check=True, capture_output=True, umask=0o027)
    modes = {e.name: stat.S_IMODE((tmp_path / "out" / "env" / e.name).stat().st_mode) for e in entries}
    assert modes == {"share/open": 0o640, "share/closed": 0o640, "bin/open": 0o751, "bin/own": 0o751}


def large(small_pack: Path, tmp_path: Path) -> Path:
    """A pack that takes a while."""
    made = raw_package(tmp_path / "made", "more", {f"share/{n}": os.urandom(1 << 20) for n in range(120)})
    return with_package(small_pack, tmp_path / "p.tar", made, "more")


def extractors(of: int) -> list[int]:
    """The processes that process ``of`` has started."""
    try:
        tasks = Path(f"/proc/{of}/task").iterdir()
        return [int(number) for task in tasks for number in (task / "children").read_text(encoding="ascii").split()]
    except OSError:  # one of them ended
        return []


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_no_process_stays(small_pack: Path, tmp_path: Path, number: int) -> None:
    source, out = large(small_pack, tmp_path), tmp_path / "out"
    command = [sys.executable, "-m", "smelt", "unpack", str(source), "-o", str(out)]
    process = subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, start_new_session=True)
    while not (found := extractors(process.pid)) or not list(out.glob(".env.unpacking/work/packages/*/share/3*")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    process.wait(timeout=20)
    said = process.stderr.read() if process.stderr is not None else b""
    end = time.monotonic() + 20
    while any(Path(f"/proc/{each}").exists() for each in found):
        assert time.monotonic() < end
        time.sleep(0.02)
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert b"Traceback" not in said
        assert not out.exists()
    unpacked(source, out)
    assert {path.name for path in out.iterdir()} >= {"env", "activate.sh"}
    assert not list(out.glob(".env*"))


@posix
def test_a_process_that_is_killed(
    small_pack: Path, tmp_path_factory: pytest.TempPathFactory, untouched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = large(small_pack, tmp_path_factory.mktemp("large"))
    started: list[ExtractorProcess] = []
    begin = ExtractorProcess.__init__

    def note(self: ExtractorProcess) -> None:
        begin(self)
        started.append(self)
        self.kill()

    monkeypatch.setattr(ExtractorProcess, "__init__", note)
    for what in (source, io.BytesIO(source.read_bytes())):
        with pytest.raises(PackError, match="was killed by signal 9") as caught:
            unpack(what, untouched)
        assert caught.value.kind == "pack-process"
        assert not untouched.exists()
    assert started


def test_processes_cannot_be_started(small_pack: Path, untouched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(untouched / "no-python"))
    with pytest.raises(PackError, match="cannot start a process") as caught:
        unpack(small_pack, untouched)
    assert caught.value.kind == "pack-process"
    assert not untouched.exists()


def test_more_processes_for_more_bytes(tmp_path: Path) -> None:
    """A small pack is not worth many of them, and none is left."""
    made = raw_package(tmp_path / "made", "more", {"share/more": b"x"})
    for announced, expected in ((1000, 1), (100 << 20, 2)):
        with Extraction(tmp_path / str(announced), SilentReporter()) as extraction:
            futures = [extraction.extract("channel/x/more-1.0-0.conda", announced, made) for _ in range(3)]
            assert [each.result().identity for each in futures] == [("more", "1.0", "0")] * 3
            processes = list(extraction._processes)
            threads = list(extraction._threads)
        assert len(threads) >= expected
        assert (len(threads) == 1) == (expected == 1)
        assert all(each._process.returncode is not None for each in processes)


def test_packages_of_a_stream_are_taken_in_their_order(tmp_path: Path) -> None:
    """Many that wait for their bytes, with fewer processes than packages: each gets its turn."""
    made = raw_package(tmp_path / "made", "more", {"share/more": os.urandom(3 << 20)})
    data = made.read_bytes()
    store = Store()
    with Extraction(tmp_path / "x", SilentReporter()) as extraction:
        feeds = [Feed(store) for _ in range(25)]
        futures = [extraction.extract("channel/x/more-1.0-0.conda", len(data), feed) for feed in feeds]
        for feed in feeds:
            feed.put(memoryview(data))
            feed.end()
        wanted = hashlib.sha256(data).hexdigest()
        assert [each.result(timeout=60).sha256 for each in futures] == [wanted] * 25


def test_what_extracts_is_ready_soon() -> None:
    """A rattler that is arranged in another way would have to be loaded as a whole: see `extractor._load` then."""
    code = (
        "import sys\n"
        "from smelt.pack.extractor import _load\n"
        "_load()\n"
        "heavy = {'rattler.match_spec', 'asyncio', 'json', 'typing', 'pathlib', 'socket'} & sys.modules.keys()\n"
        "assert not heavy, heavy\n"
        "import rattler.match_spec\n"
    )
    subprocess.run([sys.executable, "-P", "-s", "-c", code], check=True, env=environment())
