"""Packages that show the modules of their source: what is derived from a build, and when it still holds."""

from __future__ import annotations

import asyncio
import csv
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from build_kit import Recorder, build, node, render, write_source

from smelt.archive import Member, read_conda
from smelt.build.editable import BACKEND, SWITCH, derive, find, is_editable
from smelt.build.model import Artifact, BuildNode
from smelt.build.store import Store
from smelt.install.verify import verify
from spine_kit import posix

pytestmark = posix

SITE = "lib/python3.11/site-packages"
FILES = {
    "pyproject.toml": "[project]\n",
    "src/pkg/__init__.py": "value = 1\n",
    "src/pkg/part/__init__.py": "",
    "src/pkg/part/more.py": "more = 1\n",
    "src/pkg/data.txt": "data\n",
    "core.c": "int one;\n",
}
RECORD = "\\n".join(
    [
        "../../../bin/pkg,sha256=x,1",
        "pkg-1.dist-info/RECORD,,",
        "pkg/__init__.py,sha256=x,10",
        "pkg/data.txt,sha256=x,5",
        "",
    ]
)
INSTALL = [
    f"mkdir -p $PREFIX/{SITE}/pkg-1.dist-info $PREFIX/bin",
    f"cp -r src/pkg $PREFIX/{SITE}/",
    f"printf '{RECORD}' > $PREFIX/{SITE}/pkg-1.dist-info/RECORD",
    "echo x > $PREFIX/bin/pkg",
]
COMPILED = f"mkdir -p $PREFIX/{SITE}/pkg/__pycache__ && cp core.c $PREFIX/{SITE}/pkg/core.so"


def today(source: Path, *more: str) -> BuildNode:
    """The build of the source as it is now."""
    text = json.dumps(
        {
            "package": {"name": "pkg", "version": "1"},
            "source": {"path": "."},
            "build": {"script": [*INSTALL, *more], "python": {"skip_pyc_compilation": ["**/*.py"]}},
        }
    )
    return node(replace(render(text, source)[0], backend=BACKEND), source)


class Case:
    """A source, and the store that its builds are in."""

    def __init__(self, root: Path, *more: str) -> None:
        self.root, self.more = root, more
        self.source = write_source(root / "source", FILES)
        self.store = Store(root / "store")

    def shown(self) -> tuple[Artifact, bool]:
        """What an environment gets, and whether something had to be built for it."""
        one = today(self.source, *self.more)
        found = find(self.store, one)
        if found is not None:
            return found, False
        recorder = Recorder()
        built = build([one], self.root, recorder)[one.key]
        return derive(self.store, one, built), ("finished", "pkg") in recorder.events

    def members(self) -> dict[str, Member]:
        return {member.name: member for member in read_conda(self.shown()[0].path).files}

    def write(self, name: str, text: str) -> None:
        write_source(self.source, {name: text})


def test_a_folder_on_the_path(tmp_path: Path) -> None:
    case = Case(tmp_path)
    artifact, built = case.shown()
    assert built
    assert artifact.record.name == "pkg"
    members = case.members()
    assert set(members) == {
        "bin/pkg",
        f"{SITE}/_editable_impl_pkg.pth",
        f"{SITE}/pkg-1.dist-info/RECORD",
        f"{SITE}/pkg-1.dist-info/direct_url.json",
    }
    assert members[f"{SITE}/_editable_impl_pkg.pth"].data.decode() == f"{case.source / 'src'}\n"
    address = json.loads(members[f"{SITE}/pkg-1.dist-info/direct_url.json"].data)
    assert address == {"url": case.source.as_uri(), "dir_info": {"editable": True}}
    rows = list(csv.reader(members[f"{SITE}/pkg-1.dist-info/RECORD"].data.decode().splitlines()))
    assert [row[0] for row in rows] == [
        "../../../bin/pkg",
        "_editable_impl_pkg.pth",
        "pkg-1.dist-info/RECORD",
        "pkg-1.dist-info/direct_url.json",
    ]


def test_what_needs_a_build_again(tmp_path: Path) -> None:
    case = Case(tmp_path)
    first, _ = case.shown()
    # modules are seen as they are: changed, new, gone
    case.write("src/pkg/__init__.py", "value = 2\n")
    case.write("src/pkg/new.py", "new = 1\n")
    (case.source / "src/pkg/part/more.py").unlink()
    again, built = case.shown()
    assert (again.key, built) == (first.key, False)
    # all else may have a part in the build
    for name, text in (("core.c", "int two;\n"), ("src/pkg/data.txt", "more\n"), ("setup.py", "pass\n")):
        case.write(name, text)
        other, built = case.shown()
        assert built, name
        assert other.key != first.key
    assert not case.shown()[1]


def test_modules_as_links_beside_what_was_compiled(tmp_path: Path) -> None:
    from rattler import install

    from smelt.solve.records import to_rattler

    case = Case(tmp_path, COMPILED)
    artifact, built = case.shown()
    assert built
    members = case.members()
    assert members[f"{SITE}/pkg/core.so"].data == b"int one;\n"
    assert members[f"{SITE}/pkg/data.txt"].data == b"data\n"
    assert members[f"{SITE}/pkg/__init__.py"].link == str(case.source / "src/pkg/__init__.py")
    assert members[f"{SITE}/pkg/part/__init__.py"].link == str(case.source / "src/pkg/part/__init__.py")
    rows = {row[0]: row[1:] for row in csv.reader(members[f"{SITE}/pkg-1.dist-info/RECORD"].data.decode().splitlines())}
    assert rows["pkg/__init__.py"] == ["", ""]
    assert rows["pkg/data.txt"][1] == "5"

    prefix = tmp_path / "environment"
    asyncio.run(install([to_rattler(artifact.record)], prefix, cache_dir=tmp_path / "pkgs", show_progress=False))
    assert verify(prefix) == []
    case.write("src/pkg/__init__.py", "value = 2\n")
    assert case.shown() == (find(case.store, today(case.source, COMPILED)), False)
    assert verify(prefix) == []
    code = "import pkg; print(pkg.value)"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(prefix / SITE)}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "2\n"
    # a new module is in no package yet
    case.write("src/pkg/new.py", "new = 1\n")
    assert case.shown()[1]
    assert case.members()[f"{SITE}/pkg/new.py"].link is not None


def test_modules_that_are_not_in_the_source_are_left_alone(tmp_path: Path) -> None:
    case = Case(tmp_path, f"echo 'made = 1' > $PREFIX/{SITE}/pkg/made.py", f"echo y >> $PREFIX/{SITE}/pkg/__init__.py")
    members = case.members()
    assert members[f"{SITE}/pkg/made.py"].link is None
    assert members[f"{SITE}/pkg/__init__.py"].link is None
    case.write("src/pkg/__init__.py", "value = 3\n")
    assert case.shown()[1]


def test_a_package_without_modules_is_its_build(tmp_path: Path) -> None:
    case = Case(tmp_path, f"rm -r $PREFIX/{SITE}/pkg")
    artifact, _ = case.shown()
    assert artifact.key == today(case.source, *case.more).key


def test_two_folders_have_their_own(tmp_path: Path) -> None:
    one, two = Case(tmp_path / "one"), Case(tmp_path / "two")
    two.store = one.store
    two.root = one.root
    first, _ = one.shown()
    second, built = two.shown()
    # the build itself is the same one
    assert not built
    assert first.key != second.key
    assert str(two.source / "src") in two.members()[f"{SITE}/_editable_impl_pkg.pth"].data.decode()


def test_damage_is_healed(tmp_path: Path) -> None:
    case = Case(tmp_path)
    artifact, _ = case.shown()
    (entry,) = (tmp_path / "store" / "artifacts" / "editable").glob("*/*.json")
    for text in ("", "[]", '{"links": 3, "roots": {"x": 4}}', '{"links": {"a": "b"}}'):
        entry.write_text(text)
        assert case.shown()[0].key == artifact.key
    artifact.path.unlink()
    assert case.shown()[0].path.is_file()


@pytest.mark.parametrize(
    ("switch", "backend", "expected"),
    [
        (None, BACKEND, True),
        ("true", BACKEND, True),
        ("false", BACKEND, False),
        ("", BACKEND, False),
        (None, "pixi-build-rattler-build", False),
    ],
)
def test_which_packages(tmp_path: Path, switch: str | None, backend: str, expected: bool) -> None:
    one = today(write_source(tmp_path, FILES))
    one = replace(one, variant=replace(one.variant, backend=backend))
    assert is_editable(one, {SWITCH: switch} if switch is not None else {}) is expected
    immutable = replace(one, checkout=replace(one.checkout, digest="f" * 64))
    assert not is_editable(immutable, {})
