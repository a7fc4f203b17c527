"""``smelt lock`` after a merge that git could not finish."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from spine_kit import Channel, manifest, posix, smelt

pytestmark = [posix, pytest.mark.skipif(shutil.which("git") is None, reason="needs git")]

HEAD = """
[feature.a.dependencies]
{a}
[feature.b.dependencies]
{b}
[environments]
a = ["a"]
b = ["b"]
"""


def git(root: Path, *arguments: str, code: int = 0) -> str:
    command = ["git", "-c", "user.name=x", "-c", "user.email=x@x.example", "-c", "init.defaultBranch=main", *arguments]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == code, done
    return done.stdout


def locked(root: Path, environment: str) -> str:
    result = smelt(root, "list", "-e", environment, "--frozen", "--json", "--no-install")
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture
def merging(tmp_path: Path, channel: Channel) -> Path:
    """One branch asked for more in environment a, the other in b; newer versions came since."""
    root = tmp_path / "ws"

    def write(a: str, b: str) -> None:
        manifest(root, [channel.url], HEAD.format(a=a, b=b))

    write('tool = "*"', 'tool = "*"')
    (root / ".gitignore").write_text(".pixi\n")
    git(root, "init", "-q")
    assert smelt(root, "lock").returncode == 0
    git(root, "add", ".")
    git(root, "commit", "-qm", "one")
    git(root, "checkout", "-qb", "other")
    write('tool = "*"', 'tool = "1.*"')
    assert smelt(root, "lock").returncode == 0
    git(root, "commit", "-qam", "theirs")
    git(root, "checkout", "-q", "main")
    write('library = "1.*"', 'tool = "*"')
    assert smelt(root, "lock").returncode == 0
    git(root, "commit", "-qam", "ours")
    git(root, "merge", "-q", "other", code=1)
    write('library = "1.*"', 'tool = "1.*"')
    assert "<<<<<<<" in (root / "pixi.lock").read_text()
    channel.add("library", "1.9")
    channel.add("tool", "1.9")
    channel.index()
    return root


@pytest.mark.parametrize("known", [True, False], ids=["git's own sides", "the sides of the markers"])
def test_both_sides_are_kept(merging: Path, known: bool) -> None:
    if not known:
        ours, theirs = (git(merging, "show", f"{branch}:pixi.lock") for branch in ("main", "other"))
        shutil.rmtree(merging / ".git")
        text = f"<<<<<<< main\n{ours}=======\n{theirs}>>>>>>> other\n"
        (merging / "pixi.lock").write_text(text)
    refused = smelt(merging, "install", "-e", "a")
    assert refused.returncode == 1
    assert "run `smelt lock`: it takes what fits of both sides" in refused.stderr
    result = smelt(merging, "lock")
    assert result.returncode == 0, result.stderr
    assert "<<<<<<<" not in (merging / "pixi.lock").read_text()
    assert smelt(merging, "lock", "--check").returncode == 0
    # nothing was solved again: what came since is nowhere
    assert '"version": "1.9"' not in locked(merging, "a") + locked(merging, "b")
    assert '"name": "library"' in locked(merging, "a")
    assert '"version": "1.0"' in locked(merging, "b")


def test_what_is_no_lock_between_the_markers(merging: Path) -> None:
    shutil.rmtree(merging / ".git")
    path = merging / "pixi.lock"
    for text in (path.read_text(), path.read_text().replace(">>>>>>> other", "", 1)):
        path.write_text(text)
        result = smelt(merging, "lock")
        assert result.returncode == 1
        assert "merge conflicts that do not separate two lock files" in result.stderr
        assert "git checkout --ours" in result.stderr
        assert path.read_text() == text
