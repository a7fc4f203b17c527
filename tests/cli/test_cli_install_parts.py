"""``install --only/--skip/--skip-with-deps/--platform`` and ``reinstall``."""

from __future__ import annotations

from pathlib import Path

import pytest

from spine_kit import OTHER, SUBDIR, Channel, manifest, package, posix, smelt

ALL = {"app", "library", "base", "other"}


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    channel = Channel(tmp_path / "channel")
    channel.add("app", "1.0", depends=["library"])
    channel.add("library", "1.0", depends=["base"])
    channel.add("base", "1.0")
    channel.add("other", "1.0", depends=["base"])
    channel.add("native", "1.0", subdir=SUBDIR)
    channel.add("native", "1.0", subdir=OTHER)
    root = tmp_path / "ws"
    text = '[dependencies]\napp = "*"\nother = "*"\n[feature.n.dependencies]\nnative = "*"\n[environments]\nn = ["n"]\n'
    manifest(root, [channel.index().url], text, [SUBDIR, OTHER])
    return root


def installed(root: Path, environment: str = "default") -> set[str]:
    return {path.name.rsplit("-", 2)[0] for path in (root / ".pixi/envs" / environment / "conda-meta").glob("*.json")}


@pytest.mark.parametrize(
    ("arguments", "left"),
    [
        (["--only", "library"], {"library", "base"}),
        (["--only", "library", "--only", "other"], {"library", "base", "other"}),
        (["--skip", "library"], ALL - {"library"}),
        (["--skip-with-deps", "library"], ALL - {"library"}),
        (["--skip-with-deps", "library", "--skip-with-deps", "other"], {"app"}),
        (["--only", "app", "--skip", "base"], {"app", "library"}),
        (["--only", "app", "--skip-with-deps", "library"], {"app"}),
        (["--skip", "not-there"], ALL),
    ],
)
def test_a_part_of_an_environment(workspace: Path, arguments: list[str], left: set[str]) -> None:
    done = smelt(workspace, "install", *arguments)
    assert done.returncode == 0, done.stderr
    assert installed(workspace) == left
    assert smelt(workspace, "install").returncode == 0
    assert installed(workspace) == ALL, "the next installation adds the rest"
    assert smelt(workspace, "install", *arguments).returncode == 0
    assert installed(workspace) == left, "what is known to be whole is made partial on request"


@posix
def test_only_what_is_wanted_is_built(tmp_path: Path) -> None:
    package(tmp_path / "ws", "good")
    package(tmp_path / "ws", "bad", script=["exit 1"])
    manifest(tmp_path / "ws", [], '[dependencies]\ngood = { path = "good" }\nbad = { path = "bad" }\n')
    done = smelt(tmp_path / "ws", "install", "--only", "good")
    assert done.returncode == 0, done.stderr
    assert installed(tmp_path / "ws") == {"good"}
    assert smelt(tmp_path / "ws", "install").returncode == 1


def test_another_platform_is_a_folder(workspace: Path) -> None:
    done = smelt(workspace, "install", "-e", "n", "--platform", OTHER)
    assert done.returncode == 0, done.stderr
    assert f"platform `{OTHER}` does not run on this machine" in done.stderr
    assert "native" in installed(workspace, "n")
    refused = smelt(workspace, "run", "--as-is", "-e", "n", "true")
    assert "error[machine-unsuitable]" in refused.stderr
    assert f"was installed for {OTHER}" in refused.stderr
    assert smelt(workspace, "run", "-e", "n", "true").returncode == 0, "it is made to fit again"


def test_reinstall(workspace: Path) -> None:
    assert smelt(workspace, "install").returncode == 0
    share = workspace / ".pixi/envs/default/share"
    for name in ("app", "base"):
        path = share / f"{name}.txt"
        path.unlink()
        path.write_text("changed by hand")
    done = smelt(workspace, "reinstall", "app")
    assert done.returncode == 0, done.stderr
    assert (share / "app.txt").read_text() == "app 1.0\n"
    assert (share / "base.txt").read_text() == "changed by hand"
    assert smelt(workspace, "reinstall").returncode == 0
    assert (share / "base.txt").read_text() == "base 1.0\n"
    assert installed(workspace) == ALL


def test_bad_input(workspace: Path) -> None:
    unknown = smelt(workspace, "reinstall", "libary")
    assert unknown.returncode == 1
    assert "there is no package `libary` to reinstall in default" in unknown.stderr
    assert "did you mean `library`?" in unknown.stderr
    only = smelt(workspace, "install", "--only", "libary", "--only", "app")
    assert only.returncode == 1
    assert "the following `--only` packages do not exist: 'libary'" in only.stderr
    assert installed(workspace) == set()
    platform = smelt(workspace, "install", "--platform", "win-32")
    assert platform.returncode == 1
    assert "platform 'win-32' is not part of environment 'default'" in platform.stderr
