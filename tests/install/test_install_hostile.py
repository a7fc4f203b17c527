"""Archives that were made to harm: refused with a word on why, or without effect; nothing outside is touched."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

import pytest
from install_kit import request_for

from hostile_kit import CASES, FINE, Entry, listed, package, through
from smelt.errors import SmeltError
from smelt.install.prefix import install
from smelt.install.request import InstallRequest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="links and devices as POSIX has them")


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret").write_text("secret")
    return folder


def attempt(root: Path, outside: Path, request: InstallRequest) -> str:
    """Install; what is said. Nothing but the environment and the cache may change."""
    own = (root / ".pixi", root / "cache")
    before = {path for path in root.rglob("*") if not any(path.is_relative_to(each) for each in own)}
    said = ""
    try:
        asyncio.run(install(request))
    except SmeltError as error:
        said = str(error)
    after = {path for path in root.rglob("*") if not any(path.is_relative_to(each) for each in own)}
    assert after - before <= set(own)
    assert [path.name for path in outside.iterdir()] == ["secret"]
    assert (outside / "secret").read_text() == "secret"
    return said


@pytest.mark.parametrize("extension", [".conda", ".tar.bz2"])
@pytest.mark.parametrize("case", CASES)
def test_hostile_archives(tmp_path: Path, outside: Path, case: str, extension: str) -> None:
    make, paths, words = CASES[case]
    entries = make(outside)
    record = package(tmp_path / "channel", "mine", entries, listed(*(entries if paths is None else paths)), extension)
    request = request_for(tmp_path, record)
    said = attempt(tmp_path, outside, request)
    if words:
        assert words in said
        assert "mine-1.0-0" in said or "outside the environment" in said
        assert not request.prefix.exists() or not list(request.prefix.rglob("*evil*"))
        return
    assert said == ""
    for path in request.prefix.rglob("*"):
        mode = path.lstat().st_mode
        assert stat.S_ISREG(mode) or stat.S_ISDIR(mode), path
        assert not mode & (stat.S_ISUID | stat.S_ISGID)
        assert path.name != "evil"


def test_paths_of_an_old_package(tmp_path: Path, outside: Path) -> None:
    """They are in ``info/files``."""
    record = package(tmp_path / "channel", "mine", [Entry("share/fine"), Entry("../../../evil")], None, ".tar.bz2")
    assert "would write outside the environment: '../../../evil'" in attempt(
        tmp_path, outside, request_for(tmp_path, record)
    )
    record = package(tmp_path / "channel", "mine", [Entry("share/fine")], None, ".tar.bz2")
    request = request_for(tmp_path, record)
    assert attempt(tmp_path, outside, request) == ""
    assert (request.prefix / "share" / "fine").exists()


@pytest.mark.parametrize("name", ["index.json", "link.json", "paths.json"])
def test_json_that_is_nested_deeply(tmp_path: Path, outside: Path, name: str) -> None:
    deep = Entry(f"info/{name}", b"[" * 200_000 + b"]" * 200_000)
    record = package(tmp_path / "channel", "mine", [deep], [], ".tar.bz2")
    assert "mine-1.0-0" in attempt(tmp_path, outside, request_for(tmp_path, record))


@pytest.mark.parametrize("names", [("first", "second"), ("second", "first")])
def test_through_the_link_of_another_package(tmp_path: Path, outside: Path, names: tuple[str, str]) -> None:
    link, file = through(str(outside))
    channel = tmp_path / "channel"
    one = package(channel, names[0], [link], listed(link), ".conda")
    other = package(channel, names[1], [file], listed(file), ".conda")
    attempt(tmp_path, outside, request_for(tmp_path, one, other))
    attempt(tmp_path, outside, request_for(tmp_path, one))
    attempt(tmp_path, outside, request_for(tmp_path, other))
    attempt(tmp_path, outside, request_for(tmp_path))


def test_two_versions_one_after_the_other_through_a_link(tmp_path: Path, outside: Path) -> None:
    """A folder of one package becomes a link that leads out in the next one."""
    channel = tmp_path / "channel"
    link, file = through(str(outside))
    old = package(channel, "mine", [file], listed(file), ".conda")
    new = package(tmp_path / "newer", "mine", [link], listed(link), ".conda")
    for record in (old, new, old):
        attempt(tmp_path, outside, request_for(tmp_path, record))


def test_package_is_not_called_in_error_when_it_is_fine(tmp_path: Path, outside: Path) -> None:
    record = package(tmp_path / "channel", "mine", [FINE, Entry("conda-meta/notes", b"x")], listed(FINE), ".conda")
    assert attempt(tmp_path, outside, request_for(tmp_path, record)) == ""
