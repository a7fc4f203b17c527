"""What an older lock keeps in place when something is solved again."""

from __future__ import annotations

from pathlib import Path

from resolve_kit import lock, names, problems, source, versions

from spine_kit import Channel, manifest, recipe


def test_host_environments_stay_too(tmp_path: Path, channel: Channel) -> None:
    root = tmp_path / "ws"
    recipe(root, "mine", host=["library"])
    text = '[dependencies]\nmine = { path = "mine" }\n'
    manifest(root, [channel.url], text)
    before = source(lock(root).lock, "mine")
    channel.add("library", "4.0")
    channel.index()
    manifest(root, [channel.url], text + 'tool = "*"\n')
    after = lock(root).lock
    assert source(after, "mine") == before
    assert names(after, before.host_packages) == ["library"]
    moved = source(lock(root, unlock=None).lock, "mine")
    assert moved.host_packages[0].value.endswith("library-4.0-0.conda")


def test_a_channel_that_is_gone_keeps_nothing(tmp_path: Path, channel: Channel) -> None:
    root = tmp_path / "ws"
    other = Channel(tmp_path / "other")
    for name in ("tool", "library"):
        other.add(name, "1.0", "other_0")
    other.index()
    recipe(root, "mine", host=["library"])
    text = '[dependencies]\nmine = { path = "mine" }\ntool = "*"\n'
    manifest(root, [channel.url], text)
    lock(root)
    manifest(root, [other.url], text)
    after = lock(root).lock
    assert {record.channel for record in after.packages.values() if hasattr(record, "channel")} == {other.url + "/"}
    assert versions(after)["tool"] == "1.0"
    assert problems(root) == []


def test_a_cut_off_date_goes_before_what_was_locked(tmp_path: Path, channel: Channel) -> None:
    """All packages of the channel are of 2023-11-14."""
    root = tmp_path / "ws"
    manifest(root, [channel.url], '[dependencies]\ntool = "*"\n')
    lock(root)
    path = root / "pixi.toml"
    path.write_text(path.read_text().replace("preview", 'exclude-newer = "2023-11-15"\npreview'))
    assert versions(lock(root).lock) == {"tool": "2.0"}
    assert problems(root) == []


def test_a_package_that_left_the_channel_stays_locked(tmp_path: Path, channel: Channel) -> None:
    root = tmp_path / "ws"
    manifest(root, [channel.url], '[dependencies]\ntool = "*"\n')
    lock(root)
    (channel.folder / "noarch" / "tool-2.0-0.conda").unlink()
    channel.index()
    manifest(root, [channel.url], '[dependencies]\ntool = "*"\nlibrary = "*"\n')
    assert versions(lock(root).lock)["tool"] == "2.0"
    assert versions(lock(root, unlock=["tool"]).lock)["tool"] == "1.0"
