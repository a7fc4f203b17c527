"""Lock files of versions that knew platforms by their subdir alone."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from smelt.lock import read
from spine_kit import SUBDIR, Channel, manifest, posix, smelt

pytestmark = [pytest.mark.build, posix]

VIRTUAL = {"linux": "linux", "osx": "macos"}[SUBDIR.partition("-")[0]] if not SUBDIR.startswith("win") else ""
DEMANDS = f'[system-requirements]\n{VIRTUAL} = "{"3.10" if VIRTUAL == "linux" else "11.0"}"\n'


def old_lock(root: Path, channel: Channel, name: str) -> None:
    """Version 6, as it was written for a workspace with system requirements: rows have the name of the subdir."""
    path = channel.add(name, "1.0", files={f"bin/{name}": "#!/bin/sh\necho old\n"})
    channel.index()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    url = f"{channel.url}/noarch/{path.name}"
    (root / "pixi.lock").write_text(
        f"""version: 6
environments:
  default:
    channels:
    - url: {channel.url}/
    packages:
      {SUBDIR}:
      - conda: {url}
  cuda:
    channels:
    - url: {channel.url}/
    packages:
      {SUBDIR}:
      - conda: {url}
packages:
- conda: {url}
  name: {name}
  version: '1.0'
  build: '0'
  subdir: noarch
  noarch: generic
  sha256: {digest}
  size: {path.stat().st_size}
  timestamp: 1700000000000
""",
        encoding="utf-8",
    )


@pytest.fixture
def old(tmp_path: Path, channel: Channel) -> Path:
    root = tmp_path / "old"
    text = (
        '[dependencies]\nelder = "*"\n[environments]\ncuda = ["cuda"]\n'
        '[feature.cuda.system-requirements]\ncuda = "12"\n'
    )
    manifest(root, [channel.url], text + DEMANDS)
    old_lock(root, channel, "elder")
    channel.add("elder", "2.0")
    channel.index()
    return root


def ok(root: Path, *arguments: str) -> str:
    result = smelt(root, *arguments)
    assert result.returncode == 0, result.stderr
    return result.stderr


def test_what_is_locked_stays_where_requirements_on_the_system_are_made(old: Path) -> None:
    ok(old, "lock", "--check")
    ok(old, "lock")
    lock = read(old / "pixi.lock")
    assert lock.version == 7
    assert len(lock.platforms) == 2
    for name in ("default", "cuda"):
        for held in lock.environments[name].packages.values():
            packages = [lock.packages[reference] for reference in held]
            assert [(package.name, str(package.version)) for package in packages] == [("elder", "1.0")]
    ok(old, "lock", "--check")
    before = (old / "pixi.lock").read_bytes()
    ok(old, "lock")
    assert (old / "pixi.lock").read_bytes() == before


@pytest.mark.parametrize("mode", ["--frozen", "--locked"])
def test_such_a_lock_is_installed_as_it_is(old: Path, cache: Path, mode: str) -> None:
    before = (old / "pixi.lock").read_bytes()
    result = smelt(old, "run", mode, "elder")
    assert (result.returncode, result.stdout) == (0, "old\n"), result.stderr
    assert (old / "pixi.lock").read_bytes() == before
    assert "elder" in smelt(old, "list", mode, "-e", "cuda").stdout
