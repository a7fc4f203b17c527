"""``smelt update``: what is locked may move, and nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from smelt.lock import read
from spine_kit import SUBDIR, Channel, manifest, posix, smelt

pytestmark = [pytest.mark.build, posix]


def versions(root: Path, environment: str) -> dict[str, str]:
    lock = read(root / "pixi.lock")
    return {package.name: str(package.version) for package in lock.packages_of(environment, SUBDIR) or ()}


def ok(root: Path, *arguments: str) -> str:
    result = smelt(root, *arguments)
    assert result.returncode == 0, result.stderr
    return result.stderr


def change(root: Path, old: str, new: str) -> None:
    text = (root / "pixi.toml").read_text(encoding="utf-8")
    assert old in text
    (root / "pixi.toml").write_text(text.replace(old, new, 1), encoding="utf-8")


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


def test_a_check_can_say_what_would_change(workspace: Path, channel: Channel) -> None:
    ok(workspace, "lock")
    before = (workspace / "pixi.lock").read_bytes()
    assert json.loads(smelt(workspace, "lock", "--check", "--json").stdout) == {"version": 1, "environment": {}}
    channel.add("more", "1.0")
    channel.index()
    change(workspace, "[dependencies]\n", '[dependencies]\nmore = "*"\n')
    plain = smelt(workspace, "lock", "--check")
    assert plain.returncode == 1 and "+ more" not in plain.stderr and "'more" in plain.stderr
    shown = smelt(workspace, "lock", "--check", "--dry-run")
    assert shown.returncode == 1
    assert "+ more" in shown.stderr and "would change" in shown.stderr and "lock-outdated" in shown.stderr
    listed = smelt(workspace, "lock", "--check", "--json")
    assert listed.returncode == 1
    changes = json.loads(listed.stdout)["environment"]["default"][SUBDIR]
    assert [change["name"] for change in changes] == ["more"]
    assert (workspace / "pixi.lock").read_bytes() == before


def test_a_dry_run_sees_changes_without_other_packages(workspace: Path) -> None:
    ok(workspace, "lock")
    assert "would not change" in ok(workspace, "lock", "--dry-run")
    change(workspace, "[workspace]\n", '[workspace]\nchannel-priority = "disabled"\n')
    assert "would change" in ok(workspace, "lock", "--dry-run")
    ok(workspace, "lock")
    ok(workspace, "lock", "--check")


def test_an_older_lock_is_written_as_version_7(tmp_path: Path, channel: Channel, cache: Path) -> None:
    root = tmp_path / "old"
    root.mkdir()
    manifest(root, [channel.url], '[dependencies]\nlibrary = "*"\n')
    ok(root, "lock")
    path = root / "pixi.lock"
    new = path.read_text(encoding="utf-8")
    # of conda packages version 6 says the same, but for the list of platforms
    old = re.sub(r"platforms:\n.*?environments:", "environments:", new, flags=re.DOTALL)
    old = old.replace("version: 7", "version: 6")
    path.write_text(old, encoding="utf-8")
    ok(root, "lock", "--check")
    assert read(path).version == 6 and path.read_text(encoding="utf-8") == old
    assert "updated" in ok(root, "lock")
    assert path.read_text(encoding="utf-8") == new.replace("  run_exports: {}\n", "")
    ok(root, "lock", "--check")
    assert "was up to date" in ok(root, "lock")
