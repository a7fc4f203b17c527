"""Packages: tables, inheritance, pins, conditions, configuration."""

from __future__ import annotations

from pathlib import Path

import pytest
from workspace_kit import make, mistakes

from smelt.errors import ErrorGroup, ManifestError, NotSupportedError
from smelt.types import CondaSpec
from smelt.workspace.condition import PlatformContext, decide
from smelt.workspace.load import config_for, load_package, requirements_for
from smelt.workspace.model import Workspace
from smelt.workspace.package import Package, Pin

WORKSPACE = """\
[workspace]
name = "mono"
version = "3.1"
description = "all of it"
license = "MIT"
license-file = "LICENSE"
channels = ["conda-forge"]
platforms = ["linux-64"]
preview = ["pixi-build"]
[workspace.dependencies]
numpy = "1.*"
pixi-build-cmake = { version = "0.3.*", channel = "c" }
shared = { path = "packages/shared" }
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "LICENSE").touch()
    return make(tmp_path, WORKSPACE)


def package(workspace: Workspace, text: str, name: str = "pixi.toml") -> Package:
    folder = workspace.root / "packages/p"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return load_package(folder, workspace)


BUILD = '[package.build]\nbackend = { name = "pixi-build-python" }\n'


def test_all_fields(workspace: Workspace) -> None:
    found = package(
        workspace,
        '[package]\nname = "p"\nversion = "1.2"\nauthors = ["me"]\npublish = true\nhomepage = "https://h.example"\n'
        '[package.build]\nbackend = { name = "B", version = "1.*", channels = ["x"], '
        'additional-dependencies = { y = "*" } }\n'
        'source = { git = "https://h.example/s", rev = "abc", subdirectory = "./a/" }\nflags = ["f"]\n'
        "build-number = 2\n"
        'build-string-prefix = "pre"\nsecrets = ["TOKEN"]\nconfig = { a = 1, env = { A = "1" } }\n'
        '[package.build.target.linux.config]\na = 2\nenv = { B = "2" }\n[package.build.target.linux-64.config]\n'
        "b = 3\n",
    )
    assert (found.name, found.version, found.authors, found.publish) == ("p", "1.2", ("me",), True)
    assert (found.root, found.manifest_path) == (workspace.root / "packages/p", workspace.root / "packages/p/pixi.toml")
    assert (found.backend.name, found.backend.spec.version) == ("b", "1.*")
    assert found.backend.channels == ("https://conda.anaconda.org/x/",)
    assert list(found.backend.additional_dependencies) == ["y"]
    assert found.source is not None
    assert found.source.reference is not None
    assert (found.source.git, found.source.reference.rev, found.source.subdirectory) == (
        "https://h.example/s",
        "abc",
        "a",
    )
    assert (found.flags, found.build_number, found.build_string_prefix, found.secrets) == (("f",), 2, "pre", ("TOKEN",))
    assert config_for(found, "linux-64") == {"a": 2, "env": {"A": "1", "B": "2"}, "b": 3}
    assert config_for(found, "linux-aarch64") == {"a": 2, "env": {"A": "1", "B": "2"}}
    assert config_for(found, "win-64") == {"a": 1, "env": {"A": "1"}}


def test_source_of_a_release(workspace: Workspace) -> None:
    found = package(workspace, "[package]\nname = 'p'\n" + BUILD + 'source = { pypi = "MarkupSafe == 3.0.2" }\n')
    assert found.source is not None
    assert found.source.pypi == "MarkupSafe==3.0.2"


def test_inheritance(workspace: Workspace) -> None:
    found = package(
        workspace,
        "[package]\nname.workspace = true\nversion = { workspace = true }\ndescription.workspace = true\n"
        "license.workspace = true\nlicense-file.workspace = true\n[package.build]\n"
        'backend = { name = "pixi-build-cmake", workspace = true }\n[package.host-dependencies]\n'
        'numpy = { workspace = true, build = "py3*" }\nshared.workspace = true\n'
        "[package.run-dependencies.'if(unix)']\nnumpy.workspace = true\n",
    )
    assert (found.name, found.version, found.description, found.license) == ("mono", "3.1", "all of it", "MIT")
    assert found.license_file == "../../LICENSE"
    assert (found.backend.spec.version, found.backend.spec.channel) == ("0.3.*", "c")
    numpy = found.base.host["numpy"]
    assert isinstance(numpy, CondaSpec)
    assert (numpy.version, numpy.build) == ("1.*", "py3*")
    shared = found.base.host["shared"]
    assert isinstance(shared, CondaSpec)
    assert shared.location is not None
    assert shared.location.path == "../shared"
    assert list(requirements_for(found, "linux-64").run) == ["numpy"]
    assert list(requirements_for(found, "win-64").run) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[package]\nreadme.workspace = true\n" + BUILD, "no `readme` to inherit"),
        ("[package]\nname='p'\n" + BUILD + "[package.run-dependencies]\nghost.workspace = true\n", "does not define"),
        (
            "[package]\nname='p'\n"
            + BUILD
            + "[package.run-dependencies]\nshared = { workspace = true, channel = 'c' }\n",
            "cannot be used with the source",
        ),
        (
            "[package]\nname='p'\n" + BUILD + "[package.run-dependencies]\np = { pin-compatible = true }\n",
            "cannot pin the package itself",
        ),
        (
            "[package]\nname='p'\n" + BUILD + "[package.run-dependencies]\np = { pin-subpackage = true }\n",
            "belongs to `[package.run-exports]`",
        ),
        (
            "[package]\nname='p'\n" + BUILD + "[package.run-exports.weak]\nq = { pin-subpackage = true }\n",
            "is for the package itself",
        ),
        (
            "[package]\nname='p'\n" + BUILD + "[package.run-exports.weak]\nq = { path = 'q.conda' }\n",
            "cannot be exported",
        ),
        (
            "[package]\nname='p'\n" + BUILD + "[package.run-exports.weak-constraints]\nq = { path = 'q' }\n",
            "cannot be a constraint",
        ),
        ("[package.build]\nbackend = { name = 'shared', workspace = true }\n", "from source"),
        ("[workspace]\nchannels = []\n", "has no table `[package]`"),
    ],
)
def test_mistakes(workspace: Workspace, text: str, message: str) -> None:
    with pytest.raises((ManifestError, ErrorGroup)) as caught:
        package(workspace, text)
    assert message in caught.value.message


def test_pins(workspace: Workspace) -> None:
    found = package(
        workspace,
        "[package]\nname='p'\n" + BUILD + "[package.run-dependencies]\na = { pin-compatible = true }\n"
        'b = { pin-compatible = { lower-bound = "x.x", upper-bound = "2.0", build = "mpi_*" } }\n'
        "[package.run-exports.weak]\np = { pin-subpackage = { exact = true } }\n"
        "[package.run-exports.strong-constraints]\n"
        'c = ">=1"\n[package.extra-dependencies.test]\nd = "*"\n[package.run-constraints]\ne = "<2"\n',
    )
    assert found.base.run["a"] == Pin(kind="compatible", name="a")
    assert found.base.run["b"] == Pin(kind="compatible", name="b", lower_bound="x.x", upper_bound="2.0", build="mpi_*")
    pin = found.base.run_exports["weak"]["p"]
    assert isinstance(pin, Pin)
    assert (pin.kind, pin.exact) == ("subpackage", True)
    assert list(found.base.run_exports["strong-constraints"]) == ["c"]
    assert list(found.base.extra["test"]) == ["d"]
    assert list(found.base.run_constraints) == ["e"]


def test_conditions(workspace: Workspace) -> None:
    """A plain entry and one under a condition both hold."""
    found = package(
        workspace,
        "[package]\nname='p'\n" + BUILD + '[package.host-dependencies]\nnumpy = ">=1|0.5"\nx = "1"\n'
        "[package.host-dependencies.\"if(host_platform == 'linux-64')\"]\nnumpy = \"<2\"\ny = '*'\n"
        "[package.build-dependencies.'if(build_platform != host_platform)']\ncross = '*'\n"
        "[package.target.win.run-dependencies]\nw = '*'\n[package.target.linux.extra-dependencies.g]\nz = '*'\n",
    )
    linux = requirements_for(found, "linux-64")
    numpy = linux.host["numpy"]
    assert isinstance(numpy, CondaSpec)
    assert numpy.version == "(>=1|0.5),<2"
    assert list(linux.host) == ["numpy", "x", "y"]
    assert list(linux.extra["g"]) == ["z"]
    assert not linux.run
    assert not linux.build
    assert list(requirements_for(found, "linux-64", build_subdir="osx-64").build) == ["cross"]
    windows = requirements_for(found, "win-64")
    assert list(windows.host) == ["numpy", "x"]
    assert list(windows.run) == ["w"]


def test_conditions_that_only_a_backend_can_decide(workspace: Workspace) -> None:
    found = package(
        workspace,
        "[package]\nname='p'\n" + BUILD + "[package.host-dependencies.\"if(matches(python, '>=3.10'))\"]\nx = '*'\n"
        "[package.host-dependencies.\"if(win and matches(python, '>=3.10'))\"]\ny = '*'\n",
    )
    with pytest.raises(NotSupportedError, match="matches"):
        requirements_for(found, "linux-64")
    kept = requirements_for(found, "linux-64", keep_conditions=True)
    assert list(kept.conditional) == ["matches(python, '>=3.10')"]


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("unix", True),
        ("linux and not osx", True),
        ("win or (osx and unix)", False),
        ("not win", True),
        ("host_platform == 'linux-64'", True),
        ('host_platform != "linux-64"', False),
        ("'linux-64' == host_platform", True),
        ("host_platform in ['osx-64', 'linux-64']", True),
        ("host_platform not in ['osx-64']", True),
        ("build_platform == 'osx-arm64'", True),
        ("host_platform != build_platform", True),
        ("true", True),
        ("win and python", False),
        ("linux or python", True),
        ("linux and python", None),
        ("matches(python, '(>=3)') or win", None),
        ("target_platform == 'linux-64'", None),
        ("host_platform", None),
        ("unix unix", None),
        ("", None),
        ("(unix", None),
        ("§", None),
    ],
)
def test_deciding_conditions(condition: str, holds: bool | None) -> None:
    assert decide(condition, PlatformContext(host="linux-64", build="osx-arm64")) is holds


def test_recipes_without_a_manifest(tmp_path: Path, workspace: Workspace) -> None:
    for place, root in (("a/recipe.yaml", "a"), ("b/recipe.yml", "b"), ("c/recipe/recipe.yaml", "c")):
        path = tmp_path / place
        path.parent.mkdir(parents=True)
        path.write_text("package: {}\n")
        found = load_package(tmp_path / root, workspace)
        assert (found.name, found.backend.name) == (None, "pixi-build-rattler-build")
        assert (found.root, found.manifest_path) == ((tmp_path / root), path)
        assert load_package(path, workspace).manifest_path == path
    (tmp_path / "a/pyproject.toml").write_text('[project]\nname = "x"\n')
    assert load_package(tmp_path / "a", workspace).manifest_path.name == "recipe.yaml"


def test_folders_that_are_no_package(tmp_path: Path, workspace: Workspace) -> None:
    (tmp_path / "empty").mkdir()
    for path, code in (("empty", "manifest-not-a-package"), ("nowhere", "manifest-missing")):
        with pytest.raises(ManifestError) as caught:
            load_package(tmp_path / path, workspace)
        assert caught.value.kind == code
    with pytest.raises(ManifestError) as caught:
        load_package(workspace.root, workspace)
    assert caught.value.kind == "manifest-not-a-package"


def test_the_package_of_the_workspace_itself(tmp_path: Path) -> None:
    (tmp_path / "LICENSE").touch()
    workspace = make(tmp_path, WORKSPACE + '[package]\nname = "own"\n' + BUILD)
    assert workspace.package is not None
    assert load_package(tmp_path.resolve(), workspace) is workspace.package
    assert workspace.name == "mono"


def test_packages_of_pyproject(workspace: Workspace) -> None:
    text = (
        '[project]\nname = "the-name"\nversion = "1.5"\ndescription = "d"\n'
        'authors = [{ name = "n", email = "e@x.example" }]\n'
    )
    found = package(workspace, text + BUILD.replace("[package", "[tool.pixi.package"), "pyproject.toml")
    assert (found.name, found.version, found.description) == ("the-name", "1.5", "d")
    assert found.authors == ("n <e@x.example>",)


def test_a_package_without_a_workspace(tmp_path: Path) -> None:
    (tmp_path / "pixi.toml").write_text("[package]\nname = 'p'\n" + BUILD)
    assert load_package(tmp_path).name == "p"


def test_the_preview_is_the_workspaces(tmp_path: Path) -> None:
    workspace = make(tmp_path, '[workspace]\nchannels = []\nplatforms = ["linux-64"]\n')
    with pytest.raises(ManifestError, match="needs the preview `pixi-build`"):
        package(workspace, "[package]\nname = 'p'\n" + BUILD)


def test_mistakes_of_a_package_have_places(tmp_path: Path) -> None:
    (tmp_path / "LICENSE").touch()
    found = mistakes(
        tmp_path,
        WORKSPACE + "[package]\nname = 'p'\n" + BUILD + "[package.run-dependencies]\nghost = { workspace = true }\n",
    )
    place = found[0].labels[0].place
    assert (place.line, place.column) == (19, 23)
