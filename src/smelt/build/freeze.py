"""From a build node to a job: a recipe in which nothing is left to decide, and channels that hold nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from smelt.build.environment import TEMPORARY
from smelt.build.job import SOURCE_DATE_EPOCH, STAGED, JobSpec, SourceFile
from smelt.build.key import portable_recipe, staging_key
from smelt.build.model import BuildInput, BuildNode
from smelt.build.pinned import pinned_channels
from smelt.build.plain import mapping, sequence, texts
from smelt.build.sides import (
    Sides,
    described_requirements,
    exact_requirements,
    exporting,
    sides_of,
    staged_alone,
)
from smelt.errors import BuildError, NotSupportedError, SourceError
from smelt.source.model import Staging
from smelt.source.requirement import needs_v3
from smelt.source.tree import tree_digest
from smelt.types import NOARCH, CondaRecord, RunExports


def freeze(node: BuildNode, built: Mapping[str, CondaRecord]) -> JobSpec:
    """The job that builds ``node``; ``built``: build key → record of the artifact, for its source inputs.

    The recipe names every locked package of build and host exactly and has an explicit build string. Its run
    requirements are those of the package: what rattler-build makes of them, of pins and of run-exports, is
    compared with what is locked. For a source tree that may change, the files are listed with their digests.

    Raises BuildError (``input-not-built``, ``ambiguous-package``), SourceError (``source-changed``), and
    NotSupportedError for build steps and sources outside the package.
    """
    variant = node.variant
    build = [_record(item, built, node) for item in node.build_inputs]
    host = [_record(item, built, node) for item in node.host_inputs]
    timestamp = int(variant.script_env.get("SOURCE_DATE_EPOCH", SOURCE_DATE_EPOCH))
    if variant.foreign is not None:
        from smelt.build.foreign import foreign_request

        return JobSpec(
            key=node.key,
            label=node.label,
            name=variant.name,
            version=variant.version,
            build=variant.build,
            subdir=node.subdir if variant.subdir != NOARCH else NOARCH,
            build_subdir=node.build_subdir,
            recipe={},
            revision3=False,
            recipe_folder=None,
            variant={},
            channels=(),
            source=_source_files(node),
            timestamp=timestamp,
            compiles_python=variant.noarch is None,
            foreign=foreign_request(node, variant.foreign, build, host),
            depends=node.metadata.depends,
            constrains=node.metadata.constrains,
        )
    sides = sides_of(node.variant, build, host)
    recipe, uncompiled = _frozen_recipe(node, sides, timestamp)
    return JobSpec(
        key=node.key,
        label=node.label,
        name=variant.name,
        version=variant.version,
        build=variant.build,
        subdir=node.subdir if variant.subdir != NOARCH else NOARCH,
        build_subdir=node.build_subdir,
        recipe=recipe,
        revision3=_needs_revision3(node),
        recipe_folder=_recipe_folder(node),
        variant={
            **{key: value for key, value in variant.variant.items() if key != "target_platform"},
            **_platforms(node),
        },
        channels=pinned_channels((*build, *host), exporting=exporting(sides)),
        source=_source_files(node),
        timestamp=timestamp,
        compiles_python=_compiles_python(node),
        uncompiled=uncompiled,
        build_tree=variant.build_tree,
        depends=node.metadata.depends,
        constrains=node.metadata.constrains,
        run_exports=node.metadata.run_exports.to_dict(),
    )


def _record(item: BuildInput, built: Mapping[str, CondaRecord], node: BuildNode) -> CondaRecord:
    if isinstance(item, CondaRecord):
        return item
    record = built.get(item.key)
    if record is None:
        raise BuildError(
            f"{node.label} needs {item.name}, which is not built",
            code="input-not-built",
            notes=[f"build key {item.key}"],
        )
    return record


def _frozen_recipe(node: BuildNode, sides: Sides, timestamp: int) -> tuple[dict[str, Any], tuple[str, ...]]:
    recipe = dict(portable_recipe(node.variant, node.checkout))
    _require_one_of_each((*sides.build.records, *sides.host.records), node)
    staging = node.variant.staging
    caches = sequence(recipe.pop("staging_caches", None))
    recipe.pop("inherits_from", None)
    requirements: dict[str, Any] = {
        "build": exact_requirements(sides.build, sides),
        "host": exact_requirements(sides.host, sides),
        **described_requirements(node, sides),
        "ignore_run_exports": {
            "by_name": list(node.variant.ignore_run_exports_by_name),
            "from_package": list(node.variant.ignore_run_exports_from),
        },
    }
    extras = mapping(mapping(node.variant.recipe.get("requirements")).get("extras"))
    if extras:
        requirements["extras"] = dict(extras)
    recipe["requirements"] = requirements
    section = dict(mapping(recipe.get("build")))
    section["string"] = node.variant.build
    section["number"] = node.variant.build_number
    section["variant"] = {
        **mapping(section.get("variant")),
        "use_keys": list(
            dict.fromkeys([*(key for key in node.variant.variant if key != "target_platform"), *_platforms(node)])
        ),
    }
    python = dict(mapping(section.get("python")))
    uncompiled = texts(python.get("skip_pyc_compilation"))
    # bytecode is compiled once, after the paths in the sources have their final form
    python["skip_pyc_compilation"] = ["**/*.py"]
    section["python"] = python
    _freeze_environment(section, node, timestamp, node.variant.script_env)
    recipe["build"] = section
    if "source" in recipe:
        recipe["source"] = _frozen_sources(recipe["source"], node)
    if staging is not None:
        staged = _frozen_staging(mapping(caches[0]), node, staging, sides)
        top = {key: recipe.pop(key) for key in ("context", "extra") if key in recipe}
        own = {**recipe, "inherit": {"from": staging.name, "run_exports": staging.inherits_exports}}
        recipe = {**top, "recipe": {"version": node.variant.version}, "outputs": [staged, own]}
    return recipe, uncompiled


def freeze_staging(
    node: BuildNode,
    spec: JobSpec,
    built: Mapping[str, CondaRecord],
    *,
    exports: Callable[[CondaRecord], RunExports],
    length: int,
) -> JobSpec:
    """The job that builds the staging output which ``node`` inherits, and nothing of ``node`` itself.

    ``spec``: what ``freeze`` gave for ``node``. ``exports``: the run-exports of a package. Nothing of the inheriting
    output goes in, so that all of them have one job; its key is the digest of what is built, with what, and of
    ``length``: what its files hold of the paths of the build can be replaced by paths of that length.
    """
    staging = node.variant.staging
    assert staging is not None
    alone = staged_alone(
        staging,
        [_record(item, built, node) for item in node.build_inputs],
        [_record(item, built, node) for item in node.host_inputs],
        exports,
    )
    cache = mapping(sequence(portable_recipe(node.variant, node.checkout).get("staging_caches"))[0])
    heir: dict[str, Any] = {
        "package": {"name": STAGED},
        "inherit": {"from": staging.name, "run_exports": False},
        "build": {
            "number": 0,
            "string": "0",
            "script": {"content": "echo staged"},
            "files": {"exclude": ["**"]},
            "variant": {"use_keys": list(_platforms(node))},
        },
    }
    recipe: dict[str, Any] = {
        "recipe": {"version": "0"},
        "outputs": [_frozen_staging(cache, node, staging, alone), heir],
    }
    if "context" in node.variant.recipe:
        recipe["context"] = node.variant.recipe["context"]
    packages = {"build": alone.staged_build.records, "host": alone.staged_host.records}
    key = staging_key(
        recipe,
        {side: [(r.name, r.version, r.build, r.sha256) for r in records] for side, records in packages.items()},
        source_digest=node.source_digest,
        recipe_folder=spec.recipe_folder,
        subdir=node.subdir,
        build_subdir=node.build_subdir,
        length=length,
    )
    return replace(
        spec,
        key=key,
        label=f"{staging.name} (staging output of {node.label})",
        name=STAGED,
        version="0",
        build="0",
        subdir=node.subdir,
        recipe=recipe,
        variant=_platforms(node),
        channels=pinned_channels((*packages["build"], *packages["host"]), exporting=exporting(alone)),
        timestamp=SOURCE_DATE_EPOCH,
        compiles_python=False,
        uncompiled=(),
        build_tree=None,
        depends=(),
        constrains=(),
        run_exports={},
        stages=True,
    )


def _platforms(node: BuildNode) -> dict[str, str]:
    """What rattler-build has to be told as variant keys where a package is built for another platform."""
    if node.subdir == node.build_subdir:
        return {}
    return {"host_platform": node.subdir, "build_platform": node.build_subdir}


def _frozen_staging(cache: Mapping[str, object], node: BuildNode, staging: Staging, sides: Sides) -> dict[str, Any]:
    section: dict[str, Any] = {k: v for k, v in mapping(cache.get("build")).items() if k in ("script", "steps")}
    _freeze_environment(section, node, SOURCE_DATE_EPOCH, {})
    # the frozen requirements name versions, so no variant counts as used
    section["script"]["env"] = {**staging.variant, **section["script"]["env"]}
    staged: dict[str, Any] = {
        "staging": {"name": staging.name},
        "requirements": {
            "build": exact_requirements(sides.staged_build, sides),
            "host": exact_requirements(sides.staged_host, sides),
            "ignore_run_exports": {
                "by_name": list(staging.ignored_by_name),
                "from_package": list(staging.ignored_from),
            },
        },
        "build": section,
    }
    if "source" in cache:
        staged["source"] = _frozen_sources(cache["source"], node)
    return staged


def _require_one_of_each(records: Iterable[CondaRecord], node: BuildNode) -> None:
    known: dict[tuple[str, str, str], CondaRecord] = {}
    for record in records:
        other = known.setdefault((record.name, record.version, record.build), record)
        if other.sha256 != record.sha256:
            raise BuildError(
                f"{node.label} has two different packages {record} in its build and host environments",
                code="ambiguous-package",
                notes=[other.url, record.url],
                help="give one of them another version or build string",
            )


def _freeze_environment(
    section: dict[str, Any], node: BuildNode, timestamp: int, script_env: Mapping[str, str]
) -> None:
    """What every build script sees, whatever the recipe says (its own values win)."""
    environment = {
        "SOURCE_DATE_EPOCH": str(timestamp),
        "PYTHONHASHSEED": "0",
        "PIP_NO_COMPILE": "1",
        "ZERO_AR_DATE": "1",
        "PYTHONPATH": "@output@/python",
        # within the work folder: what a killed build leaves behind goes with it
        **dict.fromkeys(TEMPORARY, "@output@/t"),
        **script_env,
    }
    steps = section.get("steps")
    if steps:
        raise NotSupportedError(
            f"{node.label} is built in steps: `build.steps` is experimental and not supported yet",
            help="write one `build.script`",
        )
    script = section.get("script")
    frozen: dict[str, Any]
    if isinstance(script, Mapping):
        frozen = dict(mapping(script))  # pyright: ignore[reportUnknownArgumentType]
        frozen["env"] = {**environment, **mapping(frozen.get("env"))}
    elif script is None:
        # rattler-build looks for build.sh or build.bat beside the recipe when there is no script
        frozen = {"env": environment}
    else:
        frozen = {"env": environment, "content": script}
    section["script"] = frozen


def _frozen_sources(sources: object, node: BuildNode) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    items = sequence(sources) if not isinstance(sources, Mapping) else (mapping(sources),)  # pyright: ignore[reportUnknownArgumentType]
    for item in items:
        source = dict(mapping(item))
        path = source.get("path")
        if isinstance(path, str):
            source["path"] = _source_token(path, node)
            # the copy holds exactly the files of the digest: nothing is to be left out again
            source["use_gitignore"] = False
        found.append(source)
    return found


def _source_token(path: str, node: BuildNode) -> str:
    folder = str(node.checkout.folder)
    full = path.replace("@source@", folder).replace("@recipe@", str(node.variant.recipe_folder))
    relative = _inside(node.variant.recipe_folder / full, node.checkout.folder)
    if relative is None:
        raise NotSupportedError(
            f"{node.label} takes its source from {full}, outside of the folder of the package ({folder})",
            help="the source code of a package must lie in its folder, or be given by url, git or `pypi`",
        )
    return "@source@" if relative == "." else f"@source@/{relative}"


def _inside(path: Path, folder: Path) -> str | None:
    """``path`` relative to ``folder`` (POSIX), None if it is not inside."""
    normal = Path(os.path.normpath(path.absolute()))
    for candidate, root in ((normal, folder.absolute()), (path.resolve(), folder.resolve())):
        if candidate.is_relative_to(root):
            return PurePosixPath(candidate.relative_to(root)).as_posix()
    return None


def _compiles_python(node: BuildNode) -> bool:
    if node.variant.noarch is not None or node.variant.subdir == NOARCH:
        return False
    python = mapping(mapping(node.variant.recipe.get("build")).get("python"))
    return python.get("version_independent") is not True


def _needs_revision3(node: BuildNode) -> bool:
    recipe = node.variant.recipe
    return (
        any(needs_v3(text) for text in (*node.metadata.depends, *node.metadata.constrains))
        or bool(mapping(recipe.get("build")).get("flags"))
        or bool(mapping(recipe.get("requirements")).get("extras"))
    )


def _recipe_folder(node: BuildNode) -> str | None:
    """Only files of the digest may be seen: a recipe folder elsewhere is left empty."""
    return _inside(node.variant.recipe_folder, node.checkout.folder)


def _source_files(node: BuildNode) -> tuple[SourceFile, ...] | None:
    if node.checkout.digest is not None:
        return None
    tree = tree_digest(node.checkout.folder, node.variant.file_globs)
    if tree.digest != node.source_digest:
        raise SourceError(
            f"the source of {node.variant.name} changed since its build was planned",
            code="source-changed",
            notes=[str(node.checkout.folder)],
            help="run the command again",
        )
    return tuple(SourceFile(path=file.path, kind=file.kind, sha256=file.sha256) for file in tree.files)
