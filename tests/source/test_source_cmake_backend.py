"""CMake projects: rendered by the real rattler-build, and built by the machine's own CMake, Ninja and compilers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from source_packages import request, specs
from tools_channel import add_tools

from smelt.api.workspace import Workspace
from smelt.channel.index import write_index
from smelt.errors import NotSupportedError, SourceError
from smelt.source.render import render
from smelt.types import CondaSpec, SourceLocation
from smelt.workspace.model import Profile
from smelt.workspace.package import PackageRequirements
from spine_kit import manifest

NAME = "pixi-build-cmake"
PROJECT = {
    "CMakeLists.txt": """\
cmake_minimum_required(VERSION 3.16)
project(answer LANGUAGES C)
include(GNUInstallDirs)
add_library(answer answer.c)
target_compile_definitions(answer PRIVATE ANSWER=${ANSWER})
add_executable(ask ask.c)
target_compile_definitions(ask PRIVATE MODE="${CMAKE_BUILD_TYPE} ${SAY} $ENV{SAID}")
target_link_libraries(ask PRIVATE answer)
set_target_properties(ask PROPERTIES INSTALL_RPATH "$ORIGIN/../lib")
install(TARGETS answer ask LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
""",
    "answer.c": "int answer(void) { return ANSWER; }\n",
    "ask.c": """\
#include <stdio.h>
int answer(void);
int main(void) { printf("%d %s\\n", answer(), MODE); return 0; }
""",
    "build": "a file that is called as build folders are\n",
}
PACKAGE = """\
[package]
name = "answer"
version = "1.0"
[package.build]
backend = { name = "pixi-build-cmake", version = "*" }
[package.build.config]
compilers = ["c"]
extra-args = ["-DANSWER=42", "-DSAY='two words'"]
env = { SAID = "hello" }
"""


def test_the_recipe(tmp_path: Path) -> None:
    (variant,) = render(
        request(
            tmp_path,
            backend=NAME,
            name="Demo",
            version="1.2",
            requirements=PackageRequirements(
                build=specs(ninja="1.13"),
                host=specs(zlib="*", core=CondaSpec(location=SourceLocation(path="../core"))),
                run=specs(zlib=">=1"),
            ),
            config={"extra-args": ["-DA=1", "-DB=two words"], "env": {"C": "3"}, "debug-dir": "x"},
            license="MIT",
        )
    )
    assert (variant.name, variant.version, variant.subdir, variant.noarch) == ("demo", "1.2", "linux-64", None)
    assert variant.build_requirements == ("ninja ==1.13", "cmake", "ninja", "gxx_linux-64")
    assert variant.host_requirements == ("zlib", "core")
    assert variant.run_requirements == ("zlib >=1",)
    assert variant.source_requirements == {"core": SourceLocation(path="../core")}
    assert variant.license == "MIT"
    script = variant.recipe["build"]["script"]
    assert script["env"] == {"SOURCE_DATE_EPOCH": "315532800", "C": "3"}
    words = script["content"].split(" \\\n    ")
    assert words[1:4] == ["-DCMAKE_INSTALL_LIBDIR=lib", "${CMAKE_ARGS:-}", "-GNinja"]
    assert '-DCMAKE_BUILD_TYPE="${CMAKE_BUILD_TYPE:-Release}"' in words
    assert '-DCMAKE_INSTALL_PREFIX="$PREFIX"' in words
    assert "-DBUILD_SHARED_LIBS=ON" in words
    assert words[-2:] == ["-DA=1", "-DB=two words\ncmake --build _smelt_build --target install\n"]


def test_windows(tmp_path: Path) -> None:
    (variant,) = render(request(tmp_path, backend=NAME, name="demo", version="1", subdir="win-64"))
    assert variant.build_requirements == ("cmake", "ninja", "vs2022_win-64")
    content = variant.recipe["build"]["script"]["content"]
    assert '-DCMAKE_INSTALL_PREFIX="%LIBRARY_PREFIX%" ^\n' in content
    assert content.count("if errorlevel 1 exit 1") == 2
    assert "$" not in content


def test_compilers_and_variants(tmp_path: Path) -> None:
    variants = {"c_compiler": ("clang",), "c_stdlib": ("sysroot",), "python": ("3.11.*", "3.12.*"), "cmake": ("4.*",)}
    found = render(
        request(
            tmp_path,
            backend=NAME,
            name="demo",
            version="1",
            requirements=PackageRequirements(host=specs(python="*")),
            config={"compilers": ["c", "fortran"]},
            variants=variants,
        )
    )
    assert [each.variant["python"] for each in found] == ["3.11.*", "3.12.*"]
    assert found[0].build_requirements == (
        "cmake 4.*",
        "ninja",
        "clang_linux-64",
        "gfortran_linux-64",
        "sysroot_linux-64",
    )
    (none,) = render(request(tmp_path, backend=NAME, name="demo", version="1", config={"compilers": []}))
    assert none.build_requirements == ("cmake", "ninja")


def test_a_profile_is_laid_over(tmp_path: Path) -> None:
    profile = Profile(name="debug", env={"CXXFLAGS": "-g"}, config={NAME: {"extra-args": ["-DCMAKE_BUILD_TYPE=Debug"]}})
    (variant,) = render(
        request(tmp_path, backend=NAME, name="d", version="1", config={"extra-args": ["-DX=1"]}, profile=profile)
    )
    content = variant.recipe["build"]["script"]["content"]
    assert content.startswith('export CXXFLAGS="${CXXFLAGS:+$CXXFLAGS }-g"\n')
    assert "-DCMAKE_BUILD_TYPE=Debug\n" in content
    assert "-DX=1" not in content


@pytest.mark.parametrize(
    ("given", "error", "kind"),
    [
        ({"version": "1"}, SourceError, "package-name-missing"),
        ({"name": "a"}, SourceError, "package-version-missing"),
        ({"name": "a", "version": "1", "config": {"extra-arg": []}}, SourceError, "backend-config"),
        ({"name": "a", "version": "1", "config": {"compilers": "c"}}, SourceError, "backend-config"),
        (
            {"name": "a", "version": "1", "requirements": PackageRequirements(extra={"t": specs(x="*")})},
            NotSupportedError,
            "not-supported",
        ),
    ],
)
def test_mistakes(tmp_path: Path, given: dict[str, object], error: type[SourceError], kind: str) -> None:
    with pytest.raises(error) as caught:
        render(request(tmp_path, backend=NAME, **given))  # type: ignore[arg-type]
    assert caught.value.kind == kind


def make_workspace(root: Path, channel: Path, config: str = "") -> Path:
    folder = root / "answer"
    folder.mkdir(parents=True)
    for name, text in PROJECT.items():
        (folder / name).write_text(text)
    (folder / "pixi.toml").write_text(PACKAGE + config)
    manifest(root, [channel.as_uri()], '[dependencies]\nanswer = { path = "answer" }\n')
    return root


def ask(workspace: Workspace, environment: str = "default") -> str:
    program = workspace.model.prefix(environment) / "bin" / "ask"
    return subprocess.run([program], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.build
@pytest.mark.skipif(sys.platform == "win32", reason="there is no toolchain for Windows yet")
def test_a_library_and_a_program(tmp_path: Path, bare_channel: Path) -> None:
    """Compiled, installed into the prefix, found at run time; the same bytes from another folder."""
    channel = tmp_path / "channel"
    shutil.copytree(bare_channel, channel)
    add_tools(channel, "cmake", "cmake")
    add_tools(channel, "ninja", "ninja")
    write_index(channel)
    digests: set[str | None] = set()
    for name in ("one", "a longer name/two"):
        workspace = Workspace.load(make_workspace(tmp_path / name, channel))
        workspace.install()
        assert ask(workspace) == "42 Release two words hello"
        prefix = workspace.model.prefix("default")
        assert [path.name for path in (prefix / "lib").glob("libanswer*")]
        assert not (prefix / "share" / "build").exists()
        plan = workspace.plan()
        artifacts = workspace.build()
        digests |= {artifacts[node.key].record.sha256 for node in plan.nodes}
        shutil.rmtree(os.environ["PIXI_CACHE_DIR"])
    assert len(digests) == 1


@pytest.mark.build
@pytest.mark.skipif(sys.platform == "win32", reason="there is no toolchain for Windows yet")
def test_a_change_of_the_configuration_is_another_build(tmp_path: Path, bare_channel: Path) -> None:
    channel = tmp_path / "channel"
    shutil.copytree(bare_channel, channel)
    add_tools(channel, "cmake", "cmake")
    add_tools(channel, "ninja", "ninja")
    write_index(channel)
    root = make_workspace(tmp_path / "work", channel)
    first = Workspace.load(root)
    first.install()
    before = {node.key for node in first.plan().nodes}
    path = root / "answer" / "pixi.toml"
    text = path.read_text().replace("ANSWER=42", "ANSWER=43")
    path.write_text(text.replace('SAID = "hello"', 'SAID = "hello", CMAKE_BUILD_TYPE = "Debug"'))
    again = Workspace.load(root)
    assert {node.key for node in again.plan().nodes}.isdisjoint(before)
    again.install()
    assert ask(again) == "43 Debug two words hello"


@pytest.mark.build
@pytest.mark.network
@pytest.mark.skipif(sys.platform == "win32", reason="there is no toolchain for Windows yet")
def test_cmake_and_ninja_from_wheels(tmp_path: Path, bare_channel: Path) -> None:
    """The tools as packages of a channel, nothing of the system but its compiler."""
    from smelt.channel.wheels import add_wheels

    channel = tmp_path / "channel"
    shutil.copytree(bare_channel, channel)
    add_wheels(channel, ["cmake", "ninja"])
    workspace = Workspace.load(make_workspace(tmp_path / "work", channel))
    workspace.install()
    assert ask(workspace) == "42 Release two words hello"
    assert not [each["name"] for each in workspace.packages() if "cmake" in str(each["name"])]
