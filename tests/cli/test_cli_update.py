"""``smelt update``: what is locked may move, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from smelt.lock import read
from spine_kit import SUBDIR, Channel, posix, smelt

pytestmark = [pytest.mark.build, posix]


def versions(root: Path, environment: str) -> dict[str, str]:
    lock = read(root / "pixi.lock")
    return {package.name: str(package.version) for package in lock.packages_of(environment, SUBDIR) or ()}


def ok(root: Path, *arguments: str) -> str:
    result = smelt(root, *arguments)
    assert result.returncode == 0, result.stderr
    return result.stderr


def test_only_what_is_named_moves(workspace: Path, channel: Channel) -> None:
    ok(workspace, "lock")
    channel.add("tool", "1.5", files={"bin/tool": "#!/bin/sh\n"})
    channel.add("library", "3.0")
    channel.index()
    assert "was up to date" in ok(workspace, "lock")
    assert "would change" in ok(workspace, "update", "--dry-run")
    assert versions(workspace, "default")["tool"] == "1.0"
    ok(workspace, "update", "tool")
    assert versions(workspace, "default")["tool"] == "1.5"
    assert versions(workspace, "two") == {"library": "2.0"}
    ok(workspace, "update", "-e", "two")
    assert versions(workspace, "two") == {"library": "3.0"}
    assert "fits" in ok(workspace, "lock", "--check")


def test_a_package_that_is_not_locked(workspace: Path) -> None:
    ok(workspace, "lock")
    result = smelt(workspace, "update", "tol")
    assert result.returncode == 1
    assert "did you mean `tool`?" in result.stderr


def test_a_file_that_was_replaced_in_its_channel_is_accepted(workspace: Path, channel: Channel, cache: Path) -> None:
    ok(workspace, "lock")
    channel.add("tool", "1.0", files={"bin/tool": "#!/bin/sh\necho replaced\n"})
    channel.index()
    refused = smelt(workspace, "install")
    assert refused.returncode == 1
    assert "smelt update tool" in refused.stderr
    ok(workspace, "update", "tool")
    ok(workspace, "install")
    assert smelt(workspace, "run", "tool").stdout == "replaced\n"
