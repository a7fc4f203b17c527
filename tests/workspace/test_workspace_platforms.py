"""Platforms: rich entries, system requirements, and what environments make of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from workspace_kit import make, mistakes

from smelt.types import VirtualPackage
from smelt.workspace.model import Workspace


def shown(workspace: Workspace, environment: str = "default") -> dict[str, list[str]]:
    """The platforms of an environment with their virtual packages, but for what is assumed anyway."""
    plain = {"__unix=0=0", "__linux=4.18", "__glibc=2.28", "__archspec=0=x86_64", "__archspec=0=m1", "__osx=13.0"}
    return {
        platform.name: [str(each) for each in platform.virtual_packages if str(each) not in plain]
        for platform in workspace.platforms_of(environment)
    }


def test_entries(tmp_path: Path) -> None:
    workspace = make(
        tmp_path,
        '[workspace]\nchannels = []\nplatforms = ["linux-64",\n'
        '  { platform = "linux-64", cuda = "12.0", glibc = "2.31" },\n'
        '  { name = "arm", platform = "linux-aarch64", archspec = "armv8.2a", '
        'cuda = { driver = "12", arch = "8.6" } },\n'
        '  { platform = "osx-64", macos = "14.5" }, { name = "osx-arm64" },\n'
        '  { platform = "linux-64", __musl = "1.2" },\n'
        '  { platform = "win-64", __future = "2=b" } ]\n',
    )
    assert [(each.name, each.subdir) for each in workspace.platforms] == [
        ("linux-64", "linux-64"),
        ("linux-64-cuda-12-0-glibc-2-31", "linux-64"),
        ("arm", "linux-aarch64"),
        ("osx-64-macos-14-5", "osx-64"),
        ("osx-arm64", "osx-arm64"),
        ("linux-64-musl-1-2", "linux-64"),
        ("win-64-future-2-b", "win-64"),
    ]
    by_name = {each.name: [str(one) for one in each.virtual_packages] for each in workspace.platforms}
    # What the entry declares comes first, then what it does not replace, as the lock file lists them.
    assert by_name["linux-64-cuda-12-0-glibc-2-31"] == [
        "__cuda=12.0",
        "__glibc=2.31",
        "__unix=0=0",
        "__linux=4.18",
        "__archspec=0=x86_64",
    ]
    assert by_name["arm"][:3] == ["__cuda=12", "__cuda_arch=8.6", "__archspec=0=armv8.2a"]
    assert "__glibc=2.28" not in by_name["linux-64-musl-1-2"]
    assert by_name["win-64-future-2-b"][0] == "__future=2=b"


def test_an_entry_that_says_what_is_assumed_has_a_plain_name(tmp_path: Path) -> None:
    found = mistakes(tmp_path, '[workspace]\nchannels = []\nplatforms = [{ platform = "linux-64", glibc = "2.28" }]\n')
    assert "plain conda platform" in found[0].message


def test_features_name_entries(tmp_path: Path) -> None:
    """A plain name means every entry of that conda platform, unless an entry is named exactly."""
    workspace = make(
        tmp_path,
        '[workspace]\nchannels = []\nplatforms = ["linux-64", '
        '{ name = "gpu", platform = "linux-64", cuda = "12" }, "osx-64"]\n'
        '[feature.gpu]\nplatforms = ["gpu"]\n[feature.linux]\nplatforms = ["linux-64"]\n[feature.mac]\n'
        'platforms = ["osx-64"]\n'
        '[environments]\ngpu = ["gpu"]\nlinux = ["linux"]\nboth = ["gpu", "linux"]\nnone = ["gpu", "mac"]\n',
    )
    assert list(shown(workspace)) == ["linux-64", "gpu", "osx-64"]
    assert list(shown(workspace, "gpu")) == ["gpu"]
    assert list(shown(workspace, "linux")) == ["linux-64"]
    assert list(shown(workspace, "both")) == ["gpu"]
    assert shown(workspace, "none") == {}


def test_system_requirements_make_platforms(tmp_path: Path) -> None:
    workspace = make(
        tmp_path,
        '[workspace]\nchannels = []\nplatforms = ["linux-64", "osx-arm64", "win-64"]\n[system-requirements]\n'
        'libc = "2.17"\ncuda = "12"\nmacos = "14"\n',
    )
    assert shown(workspace) == {
        "linux-64-cuda-12-glibc-2-17": ["__cuda=12", "__glibc=2.17"],
        "osx-arm64-macos-14": ["__osx=14"],
        "win-64-cuda-12": ["__cuda=12", "__win=10.0"],
    }


def test_environments_compose_the_platforms_of_their_features(tmp_path: Path) -> None:
    workspace = make(
        tmp_path,
        '[workspace]\nchannels = []\nplatforms = ["linux-64", "linux-aarch64"]\n'
        '[feature.cuda]\nplatforms = ["linux-64"]\nsystem-requirements.cuda = "13.0"\n'
        '[feature.libc]\nplatforms = ["linux-64"]\nsystem-requirements.libc = "2.31"\n'
        '[feature.newer]\nsystem-requirements.cuda = "13.1"\n[feature.plain]\nplatforms = ["linux-64"]\n'
        '[feature.cuda.dependencies]\nx = "*"\n'
        '[environments]\ncombo = ["cuda", "libc"]\nhighest = ["cuda", "newer"]\nmixed = ["cuda", "plain"]\n'
        'cuda = ["cuda"]\n',
    )
    assert shown(workspace) == {"linux-64": [], "linux-aarch64": ["__archspec=0=aarch64"]}
    assert shown(workspace, "cuda") == {"linux-64-cuda-13-0": ["__cuda=13.0"]}
    assert shown(workspace, "combo") == {"linux-64-cuda-13-0-glibc-2-31": ["__cuda=13.0", "__glibc=2.31"]}
    assert shown(workspace, "highest") == {"linux-64-cuda-13-1": ["__cuda=13.1"]}
    assert shown(workspace, "mixed") == {"linux-64-cuda-13-0": ["__cuda=13.0"]}
    effective = workspace.effective["combo", "linux-64-cuda-13-0-glibc-2-31"]
    assert [each.name for each in effective.dependencies] == ["x"]


def test_plain_names_that_the_workspace_does_not_list(tmp_path: Path) -> None:
    """With plain platforms, a feature may name another conda platform."""
    workspace = make(
        tmp_path,
        '[workspace]\nchannels = []\nplatforms = ["linux-64"]\n[feature.f]\nplatforms = ["osx-64"]\n'
        "[environments]\nf = { features = ['f'] }\n",
    )
    assert list(shown(workspace, "f")) == ["osx-64"]


def test_system_requirements_beside_rich_platforms(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path,
        '[workspace]\nchannels = []\nplatforms = [{ platform = "linux-64", cuda = "12" }]\n'
        '[system-requirements]\ncuda = "12"\n',
    )
    assert "the workspace declares virtual packages" in found[0].message


def test_different_c_libraries(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path,
        '[workspace]\nchannels = []\nplatforms = ["linux-64"]\n[feature.a.system-requirements]\nlibc = "2.17"\n'
        '[feature.b.system-requirements]\nlibc = { family = "musl", version = "1.2" }\n[environments]\n'
        'e = ["a", "b"]\n',
    )
    assert "different C libraries: glibc and musl" in found[0].message


@pytest.mark.parametrize(
    ("selector", "platforms"),
    [
        ("unix", ["linux-64", "gpu-1", "osx-arm64"]),
        ("linux", ["linux-64", "gpu-1"]),
        ("osx", ["osx-arm64"]),
        ("macos", ["osx-arm64"]),
        ("win", ["win-64"]),
        ("linux-64", ["linux-64", "gpu-1"]),
        ("gpu-1", ["gpu-1"]),
        ("gpu-*", ["gpu-1"]),
        ("*-64", ["linux-64", "win-64"]),
        ("gpu*", ["gpu-1"]),
    ],
)
def test_target_selectors(tmp_path: Path, selector: str, platforms: list[str]) -> None:
    workspace = make(
        tmp_path,
        '[workspace]\nchannels = []\nplatforms = ["linux-64", { name = "gpu-1", platform = "linux-64", cuda = "12" }, '
        f'"osx-arm64", "win-64"]\n[target."{selector}".dependencies]\nx = "*"\n',
    )
    assert [name for (_, name), each in workspace.effective.items() if each.dependencies] == platforms


def test_virtual_packages_are_values(tmp_path: Path) -> None:
    workspace = make(tmp_path, '[workspace]\nchannels = []\nplatforms = ["linux-64"]\n')
    assert VirtualPackage(name="__glibc", version="2.28") in workspace.platforms[0].virtual_packages
    assert workspace.state_folder == tmp_path.resolve() / ".pixi"
