"""What is said of the network."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from smelt.solve.network import redacted, without_addresses
from smelt.solve.transfer import read_address


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("cannot open file:///tmp/pytest-429/nowhere/noarch (os error 2)", {"os", "error", "cannot", "open"}),
        ("GET https://host.example:443/500/x.json: 404 Not Found", {"404", "Not", "Found"}),
        ("failed to read /srv/503/repodata.json", {"failed", "read"}),
        ("connection to 127.0.0.1:5000 refused", {"connection", "refused"}),
    ],
)
def test_numbers_of_addresses_are_no_answers(text: str, left: set[str]) -> None:
    words = set(re.findall(r"\w+", without_addresses(text)))
    assert left <= words
    assert not words & {"429", "500", "503", "443", "5000", "parse"}


@pytest.mark.parametrize(
    "text",
    ["https://me:hush@host.example/x", "git+https://me:hu@sh@host.example/x", "see https://host.example/t/hush/noarch"],
)
def test_nothing_secret_is_said(text: str) -> None:
    assert not re.search("hush|hu@|sh@", redacted(text))
    assert "host.example" in redacted(text)


@contextmanager
def answering(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


@pytest.mark.parametrize("elsewhere", [False, True])
def test_credentials_stay_with_their_host(elsewhere: bool) -> None:
    seen: list[str | None] = []

    def say(request: BaseHTTPRequestHandler) -> None:
        seen.append(request.headers.get("Authorization"))
        request.send_response(200)
        request.end_headers()
        request.wfile.write(b"here")

    def redirect(request: BaseHTTPRequestHandler) -> None:
        if request.path == "/file":
            say(request)
            return
        assert request.headers.get("Authorization") == "Basic x"
        request.send_response(302)
        request.send_header("Location", f"{other if elsewhere else first}/file")
        request.end_headers()

    with answering(say) as other, answering(redirect) as first:
        assert read_address(f"{first}/index", timeout=5, headers={"Authorization": "Basic x"}) == b"here"
    assert seen == [None if elsewhere else "Basic x"]


def test_a_connection_that_breaks_is_no_crash() -> None:
    def cut_off(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "100")
        request.end_headers()
        request.wfile.write(b"half")

    with answering(cut_off) as address, pytest.raises(ConnectionError, match="broke"):
        read_address(address, timeout=5)
    for nonsense in ("http://[::1", "nowhere", "http://host name/"):
        with pytest.raises(OSError):
            read_address(nonsense, timeout=5)
