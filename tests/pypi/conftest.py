"""A cache for all tests of this folder, and workspaces with a Python that exists only as a record."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from install_pypi_kit import Make as Made
from pypi_kit import PYTHON, Make, wheel

from smelt.api.workspace import Workspace
from spine_kit import OTHER, SUBDIR, Channel, manifest


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what is made once."""
    return tmp_path_factory.mktemp("pypi")


@pytest.fixture(autouse=True)
def cache(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that only these tests use; the user's settings of uv do not count."""
    monkeypatch.setenv("PIXI_CACHE_DIR", str(shared / "cache"))
    for name in ("UV_CACHE_DIR", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    return shared / "cache"


@pytest.fixture
def channel(tmp_path: Path) -> Channel:
    """``python`` as it runs, for two platforms (nothing but a record), and ``tool``."""
    channel = Channel(tmp_path / "channel")
    for subdir in (SUBDIR, OTHER):
        channel.add("python", PYTHON, subdir=subdir)
    channel.add("tool", "1.0")
    return channel.index()


@pytest.fixture
def workspace(tmp_path: Path, channel: Channel) -> Make:
    """Writes a manifest (``python`` is required, wheels are in ``links``) and loads it."""

    def make(
        pypi: str,
        *,
        options: str = 'find-links = [{ path = "links" }]',
        head: str = "",
        more: str = "",
        conda: str = 'python = "*"',
        platforms: Sequence[str] = (SUBDIR,),
    ) -> Workspace:
        text = f"{head}\n[pypi-options]\n{options}\n[dependencies]\n{conda}\n[pypi-dependencies]\n{pypi}\n{more}\n"
        (tmp_path / "ws" / "links").mkdir(parents=True, exist_ok=True)
        return Workspace.load(manifest(tmp_path / "ws", [channel.url], text, platforms))

    return make


@pytest.fixture
def make(tmp_path: Path, bare_channel: Path) -> Made:
    """Writes a manifest and loads it; ``links`` has ``app`` 1 and 2 and ``base`` 1."""
    for version in ("1.0", "2.0"):
        wheel(tmp_path / "ws" / "links", "app", version, ["base"])
    wheel(tmp_path / "ws" / "links", "base")

    def write(
        pypi: str,
        *,
        options: str = 'find-links = [{ path = "links" }]',
        conda: str = "",
        channels: tuple[str, ...] = (),
        head: str = "",
    ) -> Workspace:
        text = (
            f'{head}\n[pypi-options]\n{options}\n[dependencies]\npython = "*"\n{conda}\n[pypi-dependencies]\n{pypi}\n'
        )
        return Workspace.load(manifest(tmp_path / "ws", [*channels, bare_channel.as_uri()], text))

    return write
