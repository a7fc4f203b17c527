"""Gists by the address of their page, asked of a server that answers as the API does."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from smelt.api.gist import gist_file, gist_path, is_gist
from smelt.config.network import Network
from smelt.errors import SourceError

PAGE = "https://gist.github.com/someone/abc123"


@contextmanager
def api(answers: dict[str, bytes]) -> Generator[tuple[str, list[tuple[str, str | None]]]]:
    """A server; its address, and what it was asked: paths with the ``Authorization`` that came along."""
    asked: list[tuple[str, str | None]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers.get("Authorization")))
            body = answers.get(self.path)
            self.send_response(200 if body is not None else 404)
            self.end_headers()
            self.wfile.write(body or b"{}")

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def answer(*names: str) -> bytes:
    files = {name: {"filename": name, "raw_url": f"https://raw.example/{name}"} for name in names}
    return json.dumps({"id": "abc123", "files": files}).encode()


def asked_file(body: bytes, token: str = "") -> tuple[str, list[tuple[str, str | None]]]:
    with api({"/gists/abc123": body}) as (base, asked):
        return asyncio.run(gist_file(PAGE, Network(), {"PIXI_GITHUB_TOKEN": token}, api=base)), asked


def test_the_first_python_file_is_meant() -> None:
    assert asked_file(answer("Z.md", "b.PY", "a.py"))[0] == "https://raw.example/b.PY"
    assert asked_file(answer("script", "notes.md"))[0] == "https://raw.example/script"


def test_a_token_goes_to_the_api() -> None:
    assert asked_file(answer("a.py"), "secret")[1] == [("/gists/abc123", "Bearer secret")]
    assert asked_file(answer("a.py"))[1] == [("/gists/abc123", None)]


def test_pages() -> None:
    revision = "0123456789abcdef0123456789abcdef01234567"
    assert is_gist(PAGE)
    assert not is_gist("https://gist.githubusercontent.example/someone/abc123/raw")
    assert gist_path(PAGE) == gist_path("https://gist.github.com/abc123") == gist_path(f"{PAGE}/#file-a-py") == "abc123"
    assert gist_path(f"{PAGE}/{revision}") == f"abc123/{revision}"
    for bad in ("https://gist.github.com", "https://gist.github.com/someone/..%2Fx", "https://gist.github.com/?abc"):
        with pytest.raises(SourceError, match="is not the page of a gist"):
            gist_path(bad)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"no json", "makes no sense"),
        (b'{"files": [1]}', "makes no sense"),
        (b'{"files": {}}', "has no files"),
        (b'{"files": {"a": {"filename": "a.py", "raw_url": "file:///etc/passwd"}}}', "are no addresses"),
    ],
)
def test_answers_that_are_none(body: bytes, told: str) -> None:
    with pytest.raises(SourceError, match=told):
        asked_file(body)


def test_what_is_not_there() -> None:
    with api({}) as (base, _), pytest.raises(SourceError, match="server returned 404") as caught:
        asyncio.run(gist_file(PAGE, Network(), {}, api=base))
    assert caught.value.kind == "script-download"
    assert "PIXI_GITHUB_TOKEN" in (caught.value.help or "")
