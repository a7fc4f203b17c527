"""Single changes of packages with the backends for CMake and Rust: ``d`` and ``e``, beside each other."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from identity_kit import PACKAGE, Case, Change, Keys, append, config, differences, edit, write

from smelt.source.backends.cmake import CmakeBackend
from smelt.source.backends.rust import RustBackend
from spine_kit import SUBDIR, Channel, posix

pytestmark = [pytest.mark.build, posix]

MANIFEST = """
[workspace]
name = "test"
channels = ["CHANNEL"]
platforms = ["SUBDIR"]
preview = ["pixi-build"]
[dependencies]
d = { path = "d" }
e = { path = "e" }
"""

FILES = {
    "pixi.toml": MANIFEST,
    "d/pixi.toml": PACKAGE.replace("NAME", "d").replace("BACKEND", "cmake"),
    "d/CMakeLists.txt": "project(d)\n",
    "d/d.cpp": "int d;\n",
    "d/.gitignore": "*.log\n",
    "d/ignored.log": "ignored\n",
    "e/pixi.toml": PACKAGE.replace("NAME", "e").replace("BACKEND", "rust"),
    "e/Cargo.toml": '[package]\nname = "e"\nversion = "1.0.0"\ndescription = "a crate"\n',
    "e/Cargo.lock": "version = 3\n",
    "e/src/main.rs": "fn main() {}\n",
}

D, D_AGAIN, E, E_AGAIN, NOTHING = "d!", "d~", "e!", "e~", ""

CHANGES: dict[str, tuple[str, Change]] = {
    "cmake: source": (D, write("d/d.cpp", "int dd;\n")),
    "cmake: header": (D, write("d/d.hpp", "int dd;\n")),
    "cmake: lists": (D, append("d/CMakeLists.txt", "# comment\n")),
    "cmake: build folder": (NOTHING, write("d/.pixi/build/x", "")),
    "cmake: ignored file": (NOTHING, write("d/other.log", "")),
    "cmake: comment in the manifest": (NOTHING, append("d/pixi.toml", "# comment\n")),
    "cmake: debug-dir": (D_AGAIN, edit("d/pixi.toml", '"here"', '"there"')),
    "cmake: extra-args": (D, config("d", 'extra-args = ["-DA=1"]')),
    "cmake: no extra-args": (D_AGAIN, config("d", "extra-args = []")),
    "cmake: env": (D, config("d", 'env = { A = "1" }')),
    "cmake: compilers": (D, config("d", 'compilers = ["c"]')),
    "cmake: compilers as they are": (D_AGAIN, config("d", 'compilers = ["cxx"]')),
    "cmake: extra-input-globs": (D, config("d", 'extra-input-globs = ["*.log"]')),
    "cmake: run dependency": (D_AGAIN, append("d/pixi.toml", '[package.run-dependencies]\nother = "*"\n')),
    "cmake: host dependency": (D, append("d/pixi.toml", '[package.host-dependencies]\nother = "*"\n')),
    "cmake: summary": (D_AGAIN, edit("d/pixi.toml", 'version = "1.0"', 'version = "1.0"\ndescription = "d"')),
    "cmake: time of a file": (NOTHING, lambda case: os.utime(case.path("d/d.cpp"), (1, 1))),
    "cmake: version of the backend": (D, lambda case: case.patch.setattr(CmakeBackend, "version", "0")),
    "rust: source": (E, write("e/src/main.rs", "fn main() { }\n")),
    "rust: module": (E, write("e/src/more.rs", "")),
    "rust: dependencies": (E, append("e/Cargo.lock", "# comment\n")),
    "rust: build folder that is ignored": (
        E,  # the list of what is ignored is a file of the source
        lambda case: (write("e/.gitignore", "/target\n")(case), write("e/target/x", "")(case)),
    ),
    "rust: description": (E, edit("e/Cargo.toml", "a crate", "the crate")),
    "rust: debug-dir": (E_AGAIN, edit("e/pixi.toml", '"here"', '"there"')),
    "rust: extra-args": (E, config("e", 'extra-args = ["--offline"]')),
    "rust: binaries": (E, config("e", 'binaries = ["e"]')),
    "rust: env": (E, config("e", 'env = { A = "1" }')),
    "rust: compilers": (E, config("e", 'compilers = ["rust"]')),
    "rust: ignore-cargo-manifest": (E_AGAIN, config("e", "ignore-cargo-manifest = true")),
    "rust: version of the backend": (E, lambda case: case.patch.setattr(RustBackend, "version", "0")),
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Keys]:
    """The locked workspace, the folder of its channel, and its builds."""
    folder = tmp_path_factory.mktemp("base")
    channel = Channel(folder / "channel")
    for name in ("cmake", "ninja", "other"):
        channel.add(name)
    for name in ("gcc", "gxx", "clang", "clangxx", "rust"):
        channel.add(f"{name}_{SUBDIR}")
    channel.index()
    root = folder / "workspace"
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text.replace("CHANNEL", channel.url).replace("SUBDIR", SUBDIR), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIXI_CACHE_DIR", str(folder / "cache"))
        nodes = Case(root=root, channel=channel.folder, patch=patch).plan()
    assert set(nodes) == {"d", "e"}
    return root, channel.folder, nodes


@pytest.mark.parametrize("name", list(CHANGES))
def test_change(name: str, base: tuple[Path, Path, Keys], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, channel, nodes = base
    monkeypatch.setenv("PIXI_CACHE_DIR", str(root.parent / "cache"))
    monkeypatch.delenv("PIXI_IN_SHELL", raising=False)
    shutil.copytree(root, tmp_path / "workspace", symlinks=True)
    case = Case(root=tmp_path / "workspace", channel=channel, patch=monkeypatch)
    expected, change = CHANGES[name]
    change(case)
    found = case.plan()
    assert differences(nodes, found) == set(expected.split())
    assert set(found) == set(nodes)
