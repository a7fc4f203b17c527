"""What the settings say of the network reaches uv."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from pypi_kit import Make, served, simple_index, wheel

from smelt.config.network import Network, network_of
from smelt.config.settings import Settings
from smelt.errors import SolveError
from smelt.lock.model import PypiPackage
from smelt.solve.network import uv_variables
from spine_kit import smelt


def test_offline_takes_what_uv_has_cached(workspace: Make, tmp_path: Path) -> None:
    index = simple_index(tmp_path / "index", wheel(tmp_path / "made", "cached-thing"))
    with served(index) as (url, asked):
        made = workspace('cached-thing = "*"', options=f'index-url = "{url}/simple"')
        lock = made.lock().lock
        assert [p.name for p in lock.packages.values() if isinstance(p, PypiPackage)] == ["cached-thing"]
        made.model.lock_path.unlink()
        # the conda half comes from a folder, the PyPI half from uv's cache
        asked.clear()
        done = smelt(tmp_path / "ws", "lock", "--offline")
        assert asked == []
    assert done.returncode == 0, done.stderr
    assert "cached_thing-1.0" in made.model.lock_path.read_text()


def test_offline_names_what_is_not_cached(workspace: Make, tmp_path: Path) -> None:
    index = simple_index(tmp_path / "index", wheel(tmp_path / "made", "never-seen"))
    with served(index) as (url, asked):
        workspace('never-seen = "*"', options=f'index-url = "{url}/simple"')
        done = smelt(tmp_path / "ws", "lock", "--offline")
        assert asked == []
    assert done.returncode == 1
    assert "never-seen" in done.stderr and "cache" in done.stderr
    assert not (tmp_path / "ws/pixi.lock").exists()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
@pytest.mark.parametrize("setting", ["allow-insecure-host", "tls-no-verify"])
def test_certificates(setting: str, workspace: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ssl
    import subprocess
    import threading
    from functools import partial
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

    name = f"hidden-{setting[:3]}"
    index = simple_index(tmp_path / "index", wheel(tmp_path / "made", name))
    pem, key = tmp_path / "server.pem", tmp_path / "key.pem"
    words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    words += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(pem)]
    subprocess.run(["openssl", *words], check=True, capture_output=True)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(index))) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        host = f"127.0.0.1:{server.server_address[1]}"
        workspace(f'{name} = "*"', options=f'index-url = "https://{host}/simple"')
        root = tmp_path / "ws"
        try:
            assert smelt(root, "lock", env={"UV_HTTP_RETRIES": "0"}).returncode == 1
            (root / ".pixi").mkdir(exist_ok=True)
            text = f'[pypi-config]\nallow-insecure-host = ["{host}"]\n' if "allow" in setting else f"{setting} = true\n"
            (root / ".pixi/config.toml").write_text(text)
            done = smelt(root, "lock")
            assert done.returncode == 0, done.stderr
        finally:
            server.shutdown()


def test_variables() -> None:
    settings = Settings(
        data={
            "offline": True,
            "tls-root-certs": "system",
            "tls-no-verify": True,
            "concurrency": {"downloads": 7},
            "pypi-config": {"keyring-provider": "subprocess", "allow-insecure-host": ["a.example"]},
            "proxy-config": {"https": "http://proxy.example:1"},
        }
    )
    found = uv_variables(network_of(settings, environment={}), ["https://me:secret@b.example:8/simple"])
    assert found == {
        "UV_OFFLINE": "1",
        "UV_SYSTEM_CERTS": "1",
        "UV_KEYRING_PROVIDER": "subprocess",
        "UV_INSECURE_HOST": "a.example b.example:8",
        "UV_CONCURRENT_DOWNLOADS": "7",
        "https_proxy": "http://proxy.example:1",
    }
    assert uv_variables(Network()) == {"UV_CONCURRENT_DOWNLOADS": "50"}


def test_an_index_that_refuses_says_so_without_the_password(workspace: Make, tmp_path: Path) -> None:
    made = workspace('thing = "*"', options='index-url = "http://me:hush@127.0.0.1:9/simple"')
    with pytest.raises(SolveError) as caught:
        made.lock()
    assert "hush" not in str(caught.value) + "".join(caught.value.notes)
