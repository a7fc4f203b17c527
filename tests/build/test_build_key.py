"""The identity of builds, and what is said of differences."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from build_kit import SUBDIR, node, render, write_source

from smelt.build.key import build_key, explain
from smelt.build.model import BuildInput, BuildNode, SourceInput
from smelt.errors import BuildError
from smelt.source.model import RenderedVariant
from smelt.types import CondaRecord, RunExports

RECIPE = """
package: {name: app, version: "1.0"}
source: {path: .}
build: {script: ["make -O2", "make install"]}
requirements: {host: [numpy, zlib]}
tests: [{script: ["true"]}]
"""


def record(name: str, version: str, build: str = "0", sha256: str | None = "a" * 64) -> CondaRecord:
    return CondaRecord(
        name=name,
        version=version,
        build=build,
        build_number=0,
        subdir=SUBDIR,
        url=f"https://channel.example/{SUBDIR}/{name}-{version}-{build}.conda",
        file_name=f"{name}-{version}-{build}.conda",
        channel="https://channel.example/",
        sha256=sha256,
        run_exports=RunExports(),
    )


HOST: tuple[BuildInput, ...] = (record("numpy", "2.1.0"), record("zlib", "1.3"))


def make(
    folder: Path,
    recipe: str = RECIPE,
    host: tuple[BuildInput, ...] = HOST,
    configuration: dict[str, object] | None = None,
) -> BuildNode:
    if not folder.exists():
        write_source(folder, {"a.c": "1", "b.py": "2"})
    return node(render(recipe, folder)[0], folder, host=host, configuration=configuration)


def test_the_key_does_not_depend_on_the_folder_or_times(tmp_path: Path) -> None:
    one, two = make(tmp_path / "one"), make(tmp_path / "two" / "deeper")
    assert one.key == two.key
    assert one.inputs == two.inputs
    assert str(tmp_path) not in str(one.inputs)
    script = RECIPE.replace("make -O2", f"make -C {tmp_path / 'one'}")
    other = RECIPE.replace("make -O2", f"make -C {tmp_path / 'two' / 'deeper'}")
    assert make(tmp_path / "one", script).key == make(tmp_path / "two" / "deeper", other).key


def test_a_changed_test_changes_nothing(tmp_path: Path) -> None:
    assert make(tmp_path / "one").key == make(tmp_path / "one", RECIPE.replace('"true"', '"false"')).key


CHANGES: dict[str, tuple[Callable[[Path], BuildNode], list[str]]] = {
    "configuration": (
        lambda folder: make(folder, configuration={"extra-args": ["-Dx=2"]}),
        ['configuration: extra-args changed from ["-Dx=1"] to ["-Dx=2"]'],
    ),
    "host version": (
        lambda folder: _configured(folder, host=(record("numpy", "2.2.0"), HOST[1])),
        ["host package numpy 2.1.0 → 2.2.0"],
    ),
    "host build": (
        lambda folder: _configured(folder, host=(record("numpy", "2.1.0", "1"), HOST[1])),
        ["host package numpy 2.1.0: build 0 → 1"],
    ),
    "host content": (
        lambda folder: _configured(folder, host=(record("numpy", "2.1.0", sha256="b" * 64), HOST[1])),
        ["host package numpy has another content"],
    ),
    "host gone and new": (
        lambda folder: _configured(folder, host=(HOST[0], record("zstd", "1"))),
        ["host package zstd is new", "host package zlib is gone"],
    ),
    "script": (
        lambda folder: _configured(folder, recipe=RECIPE.replace("-O2", "-O3")),
        ["recipe.build.script: changed from make -O2 to make -O3"],
    ),
    "script line": (
        lambda folder: _configured(folder, recipe=RECIPE.replace('"make install"', '"make install", "strip x"')),
        ["recipe.build.script: strip x is new"],
    ),
    "version": (
        lambda folder: _configured(folder, recipe=RECIPE.replace('"1.0"', '"1.1"')),
        ["version 1.0 → 1.1"],
    ),
    "file": (
        lambda folder: _edited(folder, {"a.c": "changed", "c.txt": "new"}),
        ["source: 1 file changed: a.c", "source: 1 file added: c.txt"],
    ),
    "run dependency": (
        lambda folder: _configured(folder, recipe=RECIPE.replace("requirements: {", "requirements: {run: [six], ")),
        ['recipe.requirements: run is new: ["six"]', "depends: six is new"],
    ),
}


def _configured(folder: Path, recipe: str = RECIPE, host: tuple[BuildInput, ...] = HOST) -> BuildNode:
    return make(folder, recipe, host, {"extra-args": ["-Dx=1"]})


def _edited(folder: Path, files: dict[str, str]) -> BuildNode:
    write_source(folder, files)
    return _configured(folder)


@pytest.mark.parametrize("name", list(CHANGES))
def test_every_input_changes_the_key_and_is_named(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "source"
    before = _configured(folder)
    assert explain(before.inputs, before.inputs) == []
    change, lines = CHANGES[name]
    after = change(folder)
    assert after.key != before.key
    assert explain(before.inputs, after.inputs) == lines


def test_source_inputs_count_by_their_key(tmp_path: Path) -> None:
    folder = tmp_path / "source"
    variant = render(RECIPE, write_source(folder, {"a.c": "1"}))[0]
    records = {"1" * 64: record("numpy", "1"), "2" * 64: record("numpy", "1")}

    def of(key: str) -> BuildNode:
        return node(variant, folder, host=[SourceInput(name="numpy", key=key), HOST[1]], records=records)

    one, two = of("1" * 64), of("2" * 64)
    assert one.key != two.key
    assert one.needs == ("1" * 64,)
    assert explain(one.inputs, two.inputs) == ["host package numpy is built anew"]


def test_variants_and_the_environment_of_the_script_count(tmp_path: Path) -> None:
    recipe = textwrap.dedent("""
        package: {name: app, version: "1.0"}
        build: {script: ["true"], variant: {use_keys: [flavour]}}
        """)
    folder = write_source(tmp_path / "source", {"x": ""})
    found = render(recipe, folder, {"flavour": ["sweet", "sour"]})
    sour, sweet = sorted(found, key=lambda variant: variant.variant["flavour"])
    one, two = node(sweet, folder), node(sour, folder)
    assert one.key != two.key
    assert "variant: flavour changed from sweet to sour" in explain(one.inputs, two.inputs)
    loud = node(replace(sweet, script_env={"VOLUME": "11"}), folder)
    assert loud.key != one.key
    assert explain(one.inputs, loud.inputs) == ["script environment: VOLUME is new: 11"]


def test_a_record_without_a_digest_has_no_identity(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="gives no sha256 for numpy") as caught:
        make(tmp_path / "source", host=(record("numpy", "1", sha256=None),))
    assert caught.value.kind == "no-digest"


def test_without_file_lists_only_that_the_source_changed(tmp_path: Path) -> None:
    before = make(tmp_path / "source")
    old = {key: value for key, value in before.inputs.items() if key != "files"}
    assert explain(old, {**before.inputs, "source": "other"}) == ["source: changed"]


def test_the_key_is_over_the_inputs_but_file_lists(tmp_path: Path) -> None:
    one = make(tmp_path / "source")
    variant: RenderedVariant = one.variant
    key, inputs = build_key(
        variant=variant,
        metadata=one.metadata,
        checkout=one.checkout,
        source_digest=one.source_digest,
        build_inputs=one.build_inputs,
        host_inputs=tuple(reversed(one.host_inputs)),
        subdir=SUBDIR,
        build_subdir=SUBDIR,
    )
    assert key == one.key
    assert "files" not in inputs
