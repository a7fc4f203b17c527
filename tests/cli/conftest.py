"""A channel, an own cache and a small workspace for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from spine_kit import Channel, manifest, recipe

GREET = [
    "mkdir -p $PREFIX/bin",
    "printf '#!/bin/sh\\necho greetings\\n' > $PREFIX/bin/greet",
    "chmod +x $PREFIX/bin/greet",
]


@pytest.fixture(scope="session")
def common_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that all tests use which do not ask for an own one."""
    return tmp_path_factory.mktemp("common") / "cache"


@pytest.fixture(autouse=True)
def common(common_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the common cache into force."""
    monkeypatch.setenv("PIXI_CACHE_DIR", str(common_cache))


@pytest.fixture
def cache(common: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that only this test uses."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("PIXI_CACHE_DIR", str(folder))
    return folder


@pytest.fixture
def channel(tmp_path: Path) -> Channel:
    """``tool`` 1.0 and 2.0 (a command), ``library`` 1.0 and 2.0."""
    channel = Channel(tmp_path / "channel")
    for version in ("1.0", "2.0"):
        channel.add("tool", version, files={"bin/tool": f"#!/bin/sh\necho tool {version} $*\n"})
        channel.add("library", version)
    return channel.index()


@pytest.fixture
def workspace(tmp_path: Path, channel: Channel) -> Path:
    """Two environments, a source package and some tasks."""
    root = tmp_path / "ws"
    recipe(root, "greet", "0.1", host=["library"], script=GREET)
    (root / "sub").mkdir()
    manifest(
        root,
        [channel.url],
        """
[dependencies]
tool = "1.*"
greet = { path = "greet" }
[tasks]
hello = "greet"
both = { cmd = "tool $WORD", depends-on = ["hello"], env = { WORD = "spoken" } }
where = { cmd = "pwd", cwd = "sub" }
fail = "exit 7"
[feature.two.dependencies]
library = "*"
[environments]
two = { features = ["two"], no-default-feature = true }
""",
    )
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "ws"
