"""Archives of packages that were made to harm, and what has to become of them."""

from __future__ import annotations

import bz2
import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import zstandard

from smelt.types import CondaRecord
from spine_kit import SUBDIR

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


def package(
    folder: Path, name: str, entries: Sequence[Entry], paths: list[Listed] | None, extension: str
) -> CondaRecord:
    """An archive as a hostile channel may offer it. Without ``paths``: in the form from before ``paths.json``."""
    stem = f"{name}-1.0-0"
    index = {"name": name, "version": "1.0", "build": "0", "build_number": 0, "subdir": SUBDIR, "depends": []}
    info = [
        Entry("info/index.json", json.dumps(index).encode()),
        Entry("info/files", "".join(f"{each.name}\n" for each in entries).encode())
        if paths is None
        else Entry("info/paths.json", json.dumps({"paths_version": 1, "paths": paths}).encode()),
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


def through(link: str) -> list[Entry]:
    """A file in what is a link."""
    return [Entry("share/d", kind=tarfile.SYMTYPE, link=link), Entry("share/d/evil")]


CASES: dict[str, tuple[Callable[[Path], list[Entry]], list[Entry] | None, str]] = {
    "a path with dots": (lambda out: [Entry("../../evil")], None, "would write outside the environment"),
    "a path with dots that is not listed": (lambda out: [Entry("../../evil"), FINE], [FINE], ""),
    "an absolute path": (lambda out: [Entry(f"{out}/evil")], None, "would write outside the environment"),
    "an absolute path that is not listed": (lambda out: [Entry(f"{out}/evil"), FINE], [FINE], ""),
    "a path with a NUL": (lambda out: [FINE], [Entry("share/\0evil")], "would write outside the environment"),
    "through a link": (lambda out: through(str(out)), None, "would write outside of its folder"),
    "through a link with dots": (
        lambda out: through("../" * 20 + str(out)[1:]),
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
    "dots within names": (lambda out: [Entry("share/a..b"), Entry("share/..c"), Entry("share/d../e")], None, ""),
    "names that differ in case": (lambda out: [Entry("share/A"), Entry("share/a", b"y")], None, ""),
}
"""What the archive holds, by the folder outside that it aims at, and the paths that it lists (None: all); then what is
said, or nothing where the rest of the package is installed.
"""
