"""A server of a small channel, an own cache, and a workspace."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest
from network_kit import Server, fill, serving

from spine_kit import manifest


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that only this test uses, and no credentials, proxies or mirrors of the user."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("PIXI_CACHE_DIR", str(folder))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PIXI_HOME", str(tmp_path / "home" / ".pixi"))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "home").mkdir()
    return folder


@pytest.fixture
def server(tmp_path: Path) -> Generator[Server]:
    """The channel on a port."""
    with serving(tmp_path / "served") as running:
        fill(running.folder)
        yield running


@pytest.fixture
def workspace(tmp_path: Path, server: Server) -> Path:
    """A workspace that needs ``beta`` of the server."""
    root = tmp_path / "ws"
    manifest(root, [server.url], '[dependencies]\nbeta = "*"\n')
    return root
