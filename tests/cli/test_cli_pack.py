"""``smelt pack`` and ``smelt unpack``."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from spine_kit import OTHER, SUBDIR, Channel, environment, manifest, smelt

TEXT = '[dependencies]\ntool = "*"\n[feature.more.dependencies]\nlibrary = "*"\n[environments]\nmore = ["more"]\n'


@pytest.fixture
def root(channel: Channel, tmp_path: Path) -> Path:
    """A locked workspace with two environments, for two platforms."""
    root = tmp_path / "packed"
    manifest(root, [channel.url], TEXT, (SUBDIR, OTHER))
    done = smelt(root, "lock")
    assert done.returncode == 0, done.stderr
    return root


def good(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = smelt(root, *arguments)
    assert done.returncode == 0, done.stderr
    return done


def names(path: Path) -> set[str]:
    with tarfile.open(path) as tar:
        return {name.rpartition("/")[2].partition("-")[0] for name in tar.getnames() if name.endswith(".conda")}


def test_defaults(root: Path) -> None:
    done = good(root, "pack")
    assert done.stdout == ""
    assert "✔ packed environment default for" in done.stderr
    assert names(root / "environment.tar") == {"tool"}
    done = good(root, "unpack")
    assert done.stdout == ""
    assert f"activate it with: . {root / 'activate.sh'}" in done.stderr
    assert (root / "env" / "bin" / "tool").exists()


def test_environment_platform_and_manifest(root: Path, tmp_path: Path) -> None:
    good(tmp_path, "pack", "-e", "more", "-p", OTHER, "-o", "a.tar", str(root / "pixi.toml"))
    assert names(tmp_path / "a.tar") == {"tool", "library"}
    good(tmp_path, "pack", "--environment=more", "--platform", OTHER, "--output-file", "b.tar", str(root))
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    done = smelt(tmp_path, "unpack", "a.tar")
    assert done.returncode == 1
    assert "error[pack-platform]" in done.stderr
    assert not (tmp_path / "env").exists()


def test_forms_and_names(root: Path) -> None:
    good(root, "pack", "-o", "p.tar.zst")
    assert (root / "p.tar.zst").read_bytes()[:4] == b"\x28\xb5\x2f\xfd"
    good(root, "pack", "--directory-only")
    good(root, "pack", "--format", "tar.zst")
    assert (root / "environment" / "pixi-pack.json").is_file()
    for source in ("p.tar.zst", "environment", "environment.tar.zst"):
        good(root, "unpack", source, "-o", f"out-{source}", "-e", "mine", "-s", "fish")
        assert {path.name for path in (root / f"out-{source}").iterdir()} == {"mine", "activate.fish"}


def test_through_a_pipe(root: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "smelt"]
    with subprocess.Popen(
        [*command, "pack", "-o", "-"], cwd=root, env=environment(), stdout=subprocess.PIPE
    ) as packing:
        subprocess.run(
            [*command, "unpack", "-", "-o", tmp_path / "out"], env=environment(), stdin=packing.stdout, check=True
        )
    assert packing.returncode == 0
    assert (tmp_path / "out" / "env" / "conda-meta" / "history").is_file()


def test_a_lock_that_does_not_fit(root: Path) -> None:
    path = root / "pixi.toml"
    path.write_text(path.read_text(encoding="utf-8").replace('tool = "*"', 'tool = "<2"'), encoding="utf-8")
    done = good(root, "pack")
    assert "what is packed is what is locked" in done.stderr
    done = smelt(root, "pack", "--locked", "-o", "locked.tar")
    assert done.returncode == 1
    assert "error[lock-outdated]" in done.stderr
    assert not (root / "locked.tar").exists()


def test_what_makes_no_sense(root: Path) -> None:
    done = smelt(root, "pack", "--format", "zip")
    assert done.returncode == 2
    assert "there is no form `zip` of a pack" in done.stderr
    done = smelt(root, "pack", "--directory-only", "--format", "tar")
    assert done.returncode == 2
    done = smelt(root, "pack", "nowhere.toml")
    assert done.returncode == 2
    assert "there is no nowhere.toml" in done.stderr
    done = smelt(root, "pack", "-i", "nothing.conda")
    assert done.returncode == 1
    assert "error[pack-inject]" in done.stderr
    done = smelt(root, "unpack", "nothing.tar")
    assert done.returncode == 1
    assert "error[pack-missing]" in done.stderr
    assert not (root / "env").exists()


def test_use_cache_and_config(root: Path, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[concurrency]\ndownloads = 2\n", encoding="utf-8")
    good(root, "pack", "--use-cache", str(tmp_path / "kept"), "-c", str(tmp_path / "config.toml"))
    assert (tmp_path / "kept" / "CACHEDIR.TAG").is_file()


def test_a_name_that_says_something_else(root: Path) -> None:
    done = good(root, "pack", "-o", "p.tar.gz")
    assert "warning: p.tar.gz will be a tar, whatever its name says" in done.stderr
    assert "warning" not in good(root, "pack", "-o", "p.tar.zst").stderr
    assert "warning" not in good(root, "pack", "-o", "p.tar.gz", "--format", "tar").stderr


def test_what_is_shown_can_be_typed(root: Path) -> None:
    good(root, "pack")
    done = good(root, "unpack", "-o", "it's here")
    shown = done.stderr.partition("activate it with: ")[2].strip()
    if sys.platform != "win32":
        typed = subprocess.run(
            ["/bin/sh", "-c", f'{shown} && echo "$CONDA_PREFIX"'], capture_output=True, text=True, check=True
        )
        assert typed.stdout.strip() == str(root / "it's here" / "env")
