"""One cache for all tests of this folder, and one small pack that nobody changes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from pathlib import Path

import pytest
from pack_kit import environment_files, packed, ready_workspace, small_workspace, unpacked

from smelt.api.workspace import Workspace
from spine_kit import tree


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what is made once."""
    return tmp_path_factory.mktemp("pack")


@pytest.fixture(scope="session")
def session_cache(shared: Path) -> Generator[None]:
    """The cache while session fixtures are made."""
    patch = pytest.MonkeyPatch()
    patch.setenv("PIXI_CACHE_DIR", str(shared / "cache"))
    for name in [each for each in os.environ if each.startswith("UV_")]:
        patch.delenv(name)
    yield
    patch.undo()


@pytest.fixture(autouse=True)
def cache(session_cache: None, shared: Path) -> Path:
    """A cache that only these tests use."""
    return shared / "cache"


@pytest.fixture(scope="session")
def small(session_cache: None, shared: Path) -> Workspace:
    """The small workspace, locked; shared by all tests: nothing in it may be changed."""
    return small_workspace(shared / "small")


@pytest.fixture(scope="session")
def small_pack(small: Workspace, shared: Path) -> Path:
    """Its pack, a tar."""
    return packed(small, shared / "small.tar").output or shared


@pytest.fixture(scope="session")
def ready(session_cache: None, shared: Path) -> Workspace:
    """The workspace for packs that are ready to run, locked; nothing in it may be changed."""
    return ready_workspace(shared / "ready")


@pytest.fixture(scope="session")
def ready_python(session_cache: None, bare_channel: Path, shared: Path) -> Workspace:
    """The same with a whole Python."""
    return ready_workspace(shared / "ready-python", bare_channel)


@pytest.fixture(scope="session")
def unpacked_ready(ready_python: Workspace, shared: Path) -> tuple[Path, dict[str, tuple[str, int]]]:
    """A place that is free, and what the environment of its pack was like there."""
    packed(ready_python, shared / "ready.tar")
    prefix = unpacked(shared / "ready.tar", shared / "there").prefix
    found = environment_files(prefix)
    shutil.rmtree(prefix.parent)
    return prefix, found


@pytest.fixture
def untouched(tmp_path: Path) -> Generator[Path]:
    """A folder to unpack into; beside it lies something that must stay as it is."""
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside" / "file").write_text("mine", encoding="utf-8")
    before = tree(tmp_path)
    yield tmp_path / "out"
    after = {name: digest for name, digest in tree(tmp_path).items() if not name.startswith("out/")}
    assert after == {name: digest for name, digest in before.items() if not name.startswith("out/")}
