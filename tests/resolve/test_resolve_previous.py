"""What an older lock keeps in place when something is solved again."""

from __future__ import annotations

from pathlib import Path

from resolve_kit import Heard, lock, names, problems, source, versions

from spine_kit import SUBDIR, Channel, manifest, recipe


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


def test_sources_of_environments_that_are_kept_stay_byte_for_byte(tmp_path: Path, channel: Channel) -> None:
    """Only the environment whose source package changed is solved again."""
    root = tmp_path / "ws"
    recipe(root, "one", host=["library"])
    recipe(root, "two", host=["library"])
    text = """
[feature.one.dependencies]
one = { path = "one" }
[feature.two.dependencies]
two = { path = "two" }
[environments]
one = ["one"]
two = ["two"]
"""
    manifest(root, [channel.url], text)
    before = lock(root).lock
    channel.add("library", "4.0")
    channel.index()
    recipe(root, "two", "1.1", host=["library", "tool"])
    heard = Heard()
    after = lock(root, heard).lock
    assert heard.solves == [("two", SUBDIR)]
    assert after.environments["one"] == before.environments["one"]
    one = source(before, "one", "one")
    assert source(after, "one", "one") == one
    assert after.sources[one.identifier] == before.sources[one.identifier]
    assert versions(after, "two") == {"two": "1.1"}
    assert {each.value.rpartition("/")[2] for each in source(after, "two", "two").host_packages} == {
        "library-3.0-0.conda",
        "tool-2.0-0.conda",
    }
    assert problems(root) == []
