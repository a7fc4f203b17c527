"""PyPI packages that mean harm, and disks that are full."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from install_pypi_kit import SITE, Make, held, prefix
from pypi_kit import wheel

from smelt.api.installing import InstallOptions
from smelt.api.workspace import Workspace
from smelt.errors import InstallError
from smelt.install.verify import verify
from spine_kit import Channel, manifest, smelt

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the layout of prefixes is that of POSIX here")


def test_hostile_record(make: Make, tmp_path: Path) -> None:
    """What a RECORD names outside of the prefix, or of a conda package, stays when its package goes."""
    made = make('app = "*"')
    made.install()
    victim = tmp_path / "victim"
    victim.write_text("mine")
    record = prefix(made) / SITE / "base-1.0.dist-info" / "RECORD"
    outside = os.path.relpath(victim, prefix(made) / SITE)
    record.write_text(record.read_text() + f"{outside},,\n{victim},,\n../../../bin/python,,\n")
    made = make("")
    made.install()
    assert victim.read_text() == "mine"
    assert (prefix(made) / "bin" / "python").exists()
    assert held(made) == {}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system that holds a Python and little more."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("mounting needs root on Linux")
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=90m", "tmpfs", folder], check=False).returncode != 0:
        pytest.skip("nothing can be mounted here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_full_disk(tmp_path: Path, bare_channel: Path, disk: Path) -> None:
    """What uv left half-installed is cleared away, so that a smaller environment fits."""
    links = tmp_path / "links"
    wheel(links, "big", files={f"big/{number}": "x" * 1_000_000 for number in range(90)})
    wheel(links, "small")
    head = f'[pypi-options]\nfind-links = [{{ path = "{links}" }}]\n[dependencies]\npython = "*"\n'
    path = manifest(disk / "ws", [bare_channel.as_uri()], head + '[pypi-dependencies]\nbig = "*"\n')
    for _ in range(2):
        with pytest.raises(InstallError) as caught:
            Workspace.load(path).install()
        assert caught.value.kind == "disk-full"
    path.write_text(path.read_text().replace("big", "small"))
    made = Workspace.load(path)
    made.install()
    assert held(made) == {"small": "1.0"}
    assert not (prefix(made) / SITE / "big").exists()


HOSTILE_WHEELS: dict[str, tuple[dict[str, str], str]] = {
    "a way out": ({"../../../../../evil": "x"}, ""),
    "data that leads out": ({"base-1.0.data/data/../../../evil": "x"}, ""),
    "a script that leads out": ({"base-1.0.data/scripts/../../../evil": "x"}, ""),
    "a command that leads out": (
        {"base-1.0.dist-info/entry_points.txt": "[console_scripts]\n../../evil = base:main\n"},
        "Script path must resolve to a file",
    ),
    "a command with code": (
        {"base-1.0.dist-info/entry_points.txt": "[console_scripts]\nevil = base:a); import os; os.system('x') #\n"},
        "invalid console script",
    ),
    "the interpreter": (
        {"base-1.0.dist-info/entry_points.txt": "[console_scripts]\npython = base:main\n"},
        "reserved name",
    ),
    "a record of conda's": (
        {"base-1.0.data/data/conda-meta/evil.json": "{}"},
        "the PyPI package base wrote conda-meta/evil.json, which belongs to the environment itself",
    ),
    "the record of another package": (
        {"base-1.0.data/data/conda-meta/tool-1.0-0.json": "{}"},
        "which belongs to the environment itself",
    ),
}


@pytest.mark.parametrize("kind", HOSTILE_WHEELS)
def test_hostile_wheels(make: Make, tmp_path: Path, kind: str) -> None:
    """Refused, or without effect; nothing outside of the environment is touched, and the next installation is right."""
    files, words = HOSTILE_WHEELS[kind]
    channel = Channel(tmp_path / "more")
    channel.add("tool")
    channel.index()
    made = make('base = "*"', conda='tool = "*"', channels=(channel.url,))
    wheel(tmp_path / "ws" / "links", "base", files={"base/__init__.py": "", **files})
    made.lock()
    before = {path for path in tmp_path.rglob("*") if ".pixi" not in path.parts}
    if words:
        with pytest.raises(InstallError) as caught:
            made.install()
        assert words in "\n".join([str(caught.value), *caught.value.notes])
    else:
        made.install()
        assert held(made) == {"base": "1.0"}
    assert {path for path in tmp_path.rglob("*") if ".pixi" not in path.parts} == before
    assert not list(prefix(made).rglob("*evil*"))
    wheel(tmp_path / "ws" / "links", "base", files={"base/__init__.py": "version = 'good'"})
    (tmp_path / "ws" / "pixi.lock").unlink()
    made = Workspace.load(made.model.manifest_path)
    made.install(options=InstallOptions(look=True))
    assert held(made) == {"base": "1.0"}
    assert verify(prefix(made)) == []
    assert not made.install(options=InstallOptions(look=True))[0].changed


def test_a_wheel_that_replaces_a_file_of_a_conda_package(make: Make, tmp_path: Path) -> None:
    """Said once; the wheel's file stays, and nothing is repaired to and fro."""
    channel = Channel(tmp_path / "more")
    channel.add("tool", files={"share/both.txt": "of conda"})
    channel.index()
    wheel(
        tmp_path / "ws" / "links",
        "base",
        files={"base/__init__.py": "", "base-1.0.data/data/share/both.txt": "of the wheel"},
    )
    made = make('base = "*"', conda='tool = "*"', channels=(channel.url,))
    done = smelt(tmp_path / "ws", "install")
    assert "the PyPI package base replaced files of conda packages: share/both.txt" in done.stderr
    for _ in range(2):
        assert "is up to date" in smelt(tmp_path / "ws", "install").stderr
    both = prefix(made) / "share/both.txt"
    assert both.read_text() == "of the wheel"
    both.unlink()
    both.write_text("of nobody...")
    assert "it was repaired: base: " in smelt(tmp_path / "ws", "install").stderr
    assert both.read_text() == "of the wheel"
    make("", conda='tool = "*"', channels=(channel.url,))
    for _ in range(2):
        assert smelt(tmp_path / "ws", "install").returncode == 0
    assert both.read_text() == "of conda"
