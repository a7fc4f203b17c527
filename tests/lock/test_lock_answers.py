"""What is said of the locks of real projects, environment by environment: a golden file, which was read and believed.

``SMELT_TEST_WRITE_GOLDEN=1`` writes it again; read the difference.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from smelt.config.network import Network
from smelt.errors import SmeltError
from smelt.lock.model import Lock
from smelt.lock.platforms import align
from smelt.lock.reader import read
from smelt.lock.satisfiability import Checks, Mismatch
from smelt.lock.satisfiability import check as check_lock
from smelt.resolve.check import check, has_sources
from smelt.resolve.packages import PackageLoader
from smelt.solve.cutoff import parse_cutoff
from smelt.solve.matching import RattlerMatcher
from smelt.solve.pypi_input import absolute
from smelt.solve.pypi_project import read_project
from smelt.workspace.load import load_workspace
from smelt.workspace.model import Workspace

GOLDEN = Path(__file__).parent / "answers.json"
MANIFESTS = ("pixi.toml", "pyproject.toml")
INDEX = "https://pypi.example/simple"

Answer = dict[str, str]


def units(corpus: Path) -> Iterable[Path]:
    """The folders with a manifest and a lock; the cases of the reference's tests have verdicts of their own."""
    for path in sorted(corpus.rglob("pixi.lock")):
        if "conformance" not in path.parts and any((path.parent / name).exists() for name in MANIFESTS):
            yield path.parent


def answers(workspace: Workspace, lock: Lock) -> Answer:
    """Environment → ``fits``, or the reason with the platforms that it is about."""
    root = workspace.root
    # environments for the development of a package have requirements that rendering it tells
    plain = {pair: each for pair, each in workspace.effective.items() if not each.dev}
    dev = {name for name, _ in workspace.effective} - {name for name, _ in plain}
    held = {name: each for name, each in workspace.environments.items() if name not in dev}
    locked = {name: each for name, each in lock.environments.items() if name not in dev}
    workspace = replace(workspace, environments=held, effective=plain)
    structure = Checks(
        matcher=RattlerMatcher(),
        cutoff=parse_cutoff,
        default_indexes=lambda: (INDEX,),
        local_metadata=lambda location: read_project(absolute(location, root)),
    )
    found = told(workspace, check_lock(workspace, replace(lock, environments=locked), structure))
    return found | dict.fromkeys(sorted(dev), "not told: it has `dev` dependencies")


def told(workspace: Workspace, mismatches: Iterable[Mismatch]) -> Answer:
    by_environment: dict[str, dict[str, list[str]]] = {}
    for each in mismatches:
        reasons = by_environment.setdefault(each.environment, {})
        reasons.setdefault(f"{each.code}: {each.reason}", []).append(each.platform or "all platforms")
    found: Answer = {}
    for name in (*workspace.environments, *(n for n in by_environment if n not in workspace.environments)):
        reasons = by_environment.get(name)
        found[name] = (
            "; ".join(f"{reason} ({', '.join(platforms)})" for reason, platforms in reasons.items())
            if reasons
            else "fits"
        )
    return found


def with_sources(workspace: Workspace, lock: Lock, structure: Answer) -> Answer | str:
    """The answers that differ when every source package is rendered, or why they cannot be."""
    if not has_sources(workspace, lock):
        return {}  # it would be the same check again
    try:
        mismatches = check(workspace, lock, PackageLoader(workspace, lock, network=Network(offline=True)))
    except SmeltError as error:
        return f"not told: {error.kind}"
    full = told(workspace, mismatches)
    return {name: answer for name, answer in full.items() if structure.get(name) != answer}


def shown(answer: Answer) -> dict[str, object]:
    """Environments with the same answer in one line."""
    by_answer: dict[str, list[str]] = {}
    for name, text in answer.items():
        by_answer.setdefault(text, []).append(name)
    return {text: " ".join(names) for text, names in by_answer.items()}


def test_answers(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXI_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_DEFAULT_INDEX", INDEX)
    found: dict[str, object] = {}
    for folder in units(corpus):
        name = folder.relative_to(corpus).as_posix()
        try:
            workspace = load_workspace(folder)
        except SmeltError as error:
            found[name] = f"{error.kind}: {error.message}"
            continue
        lock = align(read(folder / "pixi.lock"), workspace)
        structure = answers(workspace, lock)
        full = with_sources(workspace, lock, structure)
        found[name] = {**shown(structure), **({"with sources rendered": full} if full else {})}
    text = re.sub(r"https?://[^/\s]+", "…", json.dumps(found, indent=1, ensure_ascii=False)) + "\n"
    if os.environ.get("SMELT_TEST_WRITE_GOLDEN"):
        GOLDEN.write_text(text, encoding="utf-8")
    assert json.loads(text) == json.loads(GOLDEN.read_text(encoding="utf-8"))
