"""Crates: rendered by the real rattler-build, and built by the machine's own Cargo."""

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
from smelt.workspace.package import PackageRequirements
from spine_kit import SUBDIR, manifest

NAME = "pixi-build-rust"
CARGO = """\
[package]
name = "Answer"
version = "1.2.0-rc.1"
edition = "2021"
description = "Answers."
license = "MIT"
license-file = "LICENSE"
homepage = "https://answer.example/"
repository = "https://code.example/answer"
[[bin]]
name = "ask"
path = "src/ask.rs"
[[bin]]
name = "other"
path = "src/ask.rs"
[features]
loud = []
"""
PROGRAM = """\
fn main() {
    let mark = if cfg!(feature = "loud") { "!" } else { "." };
    println!("{}{} {}", 42, mark, option_env!("SAID").unwrap_or("nothing"));
}
"""


@pytest.fixture
def crate(tmp_path: Path) -> Path:
    folder = tmp_path / "crate"
    (folder / "src").mkdir(parents=True)
    (folder / "Cargo.toml").write_text(CARGO)
    (folder / "Cargo.lock").write_text('version = 3\n[[package]]\nname = "Answer"\nversion = "1.2.0-rc.1"\n')
    (folder / "LICENSE").write_text("MIT\n")
    (folder / "src" / "ask.rs").write_text(PROGRAM)
    return folder


def test_the_recipe(crate: Path) -> None:
    (variant,) = render(
        request(
            crate,
            backend=NAME,
            requirements=PackageRequirements(build=specs(pkg_config="*"), host=specs(openssl="3.*")),
            config={"extra-args": ["--features", "loud"], "binaries": ["ask"], "env": {"SAID": "x"}},
        )
    )
    assert (variant.name, variant.version, variant.subdir) == ("answer", "1.2.0rc1", "linux-64")
    assert variant.build_requirements == ("pkg-config", "rust_linux-64", "gcc_linux-64")
    assert variant.host_requirements == ("openssl 3.*",)
    assert variant.license == "MIT"
    about = variant.recipe["about"]
    assert (about["homepage"], about["summary"]) == ("https://answer.example/", "Answers.")
    script = variant.recipe["build"]["script"]
    assert script["env"] == {"SOURCE_DATE_EPOCH": "315532800", "SAID": "x"}
    assert script["content"].splitlines() == [
        'if [ -d "$PREFIX/include/openssl" ]; then export OPENSSL_DIR="$PREFIX"; fi',
        'export CARGO="$BUILD_PREFIX/bin/cargo"',
        'export RUSTC="$BUILD_PREFIX/bin/rustc"',
        'export RUSTDOC="$BUILD_PREFIX/bin/rustdoc"',
        '"$BUILD_PREFIX/bin/cargo" install --locked --root "$PREFIX" --path . --target-dir _smelt_build --no-track '
        "--features loud --bin ask --force",
    ]


def test_the_table_goes_before_the_crate(crate: Path) -> None:
    (variant,) = render(request(crate, backend=NAME, name="mine", version="7", license="ISC"))
    assert (variant.name, variant.version, variant.license) == ("mine", "7", "ISC")
    ignored = {"ignore-cargo-manifest": True}
    (variant,) = render(request(crate, backend=NAME, name="mine", version="7", config=ignored))
    assert variant.license is None
    with pytest.raises(SourceError) as caught:
        render(request(crate, backend=NAME, config=ignored))
    assert caught.value.kind == "package-name-missing"


def test_windows_and_sccache(crate: Path) -> None:
    config = {"env": {"SCCACHE_DIR": "x"}, "compilers": ["rust"]}
    (variant,) = render(request(crate, backend=NAME, subdir="win-64", config=config))
    assert variant.build_requirements == ("sccache", "rust_win-64")
    content = variant.recipe["build"]["script"]["content"]
    assert 'set "CARGO=%BUILD_PREFIX%\\Library\\bin\\cargo"' in content
    assert "set RUSTC_WRAPPER=sccache\n" in content
    assert content.endswith("if errorlevel 1 exit 1\nsccache --show-stats\n")


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("[package\n", SourceError, "is not valid TOML"),
        ('[workspace]\nmembers = ["a"]\n', SourceError, "it is no crate"),
        (
            '[package]\nname = "a"\nversion = "1.0-strange.tag"\n',
            SourceError,
            "no version that a conda package can have",
        ),
        ('[package]\nname = "a"\nversion.workspace = true\n', NotSupportedError, "inherits `version`"),
        ('[package]\nname = "a"\n', SourceError, "has no version"),
        (None, SourceError, "there is no Cargo.toml"),
    ],
)
def test_mistakes(tmp_path: Path, text: str | None, error: type[SourceError], words: str) -> None:
    if text is not None:
        (tmp_path / "Cargo.toml").write_text(text)
    with pytest.raises(error, match=words):
        render(request(tmp_path, backend=NAME))


def test_values_of_a_workspace_in_the_same_file(tmp_path: Path) -> None:
    (tmp_path / "Cargo.toml").write_text(
        '[package]\nname = "a"\nversion.workspace = true\n[workspace.package]\nversion = "2.0.0"\n'
    )
    (variant,) = render(request(tmp_path, backend=NAME))
    assert variant.version == "2.0.0"


def add_rust(channel: Path) -> None:
    """The machine's own Rust as the package that ``compiler('rust')`` asks for; skips without it."""
    rustc = shutil.which("rustc")
    if rustc is None:
        pytest.skip("there is no rustc on this machine")
    done = subprocess.run([rustc, "--print", "sysroot"], capture_output=True, text=True, check=False)
    folder = Path(done.stdout.strip()) / "bin"
    if done.returncode != 0 or not (folder / "cargo").exists():
        pytest.skip("there is no cargo beside rustc")
    add_tools(channel, f"rust_{SUBDIR}", "cargo", "rustc", "rustdoc", path=str(folder))
    write_index(channel)


@pytest.mark.build
@pytest.mark.skipif(sys.platform == "win32", reason="there is no toolchain for Windows yet")
def test_a_crate_is_built(tmp_path: Path, crate: Path, bare_channel: Path) -> None:
    """Compiled, installed, run; the same bytes from another folder."""
    channel = tmp_path / "channel"
    shutil.copytree(bare_channel, channel)
    add_rust(channel)
    (crate / "pixi.toml").write_text(
        '[package]\nname = "answer"\nversion = "1.0"\n[package.build]\n'
        'backend = { name = "pixi-build-rust", version = "*" }\n[package.build.config]\nbinaries = ["ask"]\n'
        'extra-args = ["--features", "loud"]\nenv = { SAID = "hello" }\n'
    )
    digests: set[str | None] = set()
    for name in ("one", "a longer name/two"):
        root = tmp_path / name
        root.mkdir(parents=True)
        shutil.copytree(crate, root / "answer")
        manifest(root, [channel.as_uri()], '[dependencies]\nanswer = { path = "answer" }\n')
        workspace = Workspace.load(root)
        workspace.install()
        commands = workspace.model.prefix("default") / "bin"
        done = subprocess.run([commands / "ask"], capture_output=True, text=True, check=True)
        assert done.stdout == "42! hello\n"
        assert not (commands / "other").exists()
        (artifact,) = workspace.build().values()
        digests.add(artifact.record.sha256)
        shutil.rmtree(os.environ["PIXI_CACHE_DIR"])
    assert len(digests) == 1
