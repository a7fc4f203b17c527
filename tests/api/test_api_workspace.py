"""The façade: what the commands do, from Python."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from smelt.api.build_options import BuildOptions
from smelt.api.building import explain_builds, run_builds
from smelt.api.installing import InstallOptions
from smelt.api.reporter import Reporters
from smelt.api.state import read_known
from smelt.api.workspace import Workspace
from smelt.errors import LockError, LockOutdatedError, ManifestError, UnknownNameError
from smelt.types import current_platform
from spine_kit import OTHER, SUBDIR, Channel, manifest, posix, recipe

pytestmark = [pytest.mark.build, posix]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("PIXI_CACHE_DIR", str(folder))
    monkeypatch.delenv("PIXI_IN_SHELL", raising=False)
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    channel = Channel(tmp_path / "channel")
    for version in ("1.0", "2.0"):
        channel.add("tool", version)
    channel.index()
    root = tmp_path / "ws"
    recipe(root, "mine", host=["tool"])
    manifest(
        root,
        [channel.url],
        """
[dependencies]
tool = "1.*"
[feature.mine.dependencies]
mine = { path = "mine" }
[feature.far]
platforms = ["OTHER"]
[feature.far.dependencies]
tool = "*"
[environments]
mine = ["mine"]
far = ["far"]
""".replace("OTHER", OTHER),
        platforms=[SUBDIR, OTHER],
    )
    return root


def change(root: Path, old: str, new: str) -> None:
    path = root / "pixi.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def settle() -> None:
    """Let the files of the workspace become older than the clock of the file system is exact."""
    time.sleep(0.1)


def test_loading(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in (root, root / "pixi.toml"):
        assert Workspace.load(path).model.root == root
    monkeypatch.chdir(root / "mine")
    assert Workspace.load().model.name == "test"
    with pytest.raises(ManifestError):
        Workspace.load(tmp_path / "nowhere")


def test_which_environments_this_machine_can_have(root: Path) -> None:
    assert current_platform() == SUBDIR
    assert Workspace.load(root).supported() == ("default", "mine")


def test_lock_modes(root: Path) -> None:
    workspace = Workspace.load(root)
    assert workspace.read_lock() is None
    for mode in ("locked", "frozen"):
        with pytest.raises(LockError, match="there is no lock file"):
            workspace.ensure_lock(mode)
    assert workspace.lock(dry_run=True).difference
    assert workspace.read_lock() is None
    result = workspace.lock()
    assert result.written
    assert workspace.check(workspace.read_lock()) == ()
    assert workspace.ensure_lock("locked") == workspace.read_lock() == workspace.ensure_lock()
    change(root, 'tool = "1.*"', 'tool = "2.*"')
    workspace = Workspace.load(root)
    with pytest.raises(LockOutdatedError, match=r"tool 2\.\*"):
        workspace.ensure_lock("locked")
    assert workspace.ensure_lock("frozen") == result.lock
    assert workspace.ensure_lock() != result.lock


def test_packages(root: Path) -> None:
    workspace = Workspace.load(root)
    assert [(row["name"], row["version"]) for row in workspace.packages("mine")] == [("mine", "1.0"), ("tool", "1.0")]
    assert [row["version"] for row in workspace.packages("far", OTHER)] == ["1.0"]
    with pytest.raises(UnknownNameError):
        workspace.packages("nine")
    with pytest.raises(UnknownNameError, match="does not support"):
        workspace.packages("far")


def test_plan_build_and_why(root: Path) -> None:
    workspace = Workspace.load(root)
    assert workspace.plan(["default"]).nodes == ()
    plan = workspace.plan()
    (node,) = plan.nodes
    assert node.wanted_by == ("mine",)
    (why,) = explain_builds(plan)
    assert (why.stored, why.reasons) == (False, ("it was not built before",))
    first = workspace.build()
    assert first[node.key].built
    assert not workspace.build()[node.key].built
    again = run_builds(plan, BuildOptions(rebuild=["mine"]), Reporters())[node.key]
    assert again.built
    assert again.record.sha256 == first[node.key].record.sha256
    assert explain_builds(workspace.plan())[0].stored
    assert run_builds(plan, BuildOptions(packages=[]), Reporters()) == {}


def test_install_says_what_it_did(root: Path) -> None:
    workspace = Workspace.load(root)
    (first,) = workspace.install()
    assert (first.environment, first.prefix, first.changed) == ("default", root / ".pixi" / "envs" / "default", True)
    assert workspace.digest("default") is not None
    assert workspace.digest("mine") is None
    both = workspace.install(["mine", "default"])
    assert [(each.environment, each.changed) for each in both] == [("mine", True), ("default", False)]
    with pytest.raises(UnknownNameError):
        workspace.install(["nine"])
    with pytest.raises(UnknownNameError):
        workspace.install(["far"])


def test_another_platform_can_be_installed(root: Path) -> None:
    (done,) = Workspace.load(root).install(["far"], options=InstallOptions(platform=OTHER))
    assert (done.prefix / "share" / "tool.txt").read_text() == "tool 1.0\n"


def test_variables(root: Path) -> None:
    workspace = Workspace.load(root)
    workspace.install()
    outer = {"PATH": "/usr/bin", "SECRET": "x", "HOME": "/h"}
    values = workspace.variables("default", outer)
    prefix = str(root / ".pixi" / "envs" / "default")
    assert values["CONDA_PREFIX"] == prefix
    assert values["PATH"].startswith(prefix)
    assert values["SECRET"] == "x"
    assert "SECRET" not in workspace.variables("default", outer, clean=True)


# --- what is remembered of an installation -----------------------------------------------------------------------


def is_known(root: Path, name: str = "default") -> bool:
    """Whether a no-op is told by stats alone."""
    known = read_known(root / ".pixi", current_platform())
    return known is not None and name in known.environments and known.holds()


def install(root: Path, *names: str, **options: object) -> list[bool]:
    done = Workspace.load(root).install(names or ("default",), **options)  # type: ignore[arg-type]
    return [each.changed for each in done]


def test_an_unchanged_workspace_is_known(root: Path) -> None:
    settle()
    assert install(root, "default", "mine") == [True, True]
    settle()
    install(root, "default", "mine")
    assert is_known(root)
    assert is_known(root, "mine")
    assert install(root) == [False]


@pytest.mark.parametrize(
    "what", ["manifest", "lock", "source", "recipe", "new file", "prefix", "another definition", "touched"]
)
def test_any_change_is_seen(root: Path, what: str) -> None:
    settle()
    install(root, "mine")
    settle()
    install(root, "mine")
    assert is_known(root, "mine")
    prefix = root / ".pixi" / "envs" / "mine"
    match what:
        case "manifest":
            change(root, 'tool = "1.*"', 'tool = "2.*"')
            assert not is_known(root, "mine")
        case "lock":
            (root / "pixi.lock").unlink()
            assert not is_known(root, "mine")
        case "source" | "new file":
            (root / "mine" / "more.txt").write_text("more")
            assert not is_known(root, "mine")
        case "recipe":
            recipe(root, "mine", host=["tool"], script=["mkdir -p $PREFIX/share; echo > $PREFIX/share/changed"])
        case "prefix":
            next((prefix / "conda-meta").glob("mine-*.json")).unlink()
        case "another definition":
            (root / "mine" / "pixi.toml").write_text('[package]\nname = "mine"\n')
            assert not is_known(root, "mine")
            with pytest.raises(ManifestError):
                install(root, "mine")
            return
        case _:
            os.utime(root / "pixi.toml")
            assert install(root, "mine") == [False]
            return
    changed = install(root, "mine")
    assert changed == ([False] if what == "lock" else [True])
    if what == "manifest":
        assert (prefix / "share" / "tool.txt").read_text() == "tool 2.0\n"
    if what == "recipe":
        assert (prefix / "share" / "changed").exists()
    assert next((prefix / "conda-meta").glob("mine-*.json"))


def test_what_was_loaded_before_a_change_is_not_remembered_as_the_change(root: Path) -> None:
    settle()
    workspace = Workspace.load(root)
    change(root, 'tool = "1.*"', 'tool = "2.*"')
    settle()
    workspace.install()
    assert install(root) == [True]
    assert (root / ".pixi" / "envs" / "default" / "share" / "tool.txt").read_text() == "tool 2.0\n"


def test_frozen_is_not_remembered(root: Path) -> None:
    settle()
    Workspace.load(root).lock()
    change(root, 'tool = "1.*"', 'tool = "2.*"')
    settle()
    install(root, mode="frozen")
    assert install(root) == [True]


def test_a_damaged_record_is_no_record(root: Path) -> None:
    settle()
    install(root)
    assert is_known(root)
    path = root / ".pixi" / "smelt" / "state.json"
    text = path.read_text()
    data = json.loads(text)
    damaged = ["", "{", "[]", "3", text[:-40]]
    for key in data:
        damaged.append(json.dumps({name: value for name, value in data.items() if name != key}))
        damaged += [json.dumps({**data, key: value}) for value in (3, None, {"x": 3})]
    for content in damaged:
        path.write_text(content)
        is_known(root)  # raises nothing
    path.write_text(damaged[4])
    assert install(root) == [False]
    assert is_known(root)
