"""``smelt tree``."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from spine_kit import OTHER, SUBDIR, Channel, manifest, smelt


@pytest.fixture
def root(tmp_path: Path) -> Path:
    channel = Channel(tmp_path / "channel")
    channel.add("app", depends=["lib >=1", "base", "__unix"])
    channel.add("lib", "1.5", depends=["base", "leaf"])
    channel.add("base", "2.0")
    channel.add("leaf", "0.1", depends=["base"])
    channel.index()
    root = tmp_path / "w"
    text = '[dependencies]\napp = "*"\nleaf = "*"\n[environments.dev.dependencies]\nbase = "*"\n'
    manifest(root, [channel.url], text + f"[target.{OTHER}.dependencies]\nlib = '*'\n", platforms=(SUBDIR, OTHER))
    return root


def tree(root: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    result = smelt(root, "tree", *arguments)
    assert result.returncode == code, result.stderr
    return result


def test_from_the_manifest_down(root: Path) -> None:
    lines = tree(root).stdout.splitlines()
    assert lines == [
        "├── app 1.0",
        "│   ├── lib 1.5",
        "│   │   ├── base 2.0",
        "│   │   └── leaf 0.1",
        "│   │       └── base 2.0  (*)",
        "│   └── base 2.0  (*)",
    ], "leaf is asked for too, and was drawn already"


def test_environment_and_platform(root: Path) -> None:
    result = tree(root, "-e", "dev", "^base$")
    assert result.stderr.endswith("Environment: dev\n")
    assert result.stdout == "└── base 2.0\n"
    assert tree(root, "^base$").stdout == " base 2.0\n"
    assert tree(root, "--platform", OTHER, "^lib$").stdout.splitlines()[0] == "└── lib 1.5"


def test_a_pattern(root: Path) -> None:
    assert tree(root, "^leaf$").stdout.splitlines() == ["└── leaf 0.1", "    └── base 2.0"]
    # nothing of that is asked for by the manifest: what is below is shown
    assert tree(root, "^lib$").stdout.splitlines() == [
        " lib 1.5",
        "    ├── base 2.0",
        "    └── leaf 0.1",
        "        └── base 2.0  (*)",
    ]
    assert "No dependencies matched the given regular expression" in tree(root, "nothing", code=1).stderr
    assert "is not a regular expression" in tree(root, "(", code=2).stderr


def test_inverted(root: Path) -> None:
    assert tree(root, "--invert", "^base$").stdout.splitlines() == [
        "",
        "base 2.0",
        "├── app 1.0",
        "├── leaf 0.1",
        "│   └── lib 1.5",
        "│       └── app 1.0  (*)",
        "└── lib 1.5  (*)",
    ]
    assert "`--invert` needs the name of a package" in tree(root, "-i", code=2).stderr
    assert "Nothing depends on" in tree(root, "-i", "nothing", code=1).stderr


def test_json(root: Path) -> None:
    data = json.loads(tree(root, "--json").stdout)
    assert list(data) == ["app", "base", "leaf", "lib"]
    assert data["lib"]["needs"] == [{"name": "base", "spec": "base"}, {"name": "leaf", "spec": "leaf"}]
    assert data["lib"]["needed_by"] == ["app"]
    assert data["app"]["direct"] and not data["base"]["direct"]


def test_colors(root: Path) -> None:
    shown = tree(root, "--color", "always", "^app$").stdout.splitlines()[0]
    assert shown == "└── \x1b[32;1mapp\x1b[0m \x1b[33m1.0\x1b[0m"


def test_frozen_and_locked(root: Path) -> None:
    assert "lock-missing" in tree(root, "--frozen", code=1).stderr
    tree(root)
    with (root / "pixi.toml").open("a", encoding="utf-8") as file:
        file.write("[feature.more.dependencies]\nlib = '*'\n[environments.more]\nfeatures = ['more']\n")
    assert "lock-outdated" in tree(root, "--locked", code=1).stderr
    assert tree(root, "--frozen").stdout
    lock = (root / "pixi.lock").read_text(encoding="utf-8")
    assert smelt(root, "tree", env={"PIXI_FROZEN": "true"}).returncode == 0
    assert (root / "pixi.lock").read_text(encoding="utf-8") == lock
