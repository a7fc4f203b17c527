"""Variants of source packages: which are solved, which are chosen, and what cannot be built."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from resolve_kit import Heard, here, lock, names, problems, solve, source, versions

from smelt.errors import SolveError
from smelt.lock.model import Lock, SourcePackage
from smelt.resolve.packages import PackageLoader
from smelt.resolve.plan import BuildPlanner
from smelt.types import CondaRecord
from smelt.workspace.load import load_workspace
from spine_kit import SUBDIR, Channel, manifest, package, recipe

PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
CUDAS = ("12.8", "12.9", "13.0")


@pytest.fixture
def cuda_channel(tmp_path: Path) -> Channel:
    """Stand-ins: Pythons that export what real ones do; CUDA versions that export nothing."""
    channel = Channel(tmp_path / "channel")
    for version in PYTHONS:
        tag = "cp" + version.replace(".", "")
        abi = f"python_abi {version}.* *_{tag}"
        channel.add("python", f"{version}.1", run_exports={"noarch": ["python"], "weak": [abi]})
        channel.add("python_abi", version, f"0_{tag}", constrains=[f"python {version}.*"])
    for version in CUDAS:
        channel.add("cuda-version", version, depends=["__cuda >=13"] if version == "13.0" else [])
    return channel.index()


def value(found: Lock, key: str, environment: str = "default", name: str = "mine") -> str:
    return str(source(found, name, environment).variants[key])


def test_one_candidate_per_used_value(tmp_path: Path, channel: Channel) -> None:
    """Keys that the recipe does not use make no variants; the first listed value wins."""
    recipe(tmp_path, "mine", host=["library"])
    text = """
[workspace.build-variants]
library = ["1.0", "3.0", "2.0"]
unused = ["a", "b"]
[dependencies]
mine = { path = "mine" }
"""
    manifest(tmp_path, [channel.url], text)
    found = solve(tmp_path)
    assert value(found, "library") == "1.0"
    assert names(found, source(found, "mine").host_packages) == ["library"]
    assert set(source(found, "mine").variants) == {"library", "target_platform"}
    manifest(tmp_path, [channel.url], text.replace('"1.0", "3.0"', '"3.0", "1.0"'))
    assert value(solve(tmp_path), "library") == "3.0"


def test_values_that_go_together(tmp_path: Path, channel: Channel) -> None:
    """``zip_keys`` of a variant file: the first value with the first, and no other combination."""
    recipe(tmp_path, "mine", host=["library", "tool"])
    channel.add("tool", "1.0")
    channel.add("tool", "2.0")
    channel.index()
    (tmp_path / "variants.yaml").write_text(
        "library: ['1.0', '2.0']\ntool: ['2.0', '1.0']\nzip_keys: [[library, tool]]\n"
    )
    text = """build-variants-files = ["variants.yaml"]
[dependencies]
mine = { path = "mine" }
{}
"""
    for wanted, expected in (("", ("1.0", "2.0")), ('library = "2.0.*"', ("2.0", "1.0"))):
        manifest(tmp_path, [channel.url], text.replace("{}", wanted))
        found = solve(tmp_path)
        assert (value(found, "library"), value(found, "tool")) == expected


def test_the_environment_guides(tmp_path: Path, channel: Channel) -> None:
    """Only the variant that agrees with the environment is solved: the others could not even be."""
    recipe(tmp_path, "mine", host=["library"])
    manifest(
        tmp_path,
        [channel.url],
        """
[workspace.build-variants]
library = ["7.0", "2.0", "8.0"]
[dependencies]
library = "<3"
mine = { path = "mine" }
""",
    )
    heard = Heard()
    found = solve(tmp_path, heard)
    assert value(found, "library") == "2.0"
    assert heard.left_out == []


def test_a_variant_that_cannot_be_built_is_left_out_with_its_reason(tmp_path: Path, channel: Channel) -> None:
    recipe(tmp_path, "mine", host=["library"])
    manifest(
        tmp_path,
        [channel.url],
        '[workspace.build-variants]\nlibrary = ["9.0", "2.0"]\n[dependencies]\nmine = { path = "mine" }\n',
    )
    heard = Heard()
    assert value(solve(tmp_path, heard), "library") == "2.0"
    assert [each.variant["library"] for each in heard.left_out] == ["9.0"]
    assert "library 9.0.*" in heard.left_out[0].reason


def test_if_none_can_be_built_each_is_listed(tmp_path: Path, channel: Channel) -> None:
    recipe(tmp_path, "mine", host=["library"])
    manifest(
        tmp_path,
        [channel.url],
        '[workspace.build-variants]\nlibrary = ["8.0", "9.0"]\n[dependencies]\nmine = { path = "mine" }\n',
    )
    with pytest.raises(SolveError) as caught:
        solve(tmp_path)
    error = caught.value
    assert error.kind == "no-variant"
    assert f"environment `default` cannot be solved for {SUBDIR}" in str(error)
    assert error.notes[0] == f"no variant of source package `mine` can be built for {SUBDIR}"
    text = "\n".join(error.notes)
    for version in ("8.0", "9.0"):
        assert f"mine (library={version}, target_platform={SUBDIR})" in text
        assert f"library {version}.*" in text


def test_the_others_are_tried_when_what_agrees_does_not_do(tmp_path: Path, channel: Channel) -> None:
    """The environment would take library 3.0; only the variant for 2.0 can be had beside ``old``."""
    channel.add("old", depends=["library <3"])
    channel.index()
    recipe(tmp_path, "mine", host=["library"], run=["old"])
    manifest(
        tmp_path,
        [channel.url],
        """
[workspace.build-variants]
library = ["3.0", "2.0"]
[dependencies]
library = "*"
mine = { path = "mine" }
""",
    )
    found = solve(tmp_path)
    assert versions(found)["library"] == "2.0"
    assert value(found, "library") == "2.0"


def test_a_build_is_never_put_beside_what_it_was_not_built_for(tmp_path: Path, channel: Channel) -> None:
    """``library`` exports nothing and is no run requirement, yet binds."""
    recipe(tmp_path, "mine", host=["library"])
    text = '[workspace.build-variants]\nlibrary = ["1.0", "2.0"]\n[dependencies]\nmine = { path = "mine" }\n'
    manifest(tmp_path, [channel.url], text + 'library = "3.0.*"\n')
    with pytest.raises(SolveError) as caught:
        solve(tmp_path)
    assert "library" in "\n".join(caught.value.notes)
    assert "source packages are built for `library` 1.0, 2.0" in (caught.value.help or "")
    manifest(tmp_path, [channel.url], text + 'library = "3.0.*"\n[tool.smelt]\nvariant-constraints = false\n')
    assert versions(solve(tmp_path)) == {"library": "3.0", "mine": "1.0"}


def test_a_lock_remembers_whether_variants_constrain(tmp_path: Path, channel: Channel) -> None:
    recipe(tmp_path, "mine", host=["library"])
    text = '[workspace.build-variants]\nlibrary = ["1.0", "2.0"]\n[dependencies]\nmine = { path = "mine" }\n'
    off = "[tool.smelt]\nvariant-constraints = false\n"
    for more in (off, ""):
        manifest(tmp_path, [channel.url], text + ("" if more else off))
        lock(tmp_path)
        assert problems(tmp_path) == []
        manifest(tmp_path, [channel.url], text + more)
        assert all("`variant-constraints`" in each for each in problems(tmp_path))
        assert lock(tmp_path).written
        assert problems(tmp_path) == [] and not lock(tmp_path).written


def features(run: bool) -> str:
    lines = [
        "[workspace.build-variants]",
        f"python = [{', '.join(repr(version + '.*') for version in PYTHONS)}]",
        f"cuda-version = [{', '.join(map(repr, CUDAS))}]",
        "[dependencies]",
        'mine = { path = "mine" }',
    ]
    for version in PYTHONS:
        tag = version.replace(".", "")
        lines += [f"[feature.py{tag}.dependencies]", f'python = "{version}.*"']
    for major in ("12", "13"):
        lines += [f"[feature.cu{major}]", f'system-requirements = {{ cuda = "{major}" }}']
        if run:
            lines += [f"[feature.cu{major}.dependencies]", f'cuda-version = "{major}.*"']
    lines.append("[environments]")
    for version in PYTHONS:
        for major in ("12", "13"):
            tag = version.replace(".", "")
            lines.append(f'py{tag}-cu{major} = {{ features = ["py{tag}", "cu{major}"] }}')
    return "\n".join(lines) + "\n"


def pairs() -> Iterator[tuple[str, str, str]]:
    for version in PYTHONS:
        for major in ("12", "13"):
            yield f"py{version.replace('.', '')}-cu{major}", version, major


@pytest.mark.parametrize("run", [False, True], ids=["host only", "host and run"])
def test_each_environment_gets_the_build_made_for_it(tmp_path: Path, cuda_channel: Channel, run: bool) -> None:
    """The wrong-variant case: ten environments, fifteen variants, a machine without CUDA."""
    recipe(tmp_path, "mine", host=["python", "cuda-version"], run=["cuda-version"] if run else [])
    manifest(tmp_path, [cuda_channel.url], features(run=True))
    heard = Heard()
    result = lock(tmp_path, heard)
    found = result.lock
    for environment, version, major in pairs():
        assert value(found, "python", environment) == f"{version}.*"
        cuda = value(found, "cuda_version", environment)
        assert cuda.startswith(f"{major}.")
        held = versions(found, environment)
        assert held["cuda-version"] == cuda
        assert held["python"].startswith(f"{version}.")
        mine = source(found, "mine", environment)
        inside = {each.name: each for each in map(found.packages.__getitem__, mine.host_packages)}
        assert isinstance(inside["cuda-version"], CondaRecord)
        assert inside["cuda-version"].version == cuda
    # each build once, and none that no environment needs (the default environment takes one of the ten)
    sources = [p for p in found.packages.values() if isinstance(p, SourcePackage)]
    wanted = {(value(found, "python", e), value(found, "cuda_version", e)) for e in found.environments}
    assert len(sources) == len(wanted) == 10 + (value(found, "cuda_version") == "12.8")
    assert problems(tmp_path) == []
    workspace = load_workspace(tmp_path / "pixi.toml")
    planner = BuildPlanner(workspace, found, PackageLoader(workspace, found))
    for environment in found.environments:
        planner.add((environment, here(found, environment)))
    assert len(planner.finish().nodes) == len(sources)


def test_the_right_build_also_where_nothing_requires_cuda(tmp_path: Path, cuda_channel: Channel) -> None:
    """What tells the environments apart is the machine alone: the first listed that can be built wins."""
    recipe(tmp_path, "mine", host=["python", "cuda-version"])
    text = features(run=False).replace("cuda-version = ['12.8', '12.9', '13.0']", "cuda-version = ['13.0', '12.9']")
    manifest(tmp_path, [cuda_channel.url], text)
    heard = Heard()
    found = solve(tmp_path, heard)
    for environment, version, major in pairs():
        assert value(found, "python", environment) == f"{version}.*"
        assert value(found, "cuda_version", environment) == {"12": "12.9", "13": "13.0"}[major]
    assert {each.variant["cuda_version"] for each in heard.left_out} == {"13.0"}


def test_variants_of_a_source_package_below(tmp_path: Path, channel: Channel) -> None:
    """The host environment of ``top`` says which variant of ``base`` it is built with."""
    recipe(tmp_path, "base", host=["library"], requirements={"run_exports": ["base"]})
    package(tmp_path, "top", host=["base", "library"], sources={"host": {"base": "../base"}})
    manifest(
        tmp_path,
        [channel.url],
        """
[workspace.build-variants]
library = ["1.0", "2.0", "3.0"]
[dependencies]
top = { path = "top" }
[feature.two.dependencies]
library = "2.*"
[feature.three.dependencies]
library = "3.*"
[environments]
two = ["two"]
three = ["three"]
""",
    )
    found = lock(tmp_path).lock
    for environment, version in (("default", "1.0"), ("two", "2.0"), ("three", "3.0")):
        assert value(found, "library", environment, "top") == version
        assert value(found, "library", environment, "base") == version
        inside = [found.packages[each] for each in source(found, "top", environment).host_packages]
        base = next(each for each in inside if each.name == "base")
        assert isinstance(base, SourcePackage)
        assert base.variants["library"] == version
    assert problems(tmp_path) == []


def test_variants_of_a_target(tmp_path: Path, channel: Channel) -> None:
    family = SUBDIR.partition("-")[0]
    recipe(tmp_path, "mine", host=["library"])
    manifest(
        tmp_path,
        [channel.url],
        f"""
[workspace.build-variants]
library = ["1.0"]
[workspace.target.{family}.build-variants]
library = ["2.0"]
[dependencies]
mine = {{ path = "mine" }}
""",
    )
    assert value(solve(tmp_path), "library") == "2.0"


def test_a_skipped_variant_is_none(tmp_path: Path, channel: Channel) -> None:
    recipe(tmp_path, "mine", host=["library"], build_table={"skip": ["match(library, '<2')"]})
    manifest(
        tmp_path,
        [channel.url],
        '[workspace.build-variants]\nlibrary = ["1.0", "2.0"]\n[dependencies]\nmine = { path = "mine" }\n',
    )
    assert value(solve(tmp_path), "library") == "2.0"
