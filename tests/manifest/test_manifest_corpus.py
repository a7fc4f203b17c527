"""Real manifests load, and the reference's own error cases are refused at the same place.

Needs the corpus beside the repository.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest

from smelt.errors import ErrorGroup, Label, SmeltError
from smelt.manifest.document import parse_document, read_document
from smelt.manifest.manifest import has_manifest_tables, manifest_kind, parse_manifest
from smelt.manifest.package import read_package
from smelt.manifest.reading import Problems, Table
from smelt.manifest.task import read_task_table
from smelt.workspace.load import load_workspace

SHARED = Path(__file__).resolve().parents[2] / "../shared"
pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="the corpus is not beside the repository")


def load_json(path: str) -> list[dict[str, object]]:
    file = SHARED / path
    return cast("list[dict[str, object]]", json.loads(file.read_text())) if file.is_file() else []


MANIFESTS = [
    manifest
    for workspace in load_json("corpus/index.json")
    for manifest in cast("list[dict[str, object]]", workspace["manifests"])
]


def test_the_corpus_is_whole() -> None:
    assert len(MANIFESTS) == 94


@pytest.mark.parametrize("entry", MANIFESTS, ids=[str(entry["path"]) for entry in MANIFESTS])
def test_real_manifests_load(entry: dict[str, object]) -> None:
    path = SHARED / "corpus" / str(entry["path"])
    document = read_document(path)
    kind = manifest_kind(path)
    if not has_manifest_tables(document, kind):
        assert kind == "pyproject"
        return
    manifest = parse_manifest(document, kind)
    manifest.problems.raise_errors()
    if manifest.workspace is None:
        return
    workspace = load_workspace(path)
    counts = cast("dict[str, int] | None", entry.get("counts"))
    if counts is not None:
        features = [manifest.default, *manifest.features.values()]
        assert counts == {
            "envs": len(manifest.environments),
            "features": len(manifest.features),
            "tasks": sum(len(feature.target.tasks) for feature in features),
            "platforms": len(manifest.workspace.platforms),
        }
    assert set(manifest.environments) <= set(workspace.environments)
    for environment in workspace.environments:
        assert workspace.platforms_of(environment) or not manifest.workspace.platforms, environment


VALID = sorted((SHARED / "corpus/schema-examples/valid").glob("*.toml"))
INVALID = sorted((SHARED / "corpus/schema-examples/invalid").glob("*.toml"))


def load_example(path: Path, folder: Path) -> tuple[str, ...]:
    """Load an example as the manifest of a folder; gives the warnings."""
    for name in ("LICENSE", "README.md"):
        (folder / name).touch()
    shutil.copyfile(path, folder / "pixi.toml")
    return load_workspace(folder).warnings


@pytest.mark.parametrize("path", VALID, ids=[path.stem for path in VALID])
def test_schema_examples_that_are_accepted(path: Path, tmp_path: Path) -> None:
    load_example(path, tmp_path)


@pytest.mark.parametrize("path", INVALID, ids=[path.stem for path in INVALID])
def test_schema_examples_that_are_rejected(path: Path, tmp_path: Path) -> None:
    if path.stem == "package_target_removed":
        # The reference's schema refuses these tables, the reference itself takes them with a warning; so do we.
        assert "`package.target` is deprecated" in load_example(path, tmp_path)
        return
    with pytest.raises(SmeltError):
        load_example(path, tmp_path)


CASES = load_json("tools/conformance/manifest_error_cases.json")
# Left over from versions long before the one that is the reference: no test of its makes them any more.
# The first group it accepts today (a name and a version are optional), in the second the tables are no longer
# known, so the place is that of the unknown key.
ACCEPTED_TODAY = ("missing_version", "workspace_name_required")
UNKNOWN_TODAY = (
    "build_section_without_package",
    "build_section_without_preview",
    "invalid_build_backend_sections",
    "invalid_incorrectly_named_build_backend_sections",
    "invalid_named_build_backend_sections",
    "multiple_backend_config",
    "run_dependencies_in_target_without_pixi_build",
    "run_dependencies_without_pixi_build",
)


def case_name(case: dict[str, object]) -> str:
    return str(case["snap"]).rpartition("__")[2].removesuffix(".snap")


def outcome(case: dict[str, object], folder: Path) -> tuple[Sequence[Sequence[Label]], Sequence[Sequence[Label]]]:
    """The labels of each error and of each warning of a case, which is a whole manifest or a part of one."""
    text = str(case["input"])
    source = str(case["source"]).rpartition("/")[2]
    if source in ("build_backend.rs", "package.rs", "task.rs"):
        if source == "build_backend.rs":
            text = "[build]\n" + text
        problems = Problems(parse_document(text, "pixi.toml"))
        table = Table(problems.document.data, (), problems)
        if source == "task.rs":
            read_task_table("task", table)
        else:
            read_package(table)
        return [error.labels for error in problems.errors], [warning.labels for warning in problems.warnings]
    (folder / "pixi.toml").write_text(text)
    try:
        workspace = load_workspace(folder)
    except ErrorGroup as group:
        return [error.labels for error in group.errors], []
    except SmeltError as error:
        return [error.labels], []
    return [], [cast("Sequence[Label]", getattr(warning, "labels", ())) for warning in workspace.warnings]


@pytest.mark.parametrize("case", CASES, ids=[case_name(case) for case in CASES])
def test_error_cases_of_the_reference(case: dict[str, object], tmp_path: Path) -> None:
    errors, warnings = outcome(case, tmp_path)
    expected = str(case["expected"])
    if case_name(case) in ACCEPTED_TODAY:
        assert not errors
        return
    fails = "×" in expected
    assert bool(errors) == fails
    found = errors if fails else warnings
    assert found
    shift = 1 if str(case["source"]).endswith("build_backend.rs") else 0
    wanted = {
        (int(line) + shift, int(column)) for line, column in re.findall(r"╭─\[pixi\.toml:(\d+):(\d+)\]", expected)
    }
    places = {(label.place.line, label.place.column) for labels in found for label in labels}
    if wanted and case_name(case) not in UNKNOWN_TODAY:
        assert wanted & places, (wanted, places)
