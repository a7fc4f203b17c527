"""Source packages: where they are found, what they need, and cycles among them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from resolve_kit import lock, names, problems, solve, source, versions

from smelt.api.workspace import Workspace
from smelt.errors import ErrorGroup, LockOutdatedError, SmeltError, SolveError, SourceError
from smelt.resolve.packages import PackageLoader
from smelt.resolve.plan import BuildPlanner
from smelt.workspace.load import load_workspace
from spine_kit import SUBDIR, Channel, manifest, package, posix, recipe, smelt


def test_a_recipe_by_path(tmp_path: Path, channel: Channel) -> None:
    recipe(tmp_path, "mine", "1.5", host=["library <3"], run=["tool >=2"])
    manifest(tmp_path, [channel.url], '[dependencies]\nmine = { path = "mine" }\n')
    found = solve(tmp_path)
    assert versions(found) == {"mine": "1.5", "tool": "2.0"}
    mine = source(found, "mine")
    assert mine.location == "mine"
    assert mine.depends == ("tool >=2",)
    assert mine.build_packages == ()
    assert names(found, mine.host_packages) == ["library"]
    assert next(iter(mine.host_packages)).value.endswith("library-2.0-0.conda")


def test_run_exports_reach_the_environment(tmp_path: Path, channel: Channel) -> None:
    channel.add("compiler", run_exports={"strong": ["runtime >=1"]})
    channel.add("abi", "4.2", run_exports={"weak": ["abi >=4.2,<5.0a0"], "weak_constrains": ["rival <0"]})
    channel.add("runtime", "1.1")
    channel.index()
    recipe(tmp_path, "mine", build=["compiler"], host=["abi"])
    manifest(tmp_path, [channel.url], '[dependencies]\nmine = { path = "mine" }\n')
    found = solve(tmp_path)
    assert versions(found) == {"mine": "1.0", "abi": "4.2", "runtime": "1.1"}
    assert source(found, "mine").depends == ("runtime >=1", "abi >=4.2,<5.0a0")
    assert source(found, "mine").constrains == ("rival <0",)


def test_source_packages_of_source_packages(tmp_path: Path, channel: Channel) -> None:
    """top → (host) middle → (build) generator, (run) helper → (host) base, to any depth."""
    recipe(tmp_path, "base", "1.1")
    package(tmp_path, "helper", "1.2", host=["base"], sources={"host": {"base": "../base"}})
    package(tmp_path, "generator", "1.3", run=["helper"], sources={"run": {"helper": "../helper"}})
    package(
        tmp_path,
        "middle",
        "1.4",
        build=["generator"],
        run=["helper >=1.2"],
        requirements={"run_exports": ["middle >=1.4"]},
        sources={"build": {"generator": "../generator"}, "run": {"helper": "../helper"}},
    )
    package(tmp_path, "top", "1.5", host=["middle", "tool <2"], sources={"host": {"middle": "../middle"}})
    manifest(tmp_path, [channel.url], '[dependencies]\ntop = { path = "top" }\n')
    found = solve(tmp_path)
    # middle is exported to run, and brings helper; neither is named by the environment
    assert versions(found) == {"top": "1.5", "middle": "1.4", "helper": "1.2"}
    top = source(found, "top")
    assert names(found, top.host_packages) == ["helper", "middle", "tool"]
    middle = source(found, "middle")
    assert names(found, middle.build_packages) == ["generator", "helper"]
    assert names(found, source(found, "helper").host_packages) == ["base"]
    assert sorted(p.name for p in found.packages.values()) == ["base", "generator", "helper", "middle", "tool", "top"]
    workspace = load_workspace(tmp_path / "pixi.toml")
    planner = BuildPlanner(workspace, found, PackageLoader(workspace, found))
    planner.add(("default", SUBDIR))
    order = [node.variant.name for node in planner.finish().nodes]
    assert [order.index(each) for each in ("base", "helper", "generator", "middle", "top")] == sorted(
        range(5), key=lambda index: index
    )


def test_the_lock_of_source_packages_fits(tmp_path: Path, channel: Channel) -> None:
    recipe(tmp_path, "base", "1.1")
    package(
        tmp_path, "top", host=["base"], run=["base"], sources={"host": {"base": "../base"}, "run": {"base": "../base"}}
    )
    manifest(tmp_path, [channel.url], '[dependencies]\ntop = { path = "top" }\n')
    lock(tmp_path)
    assert problems(tmp_path) == []
    assert not lock(tmp_path).difference


@pytest.mark.parametrize(
    ("change", "fits"),
    [("version", False), ("host", False), ("run", False), ("script", True), ("about", True), ("comment", True)],
)
def test_what_makes_a_lock_old(tmp_path: Path, channel: Channel, change: str, fits: bool) -> None:
    recipe(tmp_path, "mine", host=["library"])
    manifest(tmp_path, [channel.url], '[dependencies]\nmine = { path = "mine" }\n')
    lock(tmp_path)
    match change:
        case "version":
            recipe(tmp_path, "mine", "2.0", host=["library"])
        case "host":
            recipe(tmp_path, "mine", host=["library <3"])
        case "run":
            recipe(tmp_path, "mine", host=["library"], run=["tool"])
        case "script":
            recipe(tmp_path, "mine", host=["library"], script=["echo changed > $PREFIX/changed"])
        case "about":
            recipe(tmp_path, "mine", host=["library"], about={"summary": "something else"})
        case _:
            with (tmp_path / "pixi.toml").open("a") as file:
                file.write("# nothing\n")
    assert (problems(tmp_path) == []) == fits
    if not fits:
        assert "mine" in problems(tmp_path)[0]
        lock(tmp_path)
        assert problems(tmp_path) == []


def test_a_cycle_shows_the_way_round(tmp_path: Path, channel: Channel) -> None:
    package(tmp_path, "a", host=["b"], sources={"host": {"b": "../b"}})
    package(tmp_path, "b", build=["c"], sources={"build": {"c": "../c"}})
    package(tmp_path, "c", run=["a"], sources={"run": {"a": "../a"}})
    manifest(tmp_path, [channel.url], '[dependencies]\na = { path = "a" }\n')
    with pytest.raises(SourceError) as caught:
        solve(tmp_path)
    assert caught.value.kind == "source-cycle"
    assert "a → b → c → a" in str(caught.value)


def test_a_package_that_needs_itself(tmp_path: Path, channel: Channel) -> None:
    package(tmp_path, "a", host=["a"], sources={"host": {"a": "."}})
    manifest(tmp_path, [channel.url], '[dependencies]\na = { path = "a" }\n')
    with pytest.raises(SourceError, match="a → a"):
        solve(tmp_path)


def test_a_cycle_of_run_requirements_is_none(tmp_path: Path, channel: Channel) -> None:
    package(tmp_path, "a", run=["b"], sources={"run": {"b": "../b"}})
    package(tmp_path, "b", run=["a"], sources={"run": {"a": "../a"}})
    manifest(tmp_path, [channel.url], '[dependencies]\na = { path = "a" }\n')
    assert versions(solve(tmp_path)) == {"a": "1.0", "b": "1.0"}


def test_a_cycle_below_what_is_required(tmp_path: Path, channel: Channel) -> None:
    package(tmp_path, "top", host=["a"], sources={"host": {"a": "../a"}})
    package(tmp_path, "a", host=["b"], sources={"host": {"b": "../b"}})
    package(tmp_path, "b", host=["a"], sources={"host": {"a": "../a"}})
    manifest(tmp_path, [channel.url], '[dependencies]\ntop = { path = "top" }\n')
    with pytest.raises(SourceError, match=r"a → b → a|b → a → b"):
        solve(tmp_path)


def test_a_source_goes_before_channels(tmp_path: Path, channel: Channel) -> None:
    """Also where the source is older, and where another package requires it."""
    recipe(tmp_path, "library", "1.5")
    manifest(tmp_path, [channel.url], '[dependencies]\nlibrary = { path = "library" }\napp = "*"\n')
    found = solve(tmp_path)
    assert versions(found) == {"library": "1.5", "app": "1.0"}
    assert source(found, "library").location == "library"


def test_the_version_of_a_source_must_fit(tmp_path: Path, channel: Channel) -> None:
    recipe(tmp_path, "mine", "1.5")
    manifest(tmp_path, [channel.url], '[dependencies]\nmine = { path = "mine", version = ">=2" }\n')
    with pytest.raises(SolveError) as caught:
        solve(tmp_path)
    text = "\n".join([str(caught.value), *caught.value.notes, caught.value.help or ""])
    assert "mine >=2" in text
    assert "1.5" in text
    manifest(tmp_path, [channel.url], '[dependencies]\nmine = { path = "mine", version = ">=1" }\n')
    assert versions(solve(tmp_path)) == {"mine": "1.5"}


def test_two_places_of_one_package(tmp_path: Path, channel: Channel) -> None:
    recipe(tmp_path / "x", "base")
    recipe(tmp_path / "y", "base")
    package(tmp_path, "top", run=["base"], sources={"run": {"base": "../x/base"}})
    manifest(tmp_path, [channel.url], '[dependencies]\ntop = { path = "top" }\nbase = { path = "y/base" }\n')
    with pytest.raises(SmeltError) as caught:
        solve(tmp_path)
    assert "x/base" in str(caught.value)
    assert "y/base" in str(caught.value)


def test_a_source_that_is_not_there(tmp_path: Path, channel: Channel) -> None:
    manifest(tmp_path, [channel.url], '[dependencies]\nmine = { path = "../gone" }\n')
    with pytest.raises(SourceError) as caught:
        solve(tmp_path)
    assert caught.value.kind == "source-missing"


def test_a_source_that_builds_something_else(tmp_path: Path, channel: Channel) -> None:
    recipe(tmp_path, "mine")
    manifest(tmp_path, [channel.url], '[dependencies]\nyours = { path = "mine" }\n')
    with pytest.raises(SourceError) as caught:
        solve(tmp_path)
    assert "builds no package `yours`" in str(caught.value)
    assert caught.value.help == "it builds mine"


def test_equal_sources_of_environments_are_locked_once(tmp_path: Path, channel: Channel) -> None:
    recipe(tmp_path, "mine", host=["library"])
    manifest(
        tmp_path,
        [channel.url],
        '[dependencies]\nmine = { path = "mine" }\n[feature.x.dependencies]\ntool = "*"\n[environments]\nx = ["x"]\n',
    )
    found = solve(tmp_path)
    assert source(found, "mine") == source(found, "mine", "x")
    assert len(found.sources) == 1


def test_sources_in_a_solve_group_are_pruned(tmp_path: Path, channel: Channel) -> None:
    recipe(tmp_path, "mine", run=["library <3"])
    manifest(
        tmp_path,
        [channel.url],
        """
[dependencies]
library = "*"
[feature.x.dependencies]
mine = { path = "mine" }
[environments]
default = { solve-group = "all" }
x = { features = ["x"], solve-group = "all" }
""",
    )
    found = solve(tmp_path)
    assert versions(found) == {"library": "2.0"}
    assert versions(found, "x") == {"library": "2.0", "mine": "1.0"}
    lock(tmp_path)
    assert problems(tmp_path) == []


def by_the_reference(root: Path) -> str:
    """Take away what smelt writes beside the reference's own; the whole lock as it was."""
    path = root / "pixi.lock"
    whole = path.read_text()
    path.write_text(whole.partition("smelt:\n")[0])
    return whole


def test_a_lock_of_the_reference_fits_and_is_completed_on_request(tmp_path: Path, channel: Channel) -> None:
    recipe(tmp_path, "mine", host=["library <3"], run=["tool"])
    recipe(tmp_path, "other", run=["mine"])
    manifest(tmp_path, [channel.url], '[dependencies]\nmine = { path = "mine" }\nother = { path = "other" }\n')
    lock(tmp_path)
    whole = by_the_reference(tmp_path)
    assert problems(tmp_path) == []
    workspace = Workspace.load(tmp_path / "pixi.toml")
    assert workspace.ensure_lock("update").sources == {}
    assert workspace.plan(["default"], mode="locked").nodes
    assert lock(tmp_path).written
    assert (tmp_path / "pixi.lock").read_text() == whole


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"run": ["tool", "base"]}, "it now requires `base`"),
        ({"run": []}, "it no longer requires `tool`"),
        ({"host": ["library <3", "base"]}, "its host environment has no `base`"),
        ({"host": ["library <2"]}, "`library <2` is asked for"),
        ({"requirements": {"run_constraints": ["base <2"]}}, "it now constrains `base <2`"),
        ({"about": {"license": "MIT"}}, "its license is MIT, not unknown"),
    ],
)
def test_what_changed_since_the_reference_locked_it(
    tmp_path: Path, channel: Channel, changed: dict[str, Any], told: str
) -> None:
    before: dict[str, Any] = {"host": ["library <3"], "run": ["tool"]}
    recipe(tmp_path, "mine", **before)
    manifest(tmp_path, [channel.url], '[dependencies]\nmine = { path = "mine" }\n')
    lock(tmp_path)
    by_the_reference(tmp_path)
    assert problems(tmp_path) == []
    recipe(tmp_path, "mine", **(before | changed))
    (found,) = problems(tmp_path)
    assert told in found


def test_a_plan_for_a_package_that_changed_since(tmp_path: Path, channel: Channel) -> None:
    recipe(tmp_path, "mine")
    manifest(tmp_path, [channel.url], '[dependencies]\nmine = { path = "mine" }\n')
    found = lock(tmp_path).lock
    recipe(tmp_path, "mine", run=["tool"])
    workspace = load_workspace(tmp_path / "pixi.toml")
    planner = BuildPlanner(workspace, found, PackageLoader(workspace, found))
    with pytest.raises(LockOutdatedError, match="mine"):
        planner.add(("default", SUBDIR))


def test_a_workspace_that_is_a_package_itself(tmp_path: Path, channel: Channel) -> None:
    manifest(
        tmp_path,
        [channel.url],
        """
[dependencies]
self = { path = "." }
[package]
name = "self"
version = "0.3"
[package.build]
backend = { name = "pixi-build-rattler-build", version = "*" }
""",
    )
    recipe(tmp_path.parent, tmp_path.name)
    text = (tmp_path / "recipe.yaml").read_text().replace(tmp_path.name, "self")
    (tmp_path / "recipe.yaml").write_text(text)
    found = solve(tmp_path)
    assert source(found, "self").location == "."


def test_mistakes_of_several_packages_are_reported_together(tmp_path: Path, channel: Channel) -> None:
    for name in ("one", "two"):
        recipe(tmp_path, name).write_text("package: {name: x, version: 1}\nbuild: {skript: x}\n")
    manifest(
        tmp_path,
        [channel.url],
        """
[dependencies]
one = { path = "one" }
[feature.x.dependencies]
two = { path = "two" }
[environments]
x = { features = ["x"], no-default-feature = true }
""",
    )
    with pytest.raises(ErrorGroup) as caught:
        solve(tmp_path)
    assert len(caught.value.errors) == 2


def test_many_ways_to_one_package(tmp_path: Path, channel: Channel) -> None:
    """Forty layers of two packages, each built with both below: a million million ways down, one look at each."""
    layers = 40
    for layer in range(layers):
        below = {f"p{layer - 1}{side}": f"../p{layer - 1}{side}" for side in "ab"} if layer else {}
        for side in "ab":
            package(tmp_path, f"p{layer}{side}", host=list(below), sources={"host": below})
    top = f'p{layers - 1}a = {{ path = "p{layers - 1}a" }}\n'
    manifest(tmp_path, [channel.url], f"[dependencies]\n{top}")
    found = solve(tmp_path)
    assert len([each for each in found.packages.values() if each.name.startswith("p")]) == 2 * layers - 1
    workspace = load_workspace(tmp_path)
    planner = BuildPlanner(workspace, found, PackageLoader(workspace, found))
    planner.add(("default", SUBDIR))
    assert len(planner.finish().nodes) == 2 * layers - 1


@posix
@pytest.mark.build
def test_strong_exports_of_the_build_environment_are_in_the_host_environment(tmp_path: Path) -> None:
    channel = Channel(tmp_path / "channel")
    channel.add("runtime", "1.4", run_exports={"weak": ["never"]})
    channel.add("other")
    channel.add("compiler", run_exports={"strong": ["runtime >=1"]})
    channel.add("wrapper", run_exports={"strong": ["other"]})
    channel.index()
    root = tmp_path / "ws"
    recipe(
        root,
        "mine",
        build=["compiler", "wrapper"],
        requirements={"ignore_run_exports": {"from_package": ["wrapper"]}},
        script=["test -e $PREFIX/share/runtime.txt", "test ! -e $PREFIX/share/other.txt"],
    )
    manifest(root, [channel.url], '[dependencies]\nmine = { path = "mine" }\n')
    done = smelt(root, "install", env={"PIXI_CACHE_DIR": str(tmp_path / "cache")})
    assert done.returncode == 0, done.stderr


@posix
@pytest.mark.build
def test_run_exports_of_what_is_locked_are_applied_by_rattler_build_too(tmp_path: Path) -> None:
    channel = Channel(tmp_path / "channel")
    channel.add("deep", run_exports={"weak": ["never"], "strong": ["never"]})
    channel.add("library", depends=["deep"], run_exports={"weak": ["library >=1"], "weak_constrains": ["broken <3"]})
    channel.add("tool", depends=["library"])
    channel.add("quiet", run_exports={"weak": ["noise"]})
    channel.index()
    root = tmp_path / "ws"
    # `library` is a direct dependency of the host environment, and one of a dependency in the build environment
    pin = "${{ pin_compatible('deep', upper_bound='x') }}"
    recipe(
        root,
        "mine",
        build=["tool"],
        host=["library", "quiet"],
        run=[pin],
        requirements={"ignore_run_exports": {"by_name": ["noise"]}},
    )
    manifest(root, [channel.url], '[dependencies]\nmine = { path = "mine" }\n')
    variables = {"PIXI_CACHE_DIR": str(tmp_path / "cache")}
    assert smelt(root, "lock", env=variables).returncode == 0
    text = (root / "pixi.lock").read_text()
    for right, wrong in (("library >=1", "library >=0"), ("broken <3", "broken <4"), ("deep >=1.0,<2.0a0", "deep >=1")):
        assert text.count(f"\n  - {right}\n") == 1
        (root / "pixi.lock").write_text(text.replace(f"\n  - {right}\n", f"\n  - {wrong}\n"))
        done = smelt(root, "build", "--frozen", env=variables)
        assert "metadata-mismatch" in done.stderr, done.stderr
        assert f"{wrong} is locked, the package does not have it" in done.stderr
        assert f"the package has {right}, it is not locked" in done.stderr
    (root / "pixi.lock").write_text(text)
    done = smelt(root, "install", "--frozen", env=variables)
    assert done.returncode == 0, done.stderr
