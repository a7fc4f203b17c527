"""Frozen recipes: what they keep of the recipe, what they fix, what they hide."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from build_kit import SUBDIR, build, node, render, write_source

from smelt.archive import read_conda
from smelt.build.freeze import freeze
from smelt.build.job import JobSpec
from smelt.build.key import build_key
from smelt.build.model import BuildNode
from smelt.build.pinned import pinned_channels
from smelt.errors import BuildError, NotSupportedError
from smelt.lock.model import BuildSource
from smelt.source.model import Checkout
from smelt.types import CondaRecord, RunExports

posix = pytest.mark.skipif(os.name != "posix", reason="the build scripts are for a POSIX shell")


def record(name: str, channel: str = "https://one.example", subdir: str = SUBDIR, **fields: object) -> CondaRecord:
    return CondaRecord(
        **{  # pyright: ignore
            "name": name,
            "version": "1.0",
            "build": "0",
            "build_number": 0,
            "subdir": subdir,
            "url": f"{channel}/{subdir}/{name}-1.0-0.conda",
            "file_name": f"{name}-1.0-0.conda",
            "channel": f"{channel}/",
            "sha256": "a" * 64,
            "run_exports": RunExports(),
            **fields,
        }
    )


def test_pinned_channels_hold_the_records_and_nothing_else() -> None:
    channels = pinned_channels(
        [
            record("a", depends=("__glibc >=2.17", "b"), constrains=("__cuda >=12", "c <2")),
            record("b", subdir="noarch", noarch="generic"),
            record("a", "https://two.example/label/x"),
            record("mine", channel="", url="file:///store/ab/abc/mine-1.0-0.conda"),
        ]
    )
    assert [sorted(channel) for channel in channels] == [sorted({SUBDIR, "noarch"})] * 3
    first = channels[0][SUBDIR]
    assert first["info"] == {"subdir": SUBDIR, "base_url": f"https://one.example/{SUBDIR}/"}
    assert list(first["packages.conda"]) == ["a-1.0-0.conda"]
    entry = first["packages.conda"]["a-1.0-0.conda"]
    assert entry["depends"] == ["b"]
    assert entry["constrains"] == ["c <2"]
    assert entry["run_exports"] == {}
    assert list(channels[0]["noarch"]["packages.conda"]) == ["b-1.0-0.conda"]
    assert channels[2][SUBDIR]["info"]["base_url"] == "file:///store/ab/abc/"


def test_an_archive_under_another_name_is_an_error() -> None:
    with pytest.raises(BuildError, match=r"is called other\.conda, not a-1\.0-0\.conda"):
        pinned_channels([record("a", file_name="other.conda")])


RECIPE = {
    "package": {"name": "app", "version": "1"},
    "source": [{"path": "."}],
    "build": {"script": ["true"], "python": {"skip_pyc_compilation": ["a/**"]}},
    "requirements": {"build": ["tool"], "host": ["lib"], "run": ["x"]},
    "tests": [{"script": ["false"]}],
}


def application(folder: Path, recipe: dict[str, object] | None = None) -> BuildNode:
    source = write_source(folder, {"a.txt": "1"})
    variant = render(json.dumps(recipe or RECIPE), source)[0]
    exports = RunExports(weak=("lib >=1",), strong=("libstrong",))
    return node(variant, source, build=[record("tool")], host=[record("lib", run_exports=exports)])


def test_everything_is_decided(tmp_path: Path) -> None:
    one = application(tmp_path / "source")
    spec = freeze(one, {})
    recipe = spec.recipe
    assert recipe["requirements"] == {
        "build": ["tool ==1.0 0"],
        "host": ["lib ==1.0 0"],
        "run": ["x"],
        "run_constraints": [],
        "run_exports": {},
        "ignore_run_exports": {"by_name": [], "from_package": []},
    }
    assert spec.depends == ("x", "libstrong", "lib >=1")
    entries = {each["name"]: each for c in spec.channels for each in c[SUBDIR]["packages.conda"].values()}
    assert entries["lib"]["run_exports"] == {"strong": ["libstrong"], "weak": ["lib >=1"]}
    assert recipe["build"]["string"] == one.variant.build
    assert recipe["build"]["python"] == {"skip_pyc_compilation": ["**/*.py"]}
    assert spec.uncompiled == ("a/**",)
    assert recipe["source"] == [{"path": "@source@", "use_gitignore": False}]
    assert "tests" not in recipe
    assert spec.source is not None
    assert [file.path for file in spec.source] == ["a.txt"]


def test_a_job_is_plain_data_without_paths_of_the_machine(tmp_path: Path) -> None:
    spec = freeze(application(tmp_path / "source"), {})
    text = json.dumps(spec.to_dict())
    assert str(tmp_path) not in text
    assert JobSpec.from_dict(json.loads(text)) == JobSpec.from_dict(spec.to_dict())
    with pytest.raises(ValueError, match="schema 0"):
        JobSpec.from_dict({**spec.to_dict(), "schema": 0})


def test_the_values_of_the_recipe_win_over_ours(tmp_path: Path) -> None:
    script = {"env": {"PYTHONHASHSEED": "7", "OWN": "1"}, "content": ["true"]}
    one = application(tmp_path / "source", {**RECIPE, "build": {"script": script}})
    environment = freeze(one, {}).recipe["build"]["script"]["env"]
    assert environment["PYTHONHASHSEED"] == "7"
    assert environment["OWN"] == "1"
    assert environment["SOURCE_DATE_EPOCH"] == "1577836800"
    assert environment["TMPDIR"] == "@output@/t"


def test_two_different_packages_of_one_name_version_and_build(tmp_path: Path) -> None:
    one = application(tmp_path / "source")
    other = record("tool", "https://two.example", sha256="b" * 64)
    with pytest.raises(BuildError, match="two different packages tool") as caught:
        freeze(replace(one, host_inputs=(*one.host_inputs, other)), {})
    assert caught.value.kind == "ambiguous-package"


def test_steps_are_not_supported(tmp_path: Path) -> None:
    one = application(tmp_path / "source")
    variant = replace(one.variant, recipe={**one.variant.recipe, "build": {"steps": [{"run": "true"}]}})
    with pytest.raises(NotSupportedError, match="built in steps"):
        freeze(replace(one, variant=variant), {})


def test_flags_need_the_third_revision(tmp_path: Path) -> None:
    one = application(tmp_path / "source")
    assert not freeze(one, {}).revision3
    metadata = replace(one.metadata, depends=('lib[when="python >=3"]',))
    assert freeze(replace(one, metadata=metadata), {}).revision3


@posix
@pytest.mark.build
def test_a_recipe_in_a_folder_of_its_own(tmp_path: Path) -> None:
    """With its script and its patch beside it, and the code above it."""
    source = write_source(
        tmp_path / "source",
        {
            "recipe/build.sh": "mkdir -p $PREFIX/share\ncp code.txt $RECIPE_DIR/extra.txt $PREFIX/share/\n",
            "recipe/extra.txt": "extra\n",
            "recipe/fix.patch": "--- a/code.txt\n+++ b/code.txt\n@@ -1 +1 @@\n-wrong\n+right\n",
            "code.txt": "wrong\n",
            "LICENSE": "free\n",
        },
    )
    recipe = {
        "package": {"name": "app", "version": "1"},
        "source": [{"path": "..", "patches": ["fix.patch"]}],
        "about": {"license": "MIT", "license_file": "LICENSE"},
    }
    variant = render(json.dumps(recipe), source / "recipe")[0]
    one = node(variant, source)
    archive = read_conda(build([one], tmp_path)[one.key].path)
    assert {m.name: m.data for m in archive.files} == {"share/code.txt": b"right\n", "share/extra.txt": b"extra\n"}
    assert next(m for m in archive.info if m.name == "info/licenses/LICENSE").data == b"free\n"


@posix
@pytest.mark.build
def test_an_immutable_source_is_seen_whole(tmp_path: Path) -> None:
    """Archives hold what their .gitignore would leave out (generated files)."""
    folder = write_source(tmp_path / "unpacked", {".gitignore": "*.gen\n", "a.gen": "generated\n"})
    recipe = {**RECIPE, "build": {"script": ["mkdir -p $PREFIX/share && cp a.gen $PREFIX/share/"]}, "requirements": {}}
    one = application(folder, recipe)
    checkout = Checkout(folder=folder, pinned=BuildSource(url="https://files.example/a.tar.gz"), digest="c" * 64)
    key, inputs = build_key(
        variant=one.variant,
        metadata=one.metadata,
        checkout=checkout,
        source_digest="c" * 64,
        build_inputs=(),
        host_inputs=(),
        subdir=SUBDIR,
        build_subdir=SUBDIR,
    )
    fixed = replace(
        one, key=key, inputs=inputs, checkout=checkout, source_digest="c" * 64, build_inputs=(), host_inputs=()
    )
    archive = read_conda(build([fixed], tmp_path)[key].path)
    assert {member.name: member.data for member in archive.files} == {"share/a.gen": b"generated\n"}
