"""What a package says of itself is what was locked."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from build_kit import build, hello, node, render

from smelt.archive import read_conda
from smelt.build.model import BuildNode
from smelt.build.store import Store
from smelt.errors import BuildError
from smelt.types import RunExports

pytestmark = pytest.mark.build
posix = pytest.mark.skipif(os.name != "posix", reason="the build scripts are for a POSIX shell")


@posix
def test_metadata_that_differs_from_the_lock(tmp_path: Path) -> None:
    """rattler-build has the last word: here it adds what nobody locked."""
    one = hello(tmp_path / "source")
    recipe = {**one.variant.recipe, "build": {**one.variant.recipe["build"], "noarch": "python"}}  # pyright: ignore
    wrong = replace(one, variant=replace(one.variant, recipe=recipe, version="1.2.4"))
    with pytest.raises(BuildError, match="not those that are locked") as caught:
        build([wrong], tmp_path)
    assert caught.value.kind == "metadata-mismatch"
    assert "version: 1.2.4 is locked, the package has 1.2.3" in "\n".join(caught.value.notes)
    assert Store(tmp_path / "store").lookup(one.key) is None


SAYS = {
    "package": {"name": "app", "version": "1"},
    "build": {"script": ["true"]},
    "requirements": {
        "run": ["zlib >=1.2,<2.0a0", "python_abi 3.12.* *_cp312", "__glibc >=2.17,<3.0a0"],
        "run_constraints": ["cuda-version 12.8.*"],
        "run_exports": {
            "weak": [
                "${{ pin_subpackage('app', lower_bound='x', upper_bound='x') }}",
                "${{ pin_subpackage('app', exact=True) }}",
            ],
            "strong_constraints": ["old <1"],
        },
    },
}


def saying(folder: Path) -> BuildNode:
    folder.mkdir()
    return node(render(json.dumps(SAYS), folder)[0], folder)


@posix
def test_dependencies_reach_the_package_as_they_are_locked(tmp_path: Path) -> None:
    one = saying(tmp_path / "source")
    artifact = build([one], tmp_path)[one.key]
    assert artifact.record.depends == tuple(SAYS["requirements"]["run"])
    assert artifact.record.constrains == ("cuda-version 12.8.*",)
    assert artifact.record.build == one.variant.build
    exports = next(m for m in read_conda(artifact.path).info if m.name == "info/run_exports.json")
    assert RunExports.from_dict(json.loads(exports.data)) == one.metadata.run_exports == artifact.record.run_exports
    assert one.metadata.run_exports.weak == ("app >=1,<2.0a0", f"app ==1 {one.variant.build}")


@posix
@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"depends": ("zlib >=1.2,<2.0a0", "extra")}, "depends: extra is locked, the package does not have it"),
        ({"depends": ()}, "depends: the package has zlib >=1.2,<2.0a0, it is not locked"),
        ({"constrains": ("old <2",)}, "constrains: old <2 is locked, the package does not have it"),
        ({"run_exports": RunExports()}, "run_exports.weak: the package has app >=1,<2.0a0, it is not locked"),
        ({"run_exports": RunExports(noarch=("a",))}, "run_exports.noarch: a is locked, the package does not have it"),
    ],
)
def test_a_package_that_says_something_else_than_the_lock(
    tmp_path: Path, change: dict[str, object], problem: str
) -> None:
    one = saying(tmp_path / "source")
    one = replace(one, metadata=replace(one.metadata, **change))  # pyright: ignore
    with pytest.raises(BuildError) as caught:
        build([one], tmp_path)
    assert caught.value.kind == "metadata-mismatch"
    assert problem in "\n".join(caught.value.notes)
    assert Store(tmp_path / "store").lookup(one.key) is None
