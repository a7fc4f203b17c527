"""Profiles for packages that are built by programs: configuration, variables, and builds that are told apart."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from test_resolve_foreign_backend import channel as channel  # a fixture
from test_resolve_foreign_backend import prefix, workspace

from spine_kit import Channel, manifest, posix, smelt

pytestmark = [pytest.mark.build, posix]

PROFILE = """
[dependencies]
mine = { path = "mine" }
lib = "2.*"
[feature.fast]
[environments]
fast = ["fast"]
[tool.smelt.profile.fast]
packages = ["mine"]
env = { CFLAGS = "-O3 -I$PREFIX/x", GREETING = "it's \\"me\\"" }
[tool.smelt.feature.fast]
profile = "fast"
"""
SCRIPT = """script = ["mkdir -p $PREFIX/share", 'echo "${CFLAGS:-none} ${GREETING:-nobody}" > $PREFIX/share/mine.txt']
"""


def made(root: Path, channel: Channel, text: str = PROFILE, config: str = "") -> Path:
    workspace(root, channel, text=text)
    (root / "mine" / "pixi.toml").write_text(
        f"""[package]
name = "mine"
version = "1.5"
[package.build]
backend = {{ name = "pixi-build-demo", version = "*" }}
[package.build.config]
{SCRIPT}{config}
[package.build-dependencies]
compiler = "*"
[package.host-dependencies]
lib = "*"
"""
    )
    channel.add("compiler", files={"etc/conda/activate.d/compiler.sh": 'export CFLAGS="-g"\n'})
    channel.index()
    return root


def text_in(root: Path, environment: str) -> str:
    return (prefix(root, environment) / "share" / "mine.txt").read_text().strip()


def test_variables_are_added_to_the_toolchains(tmp_path: Path, channel: Channel) -> None:
    root = made(tmp_path / "ws", channel)
    done = smelt(root, "install", "--all")
    assert done.returncode == 0, done.stderr
    assert text_in(root, "default") == "-g nobody"
    said = text_in(root, "fast")
    assert said.startswith("-g -O3 -I/") and said.endswith("""/x it's "me\"""")
    lock = (root / "pixi.lock").read_text()
    assert "smelt_profile: fast" in lock and "build: fast_h" in lock
    assert "profile: fast" in lock
    assert smelt(root, "lock", "--check").returncode == 0
    done = smelt(root, "build")
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["cached", "cached"]
    # only what has the profile is built anew
    (root / "pixi.toml").write_text((root / "pixi.toml").read_text().replace("-O3", "-O2"))
    done = smelt(root, "build")
    assert done.returncode == 0, done.stderr
    assert sorted(line.split()[0] for line in done.stdout.splitlines()) == ["built", "cached"]
    # nothing of the profile's own script is in the package
    assert not list(prefix(root, "fast").rglob("*smelt-profile*"))
    done = smelt(root, "build", "--verify")
    assert done.returncode == 0, done.stdout


def test_configuration_is_laid_over(tmp_path: Path, channel: Channel) -> None:
    script = 'script = ["mkdir -p $PREFIX/share", "echo other > $PREFIX/share/mine.txt"]'
    overlay = f"config.pixi-build-demo = {{ {script} }}"
    family = "linux" if sys.platform.startswith("linux") else "osx"
    lines = f'["mkdir -p $PREFIX/share", "echo {family} > $PREFIX/share/mine.txt"]'
    target = f"[package.build.target.unix.config]\nscript = {lines}\n"
    root = made(tmp_path / "ws", channel, PROFILE.replace("env =", f"{overlay}\nenv ="))
    done = smelt(root, "install", "--all")
    assert done.returncode == 0, done.stderr
    assert (text_in(root, "default"), text_in(root, "fast")) == ("-g nobody", "other")
    path = root / "mine" / "pixi.toml"
    path.write_text(path.read_text() + target)
    done = smelt(root, "install", "--all")
    assert done.returncode == 0, done.stderr
    assert (text_in(root, "default"), text_in(root, "fast")) == (family, "other")


def test_what_cannot_take_a_profile_says_so(tmp_path: Path, channel: Channel) -> None:
    root = made(tmp_path / "ws", channel, config='fault = "no-prefix"')
    done = smelt(root, "lock")
    assert done.returncode not in (0, 70), done.stderr
    assert (
        "profile `fast` cannot be applied to package `mine`: the backend `pixi-build-demo` calls the build `h"
        in done.stderr
    )
    assert "mine/pixi.toml:5" in done.stderr
    root = made(tmp_path / "lazy", channel, config='fault = "lazy"')
    done = smelt(root, "install", "-e", "fast")
    assert done.returncode not in (0, 70), done.stderr
    assert "error[backend-output]" in done.stderr and "did not build mine with the profile" in done.stderr
    root = made(tmp_path / "bad", channel, PROFILE.replace("GREETING", '"a b"'))
    done = smelt(root, "lock")
    assert done.returncode not in (0, 70) and "cannot name an environment variable" in done.stderr
    # what the profile says nothing about is as it was
    manifest(root, [channel.url], PROFILE.replace('packages = ["mine"]', 'packages = ["other"]'))
    assert smelt(root, "lock").returncode == 0
    assert "fast_h" not in (root / "pixi.lock").read_text()
