"""PyPI packages in prefixes for other platforms: wheels are only unpacked."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from install_pypi_kit import held, prefix
from pypi_kit import project, wheel

from smelt.api.installing import InstallOptions
from smelt.api.workspace import Workspace
from smelt.errors import NotSupportedError, SmeltError
from spine_kit import OTHER, Channel, manifest, smelt, tree

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the layout of prefixes is that of POSIX here")


FOREIGN_TAG = "cp312-cp312-macosx_11_0_arm64" if OTHER == "osx-arm64" else "cp312-cp312-manylinux_2_17_x86_64"


def foreign(tmp_path: Path, wanted: str, subdir: str = OTHER) -> Workspace:
    """A workspace for a platform that this machine is not, with a PyPI package; ``links`` holds its wheels."""
    channel = Channel(tmp_path / "foreign")
    channel.add("python", "3.12.1", subdir=subdir)
    channel.index()
    text = (
        '[pypi-options]\nfind-links = [{ path = "links" }]\n[dependencies]\npython = "*"\n'
        f"[pypi-dependencies]\n{wanted}\n"
    )
    made = Workspace.load(manifest(tmp_path / "ws", [channel.url], text, (subdir,)))
    made.lock()
    return made


def foreign_wheels(links: Path, tag: str = FOREIGN_TAG) -> None:
    """``other``: compiled, with a command, a script and data; it needs ``base``."""
    files = {
        "other/__init__.py": "raise SystemExit('run')\n",
        "other/fast.so": "no machine code",
        "other-1.0.dist-info/entry_points.txt": "[console_scripts]\nother = other:main\n",
        "other-1.0.data/scripts/helper": "#!python\nprint(1)\n",
        "other-1.0.data/data/share/other.txt": "data",
    }
    wheel(links, "other", requires=["base"], tag=tag, files=files)
    wheel(links, "base")


def test_foreign_platform(tmp_path: Path) -> None:
    """Wheels are unpacked, nothing of them is run, and the next time nothing is to be done."""
    foreign_wheels(tmp_path / "ws" / "links")
    made = foreign(tmp_path, 'other = "*"')
    options = InstallOptions(platform=OTHER)
    assert made.install(options=options)[0].changed
    assert held(made) == {"other": "1.0", "base": "1.0"}
    home = prefix(made)
    site = home / "lib/python3.12/site-packages"
    assert (site / "other/fast.so").read_text() == "no machine code"
    assert (home / "share/other.txt").read_text() == "data"
    for script in ("bin/other", "bin/helper"):
        assert (home / script).read_text().startswith(f"#!{home}/bin/python\n")
        assert os.access(home / script, os.X_OK)
    assert not list(home.rglob("*.pyc"))
    assert (site / "other-1.0.dist-info/INSTALLER").read_text() == "uv-pixi"
    assert not made.install(options=options)[0].changed
    (site / "other/fast.so").unlink()
    look = InstallOptions(platform=OTHER, look=True)
    repaired = made.install(options=look)[0].repaired
    assert repaired is not None and "other/fast.so is missing" in repaired
    assert not made.install(options=look)[0].changed
    made = foreign(tmp_path, 'base = "*"')
    made.install(options=options)
    assert held(made) == {"base": "1.0"}
    assert not (home / "bin/other").exists()
    assert not (home / "share/other.txt").exists()


def test_foreign_windows_says_what_is_left_out(tmp_path: Path) -> None:
    foreign_wheels(tmp_path / "ws" / "links", "cp312-cp312-win_amd64")
    foreign(tmp_path, 'other = "*"', subdir="win-64")
    done = smelt(tmp_path / "ws", "install", "--platform", "win-64")
    assert done.returncode == 0, done.stderr
    assert "commands of PyPI packages are programs on Windows, which cannot be made here: other" in done.stderr
    home = tmp_path / "ws/.pixi/envs/default"
    assert (home / "Lib/site-packages/other/fast.so").is_file()
    assert (home / "Scripts/helper").is_file()
    assert not (home / "Scripts/other").exists()


def test_what_has_to_be_built_for_a_foreign_platform(tmp_path: Path) -> None:
    wheel(tmp_path / "ws" / "links", "base")
    project(tmp_path / "ws" / "raw", "raw")
    made = foreign(tmp_path, 'raw = { path = "raw" }')
    with pytest.raises(NotSupportedError, match="raw has to be built, which cannot be done for"):
        made.install(options=InstallOptions(platform=OTHER))


HOSTILE: dict[str, tuple[dict[str, str], str]] = {
    "a way out": ({"../../../../../evil": "x"}, "not allowed"),
    "data that leads out": ({"other-1.0.data/data/../../evil": "x"}, "not allowed"),
    "an absolute path": ({"/evil": "x"}, "not allowed"),
    "a record of conda's": ({"other-1.0.data/data/conda-meta/evil.json": "{}"}, "belongs to the environment itself"),
    "an activation script": ({"other-1.0.data/data/etc/conda/activate.d/e.sh": "x"}, "belongs to the environment"),
    "the interpreter": ({"other-1.0.data/scripts/python": "x"}, "belongs to the environment itself"),
    "a command that leads out": (
        {"other-1.0.dist-info/entry_points.txt": "[console_scripts]\n../../evil = other:main\n"},
        "entry point `../../evil = other:main` is not allowed",
    ),
    "a file of a conda package": ({"other-1.0.data/data/share/python.txt": "x"}, "which a conda package brought"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_foreign_hostile_wheels(tmp_path: Path, kind: str) -> None:
    files, words = HOSTILE[kind]
    wheel(tmp_path / "ws" / "links", "other", tag=FOREIGN_TAG, files={"other/__init__.py": "", **files})
    made = foreign(tmp_path, 'other = "*"')
    before = tree(tmp_path)
    with pytest.raises(SmeltError, match=re.escape(words)):
        made.install(options=InstallOptions(platform=OTHER))
    own = ("ws/.pixi/", "cache/")
    assert {k: v for k, v in tree(tmp_path).items() if not k.startswith(own)} == {
        k: v for k, v in before.items() if not k.startswith(own)
    }
    assert not list((tmp_path / "ws/.pixi").rglob("*evil*"))
    assert held(made) == {}
