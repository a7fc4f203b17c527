"""``smelt workspace register`` and ``--workspace``."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from spine_kit import SUBDIR, smelt

HEAD = '[workspace]\nname = "{name}"\nchannels = []\nplatforms = ["{subdir}"]\n\n[tasks]\nhello = "echo of {name}"\n'


class Places:
    """Two workspaces, a folder outside both, and a home."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.outside = folder / "outside"
        self.outside.mkdir()
        for name in ("one", "two"):
            (folder / name).mkdir()
            (folder / name / "pixi.toml").write_text(HEAD.format(name=name, subdir=SUBDIR), encoding="utf-8")
        self.one, self.two = folder / "one", folder / "two"

    def run(self, cwd: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = smelt(cwd, *arguments, env={"PIXI_HOME": str(self.home)})
        assert done.returncode == code, done.stderr
        return done


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path)


def test_a_registered_workspace_is_found_from_anywhere(places: Places) -> None:
    places.run(places.one, "workspace", "register")
    places.run(places.outside, "workspace", "register", "-n", "zwei", "-p", str(places.two))
    listed = json.loads(places.run(places.outside, "workspace", "register", "list", "--json").stdout)
    assert listed == {"one": str(places.one), "zwei": str(places.two)}
    assert places.run(places.outside, "run", "-w", "one", "hello").stdout == "of one\n"
    assert places.run(places.outside, "run", "--workspace", "zwei", "hello").stdout == "of two\n"
    assert places.run(places.one, "-w", "zwei", "workspace", "name", "get").stdout.strip() == "two"
    assert places.run(places.one, "workspace", "name", "get", "-w", "zwei").stdout.strip() == "two"


def test_names_are_taken_once(places: Places) -> None:
    places.run(places.one, "workspace", "register")
    places.run(places.one, "workspace", "register")  # the same again is no conflict
    refused = places.run(places.two, "workspace", "register", "-n", "one", code=2)
    assert "error[workspace-registered]" in refused.stderr
    places.run(places.two, "workspace", "register", "-n", "one", "--force")
    assert places.run(places.outside, "run", "-w", "one", "hello").stdout == "of two\n"


def test_what_is_gone_is_said_and_forgotten(places: Places) -> None:
    places.run(places.one, "workspace", "register")
    places.run(places.two, "workspace", "register")
    shutil.rmtree(places.two)
    gone = places.run(places.outside, "install", "-w", "two", code=1)
    assert "error[workspace-not-registered]: the registered workspace `two` is gone" in gone.stderr
    places.run(places.outside, "workspace", "register", "prune")
    listed = json.loads(places.run(places.outside, "workspace", "register", "ls", "--json").stdout)
    assert list(listed) == ["one"]
    places.run(places.outside, "workspace", "register", "rm", "one")
    assert places.run(places.outside, "workspace", "register", "list").stdout == ""


def test_bad_input(places: Places) -> None:
    places.run(places.one, "workspace", "register")
    unknown = places.run(places.outside, "info", "-w", "onne", code=1)
    assert "did you mean `one`?" in unknown.stderr
    both = places.run(places.outside, "info", "-w", "one", "-m", str(places.two), code=2)
    assert "cannot be used with" in both.stderr
    for text in ("named-workspaces = 3\n", "[named-workspaces\n", "[named-workspaces]\na = 3\n"):
        (places.home / "workspaces.toml").write_text(text, encoding="utf-8")
        damaged = places.run(places.one, "workspace", "register", code=2)
        assert "error[registry-damaged]" in damaged.stderr
        assert (places.home / "workspaces.toml").read_text(encoding="utf-8") == text


def test_names_and_paths_of_any_letters(places: Places, tmp_path: Path) -> None:
    name = 'a "b"\\c\n\té💡\x7f'
    places.run(places.outside, "workspace", "register", "-n", name, "-p", str(places.one))
    listed = json.loads(places.run(places.outside, "workspace", "register", "list", "--json").stdout)
    assert listed == {name: str(places.one)}
