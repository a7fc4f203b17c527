"""``smelt lock --platform``: a lock for what this machine needs, which says that it is partial."""

from __future__ import annotations

from pathlib import Path

import pytest

from smelt.lock import read
from spine_kit import OTHER, SUBDIR, Channel, manifest, posix, smelt

pytestmark = [pytest.mark.build, posix]

ONLY_HERE = f"""
[dependencies]
tool = "1.*"
[target.{OTHER}.dependencies]
absent = "*"
[environments]
default = {{ solve-group = "main" }}
more = {{ features = ["more"], solve-group = "main" }}
[feature.more.dependencies]
library = "*"
"""


def ok(root: Path, *arguments: str) -> str:
    result = smelt(root, *arguments)
    assert result.returncode == 0, result.stderr
    return result.stderr


def locked(root: Path) -> dict[str, list[str]]:
    lock = read(root / "pixi.lock")
    return {platform: [p.name for p in lock.packages_of("default", platform) or ()] for platform in platforms(root)}


def platforms(root: Path) -> list[str]:
    return [row.name for row in read(root / "pixi.lock").platforms]


def marked(root: Path) -> bool:
    return read(root / "pixi.lock").partial


@pytest.fixture
def both(tmp_path: Path, channel: Channel) -> Path:
    root = tmp_path / "both"
    manifest(root, [channel.url], '[dependencies]\ntool = "1.*"\n', platforms=[OTHER, SUBDIR])
    return root


def test_one_platform_is_enough_to_work(tmp_path: Path, channel: Channel, cache: Path) -> None:
    root = tmp_path / "here"
    manifest(root, [channel.url], ONLY_HERE, platforms=[OTHER, SUBDIR])
    whole = smelt(root, "lock")
    assert whole.returncode == 1
    assert "absent" in whole.stderr
    assert "partial" in ok(root, "lock", "--platform", SUBDIR)
    assert (platforms(root), marked(root)) == ([SUBDIR], True)
    text = (root / "pixi.lock").read_text(encoding="utf-8")
    for command in (["install", "--locked"], ["install"], ["run", "--locked", "-e", "more", "tool"], ["list"]):
        ok(root, *command)
    assert (root / "pixi.lock").read_text(encoding="utf-8") == text

    checked = smelt(root, "lock", "--check")
    assert checked.returncode == 1
    assert f"on {OTHER}: the lock file is partial" in checked.stderr
    ok(root, "lock", "--check", "--platform", SUBDIR)
    ok(root, "lock", "--check", "--platform", SUBDIR)

    ok(root, "add", "library")
    assert (platforms(root), marked(root)) == ([SUBDIR], True)
    assert locked(root) == {SUBDIR: ["library", "tool"]}
    ok(root, "update")
    assert (platforms(root), marked(root)) == ([SUBDIR], True)

    channel.add("absent", "1.0", subdir=OTHER)
    channel.index()
    ok(root, "lock")
    assert (sorted(platforms(root)), marked(root)) == (sorted([OTHER, SUBDIR]), False)
    ok(root, "lock", "--check")


def test_what_fits_of_other_platforms_stays(both: Path, channel: Channel, cache: Path) -> None:
    ok(both, "lock")
    before = (both / "pixi.lock").read_bytes()
    path = both / "pixi.toml"
    plain = path.read_text(encoding="utf-8")
    path.write_text(f'{plain}[target.{SUBDIR}.dependencies]\nlibrary = "*"\n', encoding="utf-8")
    ok(both, "lock", "-p", SUBDIR)
    assert locked(both) == {OTHER: ["tool"], SUBDIR: ["library", "tool"]}
    assert not marked(both)
    ok(both, "lock", "--check")

    path.write_text(plain.replace("1.*", "2.*"), encoding="utf-8")
    said = ok(both, "lock", "-p", SUBDIR)
    assert OTHER not in said  # what was left out did not change its packages
    assert (locked(both), marked(both)) == ({SUBDIR: ["tool"]}, True)
    path.write_text(plain, encoding="utf-8")
    ok(both, "lock")
    ok(both, "update", "tool")
    assert (both / "pixi.lock").read_bytes() == before


def test_the_platform_of_another_machine_is_added_where_it_is_needed(both: Path, cache: Path) -> None:
    ok(both, "lock", "-p", OTHER)
    assert (platforms(both), marked(both)) == ([OTHER], True)
    result = smelt(both, "install", "--locked")
    assert result.returncode == 1
    assert f"on {SUBDIR}: the lock file is partial, it was made without this platform" in result.stderr
    ok(both, "install")
    assert sorted(platforms(both)) == sorted([OTHER, SUBDIR])
    assert not marked(both)


def test_the_platform_that_is_asked_for_is_added(both: Path, cache: Path) -> None:
    ok(both, "lock", "-p", SUBDIR)
    ok(both, "install", "--platform", OTHER)
    assert sorted(platforms(both)) == sorted([OTHER, SUBDIR])


def test_a_platform_that_is_removed_completes_the_lock(both: Path, cache: Path) -> None:
    ok(both, "lock", "-p", SUBDIR)
    path = both / "pixi.toml"
    path.write_text(path.read_text(encoding="utf-8").replace(f'"{OTHER}", ', ""), encoding="utf-8")
    ok(both, "lock", "--check")
    ok(both, "lock")
    assert not marked(both)


def test_bad_input(both: Path, cache: Path) -> None:
    result = smelt(both, "lock", "--platform", SUBDIR[:-1])
    assert result.returncode == 1
    assert f"did you mean `{SUBDIR}`?" in result.stderr
    assert not (both / "pixi.lock").exists()
    ok(both, "lock", "-p", SUBDIR)
    path = both / "pixi.lock"
    path.write_text(path.read_text(encoding="utf-8").replace("partial: true", "partial: maybe"), encoding="utf-8")
    result = smelt(both, "lock")
    assert result.returncode == 1
    assert "smelt.partial must be true or false, not 'maybe'" in result.stderr
    assert "pixi.lock:" in result.stderr
