"""Archives that were made to harm: refused with a word on why, or without effect; nothing outside is touched."""

from __future__ import annotations

import asyncio
import bz2
import hashlib
import io
import json
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import zstandard
from install_kit import SUBDIR, request_for

from smelt.errors import SmeltError
from smelt.install.prefix import install
from smelt.install.request import InstallRequest
from smelt.types import CondaRecord

pytestmark = pytest.mark.skipif(os.name != "posix", reason="links and devices as POSIX has them")

Listed = dict[str, object]


@dataclass(frozen=True)
class Entry:
    """A member of an archive, of any kind."""

    name: str
    data: bytes = b"x"
    kind: bytes = tarfile.REGTYPE
    link: str = ""
    mode: int = 0o644

    def add_to(self, archive: tarfile.TarFile) -> None:
        member = tarfile.TarInfo(self.name)
        member.type, member.linkname, member.mode, member.mtime = self.kind, self.link, self.mode, 1_700_000_000
        member.devmajor, member.devminor = 1, 3
        data = self.data if self.kind == tarfile.REGTYPE else b""
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))


def listed(*entries: Entry) -> list[Listed]:
    """What ``paths.json`` says of them."""
    return [
        {"_path": each.name, "path_type": "softlink"}
        if each.kind == tarfile.SYMTYPE
        else {
            "_path": each.name,
            "path_type": "hardlink",
            "sha256": hashlib.sha256(each.data).hexdigest(),
            "size_in_bytes": len(each.data),
        }
        for each in entries
    ]


def _tar(entries: Sequence[Entry]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for each in entries:
            each.add_to(archive)
    return raw.getvalue()


def package(folder: Path, name: str, entries: Sequence[Entry], paths: list[Listed], extension: str) -> CondaRecord:
    """An archive as a hostile channel may offer it."""
    stem = f"{name}-1.0-0"
    index = {"name": name, "version": "1.0", "build": "0", "build_number": 0, "subdir": SUBDIR, "depends": []}
    info = [
        Entry("info/index.json", json.dumps(index).encode()),
        Entry("info/paths.json", json.dumps({"paths_version": 1, "paths": paths}).encode()),
        Entry("info/about.json", b"{}"),
    ]
    target = folder / SUBDIR / f"{stem}{extension}"
    target.parent.mkdir(parents=True, exist_ok=True)
    if extension == ".conda":
        compress = zstandard.ZstdCompressor().compress
        with zipfile.ZipFile(target, "w") as archive:
            archive.writestr("metadata.json", '{"conda_pkg_format_version": 2}')
            archive.writestr(f"pkg-{stem}.tar.zst", compress(_tar(entries)))
            archive.writestr(f"info-{stem}.tar.zst", compress(_tar(info)))
    else:
        target.write_bytes(bz2.compress(_tar([*info, *entries])))
    data = target.read_bytes()
    return CondaRecord(
        name=name,
        version="1.0",
        build="0",
        build_number=0,
        subdir=SUBDIR,
        url=target.as_uri(),
        file_name=target.name,
        channel=folder.as_uri() + "/",
        depends=(),
        sha256=hashlib.sha256(data).hexdigest(),
        md5=hashlib.md5(data).hexdigest(),
        size=len(data),
    )


FINE = Entry("share/fine")


def _through(link: str) -> list[Entry]:
    return [Entry("share/d", kind=tarfile.SYMTYPE, link=link), Entry("share/d/evil")]


# What the archive holds, by the folder outside that it aims at, and the paths that it lists (None: all); then what is
# said, or nothing where the rest of the package is installed.
CASES: dict[str, tuple[Callable[[Path], list[Entry]], list[Entry] | None, str]] = {
    "a path with dots": (lambda out: [Entry("../../evil")], None, "would write outside the environment"),
    "a path with dots that is not listed": (lambda out: [Entry("../../evil"), FINE], [FINE], ""),
    "an absolute path": (lambda out: [Entry(f"{out}/evil")], None, "would write outside the environment"),
    "an absolute path that is not listed": (lambda out: [Entry(f"{out}/evil"), FINE], [FINE], ""),
    "a path with a NUL": (lambda out: [FINE], [Entry("share/\0evil")], "would write outside the environment"),
    "through a link": (lambda out: _through(str(out)), None, "would write outside of its folder"),
    "through a link with dots": (
        lambda out: _through("../" * 20 + str(out)[1:]),
        None,
        "would write outside of its folder",
    ),
    "a hard link to what is outside": (
        lambda out: [Entry("share/h", b"secret", tarfile.LNKTYPE, f"{out}/secret")],
        None,
        "cannot be unpacked",
    ),
    "a device": (lambda out: [Entry("share/null", b"", tarfile.CHRTYPE), FINE], [FINE], ""),
    "a device that is listed": (lambda out: [Entry("share/null", b"", tarfile.CHRTYPE)], None, ""),
    "a pipe": (lambda out: [Entry("share/pipe", b"", tarfile.FIFOTYPE)], None, ""),
    "a program that runs as its owner": (lambda out: [Entry("bin/su", mode=0o4755)], None, ""),
    "a record of another package": (
        lambda out: [Entry("conda-meta/other-1.0-0.json", b"{}")],
        None,
        "belongs to the environment itself",
    ),
    "a marker": (lambda out: [Entry("conda-meta/smelt", b"{}")], None, "belongs to the environment itself"),
    "names that differ in case": (lambda out: [Entry("share/A"), Entry("share/a", b"y")], None, ""),
}


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


@pytest.mark.parametrize("names", [("first", "second"), ("second", "first")])
def test_through_the_link_of_another_package(tmp_path: Path, outside: Path, names: tuple[str, str]) -> None:
    link, file = _through(str(outside))
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
    link, file = _through(str(outside))
    old = package(channel, "mine", [file], listed(file), ".conda")
    new = package(tmp_path / "newer", "mine", [link], listed(link), ".conda")
    for record in (old, new, old):
        attempt(tmp_path, outside, request_for(tmp_path, record))


def test_package_is_not_called_in_error_when_it_is_fine(tmp_path: Path, outside: Path) -> None:
    record = package(tmp_path / "channel", "mine", [FINE, Entry("conda-meta/notes", b"x")], listed(FINE), ".conda")
    assert attempt(tmp_path, outside, request_for(tmp_path, record)) == ""
