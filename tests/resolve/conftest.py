"""A channel and an own cache for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from spine_kit import Channel


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that only this test uses."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("PIXI_CACHE_DIR", str(folder))
    for name in ("CONDA_OVERRIDE_CUDA", "CONDA_OVERRIDE_GLIBC", "PIXI_PROJECT_MANIFEST", "PIXI_IN_SHELL"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def channel(tmp_path: Path) -> Channel:
    """``tool`` 1.0 and 2.0, ``library`` 1.0 to 3.0, ``app`` that needs ``library``."""
    channel = Channel(tmp_path / "channel")
    for version in ("1.0", "2.0"):
        channel.add("tool", version)
    for version in ("1.0", "2.0", "3.0"):
        channel.add("library", version)
    channel.add("app", "1.0", depends=["library >=1"])
    return channel.index()
