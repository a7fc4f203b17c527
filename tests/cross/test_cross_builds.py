"""Packages for another platform than the one that builds them."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path

import pytest

from smelt.archive import read_conda
from spine_kit import SUBDIR, Channel, manifest, package, posix, smelt

pytestmark = [pytest.mark.build, posix]

TARGET = "linux-aarch64" if SUBDIR != "linux-aarch64" else "linux-64"
CROSS = f'[tool.smelt.build-platform]\n{TARGET} = "{SUBDIR}"\n'

EXPORTS: dict[str, dict[str, list[str]]] = {
    "tool": {"strong": ["runtime >=1"]},
    "lib": {"weak": ["lib >=2,<3"]},
    "runtime": {},
}
SCRIPT = [
    "mkdir -p $PREFIX/share",
    "cat $BUILD_PREFIX/share/tool.txt $PREFIX/share/lib.txt > $PREFIX/share/app.txt",
    "echo $CONDA_BUILD_CROSS_COMPILATION $build_platform $target_platform $host_platform >> $PREFIX/share/app.txt",
]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with a tool in its build environment and a library in its host environment, both per platform."""
    monkeypatch.setenv("PIXI_CACHE_DIR", str(tmp_path / "cache"))
    channel = Channel(tmp_path / "channel")
    for subdir in (SUBDIR, TARGET, "win-64"):
        for name, exports in (
            ("tool", {"strong": ["runtime >=1"]}),
            ("lib", {"weak": ["lib >=2,<3"]}),
            ("runtime", {}),
        ):
            files = {f"share/{name}.txt": f"{name} for {subdir}\n"}
            channel.add(name, "2.0", subdir=subdir, files=files, run_exports=exports)
    channel.index()
    root = tmp_path / "ws"
    package(root, "app", build=["tool"], host=["lib"], script=SCRIPT)
    manifest(root, [channel.url], f'[dependencies]\napp = {{ path = "app" }}\n{CROSS}', (SUBDIR, TARGET, "win-64"))
    return root


def built(root: Path, subdir: str, name: str = "app") -> dict[str, str]:
    """The text files of the package in ``root/out``."""
    paths = {*(root / "out" / subdir).glob(f"{name}-*.conda"), *(root / "out").glob(f"{name}-*.conda")}
    (path,) = paths
    archive = read_conda(path)
    files = {member.name: member.data.decode() for member in archive.files}
    return files | {member.name: member.data.decode() for member in archive.info}


def test_a_declared_build_platform(root: Path) -> None:
    done = smelt(root, "build", "--platform", TARGET, "-o", "out", "--verify")
    assert done.returncode == 0, done.stderr
    files = built(root, TARGET)
    assert files["share/app.txt"].splitlines() == [
        f"tool for {SUBDIR}",
        f"lib for {TARGET}",
        f"1 {SUBDIR} {TARGET} {TARGET}",
    ]
    index = json.loads(files["info/index.json"])
    assert index["subdir"] == TARGET
    assert sorted(index["depends"]) == ["lib >=2,<3", "runtime >=1"]
    lock = (root / "pixi.lock").read_text()
    assert f"build_platform: {SUBDIR}" in lock
    assert smelt(root, "lock", "--check").returncode == 0
    # the package of this machine is another one, and is built as ever
    done = smelt(root, "build", "-o", "out")
    assert done.returncode == 0, done.stderr
    assert built(root, SUBDIR)["share/app.txt"].splitlines()[2] == f"0 {SUBDIR} {SUBDIR} {SUBDIR}"
    assert smelt(root, "pack", "-p", TARGET).returncode == 0


def test_for_windows(root: Path) -> None:
    """What needs no compiler is built for a system with other paths, too."""
    done = smelt(root, "publish", "--path", "app", "--target-platform", "win-64", "--target-dir", "out")
    assert done.returncode == 0, done.stderr
    assert built(root, "win-64")["share/app.txt"].splitlines() == [
        f"tool for {SUBDIR}",
        "lib for win-64",
        f"1 {SUBDIR} win-64 win-64",
    ]


def test_publishing_for_another_platform(root: Path) -> None:
    """No declaration is needed: nothing is locked."""
    text = (root / "pixi.toml").read_text()
    (root / "pixi.toml").write_text(text.replace(CROSS, ""))
    done = smelt(root, "publish", "--path", "app", "--target-platform", TARGET, "--target-dir", "out")
    assert done.returncode == 0, done.stderr
    assert built(root, TARGET)["share/app.txt"].startswith(f"tool for {SUBDIR}\nlib for {TARGET}\n")
    done = smelt(root, "publish", "--path", "app", "--target-platform", TARGET, "--build-platform", "win-64")
    assert done.returncode != 0
    assert "--build-platform win-64: this machine" in done.stderr


def test_without_a_declaration(root: Path) -> None:
    """The lock is for a machine of the platform itself, as the reference makes it; the way out is told."""
    text = (root / "pixi.toml").read_text()
    (root / "pixi.toml").write_text(text.replace(CROSS, ""))
    done = smelt(root, "build", "--platform", TARGET)
    assert done.returncode == 1
    assert f"is locked to be built on {TARGET}, and this machine is {SUBDIR}" in done.stderr
    assert f'`{TARGET} = "{SUBDIR}"` in `[tool.smelt.build-platform]`' in done.stderr
    assert "build_platform" not in (root / "pixi.lock").read_text()
    # the lock no longer fits once it is declared, and says why
    (root / "pixi.toml").write_text(text)
    done = smelt(root, "lock", "--check")
    assert done.returncode != 0
    assert f"locked to be built on {TARGET}, not on {SUBDIR}" in done.stderr
    done = smelt(root, "build", "--platform", TARGET, "-o", "out")
    assert done.returncode == 0, done.stderr
    assert built(root, TARGET)["share/app.txt"].startswith(f"tool for {SUBDIR}\n")


def test_on_a_machine_of_another_platform(root: Path) -> None:
    """A lock means the same everywhere: what it says is to be built elsewhere is not built otherwise."""
    assert smelt(root, "lock").returncode == 0
    done = smelt(root, "build", "--platform", TARGET, env={"PIXI_OVERRIDE_PLATFORM": TARGET})
    assert done.returncode == 1
    assert f"is locked to be built on {SUBDIR}, and this machine is {TARGET}" in done.stderr
    # what was built is taken
    assert smelt(root, "build", "--platform", TARGET).returncode == 0
    assert smelt(root, "build", "--platform", TARGET, env={"PIXI_OVERRIDE_PLATFORM": TARGET}).returncode == 0


def test_source_packages_on_both_sides(root: Path) -> None:
    """A tool that is built for this machine, and a library that is built for the other one."""
    script = ["mkdir -p $PREFIX/share", "echo $target_platform > $PREFIX/share/$PKG_NAME.txt"]
    package(root, "gen", script=script)
    package(
        root,
        "base",
        build=["gen"],
        script=[*script, "cat $BUILD_PREFIX/share/gen.txt >> $PREFIX/share/base.txt"],
        sources={"build": {"gen": "../gen"}},
    )
    package(
        root,
        "app",
        build=["gen"],
        host=["base"],
        run=["base"],
        script=[
            "mkdir -p $PREFIX/share",
            "cat $BUILD_PREFIX/share/gen.txt $PREFIX/share/base.txt > $PREFIX/share/app.txt",
        ],
        sources={"build": {"gen": "../gen"}, "host": {"base": "../base"}, "run": {"base": "../base"}},
    )
    done = smelt(root, "build", "--platform", TARGET, "-o", "out")
    assert done.returncode == 0, done.stderr
    assert built(root, TARGET)["share/app.txt"].split() == [SUBDIR, TARGET, SUBDIR]
    assert built(root, TARGET, "base")["share/base.txt"].split() == [TARGET, SUBDIR]
    assert smelt(root, "lock", "--check").returncode == 0
    # the tool is the one of this machine's own environment: one build
    done = smelt(root, "build", "-p", "gen")
    assert "cached gen" in done.stdout


def test_noarch_is_one_package(root: Path) -> None:
    """What is noarch is built once, with packages of the platform that it is built on."""
    script = ["mkdir -p $PREFIX/share", "cat $PREFIX/share/lib.txt > $PREFIX/share/app.txt"]
    package(root, "app", host=["lib"], script=script, build_table={"noarch": "generic"})
    done = smelt(root, "build", "--platform", TARGET, "-o", "out")
    assert done.returncode == 0, done.stderr
    assert built(root, "noarch")["share/app.txt"] == f"lib for {SUBDIR}\n"
    done = smelt(root, "build")
    assert done.returncode == 0, done.stderr
    assert "cached app" in done.stdout
    assert smelt(root, "lock", "--check").returncode == 0


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('linux-aarch = "linux-64"', "did you mean `linux-aarch64`?"),
        ('linux-aarch64 = "noarch"', "`noarch` is no platform"),
        ("linux-aarch64 = 1", "expected a string"),
    ],
)
def test_mistakes(root: Path, line: str, message: str) -> None:
    text = (root / "pixi.toml").read_text()
    (root / "pixi.toml").write_text(text.replace(CROSS, f"[tool.smelt.build-platform]\n{line}\n"))
    done = smelt(root, "build")
    assert done.returncode != 0
    assert message in done.stderr


def test_a_platform_that_the_workspace_has_not(root: Path) -> None:
    done = smelt(root, "build", "--platform", "osx-64")
    assert done.returncode != 0
    assert "platform 'osx-64' is not part of environment 'default'" in done.stderr


MACHINES = {"linux-64": 62, "linux-aarch64": 183}
"""``e_machine`` of ELF files."""

CROSS_GCC = {"linux-aarch64": "aarch64-linux-gnu-gcc", "linux-64": "x86_64-linux-gnu-gcc"}[TARGET]


@pytest.mark.skipif(
    shutil.which(CROSS_GCC) is None or SUBDIR not in MACHINES, reason=f"there is no {CROSS_GCC} on this machine"
)
def test_a_cross_compiler(root: Path) -> None:
    """A C library and a program that links it, compiled for the other platform, and packed for it."""
    channel = root.parent / "channel"
    done = smelt(root, "channel", "add-toolchain", str(channel), "--platform", TARGET)
    assert done.returncode == 0, done.stderr
    package(
        root,
        "answer",
        build=["${{ compiler('c') }}"],
        script=[
            "mkdir -p $PREFIX/lib $PREFIX/include",
            "echo 'int answer(void);' > $PREFIX/include/answer.h",
            "echo 'int answer(void) { return 42; }' > answer.c",
            "$CC $CFLAGS $LDFLAGS -g -shared -o $PREFIX/lib/libanswer.so answer.c",
            'test "$HOST" != "$BUILD"',
        ],
        build_table={"dynamic_linking": {"binary_relocation": True}},
    )
    package(
        root,
        "app",
        build=["${{ compiler('c') }}"],
        host=["answer"],
        run=["answer"],
        script=[
            "mkdir -p $PREFIX/bin",
            "printf '#include <answer.h>\\nint main(void) { return answer(); }\\n' > app.c",
            "$CC $CFLAGS $LDFLAGS -o $PREFIX/bin/app app.c -lanswer",
        ],
        sources={"host": {"answer": "../answer"}, "run": {"answer": "../answer"}},
    )
    variants = '[workspace.build-variants]\nc_compiler = ["gcc"]\n'
    manifest(root, [channel.as_uri()], f'{variants}[dependencies]\napp = {{ path = "app" }}\n{CROSS}', [TARGET])
    done = smelt(root, "build", "--platform", TARGET, "-o", "out", "--verify")
    assert done.returncode == 0, done.stdout + done.stderr
    for name, path in (("answer", "lib/libanswer.so"), ("app", "bin/app")):
        (archive,) = (root / "out" / TARGET).glob(f"{name}-*.conda")
        (data,) = (member.data for member in read_conda(archive).files if member.name == path)
        assert data[:4] == b"\x7fELF"
        assert int.from_bytes(data[18:20], "little") == MACHINES[TARGET]
    done = smelt(root, "pack", "--platform", TARGET, "-o", "app.tar")
    assert done.returncode == 0, done.stderr
    with tarfile.open(root / "app.tar") as pack:
        assert sum("/answer-" in name or "/app-" in name for name in pack.getnames()) == 2
