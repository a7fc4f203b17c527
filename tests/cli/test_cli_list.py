"""``smelt list``: fields, order, what is left out."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from spine_kit import SUBDIR, Channel, manifest, smelt

# the reference's order
KEYS = [
    *("name", "version", "build", "build_number", "size_bytes", "kind", "source", "license", "license_family"),
    *("is_explicit", "md5", "sha256", "arch", "platform", "subdir", "timestamp", "noarch", "file_name", "url"),
    *("index_url", "requested_spec", "constrains", "depends", "track_features", "run_exports", "is_source"),
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    channel = Channel(tmp_path / "channel")
    channel.add("app", depends=["lib >=1"], files={"share/app.txt": "x" * 4000})
    channel.add("lib", "1.5", "7")
    channel.index()
    root = tmp_path / "w"
    text = '[dependencies]\napp = ">=1"\n[feature.a.dependencies]\napp = "<2"\n[environments]\na = ["a"]\nempty = '
    manifest(root, [channel.url], text + "{ features = [], no-default-feature = true }\n")
    return root


def ls(root: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    result = smelt(root, "list", *arguments)
    assert result.returncode == code, result.stderr
    return result


def test_json(root: Path) -> None:
    rows = json.loads(ls(root, "--json").stdout)
    assert [row["name"] for row in rows] == ["app", "lib"]
    assert list(rows[0]) == KEYS
    app = rows[0]
    assert (app["requested_spec"], app["is_explicit"], app["is_source"]) == (">=1", True, False)
    assert app["url"] == f"{app['source']}/noarch/app-1.0-0.conda"
    assert (app["depends"], app["subdir"], app["run_exports"]) == (["lib >=1"], "noarch", None)
    assert rows[1]["requested_spec"] is None
    assert json.loads(ls(root, "--json", "-e", "a").stdout)[0]["requested_spec"] in (">=1, <2", "<2, >=1")


def test_fields(root: Path) -> None:
    lines = ls(root, "--fields", "name,build-number,requested-spec", "--fields", "depends").stdout.splitlines()
    assert lines == ["Name  Build#  Requested  Depends", "app        0  >=1        lib >=1", "lib        0"]
    assert "there is no field `nam`" in ls(root, "--fields", "nam", code=2).stderr
    assert "`--fields` is for tables" in ls(root, "--json", "--fields", "name", code=2).stderr
    assert "`--sort-by` is for tables" in ls(root, "--json", "--sort-by", "name", code=2).stderr


def test_table(root: Path) -> None:
    lines = ls(root).stdout.splitlines()
    assert lines[0].split() == ["Name", "Version", "Build", "Size", "Kind", "Source"]
    assert [line.split()[0] for line in lines[1:]] == ["app", "lib"]
    assert lines[1].split()[4] in ("B", "KiB")


def test_order_and_filters(root: Path) -> None:
    by_size = [line.split()[0] for line in ls(root, "--sort-by", "size").stdout.splitlines()[1:]]
    sizes = {row["name"]: row["size_bytes"] for row in json.loads(ls(root, "--json").stdout)}
    assert by_size == sorted(sizes, key=lambda name: sizes[name])
    assert [line.split()[0] for line in ls(root, "-x").stdout.splitlines()[1:]] == ["app"]
    assert [line.split()[0] for line in ls(root, "^l").stdout.splitlines()[1:]] == ["lib"]
    assert json.loads(ls(root, "nothing", "--json").stdout) == []


def test_nothing_to_list(root: Path) -> None:
    stderr = ls(root, "-e", "empty", code=1).stderr
    assert f"No packages found in 'empty' environment for '{SUBDIR}' platform." in stderr
    assert "No packages found in 'default'" in ls(root, "nothing", code=1).stderr


def test_environment_is_named(root: Path) -> None:
    assert ls(root, "-e", "a").stderr.endswith("Environment: a\n")
    # as in a shell or task of that environment
    env = {"PIXI_IN_SHELL": "1", "PIXI_PROJECT_ROOT": str(root), "PIXI_ENVIRONMENT_NAME": "a"}
    assert smelt(root, "list", env=env).stderr.endswith("Environment: a\n")
