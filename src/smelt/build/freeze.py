"""From a build node to a job: a recipe in which nothing is left to decide, and channels that hold nothing else."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from smelt.build.environment import TEMPORARY
from smelt.build.job import SOURCE_DATE_EPOCH, JobSpec, SourceFile
from smelt.build.key import portable_recipe
from smelt.build.model import BuildInput, BuildNode
from smelt.build.plain import mapping, sequence, texts
from smelt.build.sides import Sides, described_requirements, exact_requirements, exporting, sides_of
from smelt.errors import BuildError, NotSupportedError, SourceError
from smelt.solve.records import to_repodata
from smelt.source.model import Staging
from smelt.source.requirement import needs_v3
from smelt.source.tree import tree_digest
from smelt.types import NOARCH, CondaRecord


def freeze(node: BuildNode, built: Mapping[str, CondaRecord]) -> JobSpec:
    """The job that builds ``node``; ``built``: build key → record of the artifact, for its source inputs.

    The recipe names every locked package of build and host exactly and has an explicit build string. Its run
    requirements are those of the package: what rattler-build makes of them, of pins and of run-exports, is
    compared with what is locked. For a source tree that may change, the files are listed with their digests.

    Raises BuildError (``input-not-built``, ``ambiguous-package``), SourceError (``source-changed``), and
    NotSupportedError for cross builds, build steps and sources outside the package.
    """
    variant = node.variant
    if node.subdir not in (node.build_subdir, NOARCH):
        raise NotSupportedError(
            f"{node.label} is for {node.subdir} and would be built on {node.build_subdir}: "
            "cross builds are not supported yet",
            help=f"build it on a machine of platform {node.subdir}",
        )
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
        variant={key: value for key, value in variant.variant.items() if key != "target_platform"},
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
        "use_keys": [key for key in node.variant.variant if key != "target_platform"],
    }
    python = dict(mapping(section.get("python")))
    uncompiled = texts(python.get("skip_pyc_compilation"))
    # bytecode is compiled once, after the paths in the sources have their final form
    python["skip_pyc_compilation"] = ["**/*.py"]
    section["python"] = python
    _freeze_environment(section, node, timestamp)
    recipe["build"] = section
    if "source" in recipe:
        recipe["source"] = _frozen_sources(recipe["source"], node)
    if staging is not None:
        staged = _frozen_staging(mapping(caches[0]), node, staging, sides, timestamp)
        top = {key: recipe.pop(key) for key in ("context", "extra") if key in recipe}
        own = {**recipe, "inherit": {"from": staging.name, "run_exports": staging.inherits_exports}}
        recipe = {**top, "recipe": {"version": node.variant.version}, "outputs": [staged, own]}
    return recipe, uncompiled


def _frozen_staging(
    cache: Mapping[str, object], node: BuildNode, staging: Staging, sides: Sides, timestamp: int
) -> dict[str, Any]:
    section: dict[str, Any] = {k: v for k, v in mapping(cache.get("build")).items() if k in ("script", "steps")}
    _freeze_environment(section, node, timestamp)
    # the frozen requirements name versions, so no variant counts as used
    section["script"]["env"] = {**node.variant.variant, **section["script"]["env"]}
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


def _freeze_environment(section: dict[str, Any], node: BuildNode, timestamp: int) -> None:
    """What every build script sees, whatever the recipe says (its own values win)."""
    environment = {
        "SOURCE_DATE_EPOCH": str(timestamp),
        "PYTHONHASHSEED": "0",
        "PIP_NO_COMPILE": "1",
        "ZERO_AR_DATE": "1",
        "PYTHONPATH": "@output@/python",
        # within the work folder: what a killed build leaves behind goes with it
        **dict.fromkeys(TEMPORARY, "@output@/t"),
        **node.variant.script_env,
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


def pinned_channels(
    records: Iterable[CondaRecord], *, exporting: Collection[str] = ()
) -> tuple[Mapping[str, Any], ...]:
    """Channels that hold these records and nothing else, each as subdir → ``repodata.json`` (CEP 15).

    ``exporting``: addresses of the packages whose run-exports count; where they are not known here, the entry has
    none, and the worker looks. ``info.base_url`` points to where the archives are. What a record says of virtual
    packages is left out: it was checked when the environment was solved, for the machine it was solved for.
    """
    channels: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for record in records:
        folder = record.url.rpartition("/")[0]
        # a channel's linux-64 and noarch go together, unless they lie in different places
        channel = channels.setdefault((record.channel or folder, _parent(folder, record.subdir)), {})
        section = channel.setdefault(record.subdir, _repodata(record.subdir, folder))
        data = to_repodata(record)
        data["depends"] = [spec for spec in data["depends"] if not spec.startswith("__")]
        data["constrains"] = [spec for spec in data["constrains"] if not spec.startswith("__")]
        if record.url not in exporting:
            data["run_exports"] = {}
        elif record.run_exports is not None:
            data["run_exports"] = record.run_exports.to_dict()
        kind = "packages" if record.file_name.endswith(".tar.bz2") else "packages.conda"
        section[kind][_canonical_file_name(record)] = data
    for channel in channels.values():
        channel.setdefault(NOARCH, _repodata(NOARCH, None))
    return tuple(channels.values())


def _parent(folder: str, subdir: str) -> str:
    return folder.removesuffix(f"/{subdir}")


def _repodata(subdir: str, folder: str | None) -> dict[str, Any]:
    info: dict[str, Any] = {"subdir": subdir}
    if folder is not None:
        info["base_url"] = f"{folder}/"
    return {"info": info, "packages": {}, "packages.conda": {}, "repodata_version": 2}


def _canonical_file_name(record: CondaRecord) -> str:
    suffix = ".tar.bz2" if record.file_name.endswith(".tar.bz2") else ".conda"
    name = f"{record.name}-{record.version}-{record.build}{suffix}"
    if name != record.file_name:
        raise BuildError(
            f"the archive of {record} is called {record.file_name}, not {name}",
            code="file-name",
            notes=[record.url],
        )
    return name
