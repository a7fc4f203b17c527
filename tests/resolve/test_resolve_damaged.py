"""Locks that somebody edited: an explained error, or a lock that fits afterwards; never a crash."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from resolve_kit import lock, problems

from smelt.api.workspace import Workspace
from smelt.errors import LockError, SmeltError
from spine_kit import Channel, manifest, package, recipe

EXAMPLES = int(os.environ.get("SMELT_TEST_EXAMPLES", "40"))


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with two environments in a solve group, and source packages in host and run."""
    base = tmp_path_factory.mktemp("damaged")
    channel = Channel(base / "channel")
    channel.add("library", run_exports={"weak": ["library >=1"]})
    channel.add("tool", depends=["library"])
    channel.index()
    root = base / "ws"
    recipe(root, "low", host=["library"])
    at = {"low": "../low"}
    package(root, "high", host=["low", "tool"], run=["low"], sources={"host": at, "run": at})
    manifest(
        root,
        [channel.url],
        """
[dependencies]
high = { path = "high" }
[feature.x.dependencies]
tool = "*"
[environments]
default = { solve-group = "g" }
x = { features = ["x"], solve-group = "g" }
""",
    )
    os.environ["PIXI_CACHE_DIR"] = str(base / "cache")
    lock(root)
    return root


@st.composite
def damages(draw: st.DrawFn) -> list[tuple[str, float, float]]:
    kind = st.sampled_from(("drop", "double", "swap", "block"))
    place = st.floats(0, 1, exclude_max=True)
    return draw(st.lists(st.tuples(kind, place, place), min_size=1, max_size=3))


def damage(text: str, changes: list[tuple[str, float, float]]) -> str:
    """Lines are removed, doubled, exchanged; whole entries are removed."""
    lines = text.split("\n")
    for kind, one, two in changes:
        first, second = int(one * len(lines)), int(two * len(lines))
        match kind:
            case "drop":
                del lines[first]
            case "double":
                lines.insert(second, lines[first])
            case "swap":
                lines[first], lines[second] = lines[second], lines[first]
            case _:
                end = first + 1
                while end < len(lines) and lines[end].startswith("  "):
                    end += 1
                del lines[first:end]
    return "\n".join(lines)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(changes=damages())
def test_a_lock_with_lines_astray(changes: list[tuple[str, float, float]], locked: Path) -> None:
    text = (locked / "pixi.lock").read_text()
    broken = damage(text, changes)
    try:
        (locked / "pixi.lock").write_text(broken)
        try:
            workspace = Workspace.load(locked)
            taken = workspace.ensure_lock("frozen")
            workspace.plan_of(taken, None, None)
        except SmeltError as error:
            assert error.message
        try:
            lock(locked)
        except LockError:
            assert (locked / "pixi.lock").read_text() == broken
        else:
            assert problems(locked) == []
    finally:
        (locked / "pixi.lock").write_text(text)


def test_a_lock_of_another_workspace(locked: Path, channel: Channel) -> None:
    """Nothing in common: as if there were none."""
    text = (locked / "pixi.lock").read_text()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        manifest(root, [channel.url], '[dependencies]\ntool = "*"\n')
        (root / "pixi.lock").write_text(text)
        assert problems(root)
        assert lock(root).written
        assert problems(root) == []
