"""``smelt info``."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from smelt import __version__
from smelt.types import current_platform
from spine_kit import OTHER, SUBDIR, Channel, smelt


@pytest.fixture
def root(tmp_path: Path) -> Path:
    channel = Channel(tmp_path / "channel")
    channel.add("app")
    channel.index()
    root = tmp_path / "w"
    root.mkdir()
    (root / "pixi.toml").write_text(
        f"""\
[workspace]
name = "w"
version = "0.3"
channels = ["{channel.url}", "conda-forge"]
platforms = ["{SUBDIR}", "{OTHER}", {{ name = "gpu", platform = "{SUBDIR}", cuda = {{ driver = "12", arch = "8.6" }} }}]
[dependencies]
app = {{ version = ">=1", channel = "{channel.url}" }}
[pypi-dependencies]
six = "*"
[tasks]
foo = "echo foo"
_hidden = "echo hidden"
[target.unix.tasks]
bar = "echo bar"
[target.win.tasks]
bar = "echo bar"
[feature.test.constraints]
lib = "<2"
[environments]
test = {{ features = ["test"], solve-group = "g" }}
[environments.dev.dependencies]
lib = "*"
""",
        encoding="utf-8",
    )
    return root


def info(root: Path, *arguments: str, code: int = 0, **env: str) -> subprocess.CompletedProcess[str]:
    home = str(root.parent / "home")
    result = smelt(root, "info", *arguments, env={"PIXI_HOME": home, "HOME": home, "XDG_CONFIG_HOME": home, **env})
    assert result.returncode == code, result.stderr
    return result


def test_json(root: Path) -> None:
    data = json.loads(info(root, "--json").stdout)
    assert list(data) == [
        *("platform", "virtual_packages", "version", "tls_backend", "cache_dir", "cache_size", "auth_dir"),
        *("global_info", "project_info", "environments_info", "config_locations", "smelt"),
    ]
    assert data["platform"] == current_platform()
    assert data["version"] == __version__
    assert data["cache_size"] is None
    assert data["global_info"] == {
        "bin_dir": str(root.parent / "home" / "bin"),
        "env_dir": str(root.parent / "home" / "envs"),
        "manifest": str(root.parent / "home" / "manifests" / "pixi-global.toml"),
    }
    assert data["project_info"] == {
        "name": "w",
        "manifest_path": str(root / "pixi.toml"),
        "last_updated": None,
        "pixi_folder_size": None,
        "version": "0.3",
    }
    by_name = {each["name"]: each for each in data["environments_info"]}
    assert list(by_name) == ["default", "test", "dev"]
    default = by_name["default"]
    assert list(default) == [
        *("name", "features", "solve_group", "environment_size", "dependencies", "pypi_dependencies", "platforms"),
        *("resolved_platform", "minimum_supported_platform", "tasks", "channels", "prefix"),
    ]
    assert default["channels"][1] == "conda-forge"
    assert default["pypi_dependencies"] == ["six"]
    assert default["platforms"][2] == {
        "name": "gpu",
        "subdir": SUBDIR,
        "virtual_packages": ['cuda = { driver = "12", arch = "8.6" }'],
    }
    assert by_name["test"]["solve_group"] == "g"
    assert set(by_name["test"]["features"]) == {"test", "default"}
    assert by_name["dev"]["features"] == ["default"], "what an environment holds itself is no feature"
    assert set(by_name["dev"]["dependencies"]) == {"app", "lib"}


def test_effective_model(root: Path) -> None:
    model = json.loads(info(root, "--json").stdout)["smelt"]["environments"]
    assert list(model) == ["default", "test", "dev"]
    assert list(model["test"]) == [SUBDIR, OTHER, "gpu"]
    test = model["test"][SUBDIR]
    (app,) = test["dependencies"]
    assert (app["name"], app["version"], app["feature"]) == ("app", ">=1", "default")
    assert app["place"] == "pixi.toml:7:7"
    assert [(each["name"], each["version"]) for each in test["constraints"]] == [("lib", "<2")]
    assert test["channels"][1] == "https://conda.anaconda.org/conda-forge/"
    assert [each["name"] for each in test["pypi_dependencies"]] == ["six"]
    assert set(test["tasks"]) == {"foo", "_hidden", "bar"}
    assert test["tasks"]["foo"]["cmd"] == "echo foo"
    assert test["channel_priority"] == "strict"
    assert "__cuda=12" in model["default"]["gpu"]["virtual_packages"]


def test_text(root: Path) -> None:
    text = info(root).stdout
    assert f"      smelt version: {__version__}\n" in text
    assert "              Tasks: foo, bar\n" in text
    assert "_hidden" not in text
    assert "   Target platforms: " in text and 'gpu (cuda = { driver = "12", arch = "8.6" })' in text
    assert "Minimum platform: available after `smelt install`" in text
    assert "No config files found" in text or "/etc/pixi" in text


def test_outside_of_a_workspace(tmp_path: Path) -> None:
    data = json.loads(info(tmp_path, "--json").stdout)
    assert data["project_info"] is None
    assert data["environments_info"] == []
    assert "smelt" not in data
    assert "Workspace" not in info(tmp_path).stdout


def test_config_locations(root: Path) -> None:
    local = root / ".pixi" / "config.toml"
    user = root.parent / "home" / "config.toml"
    for path in (local, user):
        path.parent.mkdir(exist_ok=True)
        path.write_text("", encoding="utf-8")
    assert json.loads(info(root, "--json").stdout)["config_locations"][:2] == [str(local), str(user)]
    assert json.loads(info(root, "--json", "--no-config").stdout)["config_locations"] == [str(local)]


def test_sizes_and_installed_platforms(root: Path, cache: Path) -> None:
    text = (root / "pixi.toml").read_text(encoding="utf-8").replace(', "conda-forge"', "")
    text = text.replace('[pypi-dependencies]\nsix = "*"\n', "").replace('lib = "*"', 'app = "*"')
    (root / "pixi.toml").write_text(text, encoding="utf-8")
    assert smelt(root, "install").returncode == 0
    data = json.loads(info(root, "--json", "--extended").stdout)
    assert data["cache_size"].endswith(" MiB")
    assert data["project_info"]["pixi_folder_size"].endswith(" MiB")
    assert data["project_info"]["last_updated"]
    default = data["environments_info"][0]
    assert default["environment_size"].endswith(" MiB")
    assert default["resolved_platform"]["subdir"] == SUBDIR
    assert isinstance(default["resolved_platform"]["virtual_packages"], list)
    assert data["environments_info"][1]["environment_size"] is None
    assert os.path.commonpath([data["cache_dir"], str(cache)]) == str(cache)


def test_broken_manifest(root: Path) -> None:
    (root / "pixi.toml").write_text("[workspace]\nchannels = 1\n", encoding="utf-8")
    assert "error[manifest-type]" in info(root, code=1).stderr
