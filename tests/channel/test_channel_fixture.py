"""The shared channels are what they say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


def test_bare_channel_has_python(bare_channel: Path) -> None:
    noarch = json.loads((bare_channel / "noarch" / "repodata.json").read_text())
    assert any(r["name"] == "python_abi" for r in noarch["packages.conda"].values())


@pytest.mark.network
def test_local_channel_has_pip(local_channel: Path) -> None:
    noarch = json.loads((local_channel / "noarch" / "repodata.json").read_text())
    assert {"pip", "setuptools", "wheel"} <= {r["name"] for r in noarch["packages.conda"].values()}
