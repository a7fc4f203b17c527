"""What programs that build packages are told: conditions, and the files that say what was said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_resolve_foreign_backend import channel as channel  # a fixture
from test_resolve_foreign_backend import prefix, workspace

from spine_kit import Channel, posix, smelt

pytestmark = [pytest.mark.build, posix]


def said(root: Path, package: str, name: str) -> list[dict[str, object]]:
    found = sorted((root / ".pixi" / "bld" / package).glob(f"*/debug/{name}.json"))
    return [json.loads(path.read_text()) for path in found]


def test_the_last_conversation_is_kept(tmp_path: Path, channel: Channel) -> None:
    root = workspace(tmp_path / "ws", channel)
    assert smelt(root, "lock").returncode == 0
    [asked] = said(root, "mine", "conda_outputs_params")
    assert asked["channels"] == [f"{channel.url}/"]
    [answered] = said(root, "mine", "conda_outputs_response")
    assert answered["outputs"][0]["metadata"]["name"] == "mine"
    [model] = said(root, "mine", "project_model")
    assert model["targets"]["defaultTarget"]["hostDependencies"].keys() == {"lib"}
    assert not said(root, "mine", "conda_build_v1_params")
    assert smelt(root, "install").returncode == 0
    [asked] = said(root, "mine", "conda_build_v1_params")
    assert {each["name"] for each in asked["hostPrefix"]["packages"]} == {"lib"}
    assert {each["spec"]["name"] for each in asked["runDependencies"]} == {"lib", "helper"}
    [answered] = said(root, "mine", "conda_build_v1_response")
    assert answered["version"] == "1.5"
    # where nothing is asked nothing is written
    for path in (root / ".pixi" / "bld").glob("*/*/debug/*"):
        path.unlink()
    assert smelt(root, "install").returncode == 0
    assert not said(root, "mine", "conda_build_v1_params")
    assert smelt(root, "clean").returncode == 0
    assert not (root / ".pixi" / "bld").exists()


def test_complaints_are_kept(tmp_path: Path, channel: Channel) -> None:
    root = workspace(tmp_path / "ws", channel, config='fault = "complain"')
    assert smelt(root, "lock").returncode != 0
    [error] = said(root, "mine", "conda_outputs_error")
    assert error["message"] == "the project has no heart"
    assert error["data"]["help"] == "transplant one"
    path = root / "mine" / "pixi.toml"
    path.write_text(path.read_text().replace('fault = "complain"', "").replace('"test -d', '"false", "test -d'))
    assert smelt(root, "build").returncode != 0
    [error] = said(root, "mine", "conda_build_v1_error")
    assert error["message"] == "the script ended with 1"
    # what is not true any more is gone
    assert not said(root, "mine", "conda_outputs_error")


def test_builds_of_our_own_are_told_too(tmp_path: Path, channel: Channel) -> None:
    root = workspace(tmp_path / "ws", channel, text='[dependencies]\nown = { path = "own" }\n')
    (root / "own").mkdir()
    text = "package: {name: own, version: 1.0}\nrequirements: {host: [lib]}\nbuild: {script: ['true']}\n"
    (root / "own" / "recipe.yaml").write_text(text)
    assert smelt(root, "install").returncode == 0
    [asked] = said(root, "own", "conda_build_v1_params")
    assert [each["name"] for each in asked["hostPrefix"]["packages"]] == ["lib"]
    assert said(root, "own", "conda_build_v1_response")
    [recipe] = said(root, "own", "recipe")
    assert recipe["package"]["name"] == "own"
    (root / "own" / "recipe.yaml").write_text(text.replace("'true'", "'false'"))
    assert smelt(root, "install").returncode != 0
    assert said(root, "own", "conda_build_v1_error") and not said(root, "own", "conda_build_v1_response")


def test_conditions_of_requirements(tmp_path: Path, channel: Channel) -> None:
    for name in ("with-two", "with-one"):
        channel.add(name)
    channel.index()
    root = workspace(tmp_path / "ws", channel)
    path = root / "mine" / "pixi.toml"
    text = path.read_text().replace(
        "[package.run-dependencies]",
        '[package.run-dependencies]\nwith-two = { version = "*", when = "lib >=2 and (helper or __never)" }\n'
        'with-one = { version = "*", when = "lib <2" }',
    )
    path.write_text(text)
    done = smelt(root, "install")
    assert done.returncode == 0, done.stderr
    records = {path.name.rsplit("-", 2)[0] for path in (prefix(root) / "conda-meta").glob("*.json")}
    assert "with-two" in records and "with-one" not in records
    assert smelt(root, "lock", "--check").returncode == 0
    for bad in ("lib >=2 and", "(lib", "lib or or helper"):
        path.write_text(text.replace("lib <2", bad))
        done = smelt(root, "lock")
        assert done.returncode not in (0, 70), done.stderr
        assert "Traceback" not in done.stderr
