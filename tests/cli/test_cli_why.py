"""``smelt why``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from spine_kit import SUBDIR, Channel, manifest, package, posix, smelt

TEXT = """
[dependencies]
app = ">=1"
[feature.more.dependencies]
other = { version = "*", build = "0" }
[feature.own.dependencies]
mine = { path = "mine" }
[environments]
more = ["more"]
own = ["own"]
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    channel = Channel(tmp_path / "channel")
    channel.add("app", "1.0", depends=["library >=2,<3", "__unix"])
    channel.add("library", "2.1", depends=["base"])
    channel.add("base", "1.0")
    channel.add("other", "1.0", depends=["base >=1"])
    channel.add("compiler", "9.0", depends=["linker"])
    channel.add("linker", "3.0")
    root = tmp_path / "ws"
    package(root, "mine", build=["compiler"], host=["library"])
    manifest(root, [channel.index().url], TEXT)
    assert smelt(root, "lock").returncode == 0
    return root


def test_chains_and_places(workspace: Path) -> None:
    assert (
        smelt(workspace, "why", "base").stdout
        == """\
base 1.0 (conda) is in environment default on linux-64:

app >=1  pixi.toml:8:8
└─ app 1.0  needs library >=2,<3
  └─ library 2.1  needs base
    └─ base 1.0
""".replace("linux-64", SUBDIR)
    )
    both = json.loads(smelt(workspace, "why", "base", "-e", "more", "--json").stdout)
    assert [chain["requirement"].split()[0] for chain in both["chains"]] == ["other", "app"]
    assert both["chains"][0]["packages"] == [
        {"name": "other", "version": "1.0", "needs": "base >=1"},
        {"name": "base", "version": "1.0", "needs": None},
    ]
    direct = json.loads(smelt(workspace, "why", "app", "--json").stdout)
    assert direct["chains"][0]["packages"] == [{"name": "app", "version": "1.0", "needs": None}]


@posix
def test_what_packages_are_built_with(workspace: Path) -> None:
    plain = smelt(workspace, "why", "linker", "-e", "own")
    assert plain.returncode == 1
    assert "mine is built with it: `--build` shows that" in plain.stderr
    told = json.loads(smelt(workspace, "why", "linker", "-e", "own", "--build", "--json").stdout)
    (chain,) = told["chains"]
    assert chain["scope"] == "build"
    assert [each["name"] for each in chain["packages"]] == ["mine", "linker"]
    assert chain["packages"][0]["needs"] == "build environment, for compiler"
    shown = smelt(workspace, "why", "library", "-e", "own", "--build").stdout
    assert "is built with it (host environment)" in shown
    assert "└─ app 1.0  needs library >=2,<3" in shown


def test_bad_input(workspace: Path) -> None:
    elsewhere = smelt(workspace, "why", "other")
    assert elsewhere.returncode == 1
    assert "error[unknown-package]: there is no package `other` in environment `default`" in elsewhere.stderr
    assert "it is in more (" in elsewhere.stderr
    assert "did you mean `library`?" in smelt(workspace, "why", "libary").stderr
    assert "there is no environment `mre`" in smelt(workspace, "why", "base", "-e", "mre").stderr
