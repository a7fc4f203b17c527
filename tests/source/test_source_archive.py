"""Archives that mean well, and archives that do not."""

from __future__ import annotations

import contextlib
import io
import os
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from smelt.errors import SourceError
from smelt.source import archive as archive_module
from smelt.source.archive import only_folder, unpack


def tar(path: Path, *members: tuple[str, bytes | str | None, dict[str, object]], mode: str = "w:gz") -> Path:
    """A tar: bytes are files, text is the target of a link, None a folder; attributes override."""
    with tarfile.open(path, mode) as file:
        for name, content, attributes in members:
            info = tarfile.TarInfo(name)
            info.mtime = 1_000_000_000
            if content is None:
                info.type = tarfile.DIRTYPE
            elif isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
            else:
                info.size = len(content)
            for key, value in attributes.items():
                setattr(info, key, value)
            file.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
    return path


def zip_of(path: Path, *members: tuple[str, bytes, int]) -> Path:
    """A zip: name, content, unix mode."""
    with zipfile.ZipFile(path, "w") as file:
        for name, content, mode in members:
            info = zipfile.ZipInfo("x", (2001, 9, 9, 1, 46, 40))
            info.filename = info.orig_filename = name
            info.external_attr = mode << 16
            file.writestr(info, content)
    return path


@pytest.mark.parametrize("suffix", ["tar.gz:w:gz", "tar.bz2:w:bz2", "tar.xz:w:xz", "tar:w:"])
def test_what_is_kept(tmp_path: Path, suffix: str) -> None:
    name, _, mode = suffix.partition(":")
    path = tar(
        tmp_path / f"demo-1.{name}",
        ("demo-1", None, {}),
        ("demo-1/run", b"#!/bin/sh\n", {"mode": 0o4775}),
        ("demo-1/sub/text", b"text", {"mode": 0o600}),
        ("demo-1/sub/hard", "demo-1/sub/text", {"type": tarfile.LNKTYPE}),
        mode=mode,
    )
    target = tmp_path / "out"
    unpack(path, target)
    root = only_folder(target)
    assert root == target / "demo-1"
    assert (root / "run").stat().st_mode & 0o7777 == 0o755
    assert (root / "sub/text").stat().st_mode & 0o7777 == 0o644
    assert (root / "sub/hard").read_bytes() == b"text"
    assert (root / "sub/hard").stat().st_nlink == 1
    assert (root / "run").stat().st_mtime == 1_000_000_000


def test_zstandard_and_zip(tmp_path: Path) -> None:
    import zstandard

    plain = tar(tmp_path / "a.tar", ("a/b", b"c", {}), mode="w:")
    packed = tmp_path / "a.tar.zst"
    packed.write_bytes(zstandard.compress(plain.read_bytes()))
    unpack(packed, tmp_path / "zst")
    assert (tmp_path / "zst/a/b").read_bytes() == b"c"
    unpack(zip_of(tmp_path / "a.zip", ("a/", b"", 0), ("a/run", b"x", 0o100755), ("b", b"y", 0)), tmp_path / "zip")
    assert (tmp_path / "zip/a/run").stat().st_mode & 0o7777 == 0o755
    assert only_folder(tmp_path / "zip") == tmp_path / "zip"


@pytest.mark.skipif(os.name == "nt", reason="needs symbolic links")
def test_links_inside_are_kept(tmp_path: Path) -> None:
    path = tar(
        tmp_path / "a.tar.gz", ("a/real", b"x", {}), ("a/sub/link", "../real", {}), ("a/dangling", "nowhere", {})
    )
    unpack(path, tmp_path / "out")
    assert (tmp_path / "out/a/sub/link").read_bytes() == b"x"
    assert (tmp_path / "out/a/dangling").is_symlink()


HOSTILE = {
    "climbs": [("a/../../evil", b"x", {})],
    "absolute": [("/tmp/evil", b"x", {})],
    "drive": [("C:/evil", b"x", {})],
    "backslash": [("a\\..\\..\\evil", b"x", {})],
    "link to absolute": [("a/link", "/etc/passwd", {})],
    "link climbs": [("a/link", "../../evil", {})],
    "link above the folder that is stripped": [("a/link", "../other", {})],
    "through a link": [("a/link", "sub", {}), ("a/sub", None, {}), ("a/link/evil", b"x", {})],
    "chain of links": [("a/d/s", "..", {}), ("a/d/z", "s/../../evil", {})],
    "hard link outside": [("a/hard", "../evil", {"type": tarfile.LNKTYPE})],
    "hard link to nothing": [("a/hard", "a/none", {"type": tarfile.LNKTYPE})],
    "hard link to a link": [("a/l", "b", {}), ("a/hard", "a/l", {"type": tarfile.LNKTYPE})],
    "hard link through a link": [
        ("a/l", "..", {}),
        ("a/hard", "a/l/x", {"type": tarfile.LNKTYPE}),
    ],
    "device": [("a/null", None, {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3})],
    "pipe": [("a/pipe", None, {"type": tarfile.FIFOTYPE})],
    "twice": [("a/x", b"1", {}), ("a/x", b"2", {})],
    "file over link": [("a/x", "y", {}), ("a/x", b"2", {})],
    "below a file": [("a/x", b"1", {}), ("a/x/y", b"2", {})],
    "folder over file": [("a/x", b"1", {}), ("a/x", None, {})],
    "nothing": [("./", b"1", {})],
}


@pytest.mark.parametrize("members", HOSTILE.values(), ids=HOSTILE)
def test_hostile_tars(tmp_path: Path, members: list[tuple[str, bytes | str | None, dict[str, object]]]) -> None:
    inside = tmp_path / "deep/er/out"
    path = tar(tmp_path / "evil.tar.gz", *members)
    before = {each for each in tmp_path.rglob("*") if inside not in each.parents}
    with pytest.raises(SourceError) as caught:
        unpack(path, inside)
    assert caught.value.kind == "archive"
    after = {each for each in tmp_path.rglob("*") if inside not in each.parents}
    assert after - before <= {inside, *inside.parents}


@pytest.mark.parametrize(
    "member",
    [
        ("../evil", b"x", 0o100644),
        ("/evil", b"x", 0o100644),
        ("a\\..\\evil", b"x", 0o100644),
        ("a/link", b"../../evil", 0o120777),
        ("a/null", b"", 0o020644),
        ("a\0b", b"x", 0o100644),
    ],
    ids=repr,
)
def test_hostile_zips(tmp_path: Path, member: tuple[str, bytes, int]) -> None:
    path = zip_of(tmp_path / "evil.zip", member)
    with pytest.raises(SourceError):
        unpack(path, tmp_path / "deep/out")
    assert not (tmp_path / "evil").exists()
    assert not (tmp_path / "deep/evil").exists()


def test_encrypted_zip(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.zip", ("a", b"x", 0))
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.index(signature) + offset
        data[at : at + 2] = struct.pack("<H", 1)
    path.write_bytes(data)
    with pytest.raises(SourceError, match="encrypted"):
        unpack(path, tmp_path / "out")


def test_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_module, "MAX_SMALL", 1000)
    path = tar(tmp_path / "bomb.tar.gz", ("a", b"\0" * 10_000_000, {}))
    with pytest.raises(SourceError, match="larger than any honest archive"):
        unpack(path, tmp_path / "out")
    monkeypatch.setattr(archive_module, "MAX_MEMBERS", 3)
    path = tar(tmp_path / "many.tar.gz", *((f"{i}", b"", {}) for i in range(5)))
    with pytest.raises(SourceError, match="more than 3 entries"):
        unpack(path, tmp_path / "out2")


@given(st.binary(max_size=300))
def test_garbage_is_a_clear_error(data: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "garbage.tar.gz"
        path.write_bytes(data)
        with pytest.raises(SourceError, match=r"garbage\.tar\.gz"):
            unpack(path, Path(folder) / "out")


@pytest.fixture(scope="module")
def compressed(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The same two files in every form."""
    folder = tmp_path_factory.mktemp("compressed")
    members = (("a/b", os.urandom(2000) + b"abc" * 500, {}), ("a/c", b"end", {}))
    found = [tar(folder / f"demo.tar.{kind}", *members, mode=f"w:{kind}") for kind in ("gz", "bz2", "xz")]
    plain = tar(folder / "demo.tar", *members, mode="w")
    (folder / "demo.tar.zst").write_bytes(zstandard.compress(plain.read_bytes()))
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        path = folder / f"demo-{method}.zip"
        with zipfile.ZipFile(path, "w", method) as file:
            for name, content, _ in members:
                file.writestr(name, content)
        found.append(path)
    return [*found, folder / "demo.tar.zst"]


@given(st.integers(0, 6), st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1))
def test_damage_anywhere_is_a_clear_error(compressed: list[Path], which: int, changes: list[tuple[float, int]]) -> None:
    """Each decompressor complains in its own way."""
    import tempfile

    data = bytearray(compressed[which].read_bytes())
    for place, value in changes:
        data[int(place * len(data))] = value
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / compressed[which].name
        path.write_bytes(data)
        with contextlib.suppress(SourceError):  # what is only in names and times harms nobody
            unpack(path, Path(folder) / "out")


@given(st.floats(0, 1))
def test_truncation_anywhere_is_noticed(part: float) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = tar(Path(folder) / "demo.tar.gz", ("a/b", os.urandom(2000), {}), ("a/c", b"end", {}))
        whole = path.read_bytes()
        path.write_bytes(whole[: int(part * (len(whole) - 9))])
        with pytest.raises(SourceError):
            unpack(path, Path(folder) / "out")
