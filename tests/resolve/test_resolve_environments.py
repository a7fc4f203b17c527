"""Environments, features, targets and solve groups of binary packages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from resolve_kit import Heard, lock, problems, solve, versions

from smelt.errors import ChannelError, ErrorGroup, ManifestError, SolveError
from spine_kit import OTHER, SUBDIR, Channel, manifest


def test_features_make_environments(tmp_path: Path, channel: Channel) -> None:
    manifest(
        tmp_path,
        [channel.url],
        """
[dependencies]
library = "*"
[feature.old.dependencies]
library = "<3"
[feature.test.dependencies]
tool = "1.0.*"
[environments]
old = ["old"]
test = { features = ["test", "old"] }
bare = { features = ["test"], no-default-feature = true }
""",
    )
    found = solve(tmp_path)
    assert list(found.environments) == ["default", "old", "test", "bare"]
    assert versions(found) == {"library": "3.0"}
    assert versions(found, "old") == {"library": "2.0"}
    assert versions(found, "test") == {"library": "2.0", "tool": "1.0"}
    assert versions(found, "bare") == {"tool": "1.0"}


def test_targets_and_platforms(tmp_path: Path, channel: Channel) -> None:
    family = "linux" if SUBDIR.startswith("linux") else "osx" if SUBDIR.startswith("osx") else "win"
    manifest(
        tmp_path,
        [channel.url],
        f"""
[dependencies]
tool = "*"
[target.{family}.dependencies]
library = "2.*"
[target.{OTHER}.dependencies]
tool = "1.*"
[feature.here]
platforms = ["{SUBDIR}"]
[environments]
here = ["here"]
""",
        platforms=[OTHER, SUBDIR],
    )
    found = solve(tmp_path)
    assert [platform.name for platform in found.platforms] == [OTHER, SUBDIR]
    assert versions(found) == {"tool": "2.0", "library": "2.0"}
    assert versions(found, platform=OTHER) == {"tool": "1.0"}
    assert set(found.environments["here"].packages) == {SUBDIR}


def test_a_solve_group_is_solved_once_and_pruned(tmp_path: Path, channel: Channel) -> None:
    manifest(
        tmp_path,
        [channel.url],
        """
[dependencies]
app = "*"
[feature.old.dependencies]
library = "<3"
[feature.tools.dependencies]
tool = "*"
[environments]
default = { solve-group = "prod" }
old = { features = ["old"], solve-group = "prod" }
tools = { features = ["tools"], no-default-feature = true, solve-group = "prod" }
alone = ["tools"]
""",
    )
    heard = Heard()
    found = solve(tmp_path, heard)
    assert sorted(heard.solves) == [("alone", SUBDIR), ("prod", SUBDIR)]
    assert versions(found) == {"app": "1.0", "library": "2.0"}
    assert versions(found, "old") == {"app": "1.0", "library": "2.0"}
    assert versions(found, "tools") == {"tool": "2.0"}
    assert versions(found, "alone") == {"app": "1.0", "library": "3.0", "tool": "2.0"}


def test_locked_versions_stay_where_they_can(tmp_path: Path, channel: Channel) -> None:
    root = tmp_path / "ws"
    manifest(root, [channel.url], '[dependencies]\nlibrary = "<3"\n')
    assert versions(lock(root).lock) == {"library": "2.0"}
    manifest(root, [channel.url], '[dependencies]\nlibrary = "*"\ntool = "*"\n')
    result = lock(root)
    assert versions(result.lock) == {"library": "2.0", "tool": "2.0"}
    assert [change.name for change in result.difference.changes["default"][SUBDIR]] == ["tool"]
    assert versions(lock(root, unlock=["library"]).lock)["library"] == "3.0"


def test_an_update_of_everything(tmp_path: Path, channel: Channel) -> None:
    root = tmp_path / "ws"
    manifest(root, [channel.url], '[dependencies]\nlibrary = "<3"\ntool = "*"\n')
    lock(root)
    channel.add("tool", "2.1")
    channel.index()
    assert not lock(root).difference
    assert versions(lock(root, unlock=None).lock) == {"library": "2.0", "tool": "2.1"}


def test_only_what_changed_is_solved_and_the_rest_stays_byte_for_byte(tmp_path: Path, channel: Channel) -> None:
    root = tmp_path / "ws"
    text = """
[dependencies]
app = "*"
[feature.a.dependencies]
tool = "1.*"
[feature.b.dependencies]
tool = "{}"
[environments]
a = ["a"]
b = ["b"]
"""
    manifest(root, [channel.url], text.format("1.*"))
    lock(root)
    before = (root / "pixi.lock").read_text()
    channel.add("library", "9.0")  # what is not solved again does not see it
    channel.index()
    manifest(root, [channel.url], text.format("2.*"))
    heard = Heard()
    result = lock(root, heard)
    assert heard.solves == [("b", SUBDIR)]
    assert versions(result.lock, "b")["tool"] == "2.0"
    after = (root / "pixi.lock").read_text()
    assert _environment(before, "a") == _environment(after, "a")
    assert _environment(before, "default") == _environment(after, "default")
    assert _environment(before, "b") != _environment(after, "b")
    manifest(root, [channel.url], text.format("1.*"))
    lock(root)
    assert (root / "pixi.lock").read_text() == before


def _environment(text: str, name: str) -> str:
    """The lines of one environment of a lock file."""
    lines = text.split("\n")
    start = lines.index(f"  {name}:")
    end = next(i for i in range(start + 1, len(lines)) if not lines[i].startswith("   "))
    return "\n".join(lines[start:end])


def test_an_environment_that_is_gone_leaves_the_lock(tmp_path: Path, channel: Channel) -> None:
    root = tmp_path / "ws"
    manifest(
        root,
        [channel.url],
        '[dependencies]\ntool = "1.*"\n[feature.x.dependencies]\nlibrary = "*"\n[environments]\nx=["x"]\n',
    )
    lock(root)
    manifest(root, [channel.url], '[dependencies]\ntool = "1.*"\n')
    heard = Heard()
    result = lock(root, heard)
    assert heard.solves == []
    assert list(result.lock.environments) == ["default"]
    assert "library" not in (root / "pixi.lock").read_text()
    assert problems(root) == []


def test_nothing_to_do_does_not_touch_the_file(tmp_path: Path, channel: Channel) -> None:
    root = tmp_path / "ws"
    manifest(root, [channel.url], '[dependencies]\ntool = "*"\n')
    lock(root)
    before = (root / "pixi.lock").stat()
    result = lock(root)
    assert not result.written
    assert (root / "pixi.lock").stat().st_mtime_ns == before.st_mtime_ns


def test_an_unsatisfiable_environment_is_named_with_its_platform(tmp_path: Path, channel: Channel) -> None:
    manifest(
        tmp_path,
        [channel.url],
        '[dependencies]\ntool = "*"\n[feature.far.dependencies]\ntool = ">=7"\n[environments]\nfar = ["far"]\n',
    )
    with pytest.raises(SolveError) as caught:
        solve(tmp_path)
    assert str(caught.value) == f"environment `far` cannot be solved for {SUBDIR}"
    assert "tool >=7" in caught.value.notes[0]
    assert [label.place.line for label in caught.value.labels] == [7, 9]


def test_all_failures_are_reported_together(tmp_path: Path, channel: Channel) -> None:
    manifest(
        tmp_path,
        [channel.url],
        '[dependencies]\ntool = ">=7"\n[feature.x.dependencies]\nlibrary = ">=7"\n[environments]\nx = ["x"]\n',
    )
    with pytest.raises(ErrorGroup) as caught:
        solve(tmp_path)
    assert [str(error) for error in caught.value.errors] == [
        f"environment `{name}` cannot be solved for {SUBDIR}" for name in ("default", "x")
    ]


def test_a_spec_that_is_none_is_shown_in_the_manifest(tmp_path: Path, channel: Channel) -> None:
    manifest(tmp_path, [channel.url], '[dependencies]\ntool = ">>1"\n')
    with pytest.raises(ManifestError) as caught:
        solve(tmp_path)
    assert caught.value.labels[0].place.line == 7


def test_a_channel_that_is_not_there(tmp_path: Path, channel: Channel) -> None:
    manifest(tmp_path, [channel.url, (tmp_path / "nowhere").as_uri()], '[dependencies]\ntool = "*"\n')
    with pytest.raises(ChannelError) as caught:
        solve(tmp_path)
    assert (tmp_path / "nowhere").as_uri() in str(caught.value)


def test_the_same_lock_with_a_cold_and_a_warm_cache(
    tmp_path: Path, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "ws"
    manifest(root, [channel.url], '[dependencies]\napp = "*"\ntool = "*"\n')
    texts: list[bytes] = []
    for cache in ("one", "one", "two"):
        monkeypatch.setenv("PIXI_CACHE_DIR", str(tmp_path / cache))
        (root / "pixi.lock").unlink(missing_ok=True)
        lock(root)
        texts.append((root / "pixi.lock").read_bytes())
    assert len(set(texts)) == 1


def test_channel_priority_and_order(tmp_path: Path, channel: Channel) -> None:
    second = Channel(tmp_path / "second")
    second.add("tool", "5.0")
    second.index()
    manifest(tmp_path, [channel.url, second.url], '[dependencies]\ntool = "*"\n')
    assert versions(solve(tmp_path)) == {"tool": "2.0"}
    manifest(tmp_path, [second.url, channel.url], '[dependencies]\ntool = "*"\n')
    assert versions(solve(tmp_path)) == {"tool": "5.0"}


def test_run_exports_are_locked_as_the_channel_has_them(tmp_path: Path, channel: Channel) -> None:
    manifest(tmp_path / "ws", [channel.url], '[dependencies]\ntool = "*"\n')
    lock(tmp_path / "ws")
    repodata = json.loads((channel.folder / "noarch" / "repodata.json").read_text())
    assert repodata["packages.conda"]["tool-2.0-0.conda"]["run_exports"] == {}
    assert "run_exports: {}" in (tmp_path / "ws" / "pixi.lock").read_text()
