"""What packing fetches: caches, broken connections, wrong files; and packages from the command line."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Generator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from pack_kit import make_wheel, members, packed, small_workspace, unpacked

from smelt.api.packing import PackOptions, pack
from smelt.api.workspace import Workspace
from smelt.config.files import ConfigSource
from smelt.errors import ChannelError, InstallError, PackError
from spine_kit import OTHER, SUBDIR, Channel, manifest
from spine_kit import partial as partial_files


class Server:
    """A folder on a loopback port, whose answers can be broken."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []
        self.cut: dict[str, int] = {}
        self.ranges = True
        self.sent: dict[str, list[str | None]] = {}
        self.restore: dict[str, bytes] = {}
        self.url = ""


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, server: Server, *arguments: object, **more: object) -> None:
        self.state = server
        super().__init__(*arguments, **more)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self.state.asked.append(self.path)
        name = self.path.rpartition("/")[2]
        wanted = self.headers.get("Range")
        cut = self.state.cut.get(name, 0) > 0
        if name.endswith(".conda"):
            self.state.sent.setdefault(name, []).append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.state.ranges else 0
        if cut or start:
            if cut:
                self.state.cut[name] -= 1
            data = Path(self.translate_path(self.path)).read_bytes()[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[: len(data) // 2] if cut else data)
            self.wfile.flush()
            self.connection.close()
            if name in self.state.restore:
                Path(self.translate_path(self.path)).write_bytes(self.state.restore.pop(name))
            return
        super().do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def server(tmp_path: Path) -> Generator[Server]:
    state = Server(tmp_path / "channel")
    state.folder.mkdir()
    handler = partial(_Handler, state, directory=str(state.folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        state.url = f"http://127.0.0.1:{http.server_address[1]}"
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        yield state
        http.shutdown()
        thread.join()


@pytest.fixture
def remote(server: Server, tmp_path: Path) -> Workspace:
    channel = Channel(server.folder)
    channel.add("alpha")
    channel.add("beta", depends=["alpha"], subdir=SUBDIR)
    channel.index()
    made = Workspace.load(manifest(tmp_path / "ws", [server.url], '[dependencies]\nbeta = "*"\n'))
    made.lock()
    server.asked.clear()
    return made


def downloads(server: Server) -> list[str]:
    return sorted(path.rpartition("/")[2] for path in server.asked if path.endswith(".conda"))


def test_downloads_leave_nothing_behind(remote: Workspace, server: Server, tmp_path: Path, cache: Path) -> None:
    packed(remote, tmp_path / "p.tar")
    assert downloads(server) == ["alpha-1.0-0.conda", "beta-1.0-0.conda"]
    assert unpacked(tmp_path / "p.tar", tmp_path / "out").packages == 2
    assert not list((cache / "smelt" / "work").glob("pack-*"))


def test_a_broken_connection_is_tried_again(remote: Workspace, server: Server, tmp_path: Path) -> None:
    server.cut["beta-1.0-0.conda"] = 1
    packed(remote, tmp_path / "p.tar")
    assert downloads(server).count("beta-1.0-0.conda") >= 2
    assert unpacked(tmp_path / "p.tar", tmp_path / "out").packages == 2


@pytest.mark.parametrize("ranges", [True, False])
def test_what_is_here_is_not_fetched_again(ranges: bool, remote: Workspace, server: Server, tmp_path: Path) -> None:
    name = "beta-1.0-0.conda"
    server.cut[name] = 3
    server.ranges = ranges
    packed(remote, tmp_path / "p.tar")
    size = (server.folder / SUBDIR / name).stat().st_size
    half, quarter = size // 2, (size - size // 2) // 2
    eighth = (size - half - quarter) // 2
    second, third = (half + quarter, half + quarter + eighth) if ranges else (half, half)
    assert server.sent[name] == [None, f"bytes={half}-", f"bytes={second}-", f"bytes={third}-"]
    assert unpacked(tmp_path / "p.tar", tmp_path / "out").packages == 2
    assert not server.cut[name]


def test_a_file_that_changed_between_two_attempts(remote: Workspace, server: Server, tmp_path: Path) -> None:
    """The rest of another file is behind the beginning of the first: the hash tells, and it is fetched whole."""
    path = server.folder / SUBDIR / "beta-1.0-0.conda"
    good = path.read_bytes()
    path.write_bytes(b"\0" * len(good))
    server.cut[path.name] = 1
    server.restore = {path.name: good}
    packed(remote, tmp_path / "p.tar")
    assert server.sent[path.name] == [None, f"bytes={len(good) // 2}-", None]
    assert unpacked(tmp_path / "p.tar", tmp_path / "out").packages == 2


def test_given_up_where_nothing_comes(remote: Workspace, server: Server, tmp_path: Path) -> None:
    server.cut["beta-1.0-0.conda"] = 1000
    server.ranges = False
    with pytest.raises(ChannelError, match="cannot download beta"):
        packed(remote, tmp_path / "p.tar")
    assert len(server.sent["beta-1.0-0.conda"]) == 5
    assert not (tmp_path / "p.tar").exists()
    assert partial_files(tmp_path) == []


def test_wrong_and_missing_files(remote: Workspace, server: Server, tmp_path: Path) -> None:
    path = server.folder / SUBDIR / "beta-1.0-0.conda"
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(InstallError, match="not the package that was locked") as caught:
        packed(remote, tmp_path / "p.tar", cache=tmp_path / "cache")
    assert caught.value.kind == "hash-mismatch"
    path.unlink()
    with pytest.raises(ChannelError, match="cannot download beta"):
        packed(remote, tmp_path / "p.tar", cache=tmp_path / "cache")
    assert not (tmp_path / "p.tar").exists()
    assert partial_files(tmp_path) == []
    assert not list((tmp_path / "cache").rglob("beta*"))


def test_use_cache(remote: Workspace, server: Server, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    packed(remote, tmp_path / "a.tar", cache=cache)
    tag = (cache / "CACHEDIR.TAG").read_text(encoding="utf-8")
    assert tag.startswith("Signature: 8a477f597d28d172789f06886806bc55\n")
    kept = {path: path.stat().st_mtime_ns for path in cache.rglob("*") if path.is_file()}
    assert {path.relative_to(cache).as_posix() for path in kept} == {
        "CACHEDIR.TAG",
        "noarch/alpha-1.0-0.conda",
        f"{SUBDIR}/beta-1.0-0.conda",
    }
    server.asked.clear()
    shutil.rmtree(server.folder / "noarch")
    packed(remote, tmp_path / "b.tar", cache=cache)
    assert server.asked == []
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    damaged = cache / SUBDIR / "beta-1.0-0.conda"
    damaged.write_bytes(b"damaged")
    packed(remote, tmp_path / "b.tar", cache=cache)
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    assert downloads(server) == ["beta-1.0-0.conda"]


def test_local_packages_are_kept_in_the_cache_too(small: Workspace, tmp_path: Path) -> None:
    packed(small, tmp_path / "a.tar", cache=tmp_path / "cache")
    names = {path.name for path in (tmp_path / "cache").rglob("*.conda")}
    assert names == {"alpha-1.0-0.conda", "beta-2.0-0.conda"}  # what was built here is in the store


def test_mirrors_of_the_configuration(remote: Workspace, server: Server, tmp_path: Path) -> None:
    """Downloads go where the configuration says."""
    lock = remote.model.lock_path
    lock.write_text(lock.read_text(encoding="utf-8").replace(server.url, "https://gone.example"), encoding="utf-8")
    path = tmp_path / "ws" / "pixi.toml"
    path.write_text(path.read_text(encoding="utf-8").replace(server.url, "https://gone.example"), encoding="utf-8")
    settings = tmp_path / "config.toml"
    settings.write_text(
        f'[mirrors]\n"https://gone.example" = ["{server.url}"]\n[concurrency]\ndownloads = 1\n', encoding="utf-8"
    )
    workspace = Workspace.load(tmp_path / "ws", source=ConfigSource(file=settings))
    packed(workspace, tmp_path / "p.tar")
    assert downloads(server) == ["alpha-1.0-0.conda", "beta-1.0-0.conda"]


# what the command line adds


@pytest.fixture
def extra(tmp_path: Path) -> Channel:
    """Packages beside the environment."""
    channel = Channel(tmp_path / "extra")
    channel.add("server", "0.1.0", "h1", depends=["beta >=2", "__unix"])
    channel.add("broken", "0.1.0", "pyh4616a5c_0", depends=["fastapi >=0.112"])
    channel.add("picky", constrains=["beta <2"])
    channel.add("alpha", "9.0")
    channel.add("foreign", subdir=OTHER)
    return channel


def test_inject(small: Workspace, extra: Channel, tmp_path: Path) -> None:
    path = extra.folder / "noarch" / "server-0.1.0-h1.conda"
    done = packed(small, tmp_path / "p.tar", inject=[path])
    assert done.content.packages[-1].origin == "injected"
    files = members(tmp_path / "p.tar")
    assert "channel/noarch/server-0.1.0-h1.conda" in files
    assert files["environment.yml"].decode().endswith("  - server=0.1.0=h1\n")
    result = unpacked(tmp_path / "p.tar", tmp_path / "out")
    assert (result.prefix / "share" / "server.txt").is_file()
    there = tmp_path.parent / "there.tar"
    packed(small, there, inject=[small.model.root.parent / "chan" / "noarch" / "alpha-1.0-0.conda"])


def test_inject_where_the_pack_has_no_such_folder(tmp_path: Path) -> None:
    """A weakness of pixi-pack: the folder of the injected package may be new."""
    channel = Channel(tmp_path / "channel")
    channel.add("only", subdir=SUBDIR)
    workspace = Workspace.load(manifest(tmp_path / "ws", [channel.index().url], '[dependencies]\nonly = "*"\n'))
    workspace.lock()
    path = Channel(tmp_path / "extra").add("pure")
    packed(workspace, tmp_path / "p.tar", inject=[path])
    assert unpacked(tmp_path / "p.tar", tmp_path / "out").packages == 2


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "noarch/broken-0.1.0-pyh4616a5c_0.conda",
            "package 'broken=0.1.0=pyh4616a5c_0' has dependency 'fastapi >=0.112', which is not in the environment",
        ),
        (
            "noarch/picky-1.0-0.conda",
            "package 'picky=1.0=0' has constraint 'beta <2', which is not satisfied by 'beta=2.0=0'",
        ),
        ("noarch/alpha-9.0-0.conda", "has alpha 1.0 0 already"),
        (f"{OTHER}/foreign-1.0-0.conda", f"it is for {OTHER}"),
        ("noarch/missing-1-0.conda", "no such file"),
        ("noarch/repodata.json", "neither a conda package"),
        ("noarch/text-1-0.conda", "not a readable conda package"),
        ("app-1.0-py3-none-any.whl", "the environment has no python"),
        ("app.whl", "[Ii]nvalid wheel filename"),
    ],
)
def test_what_cannot_be_injected(name: str, words: str, small: Workspace, extra: Channel, tmp_path: Path) -> None:
    extra.index()
    (extra.folder / "noarch" / "text-1-0.conda").write_text("text", encoding="utf-8")
    make_wheel(extra.folder, "app")
    (extra.folder / "app.whl").write_bytes(b"")
    with pytest.raises(PackError, match=words) as caught:
        packed(small, tmp_path / "p.tar", inject=[extra.folder / name])
    assert caught.value.kind == "pack-inject"
    assert caught.value.help
    assert not (tmp_path / "p.tar").exists()


def test_injected_wheels(tmp_path: Path) -> None:
    channel = Channel(tmp_path / "channel")
    channel.add("python", "3.11.7", subdir=SUBDIR)
    workspace = Workspace.load(manifest(tmp_path / "ws", [channel.index().url], '[dependencies]\npython = "*"\n'))
    workspace.lock()
    heard: list[str] = []

    class Listener:
        def __getattr__(self, name: str) -> object:
            return (lambda message: heard.append(message)) if name == "warning" else (lambda *more: None)

    options = PackOptions(output=tmp_path / "p.tar", inject=[make_wheel(tmp_path, "app", "1.0", ["nowhere"])])
    done = pack(workspace, options, Listener())  # type: ignore[arg-type]
    assert done.content.wheels[0].origin == "injected"
    assert any("requires nowhere" in each for each in heard)
    assert members(tmp_path / "p.tar")["environment.yml"].decode().endswith("    - app==1.0\n")
    for tag in ("cp39-cp39-win_amd64", "cp310-cp310-manylinux_2_28_x86_64"):
        with pytest.raises(PackError, match="do not fit python"):
            packed(workspace, tmp_path / "q.tar", inject=[make_wheel(tmp_path, "app", tag=tag)])


def test_an_environment_that_is_not_locked(tmp_path: Path) -> None:
    from smelt.errors import LockError, UnknownNameError

    workspace = small_workspace(tmp_path)
    with pytest.raises(UnknownNameError):
        packed(workspace, tmp_path / "p.tar", environment="nothing")
    with pytest.raises(UnknownNameError):
        packed(workspace, tmp_path / "p.tar", platform=OTHER)
    workspace.model.lock_path.unlink()
    with pytest.raises(LockError, match="no lock file"):
        packed(workspace, tmp_path / "p.tar")
