"""The store of artifacts: what it finds, what it takes for damaged, how it heals."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from build_kit import Recorder, build, node, render, write_source

from smelt.build.model import Artifact, BuildNode
from smelt.build.store import Store
from smelt.errors import CacheError

pytestmark = [
    pytest.mark.build,
    pytest.mark.skipif(os.name != "posix", reason="the build scripts are for a POSIX shell"),
]

RECIPE = """
package: {name: hello, version: 1.2.3}
source: {path: .}
build: {script: ["mkdir -p $PREFIX/share", "cp a.txt $PREFIX/share/"]}
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, BuildNode, Artifact]:
    """A store with one artifact: copy it before damaging it."""
    root = tmp_path_factory.mktemp("built")
    source = write_source(root / "source", {"a.txt": "hello " * 100})
    one = node(render(RECIPE, source)[0], source)
    return root, one, build([one], root)[one.key]


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def _flip(path: Path) -> None:
    """One bit of the content; the size stays."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


DAMAGE: dict[str, Callable[[Path], object]] = {
    "archive cut": lambda folder: _truncate(next(folder.glob("*.conda"))),
    "archive changed": lambda folder: _flip(next(folder.glob("*.conda"))),
    "archive empty": lambda folder: next(folder.glob("*.conda")).write_bytes(b""),
    "archive gone": lambda folder: next(folder.glob("*.conda")).unlink(),
    "record gone": lambda folder: (folder / "record.json").unlink(),
    "record cut": lambda folder: _truncate(folder / "record.json"),
    "record empty": lambda folder: (folder / "record.json").write_bytes(b""),
    "record of something else": lambda folder: (folder / "record.json").write_text("[1, 2]"),
    "record without digest": lambda folder: _edit(folder / "record.json", "sha256"),
    "folder empty": lambda folder: [path.unlink() for path in folder.iterdir()],
}


def _edit(path: Path, key: str) -> None:
    data = json.loads(path.read_text())
    del data["repodata"][key]
    path.write_text(json.dumps(data))


@pytest.mark.parametrize("name", list(DAMAGE))
def test_damage_is_seen(name: str, built: tuple[Path, BuildNode, Artifact], tmp_path: Path) -> None:
    root, one, _ = built
    shutil.copytree(root / "store", tmp_path / "store")
    folder = Store(tmp_path / "store").folder(one.key)
    DAMAGE[name](folder)
    warnings: list[str] = []
    assert Store(tmp_path / "store", warnings.append).lookup(one.key) is None
    assert len(warnings) == 1
    assert "made again" in warnings[0]


@pytest.mark.parametrize("name", ["archive cut", "record gone", "folder empty"])
def test_damage_is_healed(name: str, built: tuple[Path, BuildNode, Artifact], tmp_path: Path) -> None:
    root, one, artifact = built
    shutil.copytree(root / "store", tmp_path / "store")
    folder = Store(tmp_path / "store").folder(one.key)
    DAMAGE[name](folder)
    recorder = Recorder()
    healed = build([one], tmp_path, recorder)[one.key]
    assert healed.record.sha256 == artifact.record.sha256
    assert recorder.events[-1] == ("finished", "hello")
    assert len(recorder.warnings) == 1
    assert Store(tmp_path / "store").verify(one.key)
    assert sorted(path.name for path in folder.parent.iterdir()) == [one.key]


def test_a_store_that_was_copied_is_whole(built: tuple[Path, BuildNode, Artifact], tmp_path: Path) -> None:
    root, one, artifact = built
    shutil.copytree(root / "store", tmp_path / "store", copy_function=shutil.copyfile)
    found = Store(tmp_path / "store", pytest.fail).lookup(one.key)
    assert found is not None
    assert found.record.sha256 == artifact.record.sha256
    assert found.record.url == found.path.as_uri()
    assert found.path.is_relative_to(tmp_path)


def test_the_last_build_of_a_variant_is_known(built: tuple[Path, BuildNode, Artifact], tmp_path: Path) -> None:
    root, one, _ = built
    store = Store(root / "store")
    assert store.inputs(one.key) == one.inputs
    other = write_source(tmp_path / "source", {"a.txt": "other"})
    changed = node(render(RECIPE, other)[0], other)
    assert changed.key != one.key
    assert store.previous(changed) == one.inputs
    assert Store(tmp_path / "empty").previous(one) is None
    assert store.inputs("0" * 64) is None


def test_what_a_killed_process_left_is_swept(built: tuple[Path, BuildNode, Artifact], tmp_path: Path) -> None:
    root, one, _ = built
    shutil.copytree(root / "store", tmp_path / "store")
    folder = Store(tmp_path / "store").folder(one.key)
    left = folder.with_name(f".{one.key}.abc.part")
    left.mkdir()
    (left / "hello-1.2.3.conda").write_bytes(b"half")
    (tmp_path / "work" / ".hello-12345678.99.1.gone" / "x").mkdir(parents=True)
    build([one], tmp_path, rebuild=frozenset({"hello"}))
    assert not left.exists()
    assert not [path for path in (tmp_path / "work").iterdir() if path.name.endswith(".gone")]


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_store_that_cannot_be_written(built: tuple[Path, BuildNode, Artifact], tmp_path: Path) -> None:
    _, one, _ = built
    (tmp_path / "store").mkdir(mode=0o500)
    with pytest.raises(CacheError, match="store of built packages cannot be used"):
        build([one], tmp_path)


def test_a_store_that_is_a_file(built: tuple[Path, BuildNode, Artifact], tmp_path: Path) -> None:
    _, one, _ = built
    (tmp_path / "store").write_text("")
    with pytest.raises(CacheError, match="store of built packages cannot be used") as caught:
        build([one], tmp_path)
    assert caught.value.help is not None


def test_a_work_folder_that_is_a_file(built: tuple[Path, BuildNode, Artifact], tmp_path: Path) -> None:
    _, one, _ = built
    (tmp_path / "work").write_text("")
    from smelt.errors import BuildError

    with pytest.raises(BuildError, match="work folder cannot be used"):
        build([one], tmp_path)
