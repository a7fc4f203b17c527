"""Compilers go on with what they made before, while a package is being worked on; and only then."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from test_source_rust_backend import add_rust
from tools_channel import add_tools

from smelt.api.workspace import Workspace
from smelt.build.job import SourceFile
from smelt.build.tree import has_tree, keep, resume, seen
from smelt.channel.index import write_index
from smelt.errors import BuildError
from spine_kit import manifest, smelt

windows = pytest.mark.skipif(sys.platform == "win32", reason="there is no toolchain for Windows yet")

PROJECT = {
    "CMakeLists.txt": """\
cmake_minimum_required(VERSION 3.16)
project(sum LANGUAGES C)
file(GLOB parts ${CMAKE_SOURCE_DIR}/parts/*.c)
add_executable(sum sum.c ${parts})
target_compile_definitions(sum PRIVATE FACTOR=${FACTOR})
install(TARGETS sum)
""",
    "sum.c": """\
#include <stdio.h>
#include "one.h"
int one(void);
int two(void);
int main(void) { printf("%d\\n", FACTOR * (one() + two())); return 0; }
""",
    "one.h": "#define ONE 1\n",
    "parts/one.c": '#include "../one.h"\nint one(void) { return ONE; }\n',
    "parts/two.c": "int two(void) { return 2; }\n",
    "pixi.toml": """\
[package]
name = "sum"
version = "1.0"
[package.build]
backend = { name = "pixi-build-cmake", version = "*" }
config = { compilers = ["c"], extra-args = ["-DFACTOR=1"] }
""",
}


class Work:
    """The project in a workspace."""

    def __init__(self, root: Path, channel: Path) -> None:
        self.root, self.source = root, root / "sum"
        for name, text in PROJECT.items():
            self.write(name, text)
        manifest(root, [channel.as_uri()], '[dependencies]\nsum = { path = "sum" }\n')

    def write(self, name: str, text: str) -> None:
        path = self.source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def run(self) -> int:
        """What the program prints after an installation."""
        workspace = Workspace.load(self.root)
        workspace.install()
        program = workspace.model.prefix("default") / "bin" / "sum"
        return int(subprocess.run([program], capture_output=True, text=True, check=True).stdout)

    def compiled(self) -> set[str]:
        """What the last build compiled."""
        logs = (Path(os.environ["PIXI_CACHE_DIR"]) / "smelt").rglob("*.log")
        text = max(logs, key=lambda path: path.stat().st_mtime_ns).read_text(encoding="utf-8")
        return set(re.findall(r"Building C object \S*/(\w+)\.c\.o", text))

    def digests(self) -> tuple[str | None, str | None]:
        """The sha256 of what is installed, and of what is built from nothing."""
        (record,) = (self.root / ".pixi" / "envs" / "default" / "conda-meta").glob("sum-*.json")
        built = {each.record.name: each.record.sha256 for each in Workspace.load(self.root).build().values()}
        return json.loads(record.read_text(encoding="utf-8"))["sha256"], built["sum"]


@pytest.fixture
def work(tmp_path: Path, bare_channel: Path) -> Work:
    channel = tmp_path / "channel"
    shutil.copytree(bare_channel, channel)
    for tool in ("cmake", "ninja"):
        add_tools(channel, tool, tool)
    write_index(channel)
    return Work(tmp_path / "work", channel)


@pytest.mark.build
@windows
def test_only_what_changed_is_compiled(work: Work) -> None:
    assert work.run() == 3
    assert work.compiled() == {"sum", "one", "two"}
    work.write("parts/two.c", "int two(void) { return 20; }\n")
    assert work.run() == 21
    assert work.compiled() == {"two"}
    # through a header
    work.write("one.h", "#define ONE 100\n")
    assert work.run() == 120
    assert work.compiled() == {"sum", "one"}
    installed, built = work.digests()
    assert installed == built
    assert work.compiled() == {"sum", "one", "two"}
    # a file that does not compile leaves the tree as it was
    work.write("parts/two.c", "int two(void) { return }\n")
    work.write("one.h", "#define ONE 7\n")
    with pytest.raises(BuildError):
        work.run()
    work.write("parts/two.c", "int two(void) { return 30; }\n")
    assert work.run() == 37
    assert work.compiled() == {"sum", "one", "two"}
    # new and deleted files
    work.write("parts/three.c", "int three(void) { return 3; }\n")
    assert work.run() == 37
    assert work.compiled() == {"three"}
    (work.source / "parts" / "three.c").unlink()
    (work.source / "parts" / "two.c").rename(work.source / "parts" / "deux.c")
    assert work.run() == 37
    assert work.compiled() == {"deux"}
    installed, built = work.digests()
    assert installed == built
    # a change of the configuration begins from nothing
    work.write("pixi.toml", PROJECT["pixi.toml"].replace("FACTOR=1", "FACTOR=2"))
    assert work.run() == 74
    assert work.compiled() == {"sum", "one", "deux"}


@pytest.mark.build
@windows
def test_what_goes_on_is_never_the_build_itself(work: Work) -> None:
    """A tree that lies: the environment may be wrong, what is built and verified is not."""
    assert work.run() == 3
    # what an older file left is taken for that of the new one
    (tree,) = (Path(os.environ["PIXI_CACHE_DIR"]) / "smelt" / "build-trees").iterdir()
    state = json.loads((tree / "state.json").read_text(encoding="utf-8"))
    work.write("parts/two.c", "int two(void) { return 50; }\n")
    changed = Workspace.load(work.root).plan().nodes[0].inputs["files"]
    assert isinstance(changed, dict)
    state["files"]["parts/two.c"] = changed["parts/two.c"]
    (tree / "state.json").write_text(json.dumps(state), encoding="utf-8")
    assert work.run() == 3
    installed, built = work.digests()
    assert installed != built
    # the way out
    assert smelt(work.root, "reinstall", "sum").returncode == 0
    assert work.run() == 51


@pytest.mark.build
@windows
def test_a_package_that_others_are_built_with(work: Work) -> None:
    """It is built from nothing, as they have to say what they are made of."""
    work.write("../user/recipe.yaml", "package: {name: user, version: 1}\nrequirements: {host: [sum]}\n")
    lines = ["[package]", 'name = "user"', 'version = "1"', "[package.build]"]
    lines += ['backend = { name = "pixi-build-rattler-build", version = "*" }', "[package.host-dependencies]"]
    work.write("../user/pixi.toml", "\n".join([*lines, 'sum = { path = "../sum" }', ""]))
    path = work.root / "pixi.toml"
    path.write_text(path.read_text() + 'user = { path = "user" }\n')
    assert work.run() == 3
    work.write("parts/two.c", "int two(void) { return 20; }\n")
    assert work.run() == 21
    logs = (Path(os.environ["PIXI_CACHE_DIR"]) / "smelt").rglob("*.log")
    assert not any("goes on with" in path.read_text(encoding="utf-8") for path in logs)
    installed, built = work.digests()
    assert installed == built


@pytest.mark.build
@windows
def test_cargo_goes_on_too(tmp_path: Path, bare_channel: Path) -> None:
    """Of a crate and one that it needs, the one that changed is compiled."""
    channel = tmp_path / "channel"
    shutil.copytree(bare_channel, channel)
    add_rust(channel)
    root = tmp_path / "work"
    for name, text in {
        "Cargo.toml": '[package]\nname = "ask"\nversion = "1.0.0"\nedition = "2021"\n'
        '[dependencies]\ninner = { path = "inner" }\n',
        "Cargo.lock": 'version = 3\n[[package]]\nname = "ask"\nversion = "1.0.0"\ndependencies = ["inner"]\n'
        '[[package]]\nname = "inner"\nversion = "1.0.0"\n',
        "src/main.rs": 'fn main() { println!("{}", inner::one()); }\n',
        "inner/Cargo.toml": '[package]\nname = "inner"\nversion = "1.0.0"\nedition = "2021"\n',
        "inner/src/lib.rs": "pub fn one() -> i32 { 1 }\n",
        "pixi.toml": '[package]\nname = "ask"\nversion = "1.0"\n[package.build]\n'
        'backend = { name = "pixi-build-rust", version = "*" }\n',
    }.items():
        path = root / "ask" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    manifest(root, [channel.as_uri()], '[dependencies]\nask = { path = "ask" }\n')

    def run() -> tuple[str, set[str]]:
        workspace = Workspace.load(root)
        workspace.install()
        program = workspace.model.prefix("default") / "bin" / "ask"
        said = subprocess.run([program], capture_output=True, text=True, check=True).stdout
        logs = (Path(os.environ["PIXI_CACHE_DIR"]) / "smelt").rglob("*.log")
        text = max(logs, key=lambda path: path.stat().st_mtime_ns).read_text(encoding="utf-8")
        return said, set(re.findall(r"Compiling (\w+) v", text))

    assert run() == ("1\n", {"ask", "inner"})
    main, inner = root / "ask" / "src" / "main.rs", root / "ask" / "inner" / "src" / "lib.rs"
    main.write_text('fn main() { println!("{}", inner::one() + 1); }\n')
    assert run() == ("2\n", {"ask"})
    inner.write_text("pub fn one() -> i32 { 10 }\n")
    assert run() == ("11\n", {"ask", "inner"})
    (record,) = (root / ".pixi" / "envs" / "default" / "conda-meta").glob("ask-*.json")
    (artifact,) = Workspace.load(root).build().values()
    assert json.loads(record.read_text(encoding="utf-8"))["sha256"] == artifact.record.sha256


def files(**contents: str) -> list[SourceFile]:
    return [SourceFile(path=f"{name}.c", kind="f", sha256=text) for name, text in contents.items()]


def test_times(tmp_path: Path) -> None:
    """What changed is new, what did not is old, and the tree is where it was."""
    tree, kept, source = tmp_path / "tree", tmp_path / "kept", tmp_path / "source"
    tree.mkdir()
    (tree / "a.o").touch()
    keep(kept, "key", tree, seen(files(a="1", b="1", gone="1")))
    assert has_tree(kept, "key")
    assert not has_tree(kept, "other")
    assert not tree.exists()
    source.mkdir()
    now = files(a="1", b="2", new="1")
    for file in now:
        (source / file.path).touch()
        os.utime(source / file.path, (1, 1))
    assert resume(kept, "other", "made", source, now) is None
    resumed = resume(kept, "key", "made", source, now)
    assert resumed is not None
    assert resumed.changed == ("b.c", "new.c")
    old, *new = [(source / f"{name}.c").stat().st_mtime_ns for name in ("a", "b", "new")]
    made = (source / "made" / "a.o").stat().st_mtime_ns
    assert old < made <= min(new)
    # it is used up: a build that is killed leaves none
    assert not kept.exists()
    assert resume(kept, "key", "made", source, now) is None


@pytest.mark.parametrize("text", ["", "[]", "{", '{"key": 3, "files": {}}'])
def test_damage(tmp_path: Path, text: str) -> None:
    kept, tree = tmp_path / "kept", tmp_path / "tree"
    tree.mkdir()
    keep(kept, "key", tree, {})
    (kept / "state.json").write_text(text)
    assert not has_tree(kept, "key")
    assert resume(kept, "key", "made", tmp_path, files(a="1")) is None
    # a build that made no tree leaves what is there
    keep(kept, "key", tmp_path / "nothing", {})
    assert (kept / "tree").is_dir()


def test_a_source_with_a_folder_of_that_name(tmp_path: Path) -> None:
    kept, tree, source = tmp_path / "kept", tmp_path / "tree", tmp_path / "source"
    tree.mkdir()
    keep(kept, "key", tree, {})
    (source / "made").mkdir(parents=True)
    assert resume(kept, "key", "made", source, []) is None
