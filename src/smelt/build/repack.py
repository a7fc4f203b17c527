"""The files of one build with the description of another: what differs only in metadata is not compiled again.

What describes a package is not guessed: rattler-build writes it, for a package without files that says the same of
itself. The result is bit for bit what a whole build would give.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from smelt.archive import CondaArchive, read_conda, write_conda
from smelt.build.job import JobSpec, Placement
from smelt.build.model import Artifact
from smelt.build.plain import mapping
from smelt.build.run import BuiltPackage

_DESCRIPTION = ("info/index.json", "info/about.json", "info/run_exports.json", "info/hash_input.json")
"""What is taken from the new description; everything else of a package is made of its files."""

_OF_PACKAGE = ("number", "string", "variant", "noarch", "flags")
_OF_PYTHON = ("site_packages_path", "version_independent")


def description_job(spec: JobSpec) -> JobSpec:
    """The job of a package without files that says the same of itself as the one of ``spec``. It needs no packages."""
    recipe = {key: value for key, value in _own(spec.recipe).items() if key != "source"}
    whole = mapping(recipe.get("build"))
    build: dict[str, Any] = {key: whole[key] for key in _OF_PACKAGE if key in whole}
    python = {key: value for key, value in mapping(whole.get("python")).items() if key in _OF_PYTHON}
    if python:
        build["python"] = python
    build["script"] = {"content": "echo the files are those of another build"}
    recipe["build"] = build
    # what they say is known, and without the packages it could not be found
    recipe["requirements"] = {
        **mapping(recipe.get("requirements")),
        "build": [],
        "host": [],
        "run": list(spec.depends),
        "run_constraints": list(spec.constrains),
        "run_exports": {key.replace("constrains", "constraints"): list(v) for key, v in spec.run_exports.items()},
    }
    recipe["about"] = {key: value for key, value in mapping(recipe.get("about")).items() if key != "license_file"}
    return replace(spec, recipe=recipe, channels=(), source=(), recipe_folder=None, compiles_python=False)


def _own(recipe: Mapping[str, Any]) -> Mapping[str, Any]:
    """The recipe of the package alone, where it inherits from a staging output."""
    if "outputs" not in recipe:
        return recipe
    output = {key: value for key, value in mapping(recipe["outputs"][-1]).items() if key != "inherit"}
    return {**{key: recipe[key] for key in ("context", "extra") if key in recipe}, **output}


def repack(stored: Path, described: Path, target: Path, timestamp: int) -> Mapping[str, Any]:
    """Write ``target``: the files of ``stored`` under the description of ``described``; gives its ``index.json``.

    Both are normalised artifacts. Raises ArchiveError, OSError.
    """
    old, new = read_conda(stored), read_conda(described)
    description = tuple(member for member in new.info if member.name in _DESCRIPTION)
    kept = tuple(member for member in old.info if member.name not in _DESCRIPTION)
    write_conda(target, CondaArchive(files=old.files, info=(*kept, *description)), mtime=timestamp)
    index: dict[str, Any] = json.loads(next(m.data for m in description if m.name == "info/index.json"))
    return index


def with_files_of(described: BuiltPackage, files: Artifact, spec: JobSpec, placement: Placement) -> BuiltPackage:
    """The package with the files of another build; the log says so, and goes on with the log of that build."""
    target = placement.folder / described.archive.name
    index = repack(files.path, described.archive, target, spec.timestamp)
    before = files.log.read_text(encoding="utf-8", errors="replace") if files.log.is_file() else ""
    head = f"repacked: the files are those of build {files.key}, only the description is new. Its log:\n"
    placement.log.write_text(before if before.startswith("repacked: ") else head + before, encoding="utf-8")
    return BuiltPackage(archive=target, index=index, run_exports=described.run_exports, undeclared=files.undeclared)
