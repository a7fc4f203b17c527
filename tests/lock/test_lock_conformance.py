"""Locks and manifests of the reference's own tests: what is said of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from smelt.config.network import Network
from smelt.lock.matching import Matching
from smelt.lock.platforms import align
from smelt.lock.reader import read
from smelt.lock.satisfiability import Checks, check, check_target
from smelt.resolve.check import check as check_all
from smelt.resolve.packages import PackageLoader
from smelt.solve.cutoff import parse_cutoff
from smelt.solve.matching import RattlerMatcher
from smelt.workspace.load import load_workspace

# What our codes are called in the reference's messages.
CAUSES = {
    "channel-priority": "channel priority",
    "solve-strategy": "strategy",
    "pypi-prerelease-mode": "PyPI prerelease mode",
    "exclude-newer": "exclude-newer cutoff",
    "unsatisfied": "could not be satisfied",
    "platform-definition": "the workspace platform",
    "platforms": "present in the lock file but not in the environment",
    "removed-environment": "no longer exists in the project",
    "unwanted-source": "is locked as source, but is only required as binary",
    "source-is-binary": "is locked as binary",
    "source-location": "does not match the requested",
    "superfluous": "more conda packages in the lock file than are used",
    "conda-for-pypi": "is locked as a conda package but only requested by pypi dependencies",
    "pypi-no-build": "the lock file contains non-binary package",
    "pypi-index": "requires index",
    "pypi-version": "does not match the locked version",
    "pypi-wheel-tags": "incompatible with the tags on wheel",
}
NEEDS_RENDERING = "non-satisfiability/source-extra-dependency-added"


def checks() -> Checks:
    return Checks(
        matcher=RattlerMatcher(), cutoff=parse_cutoff, default_indexes=lambda: ("https://pypi.example/simple",)
    )


def manifest_of(folder: Path) -> Path | None:
    return next((folder / name for name in ("pixi.toml", "pyproject.toml") if (folder / name).exists()), None)


def test_verdicts_of_the_reference(corpus: Path) -> None:
    expected = json.loads(
        (corpus.parent / "tools" / "conformance" / "satisfiability_expected.json").read_text(encoding="utf-8")
    )
    data = corpus / "conformance" / "prefix-dev__pixi" / "tests" / "data"
    judged: list[str] = []
    for case, verdict in expected.items():
        folder = data / case
        manifest = manifest_of(folder)
        if manifest is None or not (folder / "pixi.lock").exists() or case == NEEDS_RENDERING:
            continue
        workspace = load_workspace(manifest)
        found = check(workspace, read(folder / "pixi.lock"), checks())
        judged.append(case)
        if verdict["expect"] == "lock satisfies manifest":
            assert found == (), case
        else:
            assert found, case
            assert any(CAUSES[one.code] in verdict["error"][-1] for one in found), (case, found)
    assert len(judged) == 56


def test_platform_names_are_aligned_and_shortened(corpus: Path) -> None:
    from smelt.lock.platforms import shorten

    folder = corpus / "conformance/prefix-dev__pixi/tests/data/satisfiability/sysreq-platform-restriction-composition"
    workspace = load_workspace(folder / "pixi.toml")
    lock = read(folder / "pixi.lock")
    assert [row.name for row in lock.platforms] == ["p1"]
    aligned = align(lock, workspace)
    assert [row.name for row in aligned.platforms] == [workspace.platforms[0].name] != ["p1"]
    assert aligned.packages_of("default", workspace.platforms[0].name) == lock.packages_of("default", "p1")
    assert shorten(aligned, workspace) == lock
    assert align(aligned, workspace) == aligned


@pytest.mark.parametrize("name", ["robotology__robotology-superbuild", "scipy__scipy"])
def test_rattler_is_hardly_asked(corpus: Path, name: str) -> None:
    """The speed of a check rests on this: almost every requirement is decided without rattler."""
    asked: list[str] = []

    class Counting(RattlerMatcher):
        def matches(self, spec: str, record: object) -> bool:
            asked.append(spec)
            return super().matches(spec, record)  # type: ignore[arg-type]

    workspace = load_workspace(corpus / name)
    lock = align(read(corpus / name / "pixi.lock"), workspace)
    shared = Checks(matcher=Counting(), cutoff=parse_cutoff)
    matching = Matching(shared.matcher)
    for effective in workspace.effective.values():
        if not effective.pypi_dependencies:
            assert check_target(effective, lock, shared, matching=matching) is None
    assert len(asked) < 100


def test_a_group_of_extra_dependencies_that_was_added(corpus: Path) -> None:
    """Told by the definition: the backend that it names exists in the reference's own tests only."""
    folder = corpus / "conformance" / "prefix-dev__pixi" / "tests" / "data" / NEEDS_RENDERING
    workspace = load_workspace(folder / "pixi.toml")
    lock = align(read(folder / "pixi.lock"), workspace)
    (found,) = check_all(workspace, lock, PackageLoader(workspace, lock, network=Network(offline=True)))
    assert (found.code, found.platform) == ("source-changed", "win-64")
    assert "extra group 'test' now requires `extra-pkg >=1`" in found.reason
