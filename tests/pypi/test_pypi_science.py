"""Three Pythons on three platforms with real packages: locked, installed here, imported; always with the same lock."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pypi_kit import project

from git_kit import GitRepository, needs_git
from smelt.channel.folder import create
from smelt.channel.python import add_python
from smelt.lock.model import PypiPackage
from smelt.lock.reader import read
from spine_kit import OTHER, SUBDIR, Channel, environment, manifest, smelt

pytestmark = [
    pytest.mark.network,
    needs_git,
    pytest.mark.skipif(os.name != "posix", reason="the Pythons are looked for as on POSIX"),
]

PLATFORMS = (SUBDIR, OTHER, "win-64")
PROBE = """
import sys, io, tool_of_git, own, numpy, pandas, requests, openpyxl
frame = pandas.DataFrame({"a": numpy.arange(3)})
book = io.BytesIO()
frame.to_excel(book, index=False)
assert pandas.read_excel(book)["a"].sum() == 3
print(sys.version_info[1], tool_of_git.version, own.__file__)
"""


def interpreters() -> dict[str, tuple[str, Path]]:
    """``3.12`` → the whole version and the path of an interpreter of this machine; three of them."""
    found: dict[str, tuple[str, Path]] = {}
    candidates = [Path(sys.executable), *sorted(Path("~/.pyenv/versions").expanduser().glob("3.*/bin/python3"))]
    candidates += [Path(path) for minor in range(11, 15) if (path := shutil.which(f"python3.{minor}"))]
    for candidate in candidates:
        asked = subprocess.run(
            [candidate, "-c", "import sys; print(*sys.version_info[:3], sep='.')"],
            capture_output=True,
            text=True,
            check=False,
        )
        version = asked.stdout.strip()
        if asked.returncode == 0 and version.startswith(("3.11.", "3.12.", "3.13.", "3.14.")):
            found.setdefault(version.rpartition(".")[0], (version, candidate))
    return dict(sorted(found.items())[:3])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The workspace: an environment for each Python."""
    pythons = interpreters()
    if len(pythons) < 3:
        pytest.skip(f"needs three Pythons from 3.11 on, found {', '.join(pythons) or 'none'}")
    folder = tmp_path / "channel"
    create(folder)
    channel = Channel(folder)
    add_python(folder, [interpreter for _, interpreter in pythons.values()])
    for version, _ in pythons.values():
        for subdir in PLATFORMS[1:]:
            channel.add("python", version, subdir=subdir)
    channel.add("sparkle", "2.0")
    channel.index()
    repository = GitRepository(tmp_path / "repository")
    project(repository.folder, "tool-of-git", "0.7", ["requests"])
    commit = repository.commit()
    workspace = tmp_path / "ws"
    project(workspace / "own", "own", "1.0", ["numpy"])
    lines = [
        "[dependencies]",
        'sparkle = "*"',
        "[feature.science.pypi-dependencies]",
        'numpy = ">=2"',
        'pandas = { version = "*", extras = ["excel"] }',
        'requests = "*"',
        f'tool-of-git = {{ git = "{repository.url}", rev = "{commit}" }}',
        'own = { path = "own", editable = true }',
        *(f'[feature.py{v.replace(".", "")}.dependencies]\npython = "{v}.*"' for v in pythons),
        "[environments]",
        *(f'py{v.replace(".", "")} = {{ features = ["py{v.replace(".", "")}", "science"] }}' for v in pythons),
    ]
    manifest(workspace, [channel.url], "\n".join(lines) + "\n", PLATFORMS)
    return workspace


def test_three_pythons_on_three_platforms(root: Path, tmp_path: Path) -> None:
    ok(root, "lock")
    path = root / "pixi.lock"
    first = path.read_bytes()
    lock = read(path)
    names = [name for name in lock.environments if name != "default"]
    assert len(names) == 3
    for name in names:
        for platform in PLATFORMS:
            packages = lock.packages_of(name, platform) or ()
            held = {each.name: each for each in packages if isinstance(each, PypiPackage)}
            assert {"numpy", "pandas", "openpyxl", "requests", "own", "tool-of-git"} <= held.keys(), (name, platform)
            # Python modules of the time zones are there where the system has no data
            assert ("tzdata" in held) or platform != "win-64"
            wheel = held["numpy"].location
            assert (
                f"-cp{name.removeprefix('py')}" in wheel
                and {"osx": "macosx", "win": "win_"}.get(platform[:3], "linux") in wheel
            )
            assert len(str(held["numpy"].data["sha256"])) == 64
    ok(root, "lock", "--check")
    # on a warm cache, from nothing
    path.unlink()
    ok(root, "lock")
    assert path.read_bytes() == first
    for name in names:
        ok(root, "install", "-e", name)
        done = subprocess.run(
            [root / ".pixi" / "envs" / name / "bin" / "python", "-c", PROBE],
            capture_output=True,
            text=True,
            env=environment(),
            check=False,
        )
        assert done.returncode == 0, done.stderr
        minor, version, place = done.stdout.split()
        assert name == f"py3{minor}" and version == "0.7" and Path(place) == root / "own" / "own" / "__init__.py"
    assert path.read_bytes() == first
    # on a cold one, elsewhere: its own cache, and no environments
    path.unlink()
    shutil.rmtree(root / ".pixi")
    ok(root, "lock", cache=tmp_path / "cold")
    assert path.read_bytes() == first
    ok(root, "lock", "--check")


def ok(root: Path, *arguments: str, cache: Path | None = None) -> None:
    variables = {"PIXI_CACHE_DIR": str(cache)} if cache is not None else {}
    done = smelt(root, *arguments, env=variables, timeout=600)
    assert done.returncode == 0, done.stderr
