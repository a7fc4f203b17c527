"""Packs with a real Python and wheels: packed, unpacked without a network, used; and exchanged with pixi-pack."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from pack_kit import foreign, make_sdist, make_wheel, members, packed, unpacked, write_tar

from smelt.api.workspace import Workspace
from smelt.errors import PackError
from spine_kit import OTHER, SUBDIR, Channel, environment, manifest, partial, recipe, tree

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the layout of prefixes is that of POSIX here")

TEXT = """
[pypi-options]
find-links = [{ path = "links" }]
[dependencies]
python = "*"
mine = { path = "mine" }
[pypi-dependencies]
app = "*"
"""


@pytest.fixture(scope="module")
def workspace(session_cache: None, bare_channel: Path, shared: Path) -> Workspace:
    """A locked workspace: Python, a source package, and two wheels."""
    root = shared / "wheels"
    make_wheel(root / "links", "app", "1.0", ["base"])
    make_wheel(root / "links", "base", "2.0")
    recipe(root, "mine")
    made = Workspace.load(manifest(root, [bare_channel.as_uri()], TEXT))
    made.lock()
    return made


@pytest.fixture(scope="module")
def wheel_pack(workspace: Workspace, shared: Path) -> Path:
    """Its pack."""
    return packed(workspace, shared / "wheels.tar").output or shared


def run(prefix: Path, code: str) -> str:
    done = subprocess.run(
        [prefix / "bin" / "python", "-c", code], capture_output=True, text=True, check=True, env=environment()
    )
    return done.stdout.strip()


def test_wheels_are_packed_and_installed(wheel_pack: Path, tmp_path: Path, cache: Path) -> None:
    files = members(wheel_pack)
    assert {name for name in files if name.startswith("pypi/")} == {
        "pypi/app-1.0-py3-none-any.whl",
        "pypi/base-2.0-py3-none-any.whl",
    }
    text = files["environment.yml"].decode()
    assert text.endswith("  - pip:\n    - --no-index\n    - --find-links ./pypi\n    - app==1.0\n    - base==2.0\n")
    before = tree(cache)
    result = unpacked(wheel_pack, tmp_path / "out")
    assert result.wheels == 2
    assert run(result.prefix, "import app, base; print(app.version, base.version)") == "1.0 2.0"
    assert tree(cache) == before  # nothing outside the output folder is written
    assert partial(tmp_path) == []
    again = unpacked(wheel_pack, tmp_path / "out")
    assert run(again.prefix, "import app; print(app.version)") == "1.0"


def test_unpacking_needs_no_network(wheel_pack: Path, tmp_path: Path) -> None:
    """Where this machine lets us, in a network namespace without any interface."""
    alone = ["unshare", "--user", "--map-root-user", "--net"]
    if shutil.which("unshare") is None or subprocess.run([*alone, "true"], check=False).returncode != 0:
        pytest.skip("this machine makes no network namespaces")
    done = subprocess.run(
        [*alone, sys.executable, "-m", "smelt", "unpack", wheel_pack, "-o", tmp_path / "out"],
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
    )
    assert done.returncode == 0, done.stderr
    assert run(tmp_path / "out" / "env", "import app; print(app.version)") == "1.0"


def test_changed_wheels_are_refused(wheel_pack: Path, tmp_path: Path) -> None:
    name = "pypi/app-1.0-py3-none-any.whl"
    files = members(wheel_pack)
    at = files[name].index(b"version = '1.0'")
    evil = files[name][:at] + b"version = '6.6'" + files[name][at + 15 :]
    write_tar(tmp_path / "p.tar", {**files, name: evil})
    with pytest.raises(PackError, match=r"app-1.0-py3-none-any.whl is not what was packed"):
        unpacked(tmp_path / "p.tar", tmp_path / "out")
    foreign(wheel_pack, tmp_path / "p.tar", **{name: evil})
    with pytest.raises(PackError, match="damaged"):
        unpacked(tmp_path / "p.tar", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    foreign(wheel_pack, tmp_path / "p.tar")
    assert unpacked(tmp_path / "p.tar", tmp_path / "out").wheels == 2


SDIST = """
[pypi-options]
find-links = [{ path = "links" }]
[dependencies]
python = "*"
[pypi-dependencies]
lib = "*"
"""


@pytest.fixture
def with_sdist(bare_channel: Path, tmp_path: Path) -> Workspace:
    """A workspace whose only PyPI package is an sdist."""
    make_sdist(tmp_path / "ws" / "links", "lib")
    made = Workspace.load(manifest(tmp_path / "ws", [bare_channel.as_uri()], SDIST))
    made.lock()
    return made


def test_sdists_are_built(with_sdist: Workspace, tmp_path: Path, cache: Path) -> None:
    first = packed(with_sdist, tmp_path / "a.tar")
    assert first.content.wheels[0].origin == "built"
    assert "pypi/lib-1.0-py3-none-any.whl" in members(tmp_path / "a.tar")
    result = unpacked(tmp_path / "a.tar", tmp_path / "out")
    assert run(result.prefix, "import lib; print(lib.version)") == "1.0"
    packed(with_sdist, tmp_path / "b.tar")
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    for kept in (cache / "smelt" / "archives").rglob("lib-1.0*.whl"):
        kept.unlink()
    packed(with_sdist, tmp_path / "c.tar")  # built anew: the wheel says nothing of the time
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "c.tar").read_bytes()


def test_sdists_that_are_left_out(with_sdist: Workspace, tmp_path: Path) -> None:
    done = packed(with_sdist, tmp_path / "a.tar", ignore_non_wheels=True)
    assert done.content.left_out == ("lib",)
    assert not any(name.startswith("pypi") for name in members(tmp_path / "a.tar"))


def test_sdists_of_a_foreign_platform(tmp_path: Path) -> None:
    channel = Channel(tmp_path / "channel")
    python = ".".join(map(str, sys.version_info[:3]))
    for subdir in (SUBDIR, OTHER):
        channel.add("python", python, subdir=subdir)
    make_sdist(tmp_path / "ws" / "links", "lib")
    workspace = Workspace.load(manifest(tmp_path / "ws", [channel.index().url], SDIST, (SUBDIR, OTHER)))
    workspace.lock()
    with pytest.raises(PackError, match="lib is not a wheel file") as caught:
        packed(workspace, tmp_path / "a.tar", platform=OTHER)
    assert caught.value.kind == "pack-not-a-wheel"
    assert packed(workspace, tmp_path / "a.tar", platform=OTHER, ignore_non_wheels=True).content.left_out == ("lib",)


def test_local_projects_and_git_are_built(bare_channel: Path, tmp_path: Path) -> None:
    from git_kit import GitRepository

    for name in ("local", "remote"):
        make_sdist(tmp_path / "made", name)
        with tarfile.open(tmp_path / "made" / f"{name}-1.0.tar.gz") as tar:
            tar.extractall(tmp_path / "made", filter="data")
    shutil.copytree(tmp_path / "made" / "local-1.0", tmp_path / "ws" / "local")
    repository = GitRepository(tmp_path / "repository")
    shutil.copytree(tmp_path / "made" / "remote-1.0", tmp_path / "repository", dirs_exist_ok=True)
    repository.commit()
    text = (
        '[dependencies]\npython = "*"\n[pypi-dependencies]\nlocal = { path = "local", editable = true }\n'
        f'remote = {{ git = "{repository.url}" }}\n'
    )
    workspace = Workspace.load(manifest(tmp_path / "ws", [bare_channel.as_uri()], text))
    workspace.lock()
    done = packed(workspace, tmp_path / "a.tar")
    assert [(wheel.name, wheel.origin) for wheel in done.content.wheels] == [("local", "built"), ("remote", "built")]
    shutil.rmtree(tmp_path / "ws" / "local")
    result = unpacked(tmp_path / "a.tar", tmp_path / "out")
    assert run(result.prefix, "import local, remote; print(local.version, remote.version)") == "1.0 1.0"


def test_a_build_that_fails(tmp_path: Path, bare_channel: Path) -> None:
    sdist = make_sdist(tmp_path / "ws" / "links", "broken", more=_BROKEN.format(str(tmp_path / "mark")))
    text = SDIST.replace("lib =", "broken =")
    workspace = Workspace.load(manifest(tmp_path / "ws", [bare_channel.as_uri()], text))
    workspace.lock()
    (tmp_path / "mark").touch()
    with pytest.raises(PackError, match="broken cannot be built into a wheel") as caught:
        packed(workspace, tmp_path / "a.tar")
    assert "no compiler here" in "".join(caught.value.notes)
    assert not (tmp_path / "a.tar").exists()
    assert sdist.is_file()


_BROKEN = """
build = build_wheel

def build_wheel(*arguments, **more):
    if os.path.exists({!r}):
        raise SystemExit("no compiler here")
    return build(*arguments, **more)
"""


def test_wheels_are_normalised(tmp_path: Path) -> None:
    from smelt.pack.wheels import normalise_wheel

    path = make_wheel(tmp_path, "app")
    normalise_wheel(path, tmp_path / "new.whl")
    with zipfile.ZipFile(tmp_path / "new.whl") as new, zipfile.ZipFile(path) as old:
        assert {name: new.read(name) for name in new.namelist()} == {name: old.read(name) for name in old.namelist()}
        assert {entry.date_time for entry in new.infolist()} == {(1980, 1, 1, 0, 0, 0)}


# pixi-pack itself, where it is at hand


def peer(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not on the search path")
    return found


def test_pixi_unpack_takes_our_packs(wheel_pack: Path, workspace: Workspace, tmp_path: Path) -> None:
    subprocess.run([peer("pixi-unpack"), wheel_pack, "-o", tmp_path / "a"], check=True, env=environment())
    packed(workspace, tmp_path / "folder", format="directory")
    subprocess.run([peer("pixi-unpack"), tmp_path / "folder", "-o", tmp_path / "b"], check=True, env=environment())
    for name in ("a", "b"):
        assert run(tmp_path / name / "env", "import app, base; print(app.version, base.version)") == "1.0 2.0"
        assert (tmp_path / name / "env" / "share" / "mine.txt").is_file()


def test_we_take_packs_of_pixi_pack(bare_channel: Path, tmp_path: Path) -> None:
    make_wheel(tmp_path / "ws" / "links", "app", "1.0", ["base"])
    make_wheel(tmp_path / "ws" / "links", "base", "2.0")
    text = TEXT.replace('mine = { path = "mine" }\n', "")
    workspace = Workspace.load(manifest(tmp_path / "ws", [bare_channel.as_uri()], text))
    workspace.lock()
    theirs, ours = tmp_path / "theirs.tar", tmp_path / "ours.tar"
    subprocess.run([peer("pixi-pack"), "-o", theirs, tmp_path / "ws"], check=True, env=environment())
    packed(workspace, ours)
    result = unpacked(theirs, tmp_path / "out")
    assert run(result.prefix, "import app, base; print(app.version, base.version)") == "1.0 2.0"
    mine, other = members(ours), members(theirs)
    assert mine["environment.yml"] == other["environment.yml"]
    described = {"pixi-pack.json", f"channel/{SUBDIR}/repodata.json", "channel/noarch/repodata.json"}
    assert {n: d for n, d in mine.items() if n not in described} == {
        n: d for n, d in other.items() if n not in described
    }
    with tarfile.open(theirs) as a, tarfile.open(ours) as b:
        kinds = [{m.name: (m.mtime, m.mode, m.uid, m.gid, m.type) for m in tar} for tar in (a, b)]
    assert {name: kinds[1][name] for name in kinds[0]} == kinds[0]
