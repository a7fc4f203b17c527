"""How two packages differ, in words."""

from __future__ import annotations

from pathlib import Path

from smelt.archive import CondaArchive, Member, write_conda
from smelt.build.compare import differences

INFO = (Member(name="info/index.json", data=b"{}"),)


def package(folder: Path, *members: Member, level: int = 9) -> Path:
    folder.mkdir()
    path = folder / "a-1-0.conda"
    write_conda(path, CondaArchive(files=members, info=INFO), mtime=0, level=level)
    return path


def test_differences(tmp_path: Path) -> None:
    text = Member(name="a", data=b"text" * 1000)
    first = package(
        tmp_path / "1",
        text,
        Member(name="bytes", data=b"one"),
        Member(name="executable", data=b"x"),
        Member(name="gone", data=b"x"),
        Member(name="kind", data=b"x"),
        Member(name="link", link="a"),
        Member(name="size", data=b"1"),
    )
    second = package(
        tmp_path / "2",
        text,
        Member(name="bytes", data=b"oni"),
        Member(name="executable", data=b"x", executable=True),
        Member(name="kind", link="a"),
        Member(name="link", link="bytes"),
        Member(name="new", data=b"x"),
        Member(name="size", data=b"12"),
    )
    assert differences(first, first) == ()
    assert differences(first, second) == (
        "bytes: differs from byte 2 on",
        "executable: executable in one build only",
        "gone: only in the first build",
        "kind: a link in one build, a file in the other",
        "link: leads to a and to bytes",
        "new: only in the second build",
        "size: 1 and 2 bytes",
    )
    assert differences(package(tmp_path / "3", text), package(tmp_path / "4", text, level=1)) == (
        "the same files, packed otherwise",
    )
