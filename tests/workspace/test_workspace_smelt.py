"""``[tool.smelt]``: profiles, matrices, variant constraints; and build variants."""

from __future__ import annotations

from pathlib import Path

import pytest
from workspace_kit import make, mistakes

from smelt.errors import ManifestError
from smelt.workspace.variant import read_variant_file

HEAD = '[workspace]\nchannels = []\nplatforms = ["linux-64", "osx-arm64"]\n'
PROFILE = """\
[tool.smelt.profile.ubsan]
env = { CFLAGS = "-fsanitize=undefined" }
config.pixi-build-python = { extra-args = ["-Cx"] }
packages = ["NumPy"]
activation.env = { UBSAN_OPTIONS = "print_stacktrace=1" }
[tool.smelt.feature.ubsan]
profile = "ubsan"
"""


@pytest.mark.parametrize("name", ["pixi.toml", "pyproject.toml"])
def test_profiles(tmp_path: Path, name: str) -> None:
    text = HEAD + "[feature.ubsan]\n[environments]\nu = ['ubsan']\n"
    if name == "pyproject.toml":
        text = text.replace("[workspace]", "[tool.pixi.workspace]").replace("[f", "[tool.pixi.f")
        text = text.replace("[environments]", "[tool.pixi.environments]")
    workspace = make(tmp_path, text + PROFILE, name)
    profile = workspace.effective["u", "linux-64"].profile
    assert profile is not None
    assert profile == workspace.profiles["ubsan"]
    assert dict(profile.env) == {"CFLAGS": "-fsanitize=undefined"}
    assert profile.config["pixi-build-python"] == {"extra-args": ["-Cx"]}
    assert dict(profile.activation_env) == {"UBSAN_OPTIONS": "print_stacktrace=1"}
    assert profile.applies_to("numpy")
    assert not profile.applies_to("scipy")
    assert workspace.effective["default", "linux-64"].profile is None
    assert workspace.variant_constraints


def test_two_profiles_in_one_environment(tmp_path: Path) -> None:
    text = (
        HEAD
        + "[feature.a]\n[feature.b]\n[environments]\ne = ['a', 'b']\n[tool.smelt.profile.p]\n[tool.smelt.profile.q]\n"
        "[tool.smelt.feature]\na.profile = 'p'\nb.profile = 'q'\n"
    )
    found = mistakes(tmp_path, text)
    assert len(found) == 1
    assert found[0].kind == "manifest-profile"
    assert "`p` (feature `a`) and `q` (feature `b`)" in found[0].message
    assert [label.place.line for label in found[0].labels] == [7, 11, 12]
    assert not mistakes(tmp_path, text.replace("'q'", "'p'"))


def test_profiles_and_features_that_do_not_exist(tmp_path: Path) -> None:
    found = mistakes(tmp_path, HEAD + PROFILE.replace('"ubsan"', '"usan"'))
    assert [error.message for error in found] == ["the feature `ubsan` is not defined", "there is no profile `usan`"]
    assert found[1].help == "did you mean `ubsan`?"


def test_other_tools_are_left_alone(tmp_path: Path) -> None:
    assert not make(tmp_path, HEAD + "[tool.other]\nx = [1, { y = 2 }]\n").warnings
    assert not make(tmp_path, HEAD + "[tool.smelt]\nvariant-constraints = false\n").variant_constraints


def test_a_matrix_is_a_product_of_features(tmp_path: Path) -> None:
    features = "".join(f"[feature.{name}]\n" for name in ("py312", "py313", "cu12", "cu13"))
    workspace = make(
        tmp_path,
        HEAD + features + '[tool.smelt.matrix.all]\npython = ["py312", "py313"]\ncuda = ["cu12", "cu13"]\n'
        'exclude = [{ python = "py312", cuda = "cu13" }]\nsolve-group = "g"\n',
    )
    assert {name: each.features for name, each in workspace.environments.items()} == {
        "default": ("default",),
        "py312-cu12": ("py312", "cu12", "default"),
        "py313-cu12": ("py313", "cu12", "default"),
        "py313-cu13": ("py313", "cu13", "default"),
    }
    assert workspace.solve_groups == {"g": ("py312-cu12", "py313-cu12", "py313-cu13")}
    assert not workspace.warnings


def test_mistakes_in_a_matrix(tmp_path: Path) -> None:
    text = (
        HEAD
        + '[feature.a]\n[feature.b]\n[environments]\na-b = ["a"]\n[tool.smelt.matrix.m]\nx = ["a"]\ny = ["b", "c"]\n'
    )
    assert [error.message for error in mistakes(tmp_path, text)] == [
        "the matrix `m` makes an environment `a-b`, which there is already",
        "the feature `c` is not defined",
    ]


def test_variants(tmp_path: Path) -> None:
    """Of targets the later one says, then the workspace's own, then what the platform implies, then files."""
    (tmp_path / "one.yaml").write_text("python:\n  - '3.9'\nfoo: [1, true]\nc_stdlib_version: ['9']\n")
    (tmp_path / "two.yaml").write_text("foo: [2]\nbar:\n  - if: linux\n    then: l\n    else: o\n  - both\n")
    workspace = make(
        tmp_path,
        HEAD.replace("[]", '["conda-forge"]', 1) + 'build-variants-files = ["one.yaml", "two.yaml"]\n'
        '[workspace.build-variants]\npython = ["3.12.*", "3.13.*"]\nx = ["base"]\n'
        "[workspace.target.unix.build-variants]\n"
        'x = ["unix"]\n[workspace.target.linux-64.build-variants]\nx = ["linux"]\n',
    )
    assert dict(workspace.effective["default", "linux-64"].variants) == {
        "x": ("linux",),
        "python": ("3.12.*", "3.13.*"),
        "c_stdlib": ("sysroot",),
        "c_stdlib_version": ("2.28",),
        "foo": ("1", "true"),
        "bar": ("l", "both"),
    }
    osx = workspace.effective["default", "osx-arm64"].variants
    assert (osx["x"], osx["c_stdlib"], osx["c_stdlib_version"], osx["bar"]) == (
        ("unix",),
        ("macosx_deployment_target",),
        ("13.0",),
        ("o", "both"),
    )


def test_the_standard_library_needs_conda_forge(tmp_path: Path) -> None:
    assert not make(tmp_path, HEAD).effective["default", "linux-64"].variants


def test_variant_files(tmp_path: Path) -> None:
    path = tmp_path / "conda_build_config.yaml"
    path.write_text(
        "c_compiler:\n  - gcc  # [linux]\n  - clang  # [osx]\npython: 3.12  # [linux64 or win]\npin_run_as_build: {}\n"
    )
    assert read_variant_file(path, "linux-64").values == {"c_compiler": ("gcc",), "python": ("3.12",)}
    assert read_variant_file(path, "osx-arm64").values == {"c_compiler": ("clang",)}
    path.write_text("a: [1, 2]\nb: [3, 4]\nc: [5]\nzip_keys: [[a, b, absent], [c, absent]]\n")
    assert read_variant_file(path, "linux-64").zip_keys == (("a", "b"),)
    path.write_text("a: [1, 2]\nb: [3]\nzip_keys: [[a, b]]\n")
    with pytest.raises(ManifestError, match="`a` has 2, `b` has 1"):
        read_variant_file(path, "linux-64")
    for text in ("[", "- 1\n", "zip_keys: [a, b]\n", "zip_keys: 3\n", "a:\n  - if: strange(x)\n    then: 1\n"):
        path.write_text(text)
        with pytest.raises(ManifestError):
            read_variant_file(path, "linux-64")
    assert mistakes(tmp_path, HEAD + 'build-variants-files = ["nope.yaml"]\n')[0].kind == "manifest-missing-file"


def test_keys_that_go_together(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("a: [1, 2]\nb: [3, 4]\nzip_keys: [[a, b]]\n")
    (tmp_path / "two.yaml").write_text("b: [5, 6]\nc: [7, 8]\nd: [1]\ne: [1]\nzip_keys: [[b, c], [d, e]]\n")
    files = 'build-variants-files = ["one.yaml", "two.yaml"]\n'
    assert make(tmp_path, HEAD + files).effective["default", "linux-64"].zip_keys == (("a", "b"), ("d", "e"))
    replaced = make(tmp_path, HEAD + files + 'build-variants = { a = ["1", "2", "3"] }\n')
    assert replaced.effective["default", "linux-64"].zip_keys == (("b", "c"), ("d", "e"))
