"""Single changes, and which packages they change.

``a`` is a recipe, ``b`` has ``a`` in its host environment, ``c`` is a Python project that has nothing to do with them;
``c+fast`` is ``c`` built with a profile, in an environment of its own. Only the plan is looked at: a build key that
changed means that the package is made anew, an unchanged content key that it is only repacked.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from identity_kit import (
    FILES,
    SWAPPED,
    Case,
    Change,
    Keys,
    another_branch,
    another_branch_and_back,
    another_home,
    append,
    cloned,
    committed,
    config,
    differences,
    edit,
    ignored_by_exclude,
    link_to_file,
    manifest,
    offered,
    recipe,
    swap_link,
    unconstrained,
    variable,
    write,
)

from smelt.api.building import explain_builds
from smelt.api.workspace import Workspace
from smelt.build import key as keys
from smelt.source.backends.python import PythonBackend
from smelt.source.backends.rattler_build import RattlerBuildBackend
from spine_kit import SUBDIR, Channel, posix

pytestmark = [pytest.mark.build, posix]


ALL = "a! b! c! c+fast!"
A, A_AGAIN, C, C_AGAIN, NOTHING = "a! b!", "a~ b~", "c! c+fast!", "c~ c+fast~", ""

# name → what is built anew (!), only repacked (~) or gone (-), and the change
CHANGES: dict[str, tuple[str, Change]] = {
    # files
    "content of a file": (A, write("a/data.txt", "Data\n")),
    "content of a file of b": ("b!", write("b/more.txt", "more\n")),
    "content of a module": (C, write("c/c.py", "value = 2\n")),
    "content of documentation": (A, write("a/docs/page.md", "Page\n")),
    "readme of the package": (A, write("a/README.md", "A\n")),
    "readme of the workspace": (NOTHING, write("README.md", "Read me\n")),
    "exec bit": (A, lambda case: case.path("a/tool.sh").chmod(0o755)),
    "mode without exec bit": (NOTHING, lambda case: case.path("a/data.txt").chmod(0o600)),
    "time of a file": (NOTHING, lambda case: os.utime(case.path("a/data.txt"), (1, 1))),
    "time of a folder": (NOTHING, lambda case: os.utime(case.path("a"), (1, 1))),
    "new file": (A, write("a/new.txt", "")),
    "new file in a new folder": (A, write("a/deep/er/new.txt", "")),
    "new ignored file": (NOTHING, write("a/new.log", "log")),
    "new file outside of packages": (NOTHING, write("new.txt", "")),
    "new empty folder": (NOTHING, lambda case: case.path("a/empty").mkdir()),
    "bytecode": (NOTHING, write("c/__pycache__/c.cpython-312.pyc", "")),
    "content of an ignored file": (NOTHING, write("c/ignored.log", "changed")),
    "what is ignored": (A, write("a/.gitignore", "*.log\n*.tmp\n")),
    "deleted file": (A, lambda case: case.path("a/docs/page.md").unlink()),
    "renamed file": (A, lambda case: case.path("a/docs/page.md").rename(case.path("a/docs/pages.md"))),
    "target of a link": (A, swap_link),
    "a link becomes a file": (A, link_to_file),
    "licence text": (A, write("a/LICENSE", "do it\n")),
    # what a machine may have
    "compiler cache of the workspace": (NOTHING, append("pixi.toml", '[tool.smelt]\ncompiler-cache = "ccache"\n')),
    "a variable of the caller that a script may see": (
        A,
        edit("a/pixi.toml", "[package.build]\n", '[package.build]\nsecrets = ["TOKEN"]\n'),
    ),
    # recipe
    "recipe: comment": (NOTHING, append("a/recipe.yaml", "# a comment\n")),
    "recipe: order of keys": (NOTHING, recipe(*SWAPPED)),
    "recipe: script": (A, recipe("cp data.txt", "cp -p data.txt")),
    "recipe: script environment": (A, recipe('LEVEL: "1"', 'LEVEL: "2"')),
    "recipe: another variable of the script": (A, recipe('LEVEL: "1"', 'LEVEL: "1", MORE: "1"')),
    "recipe: tests": (NOTHING, recipe("test -f", "test -r")),
    "recipe: another test with requirements": (
        NOTHING,
        recipe("about:", "  - script: [other]\n    requirements: {run: [other]}\nabout:"),
    ),
    "recipe: summary": (A_AGAIN, recipe("summary: ${{ summary }}", "summary: another one")),
    "recipe: homepage": (A_AGAIN, recipe("license: MIT", "license: MIT\n  homepage: https://a.example")),
    "recipe: licence": (A_AGAIN, recipe("license: MIT", "license: BSD-3-Clause")),
    "recipe: licence files": (A, recipe("license_file: LICENSE", "license_file: [LICENSE, README.md]")),
    "recipe: extra": (A_AGAIN, append("a/recipe.yaml", "extra: {maintainers: [me]}\n")),
    # what is required at run time is in the environment that b is built in
    "recipe: run requirement": ("a~ b!", recipe("run: [runner]", "run: [runner, other]")),
    "recipe: version of a run requirement, for the same package": (
        A_AGAIN,
        recipe("run: [runner]", "run: [runner >=1]"),
    ),
    "recipe: constraint": (A_AGAIN, recipe("run: [runner]", "run: [runner]\n  run_constraints: [other <2]")),
    "recipe: run-exports": (A_AGAIN, recipe("run: [runner]", "run: [runner]\n  run_exports: [a >=1]")),
    "recipe: build requirement": (A, recipe("build: [compiler]", "build: [compiler, other]")),
    "recipe: host requirement": (A, recipe("host: [library", "host: [other, library")),
    "recipe: host requirement of b": ("b!", edit("b/recipe.yaml", "host: [a]", "host: [a, other]")),
    "recipe: run requirement of b": ("b~", edit("b/recipe.yaml", "host: [a]", "host: [a], run: [other]")),
    "recipe: build number": (A, recipe("number: 0", "number: 1")),
    "recipe: version": (A, recipe('version: "1.0"', 'version: "1.1"')),
    "recipe: noarch": (A, recipe("number: 0", "number: 0\n  noarch: generic")),
    "recipe: how it is linked": (A, recipe("number: 0", "number: 0\n  dynamic_linking: {rpaths: [lib, lib64]}")),
    # configuration of backends
    "configuration: key without effect": (A_AGAIN, edit("a/pixi.toml", '"here"', '"there"')),
    "configuration: experimental": (A_AGAIN, config("a", "experimental = true")),
    "configuration: recipe": (A_AGAIN, config("a", 'recipe = "recipe.yaml"')),
    "configuration: globs that add": (
        A,
        lambda case: (write("a/x.log", "")(case), config("a", 'extra-input-globs = ["*.log"]')(case)),
    ),
    "configuration: globs that add nothing": (A_AGAIN, config("a", 'extra-input-globs = ["*.none"]')),
    "configuration: globs that take away": (A, config("a", 'extra-input-globs = ["!docs/"]')),
    "configuration: globs that add the recipe": (A, config("a", 'extra-input-globs = ["recipe.yaml"]')),
    "configuration: python, debug-dir": (C_AGAIN, edit("c/pixi.toml", '"here"', '"there"')),
    "configuration: python, noarch": (C, config("c", "noarch = false")),
    "configuration: python, noarch as it is": (C_AGAIN, config("c", "noarch = true")),
    "configuration: python, env": (C, config("c", 'env = { LEVEL = "1" }')),
    "configuration: python, extra-args": (C, config("c", 'extra-args = ["-Csetup-args=x"]')),
    "configuration: python, installer": (C, config("c", 'installer = "pip"')),
    "configuration: python, compilers": (C, config("c", 'compilers = ["c"]')),
    "configuration: python, abi3": (C, config("c", "noarch = false\nabi3 = true")),
    "configuration: python, skip-pyc-compilation": (C, config("c", "skip-pyc-compilation = true")),
    "configuration: python, extra-input-globs": (C, config("c", 'extra-input-globs = ["*.log"]')),
    "configuration: python, ignore-pyproject-manifest": (C_AGAIN, config("c", "ignore-pyproject-manifest = true")),
    "configuration: python, ignore-pypi-mapping": (C_AGAIN, config("c", "ignore-pypi-mapping = true")),
    "configuration: python, of another platform": (
        NOTHING,
        append("c/pixi.toml", '[package.build.target.win-arm64.config]\nextra-args = ["-v"]\n'),
    ),
    # package tables
    "package: comment": (NOTHING, append("a/pixi.toml", "# comment\n")),
    "package: order of tables": (NOTHING, lambda case: case.write("b/pixi.toml", reordered(case))),
    "package: description": (C_AGAIN, edit("c/pixi.toml", 'version = "1.0"', 'version = "1.0"\ndescription = "d"')),
    "package: version": (C, edit("c/pixi.toml", 'version = "1.0"', 'version = "1.1"')),
    "package: run dependency": (C_AGAIN, append("c/pixi.toml", '[package.run-dependencies]\nother = "*"\n')),
    "package: host dependency": (C, append("c/pixi.toml", '[package.host-dependencies]\nother = "*"\n')),
    "package: build dependency": (C, append("c/pixi.toml", '[package.build-dependencies]\nother = "*"\n')),
    "package: run constraint": (C_AGAIN, append("c/pixi.toml", '[package.run-constraints]\nother = "<2"\n')),
    "package: run-exports": (C_AGAIN, append("c/pixi.toml", '[package.run-exports.noarch]\nother = "*"\n')),
    "project: description": (C, edit("c/pyproject.toml", "a project", "the project")),
    # variants and profiles
    "variant: value": (A, manifest('library = ["1.*"]', 'library = ["2.*"]')),
    "variant: another value after it": (NOTHING, manifest('library = ["1.*"]', 'library = ["1.*", "2.*"]')),
    "variant: unused key": (NOTHING, manifest('library = ["1.*"]', 'library = ["1.*"]\nunused = ["1"]')),
    "variant: of another platform": (
        NOTHING,
        manifest("[tasks]", '[workspace.target.win-arm64.build-variants]\nlibrary = ["2.*"]\n[tasks]'),
    ),
    "variants file: value": (A, write("variants.yaml", 'flavour: ["2.*"]\n')),
    "variants file: comment": (NOTHING, append("variants.yaml", "# comment\n")),
    "variants file: unused key": (NOTHING, append("variants.yaml", 'unused: ["1"]\n')),
    "variants file beside the recipe: unused key": (NOTHING, write("a/variants.yaml", 'unused: ["1"]\n')),
    "variant constraints, lock updated": (A_AGAIN, unconstrained),
    "profile: environment": ("c+fast!", manifest('CFLAGS = "-O2"', 'CFLAGS = "-O3"')),
    "profile: another variable": ("c+fast!", manifest('CFLAGS = "-O2"', 'CFLAGS = "-O2", LDFLAGS = "-s"')),
    "profile: configuration": (
        "c+fast!",
        manifest(
            'env = { CFLAGS = "-O2" }', 'env = { CFLAGS = "-O2" }\nconfig.pixi-build-python = { extra-args = ["-v"] }'
        ),
    ),
    "profile: for other packages": ("c+fast-", manifest('"-O2" }', '"-O2" }\npackages = ["a"]')),
    "profile: what processes need": (NOTHING, manifest('"-O2" }', '"-O2" }\nactivation.env = { X = "1" }')),
    "profile: another one": (NOTHING, append("pixi.toml", '[tool.smelt.profile.slow]\nenv = { CFLAGS = "-O0" }\n')),
    # packages of channels
    "channel: another content of a host package": (A, offered(("library", "1.0"))),
    "channel: another content of a build package": (A, offered(("compiler", "1.0"))),
    "channel: another content of a run dependency": ("b!", offered(("runner", "1.0"))),
    "channel: newer host package, lock kept": (NOTHING, offered(("library", "1.5"), update=False)),
    "channel: newer host package, lock updated": (A, offered(("library", "1.5"))),
    "channel: newer build package, lock updated": (A, offered(("compiler", "2.0"))),
    "channel: newer run dependency, lock updated": ("b!", offered(("runner", "2.0"))),
    "channel: newer python, lock updated": (C, offered(("python", "3.12.9"))),
    "channel: unrelated package": (NOTHING, offered(("unrelated", "1.0"))),
    "channel: another folder with the same packages": (NOTHING, offered()),
    # versions
    "version of the recipe backend": (A, lambda case: case.patch.setattr(RattlerBuildBackend, "version", "0")),
    "version of the python backend": (C, lambda case: case.patch.setattr(PythonBackend, "version", "0")),
    "version of the build schema": (ALL, lambda case: case.patch.setattr(keys, "SCHEMA", 0)),
    "version of rattler-build": (
        ALL,
        lambda case: case.patch.setattr(keys, "_tools", lambda: (("rattler-build", "0"),)),
    ),
    # workspace
    "workspace: comment": (NOTHING, append("pixi.toml", "# comment\n")),
    "workspace: name": (NOTHING, manifest('name = "test"', 'name = "other"')),
    "workspace: version and description": (
        NOTHING,
        manifest('name = "test"', 'name = "test"\nversion = "9"\ndescription = "d"'),
    ),
    "workspace: task": (NOTHING, manifest("echo hello", "echo goodbye")),
    "workspace: new task": (NOTHING, manifest("[tasks]", '[tasks]\nmore = "echo"')),
    "workspace: dependency": (NOTHING, manifest("[dependencies]", '[dependencies]\nother = "*"')),
    "workspace: activation": (NOTHING, append("pixi.toml", '[activation.env]\nX = "1"\n')),
    "workspace: feature that no environment has": (
        NOTHING,
        append("pixi.toml", '[feature.more.dependencies]\nother = "*"\n'),
    ),
    "workspace: another environment": (
        NOTHING,
        manifest("[environments]", '[feature.more.dependencies]\nother = "*"\n[environments]\nmore = ["more"]'),
    ),
    "workspace: no lock file": (NOTHING, lambda case: case.path("pixi.lock").unlink()),
    "workspace: installed environment": (NOTHING, write(".pixi/envs/default/x", "")),
    "workspace: another folder": (NOTHING, lambda case: None),
    # git
    "git: repository": (NOTHING, committed()),
    "git: another commit with the same files": (NOTHING, committed(another_branch)),
    "git: another branch and back": (NOTHING, committed(another_branch_and_back)),
    "git: clone": (NOTHING, cloned),
    "git: untracked file": (A, committed(write("a/untracked", ""))),
    "git: file ignored by its exclude list": (NOTHING, committed(ignored_by_exclude)),
    "git: changed tracked file": (A, committed(write("a/data.txt", "Data\n"))),
    "git: configuration": (NOTHING, committed(lambda case: case.git("config", "core.filemode", "false"))),
    # the caller
    "caller: another home": (NOTHING, another_home),
    "caller: CFLAGS": (NOTHING, variable("CFLAGS", "-O3")),
    "caller: PYTHONPATH": (NOTHING, variable("PYTHONPATH", "/somewhere")),
    "caller: LANG": (NOTHING, variable("LANG", "de_DE.UTF-8")),
    "caller: TZ": (NOTHING, variable("TZ", "Asia/Tokyo")),
    "caller: SOURCE_DATE_EPOCH": (NOTHING, variable("SOURCE_DATE_EPOCH", "1")),
    "caller: a variable of the script": (NOTHING, variable("LEVEL", "9")),
    "caller: compiler cache": (NOTHING, variable("SMELT_COMPILER_CACHE", "ccache")),
    "caller: sandbox": (NOTHING, variable("SMELT_SANDBOX", "1")),
    "caller: shared store": (NOTHING, variable("SMELT_SHARED_STORE", "/somewhere")),
    "caller: active environment": (NOTHING, variable("CONDA_PREFIX", "/somewhere")),
}


def reordered(case: Case) -> str:
    """The package table of ``b`` with its last table first."""
    head, _, tail = case.path("b/pixi.toml").read_text(encoding="utf-8").partition("[package.host-dependencies]")
    return f"[package.host-dependencies]{tail}{head}"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Keys]:
    """The locked workspace, the folder of its channel, and its builds."""
    folder = tmp_path_factory.mktemp("base")
    channel = Channel(folder / "channel")
    for name, version in [
        *((name, "1.0") for name in ("compiler", "runner", "other", "uv", "pip", "setuptools")),
        *((name, version) for name in ("library", "flavour") for version in ("1.0", "2.0")),
        ("python", "3.12.1"),
        ("python-abi3", "3.9"),
    ]:
        channel.add(name, version)
    channel.add("gcc_linux-64" if SUBDIR.startswith("linux-64") else f"gcc_{SUBDIR}", "1.0")
    channel.add(f"clang_{SUBDIR}", "1.0")
    channel.index()
    root = folder / "workspace"
    for name, text in FILES.items():
        text = text.replace("CHANNEL", channel.url).replace("SUBDIR", SUBDIR)
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    (root / "a" / "link").symlink_to("data.txt")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIXI_CACHE_DIR", str(folder / "cache"))
        nodes = Case(root=root, channel=channel.folder, patch=patch).plan()
    assert set(nodes) == {"a", "b", "c", "c+fast"}
    return root, channel.folder, nodes


@pytest.fixture
def case(base: tuple[Path, Path, Keys], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    root, channel, _ = base
    monkeypatch.setenv("PIXI_CACHE_DIR", str(root.parent / "cache"))
    monkeypatch.delenv("PIXI_IN_SHELL", raising=False)
    shutil.copytree(root, tmp_path / "workspace", symlinks=True)
    return Case(root=tmp_path / "workspace", channel=channel, patch=monkeypatch)


def test_the_table_is_long_enough() -> None:
    assert len(CHANGES) >= 60


@pytest.mark.parametrize("name", list(CHANGES))
def test_change(name: str, base: tuple[Path, Path, Keys], case: Case) -> None:
    expected, change = CHANGES[name]
    change(case)
    found = case.plan()
    assert differences(base[2], found) == set(expected.split())
    assert set(found) <= set(base[2])


@pytest.fixture
def buildable(case: Case) -> Case:
    """Only ``a`` and ``b``, which a shell can build."""
    text = case.path("pixi.toml").read_text(encoding="utf-8").partition('c = { path = "c" }')[0]
    case.write("pixi.toml", text)
    case.patch.setenv("PIXI_CACHE_DIR", str(case.root.parent / "cache"))
    return case


def made(case: Case) -> set[str]:
    """What ``build`` does: ``a!`` built, ``a~`` repacked."""
    artifacts = Workspace.load(case.root).build(["default"]).values()
    return {f"{each.record.name}{'~' if each.repacked else '!'}" for each in artifacts if each.built}


BUILT = (
    "content of a file",
    "exec bit",
    "content of an ignored file",
    "time of a file",
    "recipe: tests",
    "recipe: comment",
    "recipe: summary",
    "recipe: run requirement",
    "recipe: constraint",
    "recipe: run-exports",
    "workspace: task",
)


def test_builds_do_what_the_keys_say(buildable: Case) -> None:
    """One change after the other; each of them is told before and done."""
    assert made(buildable) == {"a!", "b!"}
    assert made(buildable) == set()
    pristine = buildable.root.with_name("pristine")
    shutil.copytree(buildable.root, pristine, symlinks=True)
    for name in BUILT:
        shutil.rmtree(buildable.root)
        shutil.copytree(pristine, buildable.root, symlinks=True)
        expected, change = CHANGES[name]
        change(buildable)
        plan = Workspace.load(buildable.root).plan(["default"])
        told = {
            f"{each.label.split()[0]}{'~' if each.repacks else '!'}" for each in explain_builds(plan) if not each.stored
        }
        assert told == set(expected.split()), name
        assert made(buildable) == told, name
        assert made(buildable) == set(), name


def test_one_change_at_a_time_can_be_taken_back(base: tuple[Path, Path, Keys], case: Case) -> None:
    case.write("a/data.txt", "other\n")
    assert differences(base[2], case.plan()) == set(A.split())
    case.write("a/data.txt", "data\n")
    assert differences(base[2], case.plan()) == set()
