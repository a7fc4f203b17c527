"""A channel on a loopback port whose answers can be refused, broken, delayed or asked for with credentials."""

from __future__ import annotations

import base64
import json
import ssl
import subprocess
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from spine_kit import SUBDIR, Channel

Answer = Callable[["Handler"], None]


class Server:
    """``folder`` at ``url``. ``answers``: end of a path → what is done instead of sending the file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = ""
        self.asked: list[str] = []
        self.answers: dict[str, Answer] = {}
        self.authorization: str | None = None
        self.token: str | None = None
        self.stop = threading.Event()

    def wants_basic(self, user: str, password: str) -> None:
        """Refuse whoever does not give these credentials."""
        self.authorization = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    def wants_bearer(self, token: str) -> None:
        """Refuse whoever does not give this token."""
        self.authorization = f"Bearer {token}"

    def wants_conda_token(self, token: str) -> None:
        """Refuse addresses that do not begin with ``/t/<token>``."""
        self.token = token

    @property
    def host(self) -> str:
        """Address without scheme."""
        return self.url.partition("://")[2]


class Handler(SimpleHTTPRequestHandler):
    """Sends files of the server's folder."""

    def __init__(self, server: Server, *arguments: object, **more: object) -> None:
        self.state = server
        super().__init__(*arguments, **more)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        """The file, or what the server was told."""
        state = self.state
        state.asked.append(self.path)
        if state.authorization is not None and self.headers.get("Authorization") != state.authorization:
            self.send_error(401)
            return
        if state.token is not None:
            head = f"/t/{state.token}"
            if not self.path.startswith(head + "/"):
                self.send_error(403)
                return
            self.path = self.path.removeprefix(head)
        for end, answer in state.answers.items():
            if self.path.endswith(end):
                answer(self)
                return
        super().do_GET()

    def do_HEAD(self) -> None:
        """As GET, for what only asks whether a file is there."""
        if self.state.authorization is not None and self.headers.get("Authorization") != self.state.authorization:
            self.send_error(401)
            return
        super().do_HEAD()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""

    def handle(self) -> None:
        """Clients go away in the middle; that is no concern of ours."""
        try:
            super().handle()
        except (ConnectionError, ssl.SSLError):
            self.close_connection = True


def status(code: int) -> Answer:
    """An error."""
    return lambda handler: handler.send_error(code)


def content(data: bytes, *, length: int | None = None) -> Answer:
    """``data``, said to be ``length`` bytes long."""

    def answer(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data) if length is None else length))
        handler.send_header("Content-Type", "application/octet-stream")
        handler.end_headers()
        handler.wfile.write(data)
        handler.wfile.flush()
        handler.close_connection = True

    return answer


def never_ending(handler: Handler) -> None:
    """A few bytes, and then nothing until the test is over."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    handler.wfile.write(b'{"info"')
    handler.wfile.flush()
    handler.state.stop.wait(60)
    handler.close_connection = True


@contextmanager
def serving(folder: Path, certificate: Path | None = None, port: int = 0) -> Generator[Server]:
    """A server of ``folder``; https with ``certificate`` (a file that holds the key too)."""
    folder.mkdir(parents=True, exist_ok=True)
    state = Server(folder)
    handler = partial(Handler, state, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", port), handler) as http:
        http.daemon_threads = True
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            http.socket = context.wrap_socket(http.socket, server_side=True)
        scheme = "https" if certificate is not None else "http"
        state.url = f"{scheme}://127.0.0.1:{http.server_address[1]}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield state
        finally:
            state.stop.set()
            http.shutdown()
            thread.join()


def self_signed(folder: Path) -> Path:
    """A certificate for 127.0.0.1 that nobody knows, and its key, in one file."""
    path, key = folder / "server.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-addext", "basicConstraints=critical,CA:FALSE"),
            *("-keyout", str(key), "-out", str(path)),
        ],
        check=True,
        capture_output=True,
    )
    path.write_bytes(path.read_bytes() + key.read_bytes())
    return path


def credentials(path: Path, host: str, kind: str, **values: str) -> Path:
    """A file as RATTLER_AUTH_FILE names it."""
    path.write_text(json.dumps({host: {kind: values if len(values) > 1 else next(iter(values.values()))}}))
    return path


def config(root: Path, text: str) -> None:
    """The configuration of the workspace in ``root``."""
    path = root / ".pixi" / "config.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def fill(folder: Path) -> Channel:
    """``alpha`` 1.0 and 2.0, and ``beta`` that needs an ``alpha``."""
    channel = Channel(folder)
    channel.add("alpha", "1.0")
    channel.add("alpha", "2.0")
    channel.add("beta", depends=["alpha"], subdir=SUBDIR)
    return channel.index()
