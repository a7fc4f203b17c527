"""``pyproject.toml``: what the Python standards say there becomes part of the workspace."""

from __future__ import annotations

from pathlib import Path

import pytest
from workspace_kit import make, mistakes, specs

PIXI = '[tool.pixi.workspace]\nchannels = []\nplatforms = ["linux-64"]\n'


@pytest.mark.parametrize(
    ("requires", "spec"),
    [
        (">=3.9", ">=3.9"),
        (">= 3.9, < 4", ">=3.9,<4"),
        ("==3.11.*", "3.11.*"),
        ("==3.11", "3.11"),
        ("~=3.9", "~=3.9"),
        (">=3.9,!=3.9.7", ">=3.9,!=3.9.7"),
        (None, "*"),
    ],
)
def test_python(tmp_path: Path, requires: str | None, spec: str) -> None:
    line = f'requires-python = "{requires}"\n' if requires else ""
    workspace = make(tmp_path, f'[project]\nname = "x"\n{line}{PIXI}', "pyproject.toml")
    assert specs(workspace.effective["default", "linux-64"]) == {"python": [spec]}


def test_python_of_the_conda_dependencies_goes_before(tmp_path: Path) -> None:
    workspace = make(
        tmp_path,
        f'[project]\nname = "x"\nrequires-python = ">=3.9"\n{PIXI}[tool.pixi.dependencies]\npython = "3.12.*"\n',
        "pyproject.toml",
    )
    assert specs(workspace.effective["default", "linux-64"]) == {"python": ["3.12.*"]}


def test_metadata(tmp_path: Path) -> None:
    workspace = make(
        tmp_path, f'[project]\nname = "the_name"\nversion = "1.2"\ndescription = "d"\n{PIXI}', "pyproject.toml"
    )
    assert (workspace.name, workspace.version, workspace.description) == ("the_name", "1.2", "d")
    workspace = make(tmp_path / "poetry", f'[tool.poetry]\nname = "p"\nversion = "2"\n{PIXI}', "pyproject.toml")
    assert (workspace.name, workspace.version) == ("p", "2")


def test_requirements_and_groups(tmp_path: Path) -> None:
    workspace = make(
        tmp_path,
        '[project]\nname = "My.Proj"\n'
        'dependencies = ["numpy>=1,<3", "Requests[socks, security]", "local @ file:///x/y",\n'
        '  "a @ git+https://h.example/a.git@v1#subdirectory=sub",\n'
        "  \"b @ https://h.example/b.zip ; python_version < '3.12'\"]\n"
        '[project.optional-dependencies]\ntest = ["pytest"]\nall = ["my-proj[test]", "rich"]\n'
        '[dependency-groups]\ndev = ["ruff==0.5.*", { include-group = "Docs" }]\ndocs = ["sphinx"]\n'
        + PIXI
        + '[tool.pixi.pypi-dependencies]\nnumpy = { version = "*", extras = ["x"] }\n'
        "[tool.pixi.feature.test.dependencies]\n"
        'conda-only = "*"\n[tool.pixi.environments]\ntest = ["test"]\nall = ["all"]\n'
        'dev = { features = ["dev"], no-default-feature = true }\n',
        "pyproject.toml",
    )
    found = {(each.name, each.version): each for each in workspace.effective["default", "linux-64"].pypi_requirements}
    assert list(found) == [
        ("numpy", None),
        ("numpy", ">=1,<3"),
        ("requests", None),
        ("local", None),
        ("a", None),
        ("b", None),
    ]
    assert found["requests", None].extras == ("socks", "security")
    assert found["local", None].path == "/x/y"
    reference = found["a", None].reference
    assert reference is not None
    assert (found["a", None].git, reference.rev, found["a", None].subdirectory) == (
        "https://h.example/a.git",
        "v1",
        "sub",
    )
    assert (found["b", None].url, found["b", None].markers) == ("https://h.example/b.zip", "python_version < '3.12'")
    assert set(workspace.effective["test", "linux-64"].pypi_dependencies) >= {"pytest", "numpy"}
    assert "conda-only" in specs(workspace.effective["test", "linux-64"])
    assert {"pytest", "rich"} <= set(workspace.effective["all", "linux-64"].pypi_dependencies)
    assert workspace.effective["dev", "linux-64"].pypi_dependencies == ("ruff", "sphinx")
    # Groups that no environment uses are no features of the manifest, so nobody is told.
    assert workspace.warnings == ()


def test_mistakes(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path,
        f'[project]\nname = "x"\ndependencies = ["a>>1", "b[", 3]\nrequires-python = "new"\n{PIXI}',
        "pyproject.toml",
    )
    assert [(error.labels[0].place.line, error.labels[0].place.column) for error in found] == [
        (3, 18),
        (3, 26),
        (3, 31),
        (4, 20),
    ]
