"""What environments mean on platforms: the reference's merge rules."""

from __future__ import annotations

from pathlib import Path

import pytest
from workspace_kit import make, mistakes, specs

from smelt.workspace.model import Task

HEAD = '[workspace]\nchannels = ["a"]\nplatforms = ["linux-64", "osx-arm64", "win-64"]\n'


def test_run_host_and_build_tables_are_one(tmp_path: Path) -> None:
    """Build goes before host, and host before run."""
    workspace = make(
        tmp_path,
        HEAD + '[dependencies]\na = "1.*"\nb = "1.*"\nc = "1.*"\n[host-dependencies]\nb = "2.*"\nc = "2.*"\n'
        '[build-dependencies]\nc = "3.*"\nd = "3.*"\n',
    )
    assert specs(workspace.effective["default", "linux-64"]) == {
        "a": ["1.*"],
        "b": ["2.*"],
        "c": ["3.*"],
        "d": ["3.*"],
    }


def test_later_targets_go_before_earlier_ones(tmp_path: Path) -> None:
    workspace = make(
        tmp_path,
        HEAD + '[dependencies]\na = "0.*"\nb = "0.*"\n[target.linux-64.dependencies]\na = "1.*"\n'
        '[target.unix.dependencies]\na = "2.*"\nc = "2.*"\n[target."linux-*".constraints]\nz = "<3"\n',
    )
    assert specs(workspace.effective["default", "linux-64"]) == {"a": ["2.*"], "b": ["0.*"], "c": ["2.*"]}
    assert specs(workspace.effective["default", "osx-arm64"]) == {"a": ["2.*"], "b": ["0.*"], "c": ["2.*"]}
    assert specs(workspace.effective["default", "win-64"]) == {"a": ["0.*"], "b": ["0.*"]}
    assert [each.name for each in workspace.effective["default", "linux-64"].constraints] == ["z"]
    assert workspace.effective["default", "win-64"].constraints == ()


def test_features_add_up(tmp_path: Path) -> None:
    """Requirements of several features on one package all hold; equal ones are one."""
    workspace = make(
        tmp_path,
        HEAD + '[dependencies]\nx = ">=1"\ny = "*"\n[feature.f.dependencies]\nx = "<2"\ny = "*"\n'
        '[feature.g.dependencies]\nx = "<2"\n[environments]\ne = ["f", "g"]\n'
        'n = { features = ["g"], no-default-feature = true }\n',
    )
    effective = workspace.effective["e", "linux-64"]
    assert specs(effective) == {"x": ["<2", ">=1"], "y": ["*"]}
    assert workspace.environments["e"].features == ("f", "g", "default")
    assert [(each.name, each.feature) for each in effective.dependencies] == [("x", "f"), ("x", "default"), ("y", "f")]
    assert specs(workspace.effective["n", "linux-64"]) == {"x": ["<2"]}
    assert [str(each.place).partition(":")[2] for each in effective.dependencies] == ["8:6", "5:6", "9:6"]


def test_environments_with_content_of_their_own(tmp_path: Path) -> None:
    workspace = make(
        tmp_path,
        HEAD + '[dependencies]\nx = ">=1"\n[feature.f.dependencies]\nx = ">=2"\n[environments.e]\nfeatures = ["f"]\n'
        '[environments.e.dependencies]\nx = ">=3"\n[environments.e.tasks]\nt = "own"\n'
        '[environments.default.tasks]\nt = "d"\n',
    )
    assert specs(workspace.effective["e", "linux-64"]) == {"x": [">=3", ">=2", ">=1"]}
    assert workspace.effective["e", "linux-64"].tasks["t"].cmd == "own"
    assert workspace.effective["default", "linux-64"].tasks["t"].cmd == "d"
    assert list(workspace.environments) == ["default", "e"]


def test_channels(tmp_path: Path) -> None:
    """Features without channels have the workspace's; higher priority first, then order; each once."""
    workspace = make(
        tmp_path,
        '[workspace]\nchannels = ["one", { channel = "two", priority = -1 }]\nplatforms = ["linux-64"]\n'
        '[feature.f]\nchannels = ["three", "one", { channel = "four", priority = 5, exclude-newer = "7d" }]\n'
        '[feature.g]\nchannels = []\n[environments]\nf = ["f"]\n'
        'g = { features = ["g"], no-default-feature = true }\nh = ["g"]\n',
    )
    alias = "https://conda.anaconda.org"
    assert workspace.effective["f", "linux-64"].channels == tuple(
        f"{alias}/{x}/" for x in ("four", "three", "one", "two")
    )
    assert workspace.effective["f", "linux-64"].channel_cutoffs == {f"{alias}/four/": "7d"}
    assert workspace.effective["g", "linux-64"].channels == ()
    assert workspace.effective["h", "linux-64"].channels == (f"{alias}/one/", f"{alias}/two/")


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("conda-forge", "https://conda.anaconda.org/conda-forge/"),
        ("conda-forge/label/dev", "https://conda.anaconda.org/conda-forge/label/dev/"),
        ("https://Host.example/x", "https://host.example/x/"),
        ("https://host.example/x/", "https://host.example/x/"),
        ("https://u:P@Host.example/t/TOKEN/x", "https://u:P@host.example/t/TOKEN/x/"),
        ("file:///a/b", "file:///a/b/"),
        ("s3://bucket/x", "s3://bucket/x/"),
    ],
)
def test_channel_addresses(tmp_path: Path, written: str, url: str) -> None:
    workspace = make(tmp_path, f'[workspace]\nchannels = ["{written}"]\nplatforms = ["linux-64"]\n')
    assert workspace.channels == (url,)


@pytest.mark.parametrize("written", ["./channel", "../w/channel", "./x/../channel/"])
def test_channel_paths_are_relative_to_the_manifest(tmp_path: Path, written: str) -> None:
    workspace = make(tmp_path / "w", f'[workspace]\nchannels = ["{written}"]\nplatforms = ["linux-64"]\n')
    assert workspace.channels == ((tmp_path.resolve() / "w/channel").as_uri() + "/",)


def test_activation(tmp_path: Path) -> None:
    """Scripts: the most specific target's of each feature, in order of features. Variables: the first says."""
    workspace = make(
        tmp_path,
        HEAD + '[activation]\nscripts = ["base.sh"]\nenv = { A = "base", B = "base" }\n'
        '[target.win-64.activation]\nscripts = ["base.bat"]\nenv = { A = "win" }\n'
        '[feature.f.activation]\nscripts = ["f.sh"]\nenv = { B = "f", C = "f" }\n'
        '[feature.g.target.unix.activation]\nscripts = []\n[feature.g.activation]\nscripts = ["never.sh"]\n'
        '[environments]\ne = ["f", "g"]\n',
    )
    assert workspace.effective["e", "linux-64"].activation.scripts == ("f.sh", "base.sh")
    assert workspace.effective["e", "win-64"].activation.scripts == ("f.sh", "never.sh", "base.bat")
    assert workspace.effective["e", "linux-64"].activation.env == {"B": "f", "C": "f", "A": "base"}
    assert workspace.effective["e", "win-64"].activation.env == {"B": "f", "C": "f", "A": "win"}


def test_tasks(tmp_path: Path) -> None:
    workspace = make(
        tmp_path,
        HEAD + '[tasks]\na = "base"\nb = [{ task = "a", args = ["1", { n = "2" }] }]\n'
        '[target.unix.tasks]\na = "unix"\n[feature.f.tasks]\na = { cmd = ["f", "g"], cwd = "sub", env = { X = "1" }, '
        'inputs = ["i"], outputs = [], clean-env = true, description = "d", default-environment = "e", '
        'args = ["one", { arg = "two", default = "2", choices = ["2", "3"] }], depends-on = ["b", { task = "c", '
        'environment = "e", args = [{ k = "v" }] }] }\n[environments]\ne = ["f"]\n',
    )
    assert workspace.effective["default", "win-64"].tasks["a"].cmd == "base"
    assert workspace.effective["default", "linux-64"].tasks["a"].cmd == "unix"
    task = workspace.effective["e", "linux-64"].tasks["a"]
    assert isinstance(task, Task)
    assert (task.cmd, task.cwd, dict(task.env), task.feature) == (("f", "g"), "sub", {"X": "1"}, "f")
    assert (task.inputs, task.outputs, task.clean_env, task.description) == (("i",), (), True, "d")
    assert [(each.name, each.default, each.choices) for each in task.args] == [
        ("one", None, ()),
        ("two", "2", ("2", "3")),
    ]
    assert task.default_environment == "e"
    first, second = task.depends_on
    assert (first.task, first.arguments) == ("b", None)
    assert (second.task, second.environment, second.arguments) == ("c", "e", (("k", "v"),))
    alias = workspace.effective["e", "linux-64"].tasks["b"]
    assert alias.cmd is None
    assert alias.depends_on[0].arguments == ("1", ("n", "2"))
    assert str(task.place).partition(":")[2] == "10:1"


def test_solve_groups_priorities_strategies(tmp_path: Path) -> None:
    workspace = make(
        tmp_path,
        '[workspace]\nchannels = []\nplatforms = ["linux-64"]\nsolve-strategy = "lowest"\n'
        'exclude-newer = "2025-01-31"\n'
        '[feature.f]\nchannel-priority = "disabled"\nsolve-strategy = "lowest-direct"\n[exclude-newer]\nNumpy = "1d"\n'
        '[environments]\na = { features = ["f"], solve-group = "g" }\nb = { solve-group = "g" }\nc = []\n',
    )
    assert workspace.solve_groups == {"g": ("a", "b")}
    effective = workspace.effective["a", "linux-64"]
    assert (effective.channel_priority, effective.solve_strategy) == ("disabled", "lowest-direct")
    assert (effective.exclude_newer, effective.package_cutoffs) == ("2025-01-31", {"numpy": "1d"})
    assert workspace.effective["c", "linux-64"].channel_priority == "strict"
    assert workspace.effective["c", "linux-64"].solve_strategy == "lowest"


def test_pypi(tmp_path: Path) -> None:
    workspace = make(
        tmp_path,
        '[workspace]\nchannels = []\nplatforms = ["linux-64"]\npypi-options = { index-url = "https://base.example", '
        'extra-index-urls = ["https://x.example"], no-build = ["a"] }\n[pypi-dependencies]\n'
        'My_Pkg = { version = ">=1", extras = ["e"] }\n[feature.f.pypi-dependencies]\nmy-pkg = "<2"\n'
        'local = { path = "l", editable = true }\n'
        '[feature.f.pypi-options]\nindex-url = "https://f.example"\nno-build = true\n'
        'extra-index-urls = ["https://y.example", "https://x.example"]\n[environments]\ne = ["f"]\n',
    )
    effective = workspace.effective["e", "linux-64"]
    assert effective.pypi_dependencies == ("my-pkg", "local")
    assert [(each.name, each.version, each.extras) for each in effective.pypi_requirements] == [
        ("my-pkg", "<2", ()),
        ("my-pkg", ">=1", ("e",)),
        ("local", None, ()),
    ]
    assert effective.pypi_options.index_url == "https://f.example"
    assert effective.pypi_options.extra_index_urls == ("https://x.example", "https://y.example")
    assert effective.pypi_options.no_build == "all"
    assert workspace.effective["default", "linux-64"].pypi_options.no_build == ("a",)


def test_what_contradicts_itself(tmp_path: Path) -> None:
    text = (
        HEAD + '[feature.f]\nchannel-priority = "strict"\npypi-options.index-url = "https://f.example"\n'
        'system-requirements.archspec = "m1"\n[feature.g]\nchannel-priority = "disabled"\n'
        'pypi-options.index-url = "https://g.example"\nsystem-requirements.archspec = "m2"\n'
        '[environments]\ne = ["f", "g", "f", "h"]\nf = ["f"]\n'
    )
    messages = [error.message for error in mistakes(tmp_path, text)]
    assert "the feature `f` is in the environment twice" in messages
    assert "the feature `h` is not defined" in messages
    assert any("different `channel-priority`" in message for message in messages)
    assert any("different `index-url`" in message for message in messages)
    assert any("different processors" in message for message in messages)
    assert len(messages) == 5


def test_names_that_are_nearly_right(tmp_path: Path) -> None:
    found = mistakes(tmp_path, HEAD + "[feature.cuda]\n[environments]\ne = ['cudda']\n")
    assert found[0].help == "did you mean `cuda`?"
    found = mistakes(tmp_path, HEAD + "[feature.f]\nplatforms = ['linux-46']\n[environments]\ne = ['f']\n")
    assert "did you mean `linux-64`?" in (found[0].help or "")


def test_warnings(tmp_path: Path) -> None:
    workspace = make(
        tmp_path,
        '[workspace]\nchannels = []\nplatforms = ["linux-64"]\nreadme = "nope.md"\npreview = ["new"]\n'
        "[target.win.tasks]\n[feature.f.tasks]\n",
    )
    assert [str(warning) for warning in workspace.warnings] == [
        "there is no preview `new`",
        "the target `win` matches no platform of the workspace",
        "the feature `f` is not used in any environment, so its dependencies are never solved",
        "the file `nope.md` does not exist",
    ]


def test_name_of_a_workspace(tmp_path: Path) -> None:
    assert make(tmp_path / "folder", HEAD).name == "folder"
    assert make(tmp_path / "named", HEAD.replace("[workspace]", '[workspace]\nname = "n"')).name == "n"


def test_sources_need_the_preview(tmp_path: Path) -> None:
    text = HEAD + '[dependencies]\nx = { path = "x" }\n[package]\nname = "p"\nbuild.backend.name = "b"\n'
    assert [error.message for error in mistakes(tmp_path, text)] == [
        "`x` is a source dependency, which needs the preview `pixi-build`",
        "`[package]` needs the preview `pixi-build`",
    ]
    text = text.replace("[dependencies]", 'preview = ["pixi-build"]\n[host-dependencies]\n[dependencies]')
    assert [error.message for error in mistakes(tmp_path, text)] == [
        "with the preview `pixi-build`, `host-dependencies` belong to a package"
    ]


def test_pool_of_dependencies(tmp_path: Path) -> None:
    workspace = make(
        tmp_path,
        HEAD
        + 'preview = ["pixi-build"]\n[workspace.dependencies]\nx = { version = "1.*", build = "a*", channel = "c" }\n'
        's = { git = "https://h.example/s" }\n[dependencies]\nx = { workspace = true, build = "b*" }\n'
        "[feature.f.constraints]\nx.workspace = true\n[feature.f.dependencies]\ns = { workspace = true, tag = 'v1' }\n"
        "[environments]\nf = ['f']\n",
    )
    effective = workspace.effective["f", "linux-64"]
    by_name = {each.name: each.spec for each in effective.dependencies}
    assert (by_name["x"].version, by_name["x"].build, by_name["x"].channel) == ("1.*", "b*", "c")
    location = by_name["s"].location
    assert location is not None
    assert location.reference is not None
    assert (location.git, location.reference.tag) == ("https://h.example/s", "v1")
    assert effective.constraints[0].spec.build == "a*"
    found = mistakes(tmp_path, HEAD + "[dependencies]\ny = { workspace = true }\n")
    assert found[0].message == "the workspace does not define `y` in `[workspace.dependencies]`"


def test_inline_packages(tmp_path: Path) -> None:
    workspace = make(
        tmp_path,
        HEAD + 'version = "3"\npreview = ["pixi-build"]\n[dependencies]\n'
        'x = { path = "src/x", package = { version.workspace = true, build.backend.name = "pixi-build-cmake", '
        'run-dependencies = { fmt = ">=10" } } }\n',
    )
    package = workspace.effective["default", "linux-64"].dependencies[0].package
    assert package is not None
    assert (package.name, package.version, package.backend.name) == ("x", "3", "pixi-build-cmake")
    assert package.root == workspace.root / "src/x"
    assert list(package.base.run) == ["fmt"]
    text = HEAD + 'preview = ["pixi-build"]\n[dependencies]\nx = { path = ".", package = { name = "y", build = '
    text += '{ backend.name = "b", source.path = "z" } } }\n'
    assert [error.message for error in mistakes(tmp_path, text)] == [
        "an inline package has no `name`: it is called as the dependency is",
        "an inline package has no `build.source`: its source is that of the dependency",
    ]


def test_package_archives_by_path(tmp_path: Path) -> None:
    workspace = make(tmp_path, HEAD + '[dependencies]\nx = { path = "pkgs/x-1-0.conda" }\n')
    spec = workspace.effective["default", "linux-64"].dependencies[0].spec
    assert spec.url == (tmp_path.resolve() / "pkgs/x-1-0.conda").as_uri()
    assert not spec.is_source


def test_conditions_as_the_solver_reads_them(tmp_path: Path) -> None:
    """``when`` in all its forms gives a MatchSpec that rattler accepts."""
    from rattler import MatchSpec

    workspace = make(
        tmp_path,
        HEAD + '[dependencies]\na = { version = "1", when = "python >=3.8" }\n'
        'b = { version = "1", when = { any = ["python >=3.8", { package = "x", build = "y*", extras = ["e"] }] } }\n'
        'c = { version = "1", when = { all = ["__unix", { package = "x", version = ">=1,<2" }], } }\n'
        'd = { version = "1", extras = ["p", "q"], flags = ["f"], build-number = ">=1", license = "MIT" }\n',
    )
    texts = [each.spec.matchspec(each.name) for each in workspace.effective["default", "linux-64"].dependencies]
    for text in texts:
        MatchSpec(text)
    assert "when=\"(python >=3.8 or x[build='y*', extras=[e]])\"" in texts[1]
