"""Where the manifest asks for what a lock no longer has, for PyPI packages."""

from __future__ import annotations

from pathlib import Path

import pytest
from pypi_kit import Make, wheel

from smelt.api.outdated import outdated
from smelt.api.workspace import Workspace
from spine_kit import OTHER, SUBDIR


@pytest.fixture
def links(tmp_path: Path) -> Path:
    """``app`` needs ``base``."""
    folder = tmp_path / "ws" / "links"
    wheel(folder, "app", "1.0", ["base>=1", "late>=1 ; extra == 'more'"], extras=["more"])
    wheel(folder, "base", "1.5")
    wheel(folder, "late", "1.0")
    return folder


def changed(workspace: Workspace, old: str, new: str) -> Workspace:
    """The workspace with another text in its manifest."""
    path = workspace.model.manifest_path
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    return Workspace.load(path)


def places(workspace: Workspace) -> list[tuple[str, str]]:
    """Code and quoted text of each mismatch."""
    found: list[tuple[str, str]] = []
    for each in workspace.check(workspace.read_lock()):
        assert each.place is not None, each
        line = each.place.source.line(each.place.line)
        found.append((each.code, line[each.place.column - 1 : each.place.column - 1 + each.place.length]))
    return found


def test_requirements_have_places(workspace: Make, links: Path) -> None:
    made = workspace('app = "==1.0"')
    made.lock()
    assert places(changed(made, "==1.0", ">=2")) == [("pypi-version", ">=2")]
    # not what is asked for, but what leads there
    assert places(changed(made, '">=2"', '{ version = "*", extras = ["more"] }')) == [
        ("unsatisfied", '{ version = "*", extras = ["more"] }')
    ]
    added = changed(made, '{ version = "*", extras = ["more"] }', '"*"\nlate = "==1.*"')
    assert places(added) == [("unsatisfied", "==1.*")]


def test_options_point_at_the_requirement(workspace: Make, links: Path) -> None:
    made = workspace('app = "*"')
    made.lock()
    for wheel_file in links.glob("*.whl"):
        wheel_file.unlink()
    lock = made.model.lock_path
    lock.write_text(lock.read_text(encoding="utf-8").replace("py3-none-any", "py3-none-win_arm64"), encoding="utf-8")
    assert places(Workspace.load(made.model.manifest_path)) == [("pypi-wheel-tags", "*")]


def test_one_reason_is_told_once(workspace: Make, links: Path) -> None:
    made = workspace('app = "==1.0"', platforms=(SUBDIR, OTHER), more="[environments]\ntwo = { features = [] }")
    made.lock()
    mismatches = changed(made, "==1.0", ">=2").check(made.read_lock())
    assert len(mismatches) == 4
    error = outdated(mismatches)
    assert [label.place.line for label in error.labels] == [mismatches[0].place.line]  # type: ignore[union-attr]
    assert list(error.notes) == [f"environment 'default' on {OTHER}; environment 'two' on {SUBDIR}, {OTHER}: the same"]
