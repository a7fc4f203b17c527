"""An own cache for each test, and a machine of which nothing is said."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that only this test uses."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("PIXI_CACHE_DIR", str(folder))
    for name in ("CONDA_OVERRIDE_CUDA", "CONDA_OVERRIDE_GLIBC", "PIXI_PROJECT_MANIFEST", "PIXI_IN_SHELL"):
        monkeypatch.delenv(name, raising=False)
    return folder
