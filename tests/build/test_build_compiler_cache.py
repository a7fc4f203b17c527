"""A compiler cache in builds: hits, the same bytes, never in the identity."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from build_kit import build, node, render, write_source

from smelt.build.compiler_cache import CompilerCache, find_compiler_cache, write_launcher
from smelt.build.model import BuildNode
from smelt.build.surroundings import Surroundings
from smelt.errors import ConfigError
from spine_kit import Channel, manifest, posix, recipe, smelt

pytestmark = [posix, pytest.mark.build]
needs_ccache = pytest.mark.skipif(
    shutil.which("ccache") is None or shutil.which("gcc") is None, reason="there is no ccache, or no gcc"
)

SCRIPT = [
    "export CC=gcc CXX=g++",
    "mkdir -p $PREFIX/lib",
    "$CC -O2 -c mine.c -o mine.o",
    "$CC -shared mine.o -o $PREFIX/lib/libmine.so",
]


def package(source: Path, name: str = "mine", script: list[str] | str = SCRIPT) -> BuildNode:
    """A package that compiles; its compiler's settings come before the script, as from the package of a compiler."""
    write_source(source, {"mine.c": "int mine(int x) { return x * 42; }\n"})
    text = {
        "package": {"name": name, "version": "1"},
        "source": [{"path": "."}],
        "build": {"script": {"content": script, "env": {"CC": "gcc", "CXX": "g++"}}},
    }
    return node(render(json.dumps(text), source)[0], source)


def hits(folder: Path) -> int:
    done = subprocess.run(
        [shutil.which("ccache") or "", "--print-stats"],
        env={**os.environ, "CCACHE_DIR": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    counts = dict(line.split("\t") for line in done.stdout.splitlines())
    return int(counts["direct_cache_hit"]) + int(counts["preprocessed_cache_hit"])


@needs_ccache
@pytest.mark.parametrize("sandboxed", [False, True])
def test_the_second_build_compiles_nothing(sandboxed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if sandboxed and not sys.platform.startswith("linux"):
        pytest.skip("needs Linux")
    monkeypatch.setenv("CCACHE_DIR", str(tmp_path / "home" / "objects"))
    cache = find_compiler_cache("ccache")
    assert cache is not None and cache.folder == tmp_path / "home" / "objects"
    cache.folder.mkdir(parents=True)
    one = package(tmp_path / "source", script=SCRIPT[1:])
    around = Surroundings(compiler_cache=cache, home=tmp_path / "home", sandboxed=sandboxed)
    plain = build([one], tmp_path / "plain")[one.key]
    first = build([one], tmp_path / "with", surroundings=around)[one.key]
    assert hits(cache.folder) == 0
    again = build([one], tmp_path / "with", surroundings=around, rebuild=frozenset(["mine"]))[one.key]
    assert hits(cache.folder) > 0
    assert plain.record.sha256 == first.record.sha256 == again.record.sha256
    assert plain.key == first.key


@needs_ccache
def test_a_script_that_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CCACHE_DIR", str(tmp_path / "objects"))
    cache = find_compiler_cache("ccache")
    assert cache is not None
    source = write_source(tmp_path / "source", {"build.sh": "\n".join(SCRIPT[1:]) + "\n", "mine.c": "int x = 1;\n"})
    text = {"package": {"name": "mine", "version": "1"}, "source": [{"path": "."}]}
    text["build"] = {"script": {"file": "build.sh", "env": {"CC": "gcc"}}}  # type: ignore[assignment]
    one = node(render(json.dumps(text), source)[0], source)
    around = Surroundings(compiler_cache=cache)
    for _ in range(2):
        assert build([one], tmp_path, surroundings=around, rebuild=frozenset(["mine"]))[one.key].built
    assert hits(cache.folder) > 0


@needs_ccache
@pytest.mark.skipif(shutil.which("cmake") is None, reason="there is no cmake")
def test_cmake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CCACHE_DIR", str(tmp_path / "objects"))
    cache = find_compiler_cache("ccache")
    assert cache is not None
    write_source(
        tmp_path / "source",
        {
            "CMakeLists.txt": "cmake_minimum_required(VERSION 3.17)\nproject(x C)\nadd_library(mine SHARED mine.c)\n"
            "install(TARGETS mine)\n"
        },
    )
    one = package(tmp_path / "source", script=["cmake -DCMAKE_INSTALL_PREFIX=$PREFIX .", "make install"])
    plain = build([one], tmp_path / "plain")[one.key]
    around = Surroundings(compiler_cache=cache)
    for _ in range(2):
        found = build([one], tmp_path / "with", surroundings=around, rebuild=frozenset(["mine"]))[one.key]
        assert found.record.sha256 == plain.record.sha256
    assert hits(cache.folder) > 0


def test_it_is_declared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in that writes down its calls: what the manifest, the configuration and the environment say."""
    monkeypatch.setenv("PIXI_CACHE_DIR", str(tmp_path / "cache"))
    calls = tmp_path / "home" / ".cache" / "ccache" / "calls"
    program = tmp_path / "tools" / "ccache"
    write_source(tmp_path / "tools", {"ccache": '#!/bin/sh\necho "$@" >> "$CCACHE_DIR/calls"\nexec "$@"\n'})
    program.chmod(0o755)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("CCACHE_DIR", raising=False)
    channel = Channel(tmp_path / "channel")
    channel.add("fake-cc", files={"etc/conda/activate.d/cc.sh": "export CC=true\n"})
    channel.index()
    root = tmp_path / "ws"
    recipe(root, "mine", build=["fake-cc"], script=["mkdir -p $PREFIX/share", "$CC compiling", "touch $PREFIX/share/x"])
    text = '[dependencies]\nmine = { path = "mine" }\n'
    manifest(root, [channel.url], text + '[tool.smelt]\ncompiler-cache = "ccache"\n')
    path = {"PATH": f"{program.parent}:{os.environ['PATH']}"}
    done = smelt(root, "build", env=path)
    assert done.returncode == 0, done.stderr
    assert calls.read_text() == "true compiling\n"
    why = smelt(root, "build", "--why", env={**path, "SMELT_COMPILER_CACHE": "none"})
    assert "in the store, nothing to build" in why.stdout
    off = smelt(root, "build", "--rebuild", "mine", env={**path, "SMELT_COMPILER_CACHE": "none"})
    assert off.returncode == 0 and calls.read_text() == "true compiling\n"
    missing = smelt(
        root, "build", "--rebuild", "mine", env={"PATH": "/usr/bin:/bin", "SMELT_COMPILER_CACHE": "sccache"}
    )
    assert missing.returncode == 0
    assert "the compiler cache `sccache` is not there; builds go without it" in missing.stderr
    manifest(root, [channel.url], text)
    named = smelt(root, "build", "--rebuild", "mine", env={"SMELT_COMPILER_CACHE": str(program)})
    assert named.returncode == 0 and calls.read_text() == "true compiling\ntrue compiling\n"
    manifest(root, [channel.url], text + '[tool.smelt]\ncompiler-cache = "distcc"\n')
    wrong = smelt(root, "build")
    assert wrong.returncode == 1
    assert "`distcc` is no compiler cache" in wrong.stderr and "pixi.toml:" in wrong.stderr
    bad = smelt(root, "build", env={"SMELT_COMPILER_CACHE": "/bin/rm"})
    assert bad.returncode == 1 and "Traceback" not in bad.stderr


def test_finding(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        find_compiler_cache("gcc")
    assert find_compiler_cache("ccache", {"PATH": str(tmp_path)}) is None
    program = tmp_path / "ccache"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    (tmp_path / ".ccache").mkdir()
    found = find_compiler_cache("ccache", {"PATH": str(tmp_path), "HOME": str(tmp_path), "CCACHE_BASEDIR": "/x"})
    assert found is not None and found.folder in (tmp_path / ".ccache", tmp_path / "Library" / "Caches" / "ccache")
    assert CompilerCache.from_dict(found.to_dict()) == found
    launcher = tmp_path / "launcher"
    write_launcher(launcher, found)
    assert "export CCACHE_BASEDIR=''" in launcher.read_text()


def test_a_staging_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It compiles through the cache, and sees the variables that are declared; what inherits it does, too."""
    monkeypatch.setenv("PIXI_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("CCACHE_DIR", str(tmp_path / "objects"))
    write_source(tmp_path / "tools", {"ccache": '#!/bin/sh\necho "$@" >> "$CCACHE_DIR/calls"\nexec "$@"\n'})
    program = tmp_path / "tools" / "ccache"
    program.chmod(0o755)
    channel = Channel(tmp_path / "channel")
    channel.add("fake-cc", files={"etc/conda/activate.d/cc.sh": "export CC=true\n"})
    channel.index()
    root = tmp_path / "ws"
    recipe = {
        "recipe": {"name": "calc", "version": "1.0"},
        "outputs": [
            {
                "staging": {"name": "calc-build"},
                "requirements": {"build": ["fake-cc"]},
                "build": {"script": ["mkdir -p $PREFIX/lib", "$CC $TOKEN", "echo x > $PREFIX/lib/x"]},
            },
            {"package": {"name": "libcalc"}, "inherit": "calc-build", "build": {"files": ["lib/**"]}},
        ],
    }
    write_source(
        root / "calc",
        {
            "recipe.yaml": json.dumps(recipe),
            "pixi.toml": '[package]\nname = "libcalc"\n[package.build]\nsecrets = ["TOKEN"]\n'
            'backend = { name = "pixi-build-rattler-build", version = "*" }\n',
        },
    )
    manifest(root, [channel.url], '[dependencies]\nlibcalc = { path = "calc" }\n')
    done = smelt(root, "build", env={"SMELT_COMPILER_CACHE": str(program), "TOKEN": "s3cr3t"})
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "objects" / "calls").read_text() == "true s3cr3t\n"
