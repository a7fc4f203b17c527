"""The wrong-variant case: five Pythons, three versions of CUDA that export nothing, ten environments, one package.

Each environment gets the build that was made for it, each build is made once, none is made that no environment needs,
and all of it can be locked on a machine without CUDA.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from variants_kit import combinations, joiner, make_workspace

from smelt.api.workspace import Workspace
from smelt.errors import InstallError, SmeltError
from smelt.lock.model import Lock, SourcePackage
from smelt.types import CondaRecord
from spine_kit import SUBDIR, posix, smelt


def held(lock: Lock, environment: str) -> tuple[dict[str, str], SourcePackage]:
    """The versions of the binary packages of an environment, and its source package."""
    subdirs = {platform.name: platform.subdir for platform in lock.platforms}
    platform = next(name for name in lock.environments[environment].packages if subdirs[name] == SUBDIR)
    packages = lock.packages_of(environment, platform) or ()
    versions = {each.name: each.version for each in packages if isinstance(each, CondaRecord)}
    return versions, next(each for each in packages if isinstance(each, SourcePackage))


def variant(package: SourcePackage) -> tuple[str, str]:
    return str(package.variants["python"]), str(package.variants["cuda_version"])


def open_workspace(root: Path, names: tuple[str, ...]) -> Workspace:
    return Workspace.load(root / "pixi.toml", on_demand=names)


@pytest.mark.parametrize("run", [False, True], ids=["host-only", "host-and-run"])
@pytest.mark.parametrize(
    ("style", "backend"),
    [("written", "recipe"), ("matrix", "table"), ("demand", "recipe")],
    ids=["written", "matrix", "demand"],
)
def test_each_environment_is_locked_with_its_own_build(tmp_path: Path, style: str, backend: str, run: bool) -> None:
    names = make_workspace(tmp_path, style, run=run, backend=backend)
    workspace = open_workspace(tmp_path, names)
    lock = workspace.lock().lock
    assert set(lock.environments) == {"default", *names}
    for python, cuda, version, major in combinations():
        versions, mine = held(lock, f"{python}{joiner(style)}{cuda}")
        assert versions["python"] == f"{version}.1"
        assert variant(mine) == (f"{version}.*", versions["cuda-version"])
        assert versions["cuda-version"].startswith(f"{major}.")
        inside = {each.name: each for each in map(lock.packages.__getitem__, mine.host_packages)}
        assert isinstance(inside["cuda-version"], CondaRecord)
        assert inside["cuda-version"].version == versions["cuda-version"]
    # each build once; the default environment, which asks for neither, may take one of the ten
    sources = [package for package in lock.packages.values() if isinstance(package, SourcePackage)]
    wanted = {variant(held(lock, name)[1]) for name in lock.environments}
    assert len(sources) == len(wanted)
    assert {variant(held(lock, name)[1]) for name in names} <= wanted
    assert len(wanted - {variant(held(lock, name)[1]) for name in names}) <= 1
    assert len(workspace.plan(names, mode="locked").nodes) == 10
    assert open_workspace(tmp_path, ()).check(lock) == ()


@pytest.mark.parametrize("style", ["written", "matrix", "demand"])
def test_the_machine_alone_tells_them_apart(tmp_path: Path, style: str) -> None:
    """No environment asks for CUDA: what its system requirements allow, the first listed of it."""
    names = make_workspace(tmp_path, style, bare=True)
    lock = open_workspace(tmp_path, names).lock().lock
    for python, cuda, version, major in combinations():
        _, mine = held(lock, f"{python}{joiner(style)}{cuda}")
        assert variant(mine) == (f"{version}.*", {"12": "12.9", "13": "13.0"}[major])


@posix
@pytest.mark.parametrize("style", ["written", "demand"])
def test_what_is_installed_was_built_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, style: str) -> None:
    """Real builds: what each build saw in its host environment is what it is installed beside."""
    names = make_workspace(tmp_path, style)
    monkeypatch.setenv("CONDA_OVERRIDE_CUDA", "13")
    chosen = [name for name in names if name.startswith(("py310", "py314"))]
    workspace = open_workspace(tmp_path, names)
    workspace.install(chosen)
    for name in chosen:
        share = workspace.model.prefix(name) / "share"
        expected = (share / "python.txt").read_text() + (share / "cuda-version.txt").read_text()
        assert (share / "mine.txt").read_text() == expected
    assert workspace.model.prefix(names[0]).name == f"py310{joiner(style)}cu12"
    assert all(not artifact.built for artifact in workspace.build(chosen).values())


@posix
@pytest.mark.parametrize("style", ["written", "matrix", "demand"])
def test_an_old_machine_cannot_have_the_new_environments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, style: str
) -> None:
    """``CONDA_OVERRIDE_CUDA=12``: exactly the environments with CUDA 13 fail, each with its reason."""
    names = make_workspace(tmp_path, style)
    monkeypatch.setenv("CONDA_OVERRIDE_CUDA", "12")
    workspace = open_workspace(tmp_path, names)
    workspace.lock()
    failed: dict[str, SmeltError] = {}
    for name in names:
        try:
            workspace.install([name], mode="locked")
        except InstallError as error:
            failed[name] = error
    assert set(failed) == {name for name in names if name.endswith("cu13")}
    for name, error in failed.items():
        assert error.kind == "machine-unsuitable"
        assert f"environment `{name}` cannot run on this machine" in str(error)
        assert error.notes[0] == "cuda-version needs __cuda >=13: this machine has 12"
        assert error.notes[1].endswith("promises __cuda >= 13")
    assert sorted(each.name for each in (tmp_path / ".pixi" / "envs").iterdir() if each.is_dir()) == sorted(
        set(names) - set(failed)
    )


@posix
def test_all_at_once_on_an_old_machine(tmp_path: Path) -> None:
    """What the machine can run is installed; what it cannot is told, all of it, and not built either."""
    names = make_workspace(tmp_path, "matrix")
    done = smelt(tmp_path, "install", "--all", env={"CONDA_OVERRIDE_CUDA": "12"}, timeout=180)
    assert done.returncode == 1
    refused = {name for name in names if f"error[machine-unsuitable]: environment `{name}` cannot" in done.stderr}
    assert refused == {name for name in names if name.endswith("cu13")}
    assert done.stderr.count("needs __cuda >=13: this machine has 12") == 5
    assert "error: 5 environments cannot run on this machine" in done.stderr
    installed = {each.name for each in (tmp_path / ".pixi" / "envs").iterdir() if each.is_dir()}
    assert installed == {"default", *names} - refused
    # five of the ten, and one for the environment that asks for neither
    assert done.stderr.count("✔ built") == 6
    again = smelt(tmp_path, "install", "--all", env={"CONDA_OVERRIDE_CUDA": "12"})
    assert again.returncode == 1
    assert "building" not in again.stderr


@posix
def test_nothing_is_built_that_no_environment_needs(tmp_path: Path) -> None:
    """As a user sees it: fifteen variants, one environment, one build."""
    make_workspace(tmp_path, "demand")
    done = smelt(tmp_path, "build", "-e", "py312+cu12")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("built") == 1
    again = smelt(tmp_path, "build", "-e", "py312+cu12")
    assert again.stdout.count("cached") == 1
    assert smelt(tmp_path, "lock", "--check").returncode == 0
    shown = json.loads(smelt(tmp_path, "list", "-e", "py312+cu12", "--json", "mine").stdout)
    assert [(row["name"], row["is_source"]) for row in shown] == [("mine", True)]
    assert "python=3.12.*" in shown[0]["variant"]
