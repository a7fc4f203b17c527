"""Environments on demand: their names, what they are composed of, how they are locked, remembered and forgotten."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smelt.api.workspace import Workspace
from smelt.errors import ManifestError, UnknownNameError
from smelt.lock.names import locked_environment_names
from smelt.workspace.load import load_workspace
from smelt.workspace.model import Environment
from smelt.workspace.on_demand import compose_on_demand, is_on_demand, on_demand_name
from spine_kit import OTHER, SUBDIR, Channel, manifest, posix, smelt

FEATURES = ("default", "py312", "cu13", "My_Tests", "x (environment)")
TEXT = """
[dependencies]
base = "*"
[feature.one.dependencies]
tool = "1.*"
[feature.two.dependencies]
library = "2.*"
[feature.other]
platforms = ["OTHER"]
[tasks]
show = "cat $CONDA_PREFIX/share/tool.txt"
[feature.one.tasks]
own = "echo of one"
[environments]
one = ["one"]
""".replace("OTHER", OTHER)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    channel = Channel(tmp_path / "channel")
    channel.add("base")
    for version in ("1.0", "2.0", "3.0"):
        channel.add("tool", version)
        channel.add("library", version)
    channel.index()
    manifest(tmp_path / "work", [channel.url], TEXT, [SUBDIR, OTHER])
    return tmp_path / "work"


def mismatches(root: Path) -> list[str]:
    workspace = Workspace.load(root)
    return [each.code for each in workspace.check(workspace.read_lock())]


def test_names() -> None:
    assert not is_on_demand("py312-cu13")
    assert on_demand_name("Py312-CU13") == "Py312-CU13"
    assert on_demand_name(" PY312 + cu13") == "py312+cu13"
    assert on_demand_name("py312+default+cu13") == "py312+cu13"
    assert on_demand_name("py312+default") == "py312+default"


def test_what_it_is_composed_of() -> None:
    assert compose_on_demand("CU13 + my_tests", FEATURES) == Environment(
        name="cu13+my_tests", features=("cu13", "My_Tests", "default"), on_demand=True
    )
    assert compose_on_demand("my_tests+cu13", FEATURES).features == ("My_Tests", "cu13", "default")
    bare = compose_on_demand("py312+cu13", FEATURES, no_default_feature=True)
    assert (bare.features, bare.no_default_feature) == (("py312", "cu13"), True)
    # one feature, and the default one named to have a name on demand: it is there
    assert compose_on_demand("py312+default", FEATURES, no_default_feature=True).features == ("py312", "default")


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("py312+cu14", "unknown-feature", "there is no feature `cu14`"),
        ("py312+x (environment)", "unknown-feature", "there is no feature `x (environment)`"),
        ("py312+", "environment-on-demand", "names no features"),
        ("+", "environment-on-demand", "names no features"),
        ("py312+PY312", "environment-on-demand", "has the feature `py312` twice"),
    ],
)
def test_what_makes_no_environment(text: str, kind: str, words: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        compose_on_demand(text, FEATURES)
    assert caught.value.kind == kind
    assert words in str(caught.value)
    if text == "py312+cu14":
        assert caught.value.help == "did you mean `cu13`?"


def test_features_that_differ_in_capitals_only() -> None:
    with pytest.raises(UnknownNameError, match="may be any of the features `A`, `a`"):
        compose_on_demand("a+b", ("A", "a", "b"))


@given(st.lists(st.sampled_from(["a", "b", "c-1", "d_2", "E"]), min_size=2, max_size=5, unique=True))
def test_a_name_says_all(features: list[str]) -> None:
    """What is composed again from its name is what was composed first."""
    first = compose_on_demand(" + ".join(features), ("default", "a", "b", "c-1", "d_2", "E"))
    assert compose_on_demand(first.name, ("E", "d_2", "default", "c-1", "b", "a")) == first
    assert on_demand_name(first.name) == first.name
    assert first.features == (*features, "default")


def test_it_is_locked_and_remembered(root: Path) -> None:
    """In the lock file it is like any other; it stays while its features exist."""
    Workspace.load(root).lock()
    before = (root / "pixi.lock").read_text()
    lock = Workspace.load(root, on_demand=["Two + one"]).lock().lock
    assert list(lock.environments) == ["default", "one", "two+one"]
    names = {each.name for each in lock.packages_of("two+one", SUBDIR) or ()}
    assert names == {"base", "library", "tool"}
    assert locked_environment_names(root / "pixi.lock") == ("default", "one", "two+one")
    assert mismatches(root) == []
    again = Workspace.load(root)
    assert again.model.declared == ("default", "one")
    assert again.model.environments["two+one"].features == ("two", "one", "default")
    assert not again.lock().written
    # a change of a feature makes it out of date, like any other
    text = (root / "pixi.toml").read_text()
    (root / "pixi.toml").write_text(text.replace('library = "2.*"', 'library = "3.*"'))
    assert set(mismatches(root)) == {"unsatisfied"}
    assert smelt(root, "lock", "--check").returncode != 0
    lock = Workspace.load(root).lock().lock
    assert "two+one" in lock.environments
    # without the feature it is one that was removed, and the next lock is without it
    (root / "pixi.toml").write_text(text.replace("[feature.two.dependencies]", "[feature.deux.dependencies]"))
    assert mismatches(root) == ["removed-environment"]
    Workspace.load(root).lock()
    assert (root / "pixi.lock").read_text() == before


def test_without_the_default_feature(root: Path) -> None:
    path = root / "pixi.toml"
    path.write_text(path.read_text() + "[tool.smelt.on-demand]\nno-default-feature = true\n")
    workspace = load_workspace(root, asked=["one+two"])
    assert workspace.environments["one+two"].features == ("one", "two")
    assert {each.name for each in workspace.effective["one+two", SUBDIR].dependencies} == {"tool", "library"}
    assert not [each for each in workspace.warnings if "not used" in each]


def test_profiles_that_contradict_each_other(root: Path) -> None:
    path = root / "pixi.toml"
    tables = "[tool.smelt.profile.p]\n[tool.smelt.profile.q]\n"
    path.write_text(path.read_text() + tables + '[tool.smelt.feature]\none.profile = "p"\n')
    Workspace.load(root, on_demand=["one+two"]).lock()
    path.write_text(path.read_text() + 'two.profile = "q"\n')
    with pytest.raises(ManifestError) as caught:
        Workspace.load(root, on_demand=["one+two"])
    assert caught.value.kind == "manifest-profile"
    assert "environment `one+two` would have two profiles" in str(caught.value)
    # nobody asks for the one that is remembered
    assert mismatches(root) == ["removed-environment"]


def test_tasks_are_not_made_ambiguous(root: Path) -> None:
    assert smelt(root, "run", "-e", "one+two", "own").stdout == "of one\n"
    assert smelt(root, "run", "own").stdout == "of one\n"
    assert smelt(root, "run", "-e", "two+default", "own").returncode != 0


@posix
def test_commands(root: Path) -> None:
    """install, run (also warm), list, shell-hook, update, clean."""
    done = smelt(root, "install", "-e", "one + two")
    assert done.returncode == 0, done.stderr
    assert "environment one+two installed" in done.stderr
    prefix = root / ".pixi" / "envs" / "one+two"
    assert (prefix / "share" / "tool.txt").read_text() == "tool 1.0\n"
    for _ in range(2):
        done = smelt(root, "run", "-e", "one+two", "show")
        assert done.stdout == "tool 1.0\n", done.stderr
    assert smelt(root, "lock", "--check").returncode == 0
    assert "one+two is up to date" in smelt(root, "install", "--locked", "-e", "one+two").stderr
    assert "tool" in smelt(root, "list", "-e", "ONE+two").stdout
    assert str(prefix) in smelt(root, "shell-hook", "-s", "bash", "-e", "one+two").stdout
    assert smelt(root, "update", "-e", "one+two").returncode == 0
    # all environments are those that are declared
    assert "one+two" not in smelt(root, "install", "--all").stderr
    assert smelt(root, "clean", "-e", "one+two").returncode == 0
    assert not prefix.exists()
    assert mismatches(root) == []


def test_mistakes_are_told(root: Path) -> None:
    done = smelt(root, "install", "-e", "one+tow")
    assert done.returncode != 0
    assert "error[unknown-feature]: there is no feature `tow` for the environment `one+tow`" in done.stderr
    assert "did you mean `two`?" in done.stderr
    done = smelt(root, "install", "--locked", "-e", "one+two")
    assert done.returncode != 0
    assert not (root / "pixi.lock").exists()
    Workspace.load(root).lock()
    done = smelt(root, "install", "--frozen", "-e", "one+two")
    assert "error[lock-environment-missing]: the lock file has no environment `one+two`" in done.stderr
    assert not (root / ".pixi" / "envs" / "one+two").exists()
    done = smelt(root, "install", "-e", "one+other")
    assert "error[unsupported-platform]" in done.stderr


def test_an_edit_of_the_manifest_keeps_it(root: Path) -> None:
    Workspace.load(root, on_demand=["one+two"]).lock()
    done = smelt(root, "add", "--no-install", "library")
    assert done.returncode == 0, done.stderr
    assert "one+two" in locked_environment_names(root / "pixi.lock")
    assert mismatches(root) == []


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ()),
        (
            "version: 7\nenvironments:\n  default:\n    channels: []\n  'a+b':\n    x: 1\npackages:\n  c+d:\n",
            ("default", "a+b"),
        ),
        ("version: 6\r\nenvironments:\r\n  a+b:\r\n    channels: []\r\npackages: []\r\n", ("a+b",)),
        ('{"environments": {"a+b": {}}}', ()),
    ],
)
def test_names_in_a_lock(tmp_path: Path, text: str, names: tuple[str, ...]) -> None:
    path = tmp_path / "pixi.lock"
    path.write_bytes(text.encode())
    assert locked_environment_names(path) == names
    assert locked_environment_names(tmp_path / "nope") == ()
