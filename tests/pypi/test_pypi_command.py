"""Every setting for PyPI packages through the command line: locked, checked, and locked again without a change."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from pypi_kit import dynamic_project, project, sdist, served, simple_index, wheel

from smelt.lock.model import PypiPackage
from smelt.lock.reader import read
from spine_kit import OTHER, SUBDIR, Channel, manifest, smelt

HERE = "linux" if SUBDIR.startswith("linux") else "darwin" if SUBDIR.startswith("osx") else "win32"


@pytest.fixture
def links(tmp_path: Path) -> Path:
    """``app`` 1, 2 and 3a1 that need ``base``; ``base`` 1 and 2; what belongs to an extra, and to a platform."""
    folder = tmp_path / "ws" / "links"
    requires = ["base", "plot; extra == 'more'", f"local; sys_platform == '{HERE}'"]
    for version in ("1.0", "2.0", "3.0a1"):
        wheel(folder, "app", version, requires, extras=["more"])
    for version in ("1.0", "2.0"):
        wheel(folder, "base", version)
    wheel(folder, "strict", "1.0", ["base <2"])
    for name in ("plot", "local"):
        wheel(folder, name)
    return folder


def write(
    root: Path, channel: Channel, pypi: str, options: str = "", conda: str = "", head: str = "", both: bool = False
) -> Path:
    platforms = (SUBDIR, OTHER) if both else (SUBDIR,)
    text = f'{head}\n[dependencies]\npython = "*"\n{conda}\n[pypi-options]\n{options}\n[pypi-dependencies]\n{pypi}\n'
    return manifest(root, [channel.url], text, platforms).parent


def locked(root: Path, *, platform: str = SUBDIR) -> dict[str, str | None]:
    """Lock; the PyPI packages by name. Then it fits, and locking again changes nothing."""
    done = smelt(root, "lock")
    assert done.returncode == 0, done.stderr
    text = (root / "pixi.lock").read_bytes()
    for arguments in (("lock", "--check"), ("lock",)):
        again = smelt(root, *arguments)
        assert again.returncode == 0, again.stderr
    assert (root / "pixi.lock").read_bytes() == text
    packages = read(root / "pixi.lock").packages_of("default", platform) or ()
    return {each.name: each.version for each in packages if isinstance(each, PypiPackage)}


def refused(root: Path, *words: str) -> None:
    done = smelt(root, "lock")
    assert done.returncode == 1
    for word in words:
        assert word in done.stderr, done.stderr


LINKS = 'find-links = [{ path = "links" }]'


@pytest.mark.parametrize(
    ("pypi", "options", "expected"),
    [
        ('app = "*"', "", {"app": "2.0", "base": "2.0", "local": "1.0"}),
        (
            'app = { version = "*", extras = ["more"] }',
            "",
            {"app": "2.0", "base": "2.0", "plot": "1.0", "local": "1.0"},
        ),
        (f'base = {{ version = "*", env-markers = "sys_platform == \'{HERE}\'" }}', "", {"base": "2.0"}),
        ('base = { version = "*", env-markers = "sys_platform == \'cygwin\'" }', "", {}),
        ('app = "*"', 'prerelease-mode = "allow"', {"app": "3.0a1", "base": "2.0", "local": "1.0"}),
        ('app = ">=3.0a1"', "", {"app": "3.0a1", "base": "2.0", "local": "1.0"}),
        (
            'strict = "*"\nbase = "*"',
            'dependency-overrides = { base = ">=2" }',
            {"strict": "1.0", "base": "2.0"},
        ),
    ],
)
def test_what_is_chosen(
    tmp_path: Path, channel: Channel, links: Path, pypi: str, options: str, expected: dict[str, str]
) -> None:
    assert locked(write(tmp_path / "ws", channel, pypi, f"{LINKS}\n{options}")) == expected


def test_markers_of_another_platform(tmp_path: Path, channel: Channel, links: Path) -> None:
    root = write(tmp_path / "ws", channel, 'app = "*"', LINKS, both=True)
    assert "local" in locked(root) and "local" not in locked(root, platform=OTHER)


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [(None, "1.0"), ("first-index", "1.0"), ("unsafe-best-match", "2.0"), ("unsafe-first-match", "1.0")],
)
def test_index_strategy(tmp_path: Path, channel: Channel, strategy: str | None, expected: str) -> None:
    first, second = (wheel(tmp_path / "files", "app", version) for version in ("1.0", "2.0"))
    simple_index(tmp_path / "one", first)
    simple_index(tmp_path / "two", second)
    with served(tmp_path) as (url, _):
        options = f'index-url = "{url}/two/simple"\nextra-index-urls = ["{url}/one/simple"]\n'
        options += f'index-strategy = "{strategy}"' if strategy is not None else ""
        # uv looks into extra indexes first
        assert locked(write(tmp_path / "ws", channel, 'app = "*"', options)) == {"app": expected}


def test_find_links_by_address(tmp_path: Path, channel: Channel) -> None:
    simple_index(tmp_path / "served", wheel(tmp_path / "files", "app"))
    with served(tmp_path / "served") as (url, _):
        options = f'find-links = [{{ url = "{url}/simple/app/index.html" }}]\nindex-url = "{url}/simple"'
        assert locked(write(tmp_path / "ws", channel, 'app = "*"', options)) == {"app": "1.0"}


def test_no_build_and_no_binary(tmp_path: Path, channel: Channel) -> None:
    links = tmp_path / "ws" / "links"
    wheel(links, "app", "1.0")
    sdist(links, project(tmp_path / "app", "app", "2.0"), "app", "2.0")
    sdist(links, project(tmp_path / "old", "app", "1.0"), "app", "1.0")
    root = tmp_path / "ws"
    assert locked(write(root, channel, 'app = "*"', LINKS)) == {"app": "2.0"}
    (root / "pixi.lock").unlink()
    for no_build in ("true", '["app"]'):
        assert locked(write(root, channel, 'app = "*"', f"{LINKS}\nno-build = {no_build}")) == {"app": "1.0"}
    for no_binary in ("true", '["app"]'):
        (root / "pixi.lock").unlink()
        assert locked(write(root, channel, 'app = "==1.0"', f"{LINKS}\nno-binary = {no_binary}")) == {"app": "1.0"}
        assert "app-1.0.tar.gz" in (root / "pixi.lock").read_text(encoding="utf-8")
    refused(write(root, channel, 'app = "==2.0"', f"{LINKS}\nno-build = true"), "environment `default`", "app")


@pytest.mark.skipif(os.name != "posix", reason="the layout of prefixes is that of POSIX here")
def test_no_build_isolation(tmp_path: Path, bare_channel: Path) -> None:
    """A build backend that needs what only the environment holds: a conda package."""
    site = f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
    helpers = Channel(tmp_path / "helpers")
    helpers.add("helper", files={f"{site}/helper.py": "REQUIRES = []\n"}, subdir=SUBDIR)
    helpers.index()
    root = tmp_path / "ws"
    mine = dynamic_project(root / "mine", "mine", "0.5")
    backend = (mine / "backend.py").read_text(encoding="utf-8")
    (mine / "backend.py").write_text(f"import helper\n{backend}", encoding="utf-8")

    def write_with(options: str) -> None:
        text = f'[dependencies]\npython = "*"\nhelper = "*"\n[pypi-options]\n{options}\n'
        manifest(root, [helpers.url, bare_channel.as_uri()], text + '[pypi-dependencies]\nmine = { path = "mine" }\n')

    write_with("")
    refused(root, "No module named 'helper'", "environment `default`")
    for isolation in ("true", '["mine"]'):
        write_with(f"no-build-isolation = {isolation}")
        assert locked(root).keys() == {"mine"}
    done = smelt(root, "install")
    assert done.returncode == 0, done.stderr
    assert smelt(root, "run", "python", "-c", "import mine; print(mine.version)").stdout == "0.5\n"


def test_conda_pypi_map(tmp_path: Path, channel: Channel, links: Path) -> None:
    """A conda package that counts as a PyPI package of another name: by a table, by a file, and not at all."""
    channel.add("conda-base", "1.0", depends=["python"])
    channel.index()
    root = tmp_path / "ws"
    (root / "map.json").write_text(json.dumps({"conda-base": "base"}), encoding="utf-8")

    def chosen(mapping: str) -> dict[str, str | None]:
        write(root, channel, 'app = "*"', LINKS, conda='conda-base = "*"')
        text = (root / "pixi.toml").read_text(encoding="utf-8")
        table = f'conda-pypi-map = {{ "{channel.url}" = {mapping} }}' if mapping else "conda-pypi-map = {}"
        (root / "pixi.toml").write_text(text.replace("[workspace]\n", f"[workspace]\n{table}\n", 1), encoding="utf-8")
        (root / "pixi.lock").unlink(missing_ok=True)
        return locked(root)

    for mapping in ('"map.json"', '{ mapping = { conda-base = "base" } }'):
        assert chosen(mapping) == {"app": "2.0", "local": "1.0"}, mapping
    assert chosen("") == {"app": "2.0", "local": "1.0", "base": "2.0"}


@pytest.mark.parametrize(
    ("pypi", "options", "words"),
    [
        ('app = "two"', "", ["pixi.toml:", "`two`"]),
        ('app = { version = "*", extras = "more" }', "", ["pixi.toml:", "extras"]),
        ('app = "*"', 'index-strategy = "best"', ["pixi.toml:", "first-index"]),
        ('app = "*"', 'prerelease-mode = "sometimes"', ["pixi.toml:", "allow"]),
        ('app = "*"', 'find-links = [{ path = "nowhere" }]', ["nowhere"]),
        ('app = "*"', 'no-build = "app"', ["pixi.toml:", "no-build"]),
        ('app = { git = "https://g.example/x", tag = "1", branch = "b" }', "", ["pixi.toml:"]),
        ('strict = "*"\nbase = ">=2"', LINKS, ["environment `default`", "strict", "base", "required here"]),
    ],
)
def test_users_mistakes(
    tmp_path: Path, channel: Channel, links: Path, pypi: str, options: str, words: Sequence[str]
) -> None:
    root = write(tmp_path / "ws", channel, pypi, options)
    refused(root, *words)
    assert not (root / "pixi.lock").exists()
