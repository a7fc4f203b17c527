"""Source packages in packs: each kind, and always the artifact that the lock names."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from pack_kit import members, packed, unpacked, write_tar

from git_kit import GitRepository, needs_git
from smelt.api.workspace import Workspace
from smelt.build.store import Store
from smelt.errors import BuildError, LockOutdatedError
from smelt.fs import smelt_cache
from smelt.types import sha256_file
from spine_kit import SUBDIR, Channel, manifest, package, posix, recipe, recipe_text

pytestmark = [posix, pytest.mark.build]


def source_names(path: Path) -> list[str]:
    return sorted(name.rpartition("/")[2] for name in members(path) if name.endswith(".conda"))


@needs_git
def test_path_git_and_url(tmp_path: Path) -> None:
    channel = Channel(tmp_path / "channel")
    channel.add("alpha")
    repository = GitRepository(tmp_path / "repository")
    commit = repository.commit({"recipe.yaml": recipe_text("from-git")})
    write_tar(tmp_path / "from-url.tar", {"recipe.yaml": recipe_text("from-url").encode()})
    recipe(tmp_path / "ws", "from-path", run=["alpha"])
    text = (
        '[dependencies]\nfrom-path = { path = "from-path" }\n'
        f'from-git = {{ git = "{repository.url}" }}\n'
        f'from-url = {{ url = "{(tmp_path / "from-url.tar").as_uri()}" }}\n'
    )
    workspace = Workspace.load(manifest(tmp_path / "ws", [channel.index().url], text))
    workspace.lock()
    done = packed(workspace, tmp_path / "p.tar")
    names = [name.rpartition("-")[0] for name in source_names(tmp_path / "p.tar")]
    assert names == ["alpha-1.0", "from-git-1.0", "from-path-1.0", "from-url-1.0"]
    origins = {item.record.name: item.source for item in done.content.packages}
    assert origins["alpha"] is None
    git = origins["from-git"]
    assert git is not None
    assert git.package.location.endswith(commit) or commit in git.package.location
    assert git.locked is not None
    assert git.locked.backend == "pixi-build-rattler-build"
    shutil.rmtree(tmp_path / "repository")
    result = unpacked(tmp_path / "p.tar", tmp_path / "out")
    assert sorted(path.stem for path in (result.prefix / "share").iterdir()) == [
        "alpha",
        "from-git",
        "from-path",
        "from-url",
    ]


def test_several_outputs(tmp_path: Path) -> None:
    channel = Channel(tmp_path / "channel").index()
    folder = tmp_path / "ws" / "multi"
    folder.mkdir(parents=True)
    outputs = [
        {"package": {"name": f"multi-{each}"}, "build": {"script": f"mkdir -p $PREFIX; echo {each} > $PREFIX/{each}"}}
        for each in ("a", "b", "c")
    ]
    data = {"recipe": {"name": "multi", "version": "3.0"}, "outputs": outputs}
    (folder / "recipe.yaml").write_text(json.dumps(data), encoding="utf-8")
    text = '[dependencies]\nmulti-c = { path = "multi" }\n'
    workspace = Workspace.load(manifest(tmp_path / "ws", [channel.url], text))
    workspace.lock()
    packed(workspace, tmp_path / "p.tar")
    (name,) = source_names(tmp_path / "p.tar")
    assert name.startswith("multi-c-3.0")  # the one that is locked, not the first that the build makes
    assert (unpacked(tmp_path / "p.tar", tmp_path / "out").prefix / "c").is_file()


def test_variants_and_nested_sources(tmp_path: Path) -> None:
    channel = Channel(tmp_path / "channel")
    for version in ("1.0", "2.0"):
        channel.add("lib", version)
    recipe(tmp_path / "ws", "inner", host=["lib"])
    package(tmp_path / "ws", "outer", host=["inner", "lib"], sources={"host": {"inner": "../inner"}})
    text = (
        '[workspace.build-variants]\nlib = ["1.0.*", "2.0.*"]\n[dependencies]\nouter = { path = "outer" }\n'
        '[feature.one.dependencies]\nlib = "1.*"\n[feature.two.dependencies]\nlib = "2.*"\n'
        '[environments]\none = ["one"]\ntwo = ["two"]\n'
    )
    workspace = Workspace.load(manifest(tmp_path / "ws", [channel.index().url], text))
    lock = workspace.lock().lock
    files: dict[str, str] = {}
    for name in ("one", "two"):
        done = packed(workspace, tmp_path / f"{name}.tar", environment=name)
        item = next(item for item in done.content.packages if item.record.name == "outer")
        locked = next(each for each in lock.packages_of(name, SUBDIR) or () if each.name == "outer")
        assert item.source is not None
        assert item.source.package is locked or item.source.package == locked
        assert [each.name for each in item.source.host if each.name == "inner"] == ["inner"]
        files[name] = item.file.sha256
        artifact = Store(smelt_cache()).lookup(item.source.key)
        assert artifact is not None
        assert artifact.record.sha256 == item.file.sha256
        assert item.record.build == artifact.record.build
    assert files["one"] != files["two"]


def test_what_is_stored_is_not_built(tmp_path: Path) -> None:
    channel = Channel(tmp_path / "channel").index()
    recipe(tmp_path / "ws", "inner")
    package(tmp_path / "ws", "outer", host=["inner"], sources={"host": {"inner": "../inner"}})
    workspace = Workspace.load(manifest(tmp_path / "ws", [channel.url], '[dependencies]\nouter = { path = "outer" }\n'))
    workspace.lock()
    done = packed(workspace, tmp_path / "a.tar")
    item = done.content.packages[0]
    assert item.source is not None
    store = Store(smelt_cache())
    inner = next(key for key in workspace.plan(["default"]).keys.values() if key != item.source.key)
    store.forget(inner, "inner", print)
    packed(workspace, tmp_path / "b.tar")
    assert store.lookup(inner) is None  # what only a stored build needed is not built again
    assert sha256_file(tmp_path / "a.tar") == sha256_file(tmp_path / "b.tar")
    store.forget(item.source.key, "outer", print)
    packed(workspace, tmp_path / "c.tar")
    assert sha256_file(tmp_path / "a.tar") == sha256_file(tmp_path / "c.tar")


def test_failures_leave_nothing(tmp_path: Path) -> None:
    channel = Channel(tmp_path / "channel").index()
    recipe(tmp_path / "ws", "bad", script=["echo no; exit 3"])
    path = manifest(tmp_path / "ws", [channel.url], '[dependencies]\nbad = { path = "bad" }\n')
    workspace = Workspace.load(path)
    workspace.lock()
    with pytest.raises(BuildError):
        packed(workspace, tmp_path / "p.tar")
    recipe(tmp_path / "ws", "bad", "2.0")
    with pytest.raises(LockOutdatedError):
        packed(Workspace.load(path), tmp_path / "p.tar")
    assert not (tmp_path / "p.tar").exists()
