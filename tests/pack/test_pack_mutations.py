"""A thousand damaged and hostile archives: every one is refused in words, and nothing is touched."""

from __future__ import annotations

import io
import json
import random
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pack_kit import foreign, make_wheel, members, packed, unpacked, write_tar

from smelt.api.workspace import Workspace
from smelt.errors import SmeltError
from spine_kit import SUBDIR, tree

Mutation = tuple[str, bytes]

BETA = f"channel/{SUBDIR}/beta-2.0-0.conda"
INDEX = f"channel/{SUBDIR}/repodata.json"


def refused(source: Path, untouched: Path) -> SmeltError:
    """The error of unpacking ``source``, after which nothing is there."""
    with pytest.raises(SmeltError) as caught:
        unpacked(source, untouched)
    assert not untouched.exists(), caught.value
    assert caught.value.message
    assert caught.value.help
    return caught.value


def truncations(data: bytes, number: int, random: random.Random) -> Iterator[Mutation]:
    edges = [0, 1, 511, 512, 513, len(data) - 1, len(data) - 512, len(data) - 1023, len(data) - 1024]
    for length in (*edges, *(random.randrange(len(data)) for _ in range(number - len(edges)))):
        yield f"cut at {length}", data[:length]


def flips(data: bytes, number: int, random: random.Random) -> Iterator[Mutation]:
    for _ in range(number):
        at, bit = random.randrange(len(data)), random.randrange(8)
        changed = bytearray(data)
        changed[at] ^= 1 << bit
        yield f"bit {bit} of byte {at}", bytes(changed)


def scrambled(data: bytes, number: int, random: random.Random) -> Iterator[Mutation]:
    for _ in range(number):
        start = random.randrange(len(data) - 600)
        length = random.randrange(1, 600)
        changed = data[:start] + random.randbytes(length) + data[start + length :]
        if changed != data:
            yield f"{length} bytes from {start}", changed
    for _ in range(number):
        start = random.randrange(len(data) - 600)
        length = random.randrange(1, 600)
        yield f"{length} bytes from {start} removed", data[:start] + data[start + length :]
        yield f"{length} bytes from {start} twice", data[: start + length] + data[start:]


def test_eight_hundred_damaged_tars(small_pack: Path, tmp_path: Path, untouched: Path) -> None:
    data = small_pack.read_bytes()
    chance = random.Random(7)
    source = tmp_path / "p.tar"
    source.touch()
    count = 0
    for mutation in (truncations, flips, scrambled):
        for what, changed in mutation(data, {truncations: 200, flips: 400, scrambled: 70}[mutation], chance):
            source.write_bytes(changed)
            try:
                refused(source, untouched)
            except BaseException as error:
                raise AssertionError(what) from error
            count += 1
    assert count >= 800
    source.unlink()


def test_a_hundred_damaged_compressed_tars(small: Workspace, tmp_path: Path, untouched: Path) -> None:
    source = tmp_path / "p.tar.zst"
    packed(small, source)
    data = source.read_bytes()
    chance = random.Random(8)
    for mutation, number in ((truncations, 60), (scrambled, 10)):
        for what, changed in mutation(data, number, chance):
            source.write_bytes(changed)
            try:
                refused(source, untouched)
            except BaseException as error:
                raise AssertionError(what) from error
    for what, changed in flips(data[12:], 100, chance):  # what the head says of the window changes no content
        source.write_bytes(data[:12] + changed)
        try:
            refused(source, untouched)
        except BaseException as error:
            raise AssertionError(what) from error
    source.unlink()


def _renamed(files: dict[str, bytes], old: str, new: str) -> dict[str, bytes]:
    return {new if name == old else name: data for name, data in files.items()}


def _json(
    files: dict[str, bytes], name: str, change: Callable[[dict[str, dict[str, dict[str, object]]]], object]
) -> None:
    data = json.loads(files[name])
    change(data)
    files[name] = json.dumps(data).encode()


NAMES = [
    "../outside",
    "/etc/outside",
    "channel/../../outside",
    "channel/noarch/../../../outside.conda",
    "channel//double.conda",
    "./channel/noarch/dot.conda",
    "channel/noarch/back\\slash.conda",
    "C:/outside",
    "channel/nowhere-99/a-1-0.conda",
    "channel/noarch/.hidden.conda",
    "channel/noarch/sub/folder-1-0.conda",
    "channel/noarch/readme.txt",
    "pypi/evil.sh",
    "pypi/../../x-1-py3-none-any.whl",
    "bin/python",
    "new\nline.json",
    "a\x1b[31m.json",
    "",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("theirs", [True, False])
def test_hostile_names(name: str, theirs: bool, small_pack: Path, tmp_path: Path, untouched: Path) -> None:
    source = tmp_path / "p.tar"
    files = members(foreign(small_pack, source) if theirs else small_pack)
    write_tar(source, {**files, name: b"outside"})
    refused(source, untouched)
    write_tar(source, _renamed(files, BETA, name))
    refused(source, untouched)
    source.unlink()


LINKS = [(tarfile.SYMTYPE, "/etc/passwd"), (tarfile.SYMTYPE, "../../beside"), (tarfile.LNKTYPE, BETA)]
DEVICES = [(tarfile.FIFOTYPE, ""), (tarfile.CHRTYPE, ""), (tarfile.BLKTYPE, ""), (tarfile.CONTTYPE, "")]


@pytest.mark.parametrize(("kind", "link"), [*LINKS, *DEVICES])
@pytest.mark.parametrize("name", ["channel", "channel/noarch/x-1-0.conda", "pixi-pack.json", "x"])
def test_links_and_devices(
    kind: bytes, link: str, name: str, small_pack: Path, tmp_path: Path, untouched: Path
) -> None:
    source = tmp_path / "p.tar"
    files = members(foreign(small_pack, source))
    with tarfile.open(source, "w") as tar:
        info = tarfile.TarInfo(name)
        info.type = kind
        info.linkname = link
        tar.addfile(info)
        for each, data in files.items():
            member = tarfile.TarInfo(each)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    assert refused(source, untouched).kind == "pack-hostile"
    source.unlink()


@pytest.mark.parametrize("size", [1 << 20, 1 << 34, (1 << 62), 1 << 80])
@pytest.mark.parametrize("name", ["channel/noarch/x-1-0.conda", "environment.yml", "anything"])
def test_huge_sizes(size: int, name: str, small_pack: Path, tmp_path: Path, untouched: Path) -> None:
    source = tmp_path / "p.tar"
    files = members(foreign(small_pack, source))
    info = tarfile.TarInfo(name)
    info.size = size
    start = io.BytesIO()
    with tarfile.open(fileobj=start, mode="w") as tar:
        for each, data in files.items():
            if each != name:
                member = tarfile.TarInfo(each)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    raw = start.getvalue().rstrip(b"\0")
    raw += bytes(-len(raw) % 512)
    source.write_bytes(raw + info.tobuf(tarfile.GNU_FORMAT) + b"a little")
    refused(source, untouched)
    with source.open("rb") as stream, pytest.raises(SmeltError):
        unpacked(stream, untouched)  # type: ignore[arg-type]
    assert not untouched.exists()
    source.unlink()


def _contents(files: dict[str, bytes]) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Packs of pixi-pack that are wrong in what they say."""

    def changed(change: Callable[[dict[str, dict[str, dict[str, object]]]], object]) -> dict[str, bytes]:
        copy = dict(files)
        _json(copy, INDEX, change)
        return copy

    key = "packages.conda"
    beta = "beta-2.0-0.conda"
    yield "wrong sha256", changed(lambda d: d[key][beta].update(sha256="0" * 64))
    yield "wrong size", changed(lambda d: d[key][beta].update(size=5))
    yield "wrong md5", changed(lambda d: (d[key][beta].pop("sha256"), d[key][beta].update(md5="0" * 32)))
    yield "another name", changed(lambda d: d[key][beta].update(name="gamma"))
    yield "no name", changed(lambda d: d[key][beta].pop("name"))
    yield "a name that leads out", changed(lambda d: d[key][beta].update(name="../../x"))
    yield "a version that leads out", changed(lambda d: d[key][beta].update(version="../../x"))
    yield "a list for a record", changed(lambda d: d[key].update({beta: []}))  # type: ignore[dict-item]
    yield "packages missing", changed(lambda d: d.pop(key))
    yield (
        "a package that is not there",
        changed(lambda d: d[key].update({"no-1-0.conda": {**d[key][beta], "name": "no"}})),
    )
    yield "two of a name", changed(lambda d: d[key].update({"mine-9-0.conda": d[key][beta]}))
    yield "another subdir", changed(lambda d: d[key][beta].update(subdir="noarch"))
    yield "a subdir that leads out", changed(lambda d: d[key][beta].update(subdir="../../.."))
    yield "depends of numbers", changed(lambda d: d[key][beta].update(depends=[1, 2]))
    yield "no index", {name: data for name, data in files.items() if name != INDEX}
    yield "index is no JSON", {**files, INDEX: b"{"}
    yield "index is empty", {**files, INDEX: b""}
    yield "index is a list", {**files, INDEX: b"[]"}
    yield "no package", {name: data for name, data in files.items() if name != BETA}
    yield "package swapped", {**files, BETA: files["channel/noarch/alpha-1.0-0.conda"]}
    yield "package is empty", {**files, BETA: b""}
    yield "one more package", {**files, f"channel/{SUBDIR}/more-1-0.conda": files[BETA]}
    yield "a wheel without a python", {**files, "pypi/a-1.0-py3-none-any.whl": b"PK"}


def test_wrong_contents(small_pack: Path, tmp_path: Path, untouched: Path) -> None:
    source = tmp_path / "p.tar"
    files = members(foreign(small_pack, source))
    for what, changed in _contents(files):
        write_tar(source, changed)
        try:
            refused(source, untouched)
        except BaseException as error:
            raise AssertionError(what) from error
    source.unlink()


def test_doubled_and_appended(small_pack: Path, tmp_path: Path, untouched: Path) -> None:
    source = tmp_path / "p.tar"
    data = small_pack.read_bytes()
    for changed in (data + b"\0", data + bytes(512), data + b"more", data + data, data[:-1024] + data):
        source.write_bytes(changed)
        refused(source, untouched)
    source.write_bytes(b"")
    refused(source, untouched)
    source.write_bytes(b"#!/bin/sh\necho no pack\n" * 100)
    refused(source, untouched)
    source.unlink()


def test_changed_wheels_of_pixi_pack(tmp_path: Path) -> None:
    from smelt.pack.wheelcheck import check_wheel

    path = make_wheel(tmp_path, "app")
    check_wheel(path)
    data = path.read_bytes()
    at = data.index(b"version = '1.0'")
    path.write_bytes(data[:at] + b"version = '6.6'" + data[at + 15 :])
    with pytest.raises(SmeltError, match="damaged"):
        check_wheel(path)
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(SmeltError, match="not a readable wheel"):
        check_wheel(path)


def test_folders_with_links_and_changes(small: Workspace, tmp_path: Path, untouched: Path) -> None:
    shutil.rmtree(tmp_path / "f", ignore_errors=True)
    source = tmp_path.parent / f"{tmp_path.name}-folder"
    packed(small, source, format="directory")
    good = tree(source)
    (source / BETA).rename(tmp_path.parent / "kept.conda")
    (source / BETA).symlink_to(tmp_path.parent / "kept.conda")
    assert "symbolic link" in refused(source, untouched).message
    (source / BETA).unlink()
    assert "missing" in refused(source, untouched).message
    (tmp_path.parent / "kept.conda").rename(source / BETA)
    (source / "environment.yml").write_text("changed", encoding="utf-8")
    assert "not what was packed" in refused(source, untouched).message
    packed(small, source, format="directory")
    assert tree(source) == good


def test_every_file_missing_renamed_emptied_swapped_or_doubled(
    small: Workspace, tmp_path_factory: pytest.TempPathFactory, untouched: Path
) -> None:
    good = tmp_path_factory.mktemp("good") / "pack"
    packed(small, good, format="directory")
    names = sorted(tree(good))
    count = 0

    def changes(name: str, folder: Path) -> Iterator[tuple[str, Callable[[], object]]]:
        path = folder / name
        other = folder / names[names.index(name) - 1]
        yield "missing", path.unlink
        yield "emptied", lambda: path.write_bytes(b"")
        yield "renamed", lambda: path.rename(path.with_name(f"a{path.name}"))
        yield "in capitals", lambda: path.rename(path.with_name(path.name.upper()))
        yield "one byte more", lambda: path.write_bytes(path.read_bytes() + b" ")
        yield "another's content", lambda: path.write_bytes(other.read_bytes())
        yield "a folder", lambda: (path.unlink(), path.mkdir())
        yield "a link", lambda: (path.rename(folder.parent / "kept"), path.symlink_to(folder.parent / "kept"))

    for name in names:
        for number in range(8):
            folder = tmp_path_factory.mktemp("bad") / "pack"
            shutil.copytree(good, folder)
            listed = list(changes(name, folder))
            what, change = listed[number]
            change()
            try:
                refused(folder, untouched)
            except BaseException as error:
                raise AssertionError(f"{name}: {what}") from error
            count += 1
    assert count == 8 * len(names)


def test_an_environment_that_was_there_stays(small_pack: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    unpacked(small_pack, out)
    (out / "env" / "mine.txt").write_text("kept", encoding="utf-8")
    before = tree(out)
    bad = tmp_path / "bad.tar"
    data = bytearray(small_pack.read_bytes())
    data[3000] ^= 4
    bad.write_bytes(data)
    with pytest.raises(SmeltError):
        unpacked(bad, out)
    assert tree(out) == before
    unpacked(small_pack, out)
    assert not (out / "env" / "mine.txt").exists()
    (out / "other").mkdir()
    (out / "other" / "thesis.txt").write_text("years", encoding="utf-8")
    with pytest.raises(SmeltError, match="not an environment"):
        unpacked(small_pack, out, name="other")
    assert (out / "other" / "thesis.txt").is_file()
