"""Python projects rendered by the real rattler-build."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from source_packages import SETUPTOOLS, path_source, request, specs

from smelt.errors import NotSupportedError, SourceError
from smelt.source.backends.pyproject import lower_bound, python_spec
from smelt.source.backends.python import PythonBackend
from smelt.source.render import render
from smelt.types import CondaSpec
from smelt.workspace.model import Profile
from smelt.workspace.package import PackageRequirements, Pin

HOST = PackageRequirements(host=specs(python="*", setuptools="*"))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text(SETUPTOOLS)
    (tmp_path / "demo.py").write_text("def main(): print('demo')\n")
    return tmp_path


def test_pure_package_is_one_noarch_variant_whatever_pythons_there_are(project: Path) -> None:
    (variant,) = render(
        request(project, requirements=HOST, variants={"python": ("3.11.*", "3.12.*"), "numpy": ("2.*",)})
    )
    assert (variant.name, variant.version, variant.noarch, variant.subdir) == (
        "demo.pkg",
        "1.2.0rc1",
        "python",
        "noarch",
    )
    assert variant.build.startswith("pyh")
    assert dict(variant.variant) == {"target_platform": "noarch"}
    assert variant.host_requirements == ("python", "setuptools", "uv", "python >=3.10,<4")
    assert variant.run_requirements == ("python >=3.10,<4",)
    assert variant.license == "MIT"
    assert variant.recipe["about"] == {
        "homepage": "https://demo.example/",
        "license": "MIT",
        "repository": "https://code.example/demo",
    }
    assert variant.recipe["build"]["python"]["entry_points"] == ["demo = demo:main"]
    assert not variant.skip


def test_compiled_package_has_one_variant_per_python_in_the_order_given(project: Path) -> None:
    variants = render(
        request(
            project,
            requirements=HOST,
            config={"compilers": ["c", "cxx"], "installer": "pip"},
            variants={"python": ("3.12.*", "3.11.*"), "unused": ("1", "2")},
        )
    )
    assert [variant.variant["python"] for variant in variants] == ["3.12.*", "3.11.*"]
    assert [variant.build[:5] for variant in variants] == ["py312", "py311"]
    for variant, version in zip(variants, ("3.12.*", "3.11.*"), strict=True):
        assert dict(variant.variant) == {"python": version, "target_platform": "linux-64"}
        assert variant.subdir == "linux-64"
        assert variant.noarch is None
        assert variant.build_requirements == ("gcc_linux-64", "gxx_linux-64")
        assert variant.host_requirements == (f"python {version}", "setuptools", "pip", "python >=3.10,<4")
        assert variant.run_requirements == ("python >=3.10,<4",)


def test_without_build_variants_there_is_one_variant_and_python_is_free(project: Path) -> None:
    (variant,) = render(request(project, requirements=HOST, config={"compilers": ["c"]}))
    assert dict(variant.variant) == {"target_platform": "linux-64"}
    assert "python" in variant.host_requirements


@pytest.mark.parametrize(
    ("subdir", "compilers"),
    [
        ("linux-aarch64", ("gcc_linux-aarch64", "gxx_linux-aarch64")),
        ("osx-arm64", ("clang_osx-arm64", "clangxx_osx-arm64")),
        ("win-64", ("vs2022_win-64", "vs2022_win-64")),
    ],
)
def test_compilers_of_other_platforms(project: Path, subdir: str, compilers: tuple[str, ...]) -> None:
    (variant,) = render(request(project, config={"compilers": ["c", "cxx"]}, subdir=subdir))
    assert variant.build_requirements == compilers


def test_compiler_variants_of_the_workspace_win(project: Path) -> None:
    variants = {"c_compiler": ("clang",), "c_compiler_version": ("19",), "c_stdlib": ("sysroot",)}
    (variant,) = render(request(project, config={"compilers": ["c"]}, variants=variants))
    assert variant.build_requirements == ("clang_linux-64 19.*", "sysroot_linux-64")
    assert {"c_compiler", "c_compiler_version", "c_stdlib"} <= set(variant.variant)


def test_backends_that_are_always_compiled(project: Path) -> None:
    (project / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["Maturin>=1,<2"]\nbuild-backend = "maturin"\n'
        '[project]\nname = "demo"\nversion = "1"\n'
    )
    (variant,) = render(request(project))
    assert variant.build_requirements == ("rust_linux-64",)
    assert variant.noarch is None


def test_pip_script_and_environment(project: Path) -> None:
    (variant,) = render(
        request(project, config={"installer": "pip", "extra-args": ["-Ca=b"], "env": {"A": "1", "PIP_NO_INPUT": "0"}})
    )
    script = variant.recipe["build"]["script"]
    assert script["content"].split(" \\\n        ") == [
        '"$PYTHON" -m pip install --force-reinstall --no-compile',
        "-vv",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "-Ca=b",
        ".\n",
    ]
    assert variant.script_env["PIP_CONFIG_FILE"] == "/dev/null"
    assert variant.script_env["PYTHONHASHSEED"] == "0"
    assert variant.script_env["SOURCE_DATE_EPOCH"] == "315532800"
    assert variant.script_env["A"] == "1"
    assert variant.script_env["PIP_NO_INPUT"] == "0"


def test_windows_script(project: Path) -> None:
    (variant,) = render(request(project, config={"installer": "pip"}, subdir="win-64"))
    content = variant.recipe["build"]["script"]["content"]
    assert content.startswith('"%PYTHON%" -m pip install')
    assert content.endswith("if errorlevel 1 exit 1\n")
    assert variant.script_env["PIP_CONFIG_FILE"] == "NUL"


@pytest.mark.parametrize("backend", ["mesonpy", "scikit_build_core.build"])
def test_build_folders_have_a_fixed_name(project: Path, backend: str) -> None:
    text = SETUPTOOLS.replace("setuptools.build_meta", backend)
    (project / "pyproject.toml").write_text(text)
    (variant,) = render(request(project))
    assert "-Cbuild-dir=_smelt_build" in variant.recipe["build"]["script"]["content"]
    (variant,) = render(request(project, config={"extra-args": ["-Cbuild-dir=mine"]}))
    assert "_smelt_build" not in variant.recipe["build"]["script"]["content"]


def test_version_for_projects_that_would_ask_git(project: Path) -> None:
    (project / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools", "setuptools_scm[toml]>=6"]\n'
        '[project]\nname = "demo.pkg"\ndynamic = ["version"]\n'
    )
    (variant,) = render(request(project, version="3.1"))
    assert variant.version == "3.1"
    assert variant.script_env["SETUPTOOLS_SCM_PRETEND_VERSION_FOR_DEMO_PKG"] == "3.1"
    with pytest.raises(SourceError, match="has no version") as caught:
        render(request(project))
    assert "when it is built" in (caught.value.help or "")


def test_sdist_says_name_and_version_in_its_pkg_info(project: Path) -> None:
    (project / "pyproject.toml").unlink()
    (project / "setup.py").write_text("from setuptools import setup; setup()")
    (project / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: demo\nVersion: 0.6.2\n\nName: not this\n")
    (variant,) = render(request(project, digest="0" * 64))
    assert (variant.name, variant.version) == ("demo", "0.6.2")
    with pytest.raises(SourceError, match=r"has no pyproject\.toml"):
        render(request(project))


def test_package_table_wins_and_pyproject_can_be_ignored(project: Path) -> None:
    (variant,) = render(request(project, name="Other", version="9", license="BSD-3-Clause"))
    assert (variant.name, variant.version, variant.license) == ("other", "9", "BSD-3-Clause")
    (variant,) = render(request(project, name="other", version="9", config={"ignore-pyproject-manifest": True}))
    assert variant.license is None
    assert variant.host_requirements == ("uv", "python")


def test_abi3(project: Path) -> None:
    (variant,) = render(request(project, requirements=HOST, config={"compilers": ["c"], "abi3": True}))
    assert "python-abi3 3.10.*" in variant.host_requirements
    assert variant.ignore_run_exports_from == ("python",)
    assert variant.recipe["build"]["python"]["version_independent"] is True
    with pytest.raises(SourceError, match="noarch"):
        render(request(project, config={"abi3": True}))


def test_requirements_of_every_kind(project: Path) -> None:
    requirements = PackageRequirements(
        build=specs(cmake=">=3.20", ninja="*"),
        host=specs(
            numpy="*",
            exact="1.2",
            built=CondaSpec(version="1.*", build="*openblas"),
            far=CondaSpec(channel="https://c.example/far", version=">=1"),
        ),
        run={**specs(numpy="*"), "scipy": Pin(kind="compatible", name="scipy", lower_bound="x.x", upper_bound=None)},
        run_constraints=specs(old="<2"),
        run_exports={"weak": {"demo": Pin(kind="subpackage", name="demo", upper_bound="x.x")}},
        ignore_run_exports_by_name=("a",),
        ignore_run_exports_from=("b",),
    )
    (variant,) = render(
        request(
            project,
            name="demo",
            requirements=requirements,
            config={"noarch": False},
            variants={"numpy": ("2",), "exact": ("3",), "far": ("4",)},
        )
    )
    assert variant.build_requirements == ("cmake >=3.20", "ninja")
    assert variant.host_requirements == (
        "numpy 2.*",
        "exact ==1.2",
        "built 1.* *openblas",
        'far[version=">=1", channel="https://c.example/far"]',
        "uv",
        "python >=3.10,<4",
    )
    assert variant.run_requirements == (
        "numpy",
        {"pin_compatible": {"name": "scipy", "lower_bound": "x.x"}},
        "python >=3.10,<4",
    )
    assert variant.run_constraints == ("old <2",)
    assert dict(variant.run_exports) == {"weak": ("demo >=1.2.0rc1,<1.3.0a0",)}
    assert variant.ignore_run_exports_by_name == ("a",)
    assert variant.ignore_run_exports_from == ("b",)
    assert dict(variant.variant) == {"numpy": "2", "target_platform": "linux-64"}


def test_source_requirements_take_no_variant(project: Path) -> None:
    requirements = PackageRequirements(host={"numpy": path_source("../numpy"), "core": path_source("../core", ">=2")})
    (variant,) = render(
        request(project, requirements=requirements, config={"noarch": False}, variants={"numpy": ("1", "2")})
    )
    assert variant.host_requirements[:2] == ("numpy", "core >=2")
    assert {name: location.path for name, location in variant.source_requirements.items()} == {
        "core": "../core",
        "numpy": "../numpy",
    }


def test_requirements_under_conditions(project: Path) -> None:
    requirements = {
        "win": PackageRequirements(host=specs(pywin32="*")),
        "unix": PackageRequirements(host=specs(readline=">=8")),
        'match(python, "<3.12")': PackageRequirements(run=specs(tomli="*"), build={"gen": path_source("../gen")}),
    }
    variants = render(
        request(
            project,
            requirements=HOST,
            config={"noarch": False},
            variants={"python": ("3.11", "3.12")},
            target_requirements=requirements,
        )
    )
    assert [v.host_requirements[:3] for v in variants] == [
        ("python 3.11.*", "setuptools", "readline >=8"),
        ("python 3.12.*", "setuptools", "readline >=8"),
    ]
    assert [v.run_requirements[:-1] for v in variants] == [("tomli",), ()]
    assert [v.build_requirements for v in variants] == [("gen",), ()]
    assert [dict(v.source_requirements) != {} for v in variants] == [True, False]


def test_configuration_for_platforms(project: Path) -> None:
    more = {"target_config": {"win": {"compilers": ["c"]}, "unix": {"env": {"B": "2"}}}}
    (variant,) = render(request(project, config={"env": {"A": "1"}}, **more))
    assert variant.noarch == "python"
    assert (variant.script_env["A"], variant.script_env["B"]) == ("1", "2")
    (variant,) = render(request(project, config={"env": {"A": "1"}}, subdir="win-64", **more))
    assert variant.build_requirements == ("vs2022_win-64",)


def test_build_number_and_prefix(project: Path) -> None:
    (variant,) = render(request(project, build_number=7, build_string_prefix="mine"))
    assert variant.build.startswith("mine_pyh")
    assert variant.build.endswith("_7")
    assert variant.build_number == 7
    assert variant.recipe["build"]["string"] == variant.build


PROFILE = Profile(
    name="ubsan",
    env={"CFLAGS": '-fsanitize=undefined -DX="y"', "LDFLAGS": "-L$PREFIX/lib", "MODE": "a b"},
    config={"pixi-build-python": {"extra-args": ["-Csetup-args=-Dbuildtype=debug"], "env": {"B": "2"}}},
)


def test_profile_is_a_variant_with_its_own_build_string(project: Path) -> None:
    config = {"compilers": ["c"], "installer": "pip", "env": {"A": "1"}, "extra-args": ["-Cx=y"]}
    (plain,) = render(request(project, requirements=HOST, config=config))
    (variant,) = render(request(project, requirements=HOST, config=config, profile=PROFILE))
    assert dict(variant.variant) == {"smelt_profile": "ubsan", "target_platform": "linux-64"}
    assert variant.build != plain.build
    lines = variant.recipe["build"]["script"]["content"].splitlines()
    assert lines[:3] == [
        'export CFLAGS="${CFLAGS:+$CFLAGS }-fsanitize=undefined -DX=\\"y\\""',
        'export LDFLAGS="${LDFLAGS:+$LDFLAGS }-L$PREFIX/lib"',
        'export MODE="a b"',
    ]
    assert "-Csetup-args=-Dbuildtype=debug" in variant.recipe["build"]["script"]["content"]
    assert "-Cx=y" not in variant.recipe["build"]["script"]["content"]
    assert (variant.script_env["A"], variant.script_env["B"]) == ("1", "2")
    assert variant.metadata_digest != plain.metadata_digest


def test_profile_on_windows(project: Path) -> None:
    (variant,) = render(request(project, config={"compilers": ["c"]}, profile=PROFILE, subdir="win-64"))
    lines = variant.recipe["build"]["script"]["content"].splitlines()
    assert lines[0] == 'if defined CFLAGS set "CFLAGS=%CFLAGS% -fsanitize=undefined -DX="y""'
    assert lines[1] == 'if not defined CFLAGS set "CFLAGS=-fsanitize=undefined -DX="y""'
    assert lines[4] == 'set "MODE=a b"'


@pytest.mark.skipif(os.name == "nt", reason="needs bash")
@pytest.mark.parametrize("before", [None, "-O2"])
def test_profile_in_a_real_shell(project: Path, before: str | None) -> None:
    profile = Profile(name="p", env={"CFLAGS": '-g -DX="a b" $PREFIX `id` $(id) \\n', "MODE": "x'y"})
    (variant,) = render(request(project, profile=profile))
    script = variant.recipe["build"]["script"]["content"].partition("\nuv pip")[0]
    environment = {"PREFIX": "/p", **({"CFLAGS": before} if before is not None else {})}
    done = subprocess.run(
        ["bash", "-euc", f'{script}\nprintf "%s|%s" "$CFLAGS" "$MODE"'],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    added = '-g -DX="a b" /p `id` $(id) \\n'
    assert done.stdout == (f"{before} {added}" if before else added) + "|x'y"


@pytest.mark.parametrize("env", [{"A B": "x"}, {"A": "x\ny"}])
def test_profile_that_no_shell_can_take(project: Path, env: dict[str, str]) -> None:
    with pytest.raises(SourceError, match="profile `p`"):
        render(request(project, profile=Profile(name="p", env=env)))


def test_recipe_names_no_folder_of_the_machine(project: Path) -> None:
    (variant,) = render(request(project))
    assert str(project) not in repr(dict(variant.recipe))
    assert variant.recipe_folder == project


def test_second_rendering_is_read_from_the_cache_and_a_damaged_one_is_made_again(
    project: Path, own_cache: Path
) -> None:
    first = render(request(project, requirements=HOST))
    (cached,) = (own_cache / "smelt" / "render").rglob("*.json")
    written = cached.stat().st_mtime_ns
    assert render(request(project, requirements=HOST)) == first
    assert cached.stat().st_mtime_ns == written
    cached.write_text("[{]")
    assert render(request(project, requirements=HOST)) == first
    assert cached.read_text().startswith('[{"name"')


@pytest.mark.parametrize(
    ("config", "message", "help"),
    [
        ({"extra-arg": []}, "unknown field `extra-arg`", "did you mean `extra-args`"),
        ({"noarch": "yes"}, "must be true or false", None),
        ({"compilers": "c"}, "must be a list of texts", None),
        ({"env": {"A": 1}}, "must be a table of texts", None),
        ({"installer": "conda"}, "`installer` is `conda`", "uv"),
    ],
)
def test_bad_configuration(project: Path, config: dict[str, object], message: str, help: str | None) -> None:
    with pytest.raises(SourceError, match=message) as caught:
        render(request(project, config=config))
    assert help is None or help in (caught.value.help or "")


def test_mapping_of_pypi_names_is_not_there_yet(project: Path) -> None:
    with pytest.raises(NotSupportedError, match="mapping"):
        render(request(project, config={"ignore-pypi-mapping": False}))


def test_bad_pyproject_points_at_the_line(project: Path) -> None:
    (project / "pyproject.toml").write_text('[project]\nname = "demo"\nversion = "not a version"\n')
    with pytest.raises(SourceError, match="not a version") as caught:
        render(request(project))
    assert caught.value.labels[0].place.line == 3
    (project / "pyproject.toml").write_text('[project]\nname = "demo\n')
    with pytest.raises(SourceError, match="not valid TOML") as caught:
        render(request(project))
    assert caught.value.labels[0].place.line == 2


def test_licences_that_are_no_spdx_expression_are_left_out_with_a_warning(project: Path) -> None:
    (project / "pyproject.toml").write_text(SETUPTOOLS.replace('"mit"', '"BSD License"'))
    (variant,) = render(request(project))
    assert variant.license is None
    assert "BSD License" in PythonBackend().recipe(request(project)).warnings[0]


def test_license_files(project: Path) -> None:
    for name in ("LICENSE", "LICENCE.md", "sub/NOTICE"):
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text("")
    line = 'license-files = ["LICEN[CS]E*", "sub/*", "missing*"]\ndependencies'
    (project / "pyproject.toml").write_text(SETUPTOOLS.replace("dependencies", line))
    (variant,) = render(request(project))
    assert variant.recipe["about"]["license_file"] == ["LICENCE.md", "LICENSE", "sub/NOTICE"]
    for pattern in ("../*", "/etc/*", ""):
        text = SETUPTOOLS.replace("dependencies", f'license-files = ["{pattern}"]\ndependencies')
        (project / "pyproject.toml").write_text(text)
        with pytest.raises(SourceError, match=r"leaves the project|not a valid pattern") as caught:
            render(request(project))
        assert caught.value.labels


@pytest.mark.parametrize(
    ("given", "spec", "bound"),
    [
        (">=3.8, <4", ">=3.8,<4", "3.8"),
        ("==3.*", "3.*", None),
        ("~=3.9", "~=3.9", None),
        ("<4, >= 3.11.2", "<4,>=3.11.2", "3.11.2"),
        ("", "", None),
    ],
)
def test_requires_python(given: str, spec: str, bound: str | None) -> None:
    assert python_spec(given) == spec
    assert lower_bound(given) == bound


def test_backends_that_are_programs_are_not_started_unasked(project: Path) -> None:
    with pytest.raises(NotSupportedError, match=r"pixi-build-mojo.*not started here"):
        render(request(project, backend="pixi-build-mojo"))
