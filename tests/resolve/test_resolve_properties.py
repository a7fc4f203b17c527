"""Whatever the workspace: what was locked fits, and locking again changes nothing."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from resolve_kit import Heard, lock, problems

from smelt.errors import SmeltError
from smelt.lock.reader import read
from smelt.workspace.load import load_workspace
from spine_kit import OTHER, SUBDIR, Channel, manifest, package, recipe

BINARIES = ("alpha", "beta", "gamma", "delta")
SOURCES = ("one", "two", "three")
EXAMPLES = int(os.environ.get("SMELT_TEST_EXAMPLES", "30"))
SPECS = ("*", ">=1", "<3", "2.*", "==1.0", "1.0|3.0")


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Channel:
    channel = Channel(tmp_path_factory.mktemp("many") / "channel")
    for index, name in enumerate(BINARIES):
        for version in ("1.0", "2.0", "3.0"):
            depends = [f"{BINARIES[index - 1]} >=1"] if index else []
            if name == "delta" and version == "3.0":
                depends = ["alpha <2"]
            if name == "gamma":
                depends.append('delta[when="alpha >=3"]')
            extras = {"more": ["delta >=2"], "less": ["beta <3"]} if name == "alpha" else None
            exports = {"weak": [f"{name} >={version}"]} if name == "beta" else None
            channel.add(name, version, depends=depends, run_exports=exports, extra_depends=extras)
    return channel.index()


@st.composite
def workspaces(draw: st.DrawFn) -> Callable[[Path, str], None]:
    """A function that writes a workspace: features, environments, solve groups, variants, source packages."""
    spec = st.sampled_from(SPECS)
    binary = st.dictionaries(st.sampled_from(BINARIES), spec, max_size=2)
    features = {name: draw(binary) for name in ("", "x", "y")}
    extras = {name: draw(st.sets(st.sampled_from(("more", "less")))) for name in features}
    constraints = {name: draw(st.dictionaries(st.sampled_from(BINARIES), spec, max_size=1)) for name in features}
    strategies = {name: draw(st.sampled_from(("", "", "lowest", "lowest-direct"))) for name in ("x", "y")}
    binding = draw(st.booleans())
    used = {name: draw(st.sets(st.sampled_from(SOURCES), max_size=2)) for name in features}
    environments = draw(
        st.lists(
            st.tuples(st.sets(st.sampled_from(("x", "y")), min_size=1), st.sampled_from(("", "g")), st.booleans()),
            max_size=2,
        )
    )
    variants = draw(st.dictionaries(st.sampled_from(BINARIES), st.permutations(["1.0", "2.0", "3.0"]), max_size=2))
    host = {name: draw(st.lists(st.sampled_from(BINARIES), max_size=2, unique=True)) for name in SOURCES}
    run = {name: draw(st.lists(st.sampled_from(BINARIES), max_size=1)) for name in SOURCES}
    # a package may need those before it, so there are no cycles
    below = {
        name: draw(st.sets(st.tuples(st.sampled_from(("build", "host", "run")), st.sampled_from(SOURCES[:index]))))
        if index
        else set()
        for index, name in enumerate(SOURCES)
    }
    group = draw(st.booleans())
    platforms = [SUBDIR, OTHER] if draw(st.booleans()) else [SUBDIR]
    profile = draw(st.booleans()) and not any(each[1] for each in environments)

    def write(root: Path, channel: str) -> None:
        for name in SOURCES:
            needs: dict[str, list[str]] = {"build": [], "host": list(host[name]), "run": list(run[name])}
            places: dict[str, dict[str, str]] = {}
            for kind, other in sorted(below[name]):
                needs[kind].append(other)
                places.setdefault(kind, {})[other] = f"../{other}"
            if places:
                package(root, name, sources=places, **needs)
            else:
                recipe(root, name, **needs)
        lines: list[str] = []
        if variants:
            lines.append("[workspace.build-variants]")
            lines += [f"{key} = {list(values)}" for key, values in variants.items()]
        for name, requirements in features.items():
            lines.append(f"[feature.{name}.dependencies]" if name else "[dependencies]")
            for each, text in requirements.items():
                groups = f", extras = {sorted(extras[name])}" if each == "alpha" else ""
                lines.append(f'{each} = {{ version = "{text}"{groups} }}')
            lines += [f'{each} = {{ path = "{each}" }}' for each in sorted(used[name])]
            lines.append(f"[feature.{name}.constraints]" if name else "[constraints]")
            lines += [f'{each} = "{text}"' for each, text in constraints[name].items()]
        for name, strategy in strategies.items():
            lines += [f"[feature.{name}]", f'solve-strategy = "{strategy}"'] if strategy else []
        lines.append("[environments]")
        if group:
            lines.append('default = { solve-group = "g" }')
        for index, (names, solve_group, bare) in enumerate(environments):
            together = ', solve-group = "g"' if solve_group else ""
            inside = f"features = {sorted(names)}, no-default-feature = {str(bare).lower()}{together}"
            lines.append(f"env{index} = {{ {inside} }}")
        if not binding:
            lines += ["[tool.smelt]", "variant-constraints = false"]
        if profile:
            lines += ["[tool.smelt.profile.p]", 'env = { CFLAGS = "-g" }', "[tool.smelt.feature.x]", 'profile = "p"']
        manifest(root, [channel], "\n".join(lines) + "\n", platforms=platforms)

    return write


@contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name).resolve()


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(write=workspaces())
def test_what_is_locked_fits(write: Callable[[Path, str], None], many: Channel, cache: Path) -> None:
    with folder() as root:
        write(root, many.url)
        try:
            lock(root)
        except SmeltError as error:
            assert error.kind in ("unsatisfiable", "errors", "no-variant", "source-conflict"), error
            assert not (root / "pixi.lock").exists()
            return
        text = (root / "pixi.lock").read_bytes()
        assert problems(root) == []
        heard = Heard()
        assert not lock(root, heard).written
        assert heard.solves == []
        # everything solved again from what is locked, and from nothing with another cache: the same
        (root / "pixi.lock").unlink()
        os.environ["PIXI_CACHE_DIR"] = str(root / "another-cache")
        try:
            lock(root)
        finally:
            os.environ["PIXI_CACHE_DIR"] = str(cache)
        assert (root / "pixi.lock").read_bytes() == text
        assert read(root / "pixi.lock").environments.keys() == load_workspace(root / "pixi.toml").environments.keys()


@settings(max_examples=EXAMPLES // 2, deadline=None, suppress_health_check=list(HealthCheck))
@given(first=workspaces(), second=workspaces())
def test_a_change_of_everything(
    first: Callable[[Path, str], None], second: Callable[[Path, str], None], many: Channel
) -> None:
    """From any lock that fitted any workspace to one that fits another."""
    with folder() as root:
        for write in (first, second):
            write(root, many.url)
            before = (root / "pixi.lock").read_bytes() if (root / "pixi.lock").exists() else None
            try:
                lock(root)
            except SmeltError:
                after = (root / "pixi.lock").read_bytes() if (root / "pixi.lock").exists() else None
                assert after == before
                continue
            assert problems(root) == []
            assert not lock(root).written
