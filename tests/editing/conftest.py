"""A channel with a few tiny packages, and the command line in this process."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from spine_kit import Channel

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="session")
def channel(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a channel: ``tool`` 0.1.0, 1.2.3 and 2.0.1 (needs ``lib``), ``lib`` 0.3.4, ``python`` 3.12.4."""
    made = Channel(tmp_path_factory.mktemp("editing-channel"))
    for version in ("0.1.0", "1.2.3", "2.0.1"):
        made.add("tool", version, depends=["lib"])
    made.add("lib", "0.3.4")
    made.add("python", "3.12.4")
    return made.index().url


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs one command line in a fresh folder: exit code, standard output, standard error."""
    from smelt.cli.main import execute
    from smelt.cli.terminal import Terminal

    monkeypatch.chdir(tmp_path)
    for variable in ("PIXI_PROJECT_MANIFEST", "PIXI_IN_SHELL", "PIXI_FROZEN", "PIXI_LOCKED", "PIXI_NO_INSTALL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PIXI_HOME", str(tmp_path / "home/.pixi"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no-config"))

    def call(*words: str | Path) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        code = execute([str(word) for word in words], Terminal(out=out, err=err, color="never", progress=False))
        return code, out.getvalue(), err.getvalue()

    return call


@pytest.fixture
def workspace(tmp_path: Path, channel: str) -> Path:
    """A manifest with comments, in the folder that ``run`` works in."""
    from smelt.types import current_platform

    path = tmp_path / "pixi.toml"
    path.write_text(
        f"""\
# the workspace of a test
[workspace]
name = "edited"  # its name
channels = ["{channel}"]
platforms = [
  "{current_platform()}", # this machine
]

[dependencies]
# what is needed below
lib = "*"

[tasks]
hello = "echo hello" # greets

[feature.extra.dependencies]
lib = ">=0.3"

[environments]
extra = ["extra"]
""",
        encoding="utf-8",
    )
    return path
