"""Locks and manifests of the reference's own tests and of real projects: what is said of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from smelt.errors import SmeltError
from smelt.lock.platforms import align
from smelt.lock.reader import read
from smelt.lock.satisfiability import Checks, check, check_target
from smelt.lock.walk import Matching
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


def test_real_workspaces_fit_their_locks(corpus: Path) -> None:
    """Every environment and platform has an answer; those that do not fit are known."""
    answers: dict[str, int] = {}
    misfits: set[tuple[str, str]] = set()
    for path in sorted(corpus.rglob("pixi.lock"))[::3]:
        manifest = manifest_of(path.parent)
        if "conformance" in path.parts or manifest is None:
            continue
        try:
            workspace = load_workspace(manifest)
        except SmeltError:
            continue  # the manifest is the business of another test
        lock = align(read(path), workspace)
        shared = replace(checks(), root=workspace.root.as_posix())
        matching = Matching(shared.matcher)
        for effective in workspace.effective.values():
            if effective.dev:
                continue  # what their packages need is told by rendering them
            found = check_target(effective, lock, shared, matching=matching)
            code = found.code if found is not None else "fits"
            answers[code] = answers.get(code, 0) + 1
            if found is not None:
                misfits.add((path.parent.name, code))
    assert answers["fits"] >= 150
    # Sources of which the lock tells no version, and one lock that was made for other channels.
    assert {code for _, code in misfits} <= {"source-unknown", "channels"}, misfits


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
