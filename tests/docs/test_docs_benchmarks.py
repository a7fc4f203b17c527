"""The benchmarks can be found and print what they say (they are run by hand: see benchmarks/README.md)."""

from __future__ import annotations

import subprocess
import sys

import pytest
from doc_blocks import REPOSITORY

sys.path.insert(0, str(REPOSITORY))

from benchmarks.__main__ import NAMES
from benchmarks.figure import Figure, against, table


def test_every_benchmark_is_listed_and_described() -> None:
    own = {"__init__", "__main__", "figure", "workspaces"}
    assert set(NAMES) == {path.stem for path in (REPOSITORY / "benchmarks").glob("*.py")} - own
    described = (REPOSITORY / "benchmarks" / "README.md").read_text(encoding="utf-8")
    assert all(f"| `{name}` |" in described for name in NAMES)


def test_table() -> None:
    figures = [
        Figure(what="bare", seconds=0.01),
        against("ours", [0.02, 0.013, 0.012], "bare", [0.01, 0.01], 1.5),
        Figure(what="slow", seconds=2, goal=0.15),
    ]
    assert table(figures).splitlines() == [
        "       median  ratio        goal",
        "bare  10.0 ms",
        "ours  13.0 ms  1.30 × bare  ≤ 1.5 ×  reached",
        "slow   2.00 s               ≤ 150 ms  MISSED",
    ]
    assert [figure.met for figure in figures] == [None, True, False]


def test_unknown_names_are_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "nope"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "there is no benchmark nope" in done.stderr


@pytest.mark.build
@pytest.mark.skipif(sys.platform == "win32", reason="the script of its packages is written for bash")
def test_a_workspace_to_measure() -> None:
    from benchmarks.workspaces import source_workspace

    from smelt.api.workspace import Workspace

    with source_workspace(1, 3) as (folder, variables):
        assert variables["PIXI_CACHE_DIR"].startswith(str(folder.parent))
        assert not Workspace.load(folder).install(["default"])[0].changed
