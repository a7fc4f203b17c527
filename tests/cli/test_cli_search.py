"""``smelt search``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from spine_kit import OTHER, SUBDIR, Channel, manifest, smelt


@pytest.fixture
def shop(tmp_path: Path) -> Channel:
    """``foo`` in two versions with two builds each, turtles, and something for one platform."""
    channel = Channel(tmp_path / "shop")
    for version in ("0.9", "0.10"):
        for build in ("h1_0", "h1_1"):
            channel.add("foo", version, build, depends=["bar >=1"], run_exports={"weak": ["foo >=0.9"]})
    for name in ("turtlefsi", "turtle-language-server", "ros-jazzy-turtlesim"):
        channel.add(name)
    channel.add("only-here", subdir=SUBDIR)
    channel.add("only-there", subdir=OTHER)
    return channel.index()


def test_one_package(shop: Channel, tmp_path: Path) -> None:
    done = smelt(tmp_path, "search", "foo", "-c", shop.url)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == ["foo-0.10-h1_1 (+ 1 build)", "-" * 25]
    assert "Version             0.10" in lines
    assert "Subdir              noarch" in lines
    assert " - bar >=1" in lines
    assert lines[-7:] == [
        "Run exports:",
        "  weak:",
        "   - foo >=0.9",
        "",
        "Other Versions (1):",
        "Version  Build",
        "0.9      h1_1 (+ 1 build)",
    ]
    assert done.stderr == f"Using channels: {shop.url.rstrip('/')}\n"


@pytest.mark.parametrize(
    ("spec", "title"),
    [
        ("foo<0.10", "foo-0.9-h1_1 (+ 1 build)"),
        ("foo 0.9.*", "foo-0.9-h1_1 (+ 1 build)"),
        ("foo[build=h1_0]", "foo-0.10-h1_0"),
        ("FOO", "foo-0.10-h1_1 (+ 1 build)"),
    ],
)
def test_requirements(spec: str, title: str, shop: Channel, tmp_path: Path) -> None:
    assert smelt(tmp_path, "search", spec, "-c", shop.url).stdout.splitlines()[0] == title


def test_patterns_and_limits(shop: Channel, tmp_path: Path) -> None:
    def search(*words: str) -> list[str]:
        done = smelt(tmp_path, "search", *words, "-c", shop.url)
        assert done.returncode == 0, done.stderr
        return done.stdout.replace(f" {shop.url.rstrip('/')}", "").splitlines()

    assert search("*o*", "-l", "1", "-n", "1") == [
        "foo (4 versions)",
        "  0.10 h1_1 [noarch]",
        "  ... and 3 more versions (use -l to show more)",
        "",
        "... and 3 more packages (use -n to show more)",
    ]
    assert search("*turtle*", "-l", "0") == ["ros-jazzy-turtlesim", "turtle-language-server", "turtlefsi"]
    assert search("foo", "--limit", "0") == ["foo"]
    assert len(search("*", "-n", "-1", "-l", "0")) == 6


def test_part_of_a_name(shop: Channel, tmp_path: Path) -> None:
    done = smelt(tmp_path, "search", "turtle", "-l", "0", "-c", shop.url)
    assert done.stdout.split() == ["turtle-language-server", "turtlefsi", "ros-jazzy-turtlesim"]
    done = smelt(tmp_path, "search", "turtle", "-l", "0", "-n", "1", "-c", shop.url)
    assert done.stdout.splitlines() == [
        "turtle-language-server",
        "",
        "... and 2 more packages (use -n to show more)",
    ]


def test_json(shop: Channel, tmp_path: Path) -> None:
    found = json.loads(smelt(tmp_path, "search", "foo", "--json", "-c", shop.url).stdout)
    assert list(found) == ["noarch"]
    assert [(each["version"], each["build"]) for each in found["noarch"]] == [
        ("0.10", "h1_1"),
        ("0.10", "h1_0"),
        ("0.9", "h1_1"),
        ("0.9", "h1_0"),
    ]
    assert {"name", "build_number", "url", "depends", "fn", "channel"} <= found["noarch"][0].keys()


def test_a_workspace_has_channels_and_platforms(shop: Channel, tmp_path: Path) -> None:
    root = tmp_path / "ws"
    manifest(root, [shop.url], "", platforms=[SUBDIR])
    assert "only-here-1.0-0" in smelt(root, "search", "only-here").stdout
    assert smelt(root, "search", "only-there").returncode == 1
    assert "only-there-1.0-0" in smelt(root, "search", "only-there", "-p", OTHER).stdout
    # outside of one, all platforms are searched
    assert "only-there-1.0-0" in smelt(tmp_path, "search", "only-there", "-c", shop.url).stdout
    other = Channel(tmp_path / "elsewhere")
    other.add("foo", "7.0")
    other.index()
    assert "foo-7.0-0" in smelt(root, "search", "foo", "-c", "../elsewhere").stdout


def test_bad_input(shop: Channel, tmp_path: Path) -> None:
    def fails(*words: str) -> str:
        done = smelt(tmp_path, "search", *words, "-c", shop.url)
        assert done.returncode != 0
        assert done.stdout == ""
        assert "Traceback" not in done.stderr
        return done.stderr

    assert "No packages found matching 'tutrle-fsi'" in (said := fails("tutrle-fsi"))
    assert "did you mean `turtlefsi`?" in said
    assert "No packages found matching 'foo >=8'" in fails("foo >=8")
    assert "`foo[x` is not something to search for" in fails("foo[x")
    assert "`nowhere` is no platform" in fails("foo", "-p", "nowhere")
    assert "`--json` shows everything" in fails("foo", "--json", "-l", "3")
    missing = smelt(tmp_path, "search", "foo", "-c", "./not-there")
    assert missing.returncode == 1
    assert "not-there" in missing.stderr
