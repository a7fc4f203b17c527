"""Profiles: one package, built in different ways in different environments."""

from __future__ import annotations

from pathlib import Path

import pytest
from resolve_kit import lock, problems, solve, source

from smelt.errors import ManifestError
from smelt.lock.model import Lock
from smelt.resolve.packages import PackageLoader
from smelt.resolve.plan import BuildPlan, BuildPlanner
from smelt.workspace.load import load_workspace
from spine_kit import SUBDIR, Channel, manifest, package, recipe

PROFILE = """
[dependencies]
mine = { path = "mine" }
[feature.debug]
[environments]
debug = ["debug"]
[tool.smelt.profile.debug]
env = { CFLAGS = "-O0" }
[tool.smelt.feature.debug]
profile = "debug"
"""


def plan(root: Path, found: Lock) -> BuildPlan:
    workspace = load_workspace(root / "pixi.toml")
    planner = BuildPlanner(workspace, found, PackageLoader(workspace, found))
    for environment in found.environments:
        planner.add((environment, SUBDIR))
    return planner.finish()


def test_two_environments_two_artifacts(tmp_path: Path, channel: Channel) -> None:
    recipe(tmp_path, "mine", host=["library"])
    manifest(tmp_path, [channel.url], PROFILE)
    found = lock(tmp_path).lock
    plain, debug = source(found, "mine"), source(found, "mine", "debug")
    assert "smelt_profile" not in plain.variants
    assert debug.variants["smelt_profile"] == "debug"
    assert found.sources[plain.identifier].build != found.sources[debug.identifier].build
    assert found.sources[debug.identifier].profile == "debug"
    assert plain.host_packages == debug.host_packages
    nodes = {node.wanted_by: node for node in plan(tmp_path, found).nodes}
    assert set(nodes) == {("default",), ("debug",)}
    assert problems(tmp_path) == []


def test_a_profile_for_named_packages(tmp_path: Path, channel: Channel) -> None:
    recipe(tmp_path, "mine")
    recipe(tmp_path, "yours")
    text = PROFILE.replace("[feature.debug]", 'yours = { path = "yours" }\n[feature.debug]', 1)
    manifest(tmp_path, [channel.url], text.replace("env =", 'packages = ["mine"]\nenv ='))
    found = lock(tmp_path).lock
    assert source(found, "yours") == source(found, "yours", "debug")
    assert source(found, "mine") != source(found, "mine", "debug")
    assert len(plan(tmp_path, found).nodes) == 3
    assert problems(tmp_path) == []


def test_a_profile_reaches_what_is_below(tmp_path: Path, channel: Channel) -> None:
    recipe(tmp_path, "base")
    package(tmp_path, "mine", host=["base"], sources={"host": {"base": "../base"}})
    manifest(tmp_path, [channel.url], PROFILE)
    found = lock(tmp_path).lock
    assert len(plan(tmp_path, found).nodes) == 4
    reference = source(found, "mine", "debug").host_packages[0]
    assert found.packages[reference].variants["smelt_profile"] == "debug"  # type: ignore[union-attr]
    assert problems(tmp_path) == []


def test_changing_a_profile_changes_its_builds_only(tmp_path: Path, channel: Channel) -> None:
    recipe(tmp_path, "mine")
    manifest(tmp_path, [channel.url], PROFILE)
    found = lock(tmp_path).lock
    before = {node.wanted_by: node.key for node in plan(tmp_path, found).nodes}
    manifest(tmp_path, [channel.url], PROFILE.replace("-O0", "-O1"))
    assert problems(tmp_path) == []
    after = {node.wanted_by: node.key for node in plan(tmp_path, found).nodes}
    assert after["default",] == before["default",]
    assert after["debug",] != before["debug",]


def test_taking_the_profile_away_makes_the_lock_old(tmp_path: Path, channel: Channel) -> None:
    recipe(tmp_path, "mine")
    manifest(tmp_path, [channel.url], PROFILE)
    lock(tmp_path)
    manifest(tmp_path, [channel.url], PROFILE.partition("[tool.smelt.feature")[0])
    found = problems(tmp_path)
    assert len(found) == 1
    assert "'debug'" in found[0]
    result = lock(tmp_path).lock
    assert source(result, "mine") == source(result, "mine", "debug")
    assert problems(tmp_path) == []


def test_two_profiles_in_a_solve_group(tmp_path: Path, channel: Channel) -> None:
    recipe(tmp_path, "mine")
    text = PROFILE.replace(
        'debug = ["debug"]',
        'default = { solve-group = "g" }\ndebug = { features = ["debug"], solve-group = "g" }',
    )
    manifest(tmp_path, [channel.url], text)
    with pytest.raises(ManifestError) as caught:
        solve(tmp_path)
    assert caught.value.kind == "manifest-profile-conflict"
    assert "`g`" in str(caught.value)
