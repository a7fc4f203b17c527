"""Recipes rendered by the real rattler-build, through the package table's workspace."""

from __future__ import annotations

from pathlib import Path

import pytest
from source_packages import path_source, request, specs

from smelt.errors import NotSupportedError, SourceError
from smelt.source.model import RenderRequest
from smelt.source.render import render
from smelt.workspace.model import Profile
from smelt.workspace.package import PackageRequirements

SIMPLE = """\
context:
  version: "1.10"
package:
  name: simple
  version: ${{ version }}
source:
  path: .
build:
  number: 3
  script: build.sh
  skip:
    - win
    - match(python, "<3.12")
requirements:
  build:
    - ${{ compiler('c') }}
  host:
    - python
    - zlib >=1
  run:
    - python
    - ${{ pin_compatible('zlib', upper_bound='x.x') }}
  run_exports:
    - ${{ pin_subpackage('simple', upper_bound='x') }}
about:
  license: MIT
tests:
  - script: check.sh
"""

PYTHONS = {"python": ("3.11.*", "3.12.*", "3.13.*")}
UBSAN = Profile(name="ubsan", env={"CFLAGS": "-g"})


def recipe(folder: Path, text: str = SIMPLE, name: str = "recipe.yaml", **more: object) -> RenderRequest:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return request(folder, backend="pixi-build-rattler-build", **more)  # type: ignore[arg-type]


def test_variants_of_a_recipe(tmp_path: Path) -> None:
    variants = render(recipe(tmp_path, variants=PYTHONS))
    assert [(v.variant["python"], v.skip) for v in variants] == [
        ("3.11.*", True),
        ("3.12.*", False),
        ("3.13.*", False),
    ]
    variant = variants[1]
    assert (variant.name, variant.version, variant.build_number) == ("simple", "1.10", 3)
    assert variant.build.startswith("py312h")
    assert variant.build.endswith("_3")
    assert variant.build_requirements == ("gcc_linux-64",)
    assert variant.host_requirements == ("python 3.12.*", "zlib >=1")
    assert variant.run_requirements == (
        "python",
        {"pin_compatible": {"name": "zlib", "lower_bound": "x.x.x.x.x.x", "upper_bound": "x.x"}},
    )
    assert dict(variant.run_exports) == {"weak": ("simple >=1.10,<2.0a0",)}
    assert variant.recipe["build"]["script"] == {"content": "build.sh"}
    (tmp_path / "build.sh").write_text("make")
    variants = render(recipe(tmp_path, variants=PYTHONS))
    assert variants[1].recipe["build"]["script"] == {"file": "build.sh"}
    assert variant.recipe["tests"] == [{"script": "check.sh"}]
    assert variant.recipe["context"] == {"version": "1.10"}
    assert variant.license == "MIT"
    assert variant.recipe_folder == tmp_path
    assert variant.file_globs == ("!/pixi.toml", "!/pixi.lock", "!/recipe.yaml", "!/variants.yaml")


def test_build_strings_are_the_same_with_and_without_skip_conditions(tmp_path: Path) -> None:
    plain = SIMPLE.replace('  skip:\n    - win\n    - match(python, "<3.12")\n', "")
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert [v.build for v in render(recipe(tmp_path / "a", plain, variants=PYTHONS))] == [
        v.build for v in render(recipe(tmp_path / "b", variants=PYTHONS))
    ]


def test_everything_is_skipped_on_windows(tmp_path: Path) -> None:
    assert {v.skip for v in render(recipe(tmp_path, variants=PYTHONS, subdir="win-64"))} == {True}


@pytest.mark.parametrize(
    ("skip", "skipped"),
    [
        ("true", True),
        ("false", False),
        ('["osx", "linux and not x86_64"]', False),
        ("[{if: unix, then: linux}]", True),
        ("[{if: win, then: linux, else: osx}]", False),
    ],
)
def test_forms_of_skip(tmp_path: Path, skip: str, skipped: bool) -> None:
    text = f"package: {{name: a, version: '1'}}\nbuild:\n  skip: {skip}\n"
    (variant,) = render(recipe(tmp_path, text))
    assert variant.skip is skipped


def test_variants_yaml_beside_the_recipe_and_the_workspace_over_it(tmp_path: Path) -> None:
    (tmp_path / "variants.yaml").write_text(
        "python: ['3.12', '3.13']\nzlib: ['1', '2']\nzip_keys:\n  - [python, zlib]\n"
    )
    text = "package: {name: a, version: '1'}\nrequirements: {host: [python, zlib]}\n"
    variants = render(recipe(tmp_path, text))
    assert [(v.variant["python"], v.variant["zlib"]) for v in variants] == [("3.12", "1"), ("3.13", "2")]
    assert variants[0].host_requirements == ("python 3.12.*", "zlib 1.*")
    variants = render(recipe(tmp_path, text, variants={"python": ("3.11.*",)}))
    assert [(v.variant["python"], v.variant["zlib"]) for v in variants] == [("3.11.*", "1"), ("3.11.*", "2")]


def test_variants_yaml_is_an_input_of_the_cache(tmp_path: Path) -> None:
    text = "package: {name: a, version: '1'}\nrequirements: {host: [python]}\n"
    (tmp_path / "variants.yaml").write_text("python: ['3.12']\n")
    assert render(recipe(tmp_path, text))[0].variant["python"] == "3.12"
    (tmp_path / "variants.yaml").write_text("python: ['3.13']\n")
    assert render(recipe(tmp_path, text))[0].variant["python"] == "3.13"


MULTI = """\
recipe: {name: multi, version: "2.1"}
source: {path: ../code}
outputs:
  - package: {name: lib}
    build: {script: "make lib"}
    requirements:
      host: [zlib]
      run_exports:
        strong: ["${{ pin_subpackage('lib', upper_bound='x.x') }}"]
        weak_constraints: [old <1]
  - package: {name: tool}
    build: {noarch: generic}
    requirements:
      host: [lib]
      run:
        - ${{ pin_subpackage('lib', exact=True) }}
        - ${{ pin_subpackage('lib', lower_bound='x', upper_bound=None) }}
"""


DEFINITIONS = ("!/recipe/recipe.yaml", "!/recipe/variants.yaml", "!/variants.yaml")


def test_several_outputs(tmp_path: Path) -> None:
    folder = tmp_path / "packages"
    variants = {v.name: v for v in render(recipe(folder, MULTI, "recipe/recipe.yaml", variants={"zlib": ("1",)}))}
    lib, tool = variants["lib"], variants["tool"]
    assert tool.noarch == "generic"
    assert tool.subdir == "noarch"
    assert tool.run_requirements == (f"lib ==2.1 {lib.build}", "lib >=2")
    assert {name: str(at) for name, at in tool.source_requirements.items()} == {"lib": "."}
    assert lib.source_requirements == {}
    assert lib.host_requirements == ("zlib 1.*",)
    assert dict(lib.run_exports) == {"strong": ("lib >=2.1,<2.2.0a0",), "weak_constrains": ("old <1",)}
    assert lib.recipe_folder == folder / "recipe"
    assert lib.file_globs == ("!*", "&/recipe", "&/code", "!/pixi.toml", "!/pixi.lock", *DEFINITIONS)


def test_profile_of_several_outputs_reaches_pins_and_build_strings(tmp_path: Path) -> None:
    plain = {v.name: v for v in render(recipe(tmp_path, MULTI))}
    variants = {v.name: v for v in render(recipe(tmp_path, MULTI, profile=UBSAN))}
    assert variants["lib"].build != plain["lib"].build
    assert variants["tool"].run_requirements[0] == f"lib ==2.1 {variants['lib'].build}"
    assert variants["lib"].variant["smelt_profile"] == "ubsan"
    assert variants["lib"].recipe["build"]["script"]["content"] == ('export CFLAGS="${CFLAGS:+$CFLAGS }-g"\nmake lib')


def test_outputs_of_several_have_no_script_by_default(tmp_path: Path) -> None:
    variants = {v.name: v for v in render(recipe(tmp_path, MULTI, profile=UBSAN))}
    assert variants["tool"].recipe["build"]["script"]["content"] == 'export CFLAGS="${CFLAGS:+$CFLAGS }-g"'


@pytest.mark.parametrize(
    ("script", "run"),
    [
        ("", '. "$RECIPE_DIR/build.sh"'),
        ("script: other.sh", '. "$RECIPE_DIR/other.sh"'),
        ("script: other", '. "$RECIPE_DIR/other.sh"'),
        ("script: another.sh", "another.sh"),
        ("script: {env: {A: '1'}}", '. "$RECIPE_DIR/build.sh"'),
        ("script: {file: other.sh}", '. "$RECIPE_DIR/other.sh"'),
        ("script: make all", "make all"),
        ("script: [make, make install]", "make\nmake install"),
        ("script: {content: make, env: {A: '1'}}", "make"),
    ],
)
def test_profile_goes_before_every_form_of_script(tmp_path: Path, script: str, run: str) -> None:
    text = f"package: {{name: a, version: '1'}}\nbuild:\n  number: 0\n  {script}\n"
    for name in ("build.sh", "other.sh"):
        (tmp_path / name).write_text("make")
    (variant,) = render(recipe(tmp_path, text, profile=UBSAN))
    assert variant.recipe["build"]["script"]["content"] == f'export CFLAGS="${{CFLAGS:+$CFLAGS }}-g"\n{run}'
    assert variant.script_env == ({"A": "1"} if "env" in script else {})


@pytest.mark.parametrize(
    ("script", "explicit"),
    [
        ("", {"file": "build.sh"}),
        ("script: build", {"file": "build.sh"}),
        ("script: build.sh", {"file": "build.sh"}),
        ("script: build.sh --fast", {"content": "build.sh --fast"}),
        ("script: make", {"content": "make"}),
        ("script: [build.sh]", {"file": "build.sh"}),
        ("script: [make, build.sh]", {"content": ["make", "build.sh"]}),
        ("script: {content: build.sh, cwd: x}", {"content": "build.sh", "cwd": "x"}),
    ],
)
def test_scripts_are_explicit(tmp_path: Path, script: str, explicit: dict[str, object]) -> None:
    (tmp_path / "build.sh").write_text("make")
    text = f"package: {{name: a, version: '1'}}\nbuild:\n  number: 0\n  {script}\n"
    (variant,) = render(recipe(tmp_path, text))
    assert variant.recipe["build"]["script"] == explicit
    (variant,) = render(recipe(tmp_path, MULTI, "recipe.yaml"))[1:]
    assert variant.recipe["build"]["script"] == {"content": []}


@pytest.mark.parametrize("script", ["script: build.py", "script: {content: print(1), interpreter: python}"])
def test_profile_cannot_be_put_before_other_languages(tmp_path: Path, script: str) -> None:
    (tmp_path / "build.py").write_text("")
    text = f"package: {{name: a, version: '1'}}\nbuild:\n  {script}\n"
    with pytest.raises(NotSupportedError, match="not a script of the shell"):
        render(recipe(tmp_path, text, profile=UBSAN))


def test_build_number_of_the_package_table_reaches_exact_pins(tmp_path: Path) -> None:
    variants = {v.name: v for v in render(recipe(tmp_path, MULTI, build_number=4, build_string_prefix="my"))}
    assert variants["lib"].build.startswith("my_h")
    assert variants["lib"].build.endswith("_4")
    assert variants["tool"].run_requirements[0] == f"lib ==2.1 {variants['lib'].build}"


def test_source_packages_that_the_recipe_requires(tmp_path: Path) -> None:
    text = "package: {name: a, version: '1'}\nrequirements: {host: [core], run: [core, other]}\n"
    requirements = PackageRequirements(host={"core": path_source("../core"), "unused": path_source("../unused")})
    (variant,) = render(recipe(tmp_path, text, requirements=requirements))
    assert {name: str(at) for name, at in variant.source_requirements.items()} == {"core": "../core"}


def test_binary_requirements_belong_into_the_recipe(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="`zlib`") as caught:
        render(recipe(tmp_path, requirements=PackageRequirements(host=specs(zlib="*"))))
    assert "recipe" in (caught.value.help or "")


def test_recipe_by_configuration(tmp_path: Path) -> None:
    text = "package: {name: a, version: '1'}\n"
    (variant,) = render(recipe(tmp_path, text, "deep/other.yaml", config={"recipe": "deep/other.yaml"}))
    assert variant.recipe_folder == tmp_path / "deep"
    with pytest.raises(SourceError, match="not there"):
        render(recipe(tmp_path, text, config={"recipe": "nowhere.yaml"}))


def test_extra_input_globs_are_relative_to_the_package(tmp_path: Path) -> None:
    text = "package: {name: a, version: '1'}\n"
    config = {"extra-input-globs": ["data/**"]}
    (variant,) = render(recipe(tmp_path, text, "recipe/recipe.yaml", config=config))
    assert variant.file_globs == ("!*", "&/recipe", "!/pixi.toml", "!/pixi.lock", *DEFINITIONS, "data/**")


def test_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="has no recipe") as caught:
        render(request(tmp_path, backend="pixi-build-rattler-build"))
    assert "recipe/recipe.yaml" in (caught.value.help or "")


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("package:\n  name: a\n version: '1'\n", "Failed to parse YAML", 3),
        ("package:\n  name: a\n  version: ${{ nowhere }}\n", "undefined value", 3),
        ("package:\n  nam: a\n  version: '1'\n", "unknown field 'nam'", None),
        ("package: {name: a, version: '1'}\nrequirements:\n  host:\n    - 'a b c d'\n", "not valid", None),
    ],
)
def test_recipes_that_cannot_be_rendered(tmp_path: Path, text: str, message: str, line: int | None) -> None:
    with pytest.raises(SourceError, match=message) as caught:
        render(recipe(tmp_path, text))
    assert [label.place.line for label in caught.value.labels] == ([line] if line else [])
    assert "recipe.yaml" in caught.value.message


def test_missing_variant_key_says_where_to_put_it(tmp_path: Path) -> None:
    text = "package: {name: a, version: '1'}\nrequirements: {build: [\"${{ stdlib('c') }}\"]}\n"
    with pytest.raises(SourceError, match="No stdlib found") as caught:
        render(recipe(tmp_path, text, variants={"python": ("3.12",)}))
    assert "build-variants" in (caught.value.help or "")
    assert caught.value.notes == ("build variants: python 3.12",)


def test_bad_variants_yaml(tmp_path: Path) -> None:
    (tmp_path / "variants.yaml").write_text("python: [\n")
    with pytest.raises(SourceError, match=r"variants\.yaml"):
        render(recipe(tmp_path))


def test_absolute_path_sources_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="absolute"):
        render(recipe(tmp_path, "package: {name: a, version: '1'}\nsource: {path: /etc}\n"))


def test_files_read_by_jinja_are_found_beside_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "version.json").write_text('{"v": "7.1"}')
    text = (
        "context:\n  v: ${{ load_from_file('version.json').v }}\n"
        "package: {name: a, version: '${{ v }}'}\nbuild: {skip: [win]}\n"
    )
    config = {"experimental": True}
    assert render(recipe(tmp_path, text, config=config))[0].version == "7.1"
    (tmp_path / "version.json").write_text('{"v": "7.2"}')
    assert render(recipe(tmp_path, text, config=config))[0].version == "7.2"
