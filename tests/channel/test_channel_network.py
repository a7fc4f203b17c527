"""Wheels that others published, from the index that uv is configured for."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
from channel_support import run, states

from smelt.channel.resolution import LockedWheel, fetch, resolve
from smelt.channel.targets import Target
from smelt.channel.wheels import add_wheels
from smelt.errors import ChannelError
from smelt.types import current_platform

pytestmark = pytest.mark.network
posix = pytest.mark.skipif(sys.platform == "win32", reason="the layout of prefixes differs on Windows")


@posix
def test_published_wheels_work(local_channel: Path, install, long_prefix: Path, tmp_path: Path) -> None:
    """A compiled one, one with a command, one with data files, and what they need."""
    channel = tmp_path / "channel"
    shutil.copytree(local_channel, channel)
    wanted = ["markupsafe", "tabulate", "jupyterlab-pygments"]
    first = add_wheels(channel, wanted)
    assert {"markupsafe", "tabulate", "jupyterlab-pygments"} <= {addition.name for addition in first}
    again = states(add_wheels(channel, wanted))
    assert again == dict.fromkeys(states(first), False)
    for prefix in (tmp_path / "p", long_prefix):
        install(channel, ["python", "pip", "setuptools", *wanted], prefix)
        python = prefix / "bin" / "python"
        assert run([python, "-c", "import markupsafe._speedups as m; print(m.__file__)"]).startswith(str(prefix))
        table = tmp_path / "table.txt"
        table.write_text("a 1\n")
        assert "1" in run([prefix / "bin" / "tabulate", table])
        assert list((prefix / "share/jupyter/labextensions").rglob("package.json"))
        listed = json.loads(run([python, "-m", "pip", "list", "--format", "json"]))
        assert {"MarkupSafe", "pip", "tabulate"} <= {item["name"] for item in listed}
        run([python, "-m", "pip", "check"])


def test_other_platforms_and_pythons(channel: Path) -> None:
    added = add_wheels(channel, ["markupsafe"], pythons=["3.12", "3.13"], platform="osx-arm64")
    assert {addition.subdir for addition in added} == {"osx-arm64"}
    assert sorted(addition.build[:5] for addition in added) == ["py312", "py313"]


def test_a_name_that_does_not_exist(channel: Path) -> None:
    with pytest.raises(ChannelError, match="cannot be resolved") as caught:
        add_wheels(channel, ["this-name-does-not-exist-xyzzy"], pythons=["3.12"])
    assert "this-name-does-not-exist-xyzzy" in caught.value.notes[0]


def test_a_wheel_that_is_not_what_was_promised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATTLER_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("PIXI_CACHE_DIR", raising=False)
    [good] = resolve(["tabulate"], Target(python="3.12.0", platform=current_platform()), dependencies=False)
    path = fetch(good)
    path.write_bytes(b"poisoned")
    assert fetch(good).read_bytes() != b"poisoned"
    bad = LockedWheel(
        name=good.name, version=good.version, file_name=good.file_name, location=good.location, sha256="0" * 64
    )
    with pytest.raises(ChannelError, match="not what the index promised"):
        fetch(bad)
