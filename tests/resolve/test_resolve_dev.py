"""Development dependencies: what a package needs, without the package."""

from __future__ import annotations

from pathlib import Path

import pytest
from resolve_kit import solve

from smelt.lock.model import SourcePackage
from spine_kit import SUBDIR, Channel, manifest, package, posix, smelt


@pytest.fixture
def tools(tmp_path: Path) -> Channel:
    channel = Channel(tmp_path / "channel")
    for name in ("compiler", "runtime", "extra"):
        channel.add(name, "1.0")
    for version in ("3.11", "3.12", "3.13"):
        channel.add("python", f"{version}.1", run_exports={"weak": [f"python {version}.*"]})
    return channel.index()


def text(more: str = "") -> str:
    return f'[dev]\nmine = {{ path = "mine" }}\n{more}'


def in_environment(root: Path, environment: str = "default") -> dict[str, str]:
    found = solve(root)
    return {each.name: each.version or "" for each in found.packages_of(environment, SUBDIR) or ()}


def test_what_the_package_needs_is_there_and_not_the_package(tmp_path: Path, tools: Channel) -> None:
    package(tmp_path, "mine", build=["compiler"], host=["python"], run=["runtime"])
    manifest(tmp_path, [tools.url], text('[dependencies]\nextra = "*"\n'))
    assert set(in_environment(tmp_path)) == {"compiler", "python", "runtime", "extra"}


def test_the_variant_is_that_of_the_environment(tmp_path: Path, tools: Channel) -> None:
    package(tmp_path, "mine", host=["python"])
    variants = '[workspace.build-variants]\npython = ["3.13.*", "3.12.*", "3.11.*"]\n'
    environments = '[feature.old.dependencies]\npython = "3.11.*"\n[environments]\nold = ["old"]\n'
    manifest(tmp_path, [tools.url], text(variants + environments))
    found = solve(tmp_path)
    versions = {
        name: [each.version for each in found.packages_of(name, SUBDIR) or () if each.name == "python"]
        for name in ("default", "old")
    }
    assert versions == {"default": ["3.13.1"], "old": ["3.11.1"]}


def test_packages_that_need_each_other(tmp_path: Path, tools: Channel) -> None:
    """A source package that is needed is built, unless it is developed itself."""
    package(tmp_path, "mine", host=["below"], sources={"host": {"below": "../below"}})
    package(tmp_path, "below", run=["runtime"])
    manifest(tmp_path, [tools.url], text())
    found = solve(tmp_path)
    (below,) = (each for each in found.packages_of("default", SUBDIR) or () if isinstance(each, SourcePackage))
    assert below.name == "below"
    assert below.location == "below"
    manifest(tmp_path, [tools.url], text('below = { path = "below" }\n'))
    assert set(in_environment(tmp_path)) == {"runtime"}


@posix
def test_it_is_locked_installed_and_followed(tmp_path: Path, tools: Channel) -> None:
    package(tmp_path, "mine", build=["compiler"], host=["below"], sources={"host": {"below": "../below"}})
    package(tmp_path, "below", run=["runtime"])
    manifest(tmp_path, [tools.url], text())
    assert smelt(tmp_path, "install").returncode == 0
    assert smelt(tmp_path, "lock", "--check").returncode == 0
    meta = tmp_path / ".pixi/envs/default/conda-meta"
    assert {path.name.rsplit("-", 2)[0] for path in meta.glob("*.json")} == {"compiler", "below", "runtime"}
    package(tmp_path, "mine", build=["extra"])
    changed = smelt(tmp_path, "lock", "--check")
    assert changed.returncode == 1
    assert smelt(tmp_path, "install").returncode == 0
    assert {path.name.rsplit("-", 2)[0] for path in meta.glob("*.json")} == {"extra"}


def test_a_package_that_is_not_there(tmp_path: Path, tools: Channel) -> None:
    manifest(tmp_path, [tools.url], text())
    done = smelt(tmp_path, "lock")
    assert done.returncode == 1
    assert "mine" in done.stderr and "Traceback" not in done.stderr
