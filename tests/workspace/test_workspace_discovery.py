"""Which manifest is meant."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from smelt.errors import ManifestError, NotSupportedError
from smelt.workspace.discovery import find_workspace
from smelt.workspace.load import load_workspace

WORKSPACE = '[workspace]\nchannels = []\nplatforms = ["linux-64"]\n'
PACKAGE = '[package]\nname = "p"\nbuild.backend.name = "b"\n'
PYPROJECT = '[project]\nname = "x"\n'


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path.resolve()


def find(path: Path | None = None, start: Path | None = None, **environ: str) -> Path:
    return find_workspace(path, start=start, environ=environ).path


def test_upward(tmp_path: Path) -> None:
    manifest = put(tmp_path / "pixi.toml", WORKSPACE)
    deep = tmp_path / "a/b/c"
    deep.mkdir(parents=True)
    assert find(start=deep) == manifest
    assert find(start=tmp_path) == manifest


def test_the_working_folder_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = put(tmp_path / "pixi.toml", WORKSPACE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PIXI_PROJECT_MANIFEST", raising=False)
    assert load_workspace().manifest_path == manifest


def test_order_of_names(tmp_path: Path) -> None:
    mojo = put(tmp_path / "mojoproject.toml", WORKSPACE)
    assert find(start=tmp_path) == mojo
    pyproject = put(tmp_path / "pyproject.toml", PYPROJECT + WORKSPACE.replace("[w", "[tool.pixi.w"))
    assert find(start=tmp_path) == pyproject
    pixi = put(tmp_path / "pixi.toml", WORKSPACE)
    assert find(start=tmp_path) == pixi


def test_the_nearest_workspace(tmp_path: Path) -> None:
    put(tmp_path / "pixi.toml", WORKSPACE)
    inner = put(tmp_path / "inner/pixi.toml", WORKSPACE)
    assert find(start=tmp_path / "inner") == inner


def test_packages_and_other_projects_on_the_way_are_passed(tmp_path: Path) -> None:
    manifest = put(tmp_path / "pixi.toml", WORKSPACE)
    put(tmp_path / "package/pixi.toml", PACKAGE)
    put(tmp_path / "package/python/pyproject.toml", PYPROJECT)
    (tmp_path / "package/python/src").mkdir()
    assert find(start=tmp_path / "package/python/src") == manifest
    assert find(tmp_path / "package/pixi.toml") == manifest
    assert find(tmp_path / "package") == manifest


def test_a_manifest_by_path(tmp_path: Path) -> None:
    put(tmp_path / "pixi.toml", WORKSPACE)
    pyproject = put(tmp_path / "pyproject.toml", PYPROJECT + WORKSPACE.replace("[w", "[tool.pixi.w"))
    assert find(tmp_path / "pyproject.toml") == pyproject
    assert find(tmp_path).name == "pixi.toml"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("nowhere", "manifest-missing"),
        ("nowhere/pixi.toml", "manifest-missing"),
        ("empty", "manifest-not-found"),
        ("other.toml", "manifest-unknown-format"),
        ("alone", "manifest-not-found"),
        ("nothing", "manifest-no-tables"),
        ("python", "manifest-no-tables"),
    ],
)
def test_paths_that_lead_nowhere(tmp_path: Path, path: str, code: str) -> None:
    (tmp_path / "empty").mkdir()
    put(tmp_path / "other.toml", WORKSPACE)
    put(tmp_path / "alone/pixi.toml", PACKAGE)
    put(tmp_path / "nothing/pixi.toml", "[dependencies]\n")
    put(tmp_path / "python/pyproject.toml", PYPROJECT)
    with pytest.raises(ManifestError) as caught:
        find(tmp_path / path)
    assert caught.value.kind == code


def test_nothing_anywhere(tmp_path: Path) -> None:
    with pytest.raises(ManifestError) as caught:
        find(start=tmp_path)
    assert caught.value.kind == "manifest-not-found"
    put(tmp_path / "pyproject.toml", PYPROJECT)
    with pytest.raises(ManifestError, match=r"\[tool.pixi.workspace\]"):
        find(start=tmp_path)


def test_the_environment_variable_is_the_last_resort(tmp_path: Path) -> None:
    other = put(tmp_path / "other/pixi.toml", WORKSPACE)
    here = put(tmp_path / "here/pixi.toml", WORKSPACE)
    nowhere = tmp_path / "nowhere"
    nowhere.mkdir()
    assert find(start=nowhere, PIXI_PROJECT_MANIFEST=str(other)) == other
    found = find_workspace(start=tmp_path / "here", environ={"PIXI_PROJECT_MANIFEST": str(other), "PIXI_IN_SHELL": "1"})
    assert (found.path, found.ignored) == (here, other)
    found = find_workspace(start=tmp_path / "here", environ={"PIXI_PROJECT_MANIFEST": str(other)})
    assert (found.path, found.ignored) == (here, None)


@pytest.mark.skipif(os.name == "nt", reason="symbolic links need rights there")
def test_links_are_followed(tmp_path: Path) -> None:
    manifest = put(tmp_path / "real/pixi.toml", WORKSPACE)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert find(start=tmp_path / "link") == manifest


@pytest.mark.parametrize(("spec", "fits"), [(">=0.70", True), ("0.77.*", True), (">=100", False), ("<0.50", False)])
def test_requires_pixi(tmp_path: Path, spec: str, fits: bool) -> None:
    put(tmp_path / "pixi.toml", WORKSPACE + f'requires-pixi = "{spec}"\nsomething-new = 1\n')
    with pytest.raises(ManifestError) as caught:
        load_workspace(tmp_path)
    # What a newer manifest needs is told before what is not understood of it.
    assert caught.value.kind == ("manifest-unknown-key" if fits else "manifest-requires-pixi")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no names that are no text")
def test_a_folder_whose_name_is_no_text(tmp_path: Path) -> None:
    put(Path(os.fsdecode(os.fsencode(tmp_path) + b"/lat\xe9n")) / "pixi.toml", WORKSPACE)
    with pytest.raises(NotSupportedError) as caught:
        load_workspace(Path(os.fsdecode(os.fsencode(tmp_path) + b"/lat\xe9n")))
    assert r"lat\xe9n" in caught.value.message and "rename" in (caught.value.help or "")
