"""Sources on disk: archives by digest, sdists by name, and what breaks."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_source_archive import tar

from smelt.config.network import Network
from smelt.errors import SourceError
from smelt.lock.model import BuildSource
from smelt.source import download
from smelt.source.download import without_credentials
from smelt.source.fetch import checkout, pin
from smelt.source.sdist import locate_sdist, split_release
from smelt.types import SourceLocation


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tar(tmp_path / "demo-1.0.tar.gz", ("demo-1.0/a.c", b"int a;", {}), ("demo-1.0/sub/b.c", b"int b;", {}))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Serves one file, after as many failures as are asked for, with credentials if they are asked for."""

    content = b""
    failures = 0
    authorization: str | None = None
    truncate = 0
    asked = 0
    tag: str | None = None
    ranges: list[str | None]


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked += 1
        if self.server.authorization not in (None, self.headers.get("Authorization")):
            self.send_error(401)
        elif self.server.failures:
            self.server.failures -= 1
            self.send_error(503)
        else:
            wanted = self.headers.get("Range") if self.headers.get("If-Range") == self.server.tag else None
            self.server.ranges.append(self.headers.get("Range"))
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.server.tag else 0
            content = self.server.content[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content)))
            if self.server.tag:
                self.send_header("ETag", self.server.tag)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{start + len(content) - 1}/{start + len(content)}")
            self.end_headers()
            self.wfile.write(content[: len(content) - self.server.truncate])
            self.server.truncate = 0

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(archive: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(download.time, "sleep", lambda seconds: None)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    running = Server(("127.0.0.1", 0), Handler)
    running.content = archive.read_bytes()
    running.ranges = []
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield running
    running.shutdown()
    running.server_close()


def url_of(server: Server, user: str = "") -> str:
    return f"http://{user}127.0.0.1:{server.server_address[1]}/files/demo-1.0.tar.gz"


def test_path_sources_are_the_users_own_folder(tmp_path: Path) -> None:
    (tmp_path / "packages/demo").mkdir(parents=True)
    pinned = pin(SourceLocation(path="packages/demo"), tmp_path)
    assert pinned == BuildSource(path="packages/demo")
    found = checkout(pinned, tmp_path)
    assert (found.folder, found.digest) == (tmp_path / "packages/demo", None)
    assert checkout(BuildSource(path="."), tmp_path).folder == tmp_path
    with pytest.raises(SourceError, match="does not exist"):
        pin(SourceLocation(path="nowhere"), tmp_path)


def test_an_archive_is_unpacked_once_without_its_wrapping_folder(archive: Path, tmp_path: Path) -> None:
    pinned = pin(SourceLocation(url=archive.as_uri(), sha256=sha256(archive).upper()), tmp_path)
    assert pinned.sha256 == sha256(archive)
    first = checkout(pinned, tmp_path)
    assert first.digest == sha256(archive)
    assert (first.folder / "a.c").read_bytes() == b"int a;"
    archive.unlink()
    assert checkout(pinned, tmp_path) == first


def test_a_digest_that_nobody_gave_is_computed(server: Server, tmp_path: Path) -> None:
    pinned = pin(SourceLocation(url=url_of(server)), tmp_path)
    assert pinned.sha256 == hashlib.sha256(server.content).hexdigest()
    checkout(pinned, tmp_path)
    assert server.asked == 1


@pytest.mark.parametrize("damage", ["changed", "deleted", "added", "no marker", "bad marker", "all gone"])
def test_damaged_checkouts_heal_without_the_network(
    archive: Path, tmp_path: Path, own_cache: Path, damage: str
) -> None:
    pinned = BuildSource(url=archive.as_uri(), sha256=sha256(archive))
    folder = checkout(pinned, tmp_path).folder
    archive.unlink()
    marker = folder.parent / "smelt.json"
    if damage == "changed":
        (folder / "a.c").write_bytes(b"int x;")
    elif damage == "deleted":
        (folder / "sub/b.c").unlink()
    elif damage == "added":
        (folder / "more").write_text("")
    elif damage == "no marker":
        marker.unlink()
    elif damage == "bad marker":
        marker.write_text("{")
    else:
        from smelt.fs import remove_tree

        remove_tree(folder.parent)
    healed = checkout(pinned, tmp_path)
    assert healed.folder == folder
    assert (folder / "a.c").read_bytes() == b"int a;"
    assert (folder / "sub/b.c").exists()
    assert not (folder / "more").exists()
    assert not list((own_cache / "smelt/sources").rglob("*.part"))


def test_a_damaged_archive_in_the_cache_is_fetched_again(server: Server, tmp_path: Path, own_cache: Path) -> None:
    pinned = BuildSource(url=url_of(server), sha256=hashlib.sha256(server.content).hexdigest())
    folder = checkout(pinned, tmp_path).folder
    (kept,) = (own_cache / "smelt/archives").rglob("*.tar.gz")
    kept.write_bytes(b"rot")
    (folder.parent / "smelt.json").unlink()
    checkout(pinned, tmp_path)
    assert server.asked == 2
    assert kept.read_bytes() == server.content


def test_another_content_is_refused_and_nothing_is_kept(archive: Path, tmp_path: Path, own_cache: Path) -> None:
    with pytest.raises(SourceError, match="is not what was expected") as caught:
        checkout(BuildSource(url=archive.as_uri(), sha256="0" * 64), tmp_path)
    assert caught.value.kind == "hash-mismatch"
    assert not [each for each in (own_cache / "smelt").rglob("*") if each.is_file() and ".lock" not in each.name]
    with pytest.raises(SourceError, match="md5"):
        pin(SourceLocation(url=archive.as_uri(), md5="0" * 32), tmp_path)


def test_subdirectories(archive: Path, tmp_path: Path) -> None:
    pinned = pin(SourceLocation(url=archive.as_uri(), subdirectory="sub"), tmp_path)
    assert (checkout(pinned, tmp_path).folder / "b.c").exists()
    for outside in ("..", "none", "/"):
        with pytest.raises(SourceError):
            checkout(BuildSource(url=archive.as_uri(), sha256=sha256(archive), subdir=outside), tmp_path)


def test_failures_that_pass_are_waited_out(server: Server, tmp_path: Path) -> None:
    server.failures, server.truncate = 2, 5
    assert pin(SourceLocation(url=url_of(server)), tmp_path).sha256 == hashlib.sha256(server.content).hexdigest()
    assert server.asked == 4
    server.failures = 10
    with pytest.raises(SourceError, match="HTTP 503"):
        pin(SourceLocation(url=url_of(server) + "?other"), tmp_path)


@pytest.mark.parametrize("tag", ['"one"', None, 'W/"weak"'])
def test_what_is_here_is_not_fetched_again(tag: str | None, server: Server, archive: Path) -> None:
    server.tag = tag
    server.truncate = 20
    path, _ = download.fetch(url_of(server), sha256(archive))
    assert path.read_bytes() == archive.read_bytes()
    assert server.ranges == [None, f"bytes={len(server.content) - 20}-" if tag == '"one"' else None]


def test_the_rest_of_another_version_is_not_taken(server: Server, archive: Path) -> None:
    server.tag = '"one"'
    good = server.content
    server.content = b"\0" * len(good)
    server.truncate = 20
    ask = Handler.do_GET

    def change(self: Handler) -> None:
        ask(self)
        server.content, server.tag = good, '"two"'

    Handler.do_GET = change  # type: ignore[method-assign]
    try:
        path, _ = download.fetch(url_of(server), sha256(archive))
    finally:
        Handler.do_GET = ask  # type: ignore[method-assign]
    assert path.read_bytes() == good
    assert server.ranges == [None, f"bytes={len(good) - 20}-"]


def test_credentials_are_used_and_never_written_down(server: Server, tmp_path: Path, own_cache: Path) -> None:
    server.authorization = "Basic dXNlcjpzM2NyZXQ="
    pinned = pin(SourceLocation(url=url_of(server, "user:s3cret@")), tmp_path)
    assert pinned.url == url_of(server)
    checkout(pinned, tmp_path)
    for each in own_cache.rglob("*"):
        assert not each.is_file() or b"s3cret" not in each.read_bytes()
    with pytest.raises(SourceError, match="needs credentials") as caught:
        pin(SourceLocation(url=url_of(server, "user:wr0ng@")), tmp_path)
    assert "wr0ng" not in caught.value.message
    assert without_credentials("https://u:p@h.example:8/x?y#z") == "https://h.example:8/x?y"


def test_credentials_of_uvs_index_and_of_netrc(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.authorization = "Basic dXNlcjpzM2NyZXQ="
    monkeypatch.setenv("UV_INDEX", f"mine=http://user:s3cret@127.0.0.1:{server.server_address[1]}/simple")
    pin(SourceLocation(url=url_of(server)), tmp_path)
    monkeypatch.delenv("UV_INDEX")
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login user password s3cret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    pin(SourceLocation(url=url_of(server)), tmp_path)


@pytest.mark.parametrize("url", ["https://nowhere.example/a.tar.gz", "file:///nowhere.tar.gz", "ftp://x.example/a.zip"])
def test_what_cannot_be_reached(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download.time, "sleep", lambda seconds: None)
    with pytest.raises(SourceError, match="cannot download"):
        pin(SourceLocation(url=url), tmp_path)


def test_an_sdist_is_found_where_uv_is_told_to_look(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "links"
    folder.mkdir()
    archive.rename(folder / archive.name)
    monkeypatch.setenv("UV_FIND_LINKS", str(folder))
    monkeypatch.setenv("UV_NO_INDEX", "1")
    pinned = pin(SourceLocation(pypi="Demo == 1.0"), tmp_path)
    assert pinned == BuildSource(url=(folder / archive.name).as_uri(), sha256=sha256(folder / archive.name))
    assert (checkout(pinned, tmp_path).folder / "a.c").exists()
    with pytest.raises(SourceError, match=r"no source distribution of demo 2\.0") as caught:
        pin(SourceLocation(pypi="demo==2.0"), tmp_path)
    assert caught.value.notes


def test_settings_of_the_network_hold_for_sdists(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy of the configuration is asked; what is told of it is without its password."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy", "UV_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://me:s3cret@index.example/simple")
    proxy = f"http://127.0.0.1:{server.server_address[1]}"
    with pytest.raises(SourceError) as caught:
        locate_sdist("demo==1.0", tmp_path, Network(proxies=(("HTTP_PROXY", proxy), ("http_proxy", proxy))))
    assert server.asked
    assert "s3cret" not in str(caught.value.notes)


@pytest.mark.parametrize("text", ["demo", "demo>=1", "demo==", "-e==1", "demo==1; x", "demo==1 --index-url=x"])
def test_releases_are_named_exactly(text: str) -> None:
    with pytest.raises(SourceError, match="does not name one release"):
        split_release(text)


@pytest.mark.network
def test_an_sdist_of_the_index(tmp_path: Path) -> None:
    pinned = pin(SourceLocation(pypi="markupsafe==3.0.2"), tmp_path)
    assert pinned.sha256 == "ee55d3edf80167e48ea11a923c7386f4669df67d7994554387f84e7d8b0a2bf0"
    found = checkout(pinned, tmp_path)
    assert (found.folder / "pyproject.toml").is_file()
    assert (found.folder / "src/markupsafe/_speedups.c").is_file()
    # Now that uv knows the index, it needs no network.
    assert locate_sdist("markupsafe==3.0.2", tmp_path)[1] == pinned.sha256
