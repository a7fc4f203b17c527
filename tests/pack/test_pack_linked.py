"""An environment as files, from packages of every age."""

from __future__ import annotations

import hashlib
import io
import json
import random
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from pack_kit import PREFIX, raw_package

from smelt.errors import NotSupportedError, PackError
from smelt.pack.activation import activation
from smelt.pack.entry import EntryWriter
from smelt.pack.linked import Part, link
from smelt.pack.model import CondaItem, PackContent, PackedFile
from smelt.types import CondaRecord
from spine_kit import SUBDIR

pytestmark = pytest.mark.skipif(SUBDIR.startswith("win"), reason="such environments are for Unix")


def old_package(folder: Path, name: str, files: Mapping[str, bytes | str], info: Mapping[str, bytes]) -> Path:
    """A ``.tar.bz2``; a text as content is the target of a hard link."""
    path = folder / f"{name}-1.0-0.tar.bz2"
    with tarfile.open(path, "w:bz2") as tar:
        for each, data in (*files.items(), *info.items()):
            entry = tarfile.TarInfo(each)
            entry.mode = 0o775 if each.startswith("bin/") else 0o664
            if isinstance(data, str):
                entry.type, entry.linkname = tarfile.LNKTYPE, data
                tar.addfile(entry)
            else:
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
    return path


def content(
    *paths: Path, platform: str = "linux-64", depends: Mapping[str, tuple[str, ...]] | None = None
) -> PackContent:
    items: list[CondaItem] = []
    for path in paths:
        name = path.name.split("-")[0]
        data = path.read_bytes()
        sha256 = hashlib.sha256(data).hexdigest()
        record = CondaRecord(
            name=name,
            version="1.0",
            build="0",
            build_number=0,
            subdir="linux-64",
            file_name=path.name,
            channel="https://channel.example/",
            url=f"https://channel.example/linux-64/{path.name}",
            depends=(depends or {}).get(name, ()),
            sha256=sha256,
        )
        file = PackedFile(name=f"channel/linux-64/{path.name}", size=len(data), sha256=sha256, path=path)
        items.append(CondaItem(record=record, file=file))
    return PackContent(workspace="w", environment="default", platform=platform, packages=tuple(items))


def rendered(parts: tuple[Part, ...], prefix: bytes = b"/p") -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for part in parts:
        for entry in part.entries():
            assert entry.path not in found
            if entry.link is not None:
                found[entry.path] = b"-> " + entry.link.encode()
            elif entry.stream is not None:
                found[entry.path] = entry.stream.read()
            else:
                found[entry.path] = entry.rendered(prefix)
    return {path: data for path, data in found.items() if not path.startswith("conda-meta/")}


def test_packages_from_before_paths_json(tmp_path: Path) -> None:
    old = "/opt/anaconda1anaconda2anaconda3"
    path = old_package(
        tmp_path,
        "old",
        {
            "bin/tool": f"#!{old}/bin/sh\n".encode(),
            "lib/one": f"a{PREFIX}/x\0end".encode(),
            "lib/with space": PREFIX.encode(),
            "lib/same": "lib/one",
        },
        {
            "info/files": b"bin/tool\nlib/one\nlib/with space\nlib/same\n",
            "info/has_prefix": f'bin/tool\n{PREFIX} binary lib/one\n{PREFIX} text "lib/with space"\n'.encode(),
            "info/index.json": b"{}",
        },
    )
    parts = link(content(path))
    files = rendered(parts)
    assert files["bin/tool"] == b"#!/p/bin/sh\n"
    assert files["lib/one"] == b"a/p/x" + bytes(len(PREFIX) - 2) + b"\0end"
    assert files["lib/with space"] == b"/p"
    assert files["lib/same"] == f"a{PREFIX}/x\0end".encode()  # it is not said to have a prefix
    assert parts[0].shortest == len(PREFIX)
    executable = {entry.path: entry.executable for entry in parts[0].entries()}
    assert executable["bin/tool"]
    assert not executable["lib/one"]


def test_the_package_that_depends_has_a_file_of_two(tmp_path: Path) -> None:
    first = raw_package(tmp_path, "first", {"share/both": b"first", "share/first": b"1"})
    second = raw_package(tmp_path, "second", {"share/both": b"second", "share/second": b"2"})
    for depends, winner in (({"second": ("first",)}, b"second"), ({"first": ("second",)}, b"first")):
        parts = link(content(first, second, depends=depends))
        assert rendered(parts)["share/both"] == winner
        listed = [json.loads(entry.data or b"") for part in parts for entry in part.generated]
        assert sum("share/both" in record["files"] for record in listed) == 1


def test_every_part_is_in_exactly_one_layer(tmp_path: Path) -> None:
    from dataclasses import replace

    from smelt.pack.layers import GROUPS, OWN_LAYERS, layers

    paths = [raw_package(tmp_path, f"p{number}", {f"share/{number}": b"x" * number}) for number in range(150)]
    parts = link(content(*paths))
    parts += tuple(
        replace(part, origin="index", key=f"wheel {part.key}") for part in parts[:5]
    )  # wheels of those names
    for shared in (frozenset[str](), frozenset({"p1", "p2", "p3"}), frozenset(part.name for part in parts)):
        found = layers(parts, shared, "/p")
        assert sorted(part.key for each in found for part in each.parts) == sorted(part.key for part in parts)
        assert len(found) <= 1 + GROUPS + OWN_LAYERS
        assert len({each.key for each in found}) == len(found)
        # a package that changes moves one layer
        changed = tuple(replace(part, key="changed") if part.name == "p77" else part for part in parts)
        assert len({each.key for each in layers(changed, shared, "/p")} - {each.key for each in found}) == 1


def test_empty_folders_and_circles(tmp_path: Path) -> None:
    path = raw_package(tmp_path, "one", {"share/a": b"a"}, folders=["share/empty"])
    other = raw_package(tmp_path, "two", {"share/b": b"b"})
    parts = link(content(path, other, depends={"one": ("two",), "two": ("one",)}))
    assert {entry.path for part in parts for entry in part.entries() if entry.folder} == {"share/empty"}


@pytest.mark.parametrize(
    "name", ["../up", "/etc/x", "a//b", "conda-meta/history", "a/./b", "new\nline", " space", "back\\slash"]
)
def test_files_that_lead_out(name: str, tmp_path: Path) -> None:
    path = raw_package(tmp_path, "bad", {name: b"x"})
    with pytest.raises(PackError, match="cannot be taken apart: it holds") as caught:
        link(content(path))
    assert caught.value.kind == "pack-package"


def test_damaged_packages(tmp_path: Path) -> None:
    good = raw_package(tmp_path, "good", {"share/a": b"a" * 1000})
    data = good.read_bytes()
    for number, changed in enumerate((b"", data[: len(data) // 2], data[:-1], b"PK" + data[2:50], data[::-1])):
        bad = tmp_path / f"bad{number}-1.0-0.conda"
        bad.write_bytes(changed)
        with pytest.raises(PackError) as caught:
            rendered(link(content(bad)))
        assert caught.value.kind == "pack-package"
        assert caught.value.help
        bad = tmp_path / f"bad{number}-1.0-0.tar.bz2"
        bad.write_bytes(changed)
        with pytest.raises(PackError):
            rendered(link(content(bad)))
    for info in ({}, {"info/paths.json": b"[]"}, {"info/paths.json": b'{"paths": [{}]}'}, {"info/files": b"gone\n"}):
        with pytest.raises(PackError, match="cannot be taken apart"):
            rendered(link(content(old_package(tmp_path, "odd", {"a": b"a"}, info))))


def test_packages_with_changed_bytes(tmp_path: Path) -> None:
    chance = random.Random(4)
    one = raw_package(tmp_path, "one", {"share/a": chance.randbytes(3000), "bin/x": PREFIX.encode()})
    info = {"info/files": b"share/a\nbin/x\n", "info/has_prefix": b"bin/x\n", "info/index.json": b"{}"}
    old = old_package(tmp_path, "old", {"share/a": chance.randbytes(3000), "bin/x": b"/opt/anaconda1"}, info)
    refused = 0
    for path in (one, old):
        data = path.read_bytes()
        for number in range(150):
            changed = bytearray(data)
            for _ in range(chance.choice((1, 1, 5, 50))):
                changed[chance.randrange(len(data))] = chance.randrange(256)
            bad = tmp_path / "bad" / path.name
            bad.parent.mkdir(exist_ok=True)
            bad.write_bytes(changed[: chance.randrange(len(data))] if number % 5 == 0 else changed)
            try:
                rendered(link(content(bad)))
            except PackError as error:
                assert error.kind == "pack-package"
                refused += 1
    assert refused > 200


def test_what_needs_a_python(tmp_path: Path) -> None:
    from dataclasses import replace

    path = raw_package(tmp_path, "tool", {"site-packages/tool.py": b""}, noarch="python", entry_points=["../x = a:b"])
    made = content(path)
    made = replace(made, packages=tuple(replace(e, record=replace(e.record, noarch="python")) for e in made.packages))
    with pytest.raises(PackError, match="there is no python") as caught:
        link(made)
    assert caught.value.kind == "pack-no-python"
    python = content(raw_package(tmp_path, "python", {"bin/python1.0": b""})).packages
    with pytest.raises(PackError, match="cannot be taken apart"):
        link(replace(made, packages=(*made.packages, *python)))
    with pytest.raises(NotSupportedError, match="win-64"):
        link(content(path, platform="win-64"))


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"etc/conda/env_vars.d/a.json": b"["}, "is not readable"),
        ({"etc/conda/env_vars.d/a.json": b'["a"]'}, "is not readable"),
        ({"etc/conda/env_vars.d/a.json": b'{"A B; rm": "1"}'}, "cannot be the name of a variable"),
    ],
)
def test_variables_that_make_no_sense(files: Mapping[str, bytes], words: str, tmp_path: Path) -> None:
    parts = link(content(raw_package(tmp_path, "odd", files)))
    with pytest.raises(PackError, match=words):
        activation(parts)


def test_no_file_goes_through_a_link_of_another_package(tmp_path: Path) -> None:
    linking = raw_package(tmp_path, "linking", {"share/a": b"a"}, links={"share/out": "/etc"})
    through = raw_package(tmp_path, "through", {"share/out/passwd": b"evil"})
    for order in ((linking, through), (through, linking)):
        writer = EntryWriter(io.BytesIO())
        with pytest.raises(PackError, match="something else of another"):
            for part in link(content(*order, depends={order[1].name.split("-")[0]: (order[0].name.split("-")[0],)})):
                for entry in part.entries():
                    writer.add(entry.path, entry)
