"""One PyPI solve: requirements → distributions, by uv."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import cast

from smelt.errors import SolveError
from smelt.lock.model import PypiPackage
from smelt.lock.pypi_requirement import describe
from smelt.lock.pypi_source import plain_index
from smelt.manifest.pypi import normalize_pypi_name
from smelt.solve.pypi_distribution import Distribution, from_pylock
from smelt.solve.pypi_input import (
    PROJECT,
    index_addresses,
    option_arguments,
    option_variables,
    platform_environment,
    preferences_text,
    project_text,
    stand_ins,
)
from smelt.solve.pypi_interpreter import fits_interpreter, interpreter_for
from smelt.solve.pypi_metadata import PypiMetadata, read_metadata, static_metadata
from smelt.solve.pypi_request import PypiSolveRequest
from smelt.solve.pypi_uv import UvFailed, configured_index, run_uv


@dataclass(frozen=True, slots=True, kw_only=True)
class PypiSolution:
    """What uv chose, without what conda provides. ``built``: names of what has no wheel and may have to be built."""

    distributions: tuple[Distribution, ...]
    built: tuple[str, ...]


class InterpreterNeeded(Exception):
    """Something has to be built for its metadata, and no Python of the environment's version was given."""


def choose(request: PypiSolveRequest) -> PypiSolution:
    """The distributions that satisfy ``request``, sorted by name.

    Raises SolveError with uv's explanation as its note, and for requirements that conda packages rule out;
    NotSupportedError for a platform that uv cannot solve for; InterpreterNeeded where another Python than the one that
    runs us would have to build something (nothing is built then: uv would remember what the wrong one said).
    """
    _check_installed(request)
    with tempfile.TemporaryDirectory(prefix="smelt-uv-") as name, interpreter_for(request) as interpreter:
        folder = Path(name)
        (folder / "pyproject.toml").write_text(project_text(request), encoding="utf-8")
        (folder / "constraints.txt").write_text("\n".join(stand_ins(request.installed)) + "\n", encoding="utf-8")
        output = folder / "pylock.toml"
        output.write_text(preferences_text(request.locked), encoding="utf-8")
        command = [
            *("pip", "compile", "pyproject.toml", "--no-header", "--quiet"),
            *("--constraints", "constraints.txt", *option_arguments(request, interpreter)),
        ]
        environment = {**platform_environment(request.platform), **option_variables(request.options)}
        may_build = request.interpreter is not None or fits_interpreter(request.platform)
        if not may_build:
            (folder / "nothing").mkdir()
            environment["PYTHONHOME"] = str(folder / "nothing")  # no build backend starts with that
        try:
            run_uv(
                [*command, "--format", "pylock.toml", "--output-file", "pylock.toml"],
                folder=folder,
                environment=environment,
                network=request.network,
                addresses=index_addresses(request.options),
            )
            packages = _packages(output)
            indexes = _indexes(command, request, packages, folder, environment)
        except UvFailed as error:
            # what Python says of a home where nothing is, before 3.13 and since
            homeless = "PYTHONHOME" in error.text or "No module named 'encodings'" in error.text
            if not may_build and homeless:
                raise InterpreterNeeded from error
            raise _explained(error.text, request) from error
    provided = {identity.name for identity in request.installed}
    placed = {each.name: each for each in (*request.requirements, *request.options.dependency_overrides.values())}
    found = [
        _with_index(from_pylock(package, request.platform, request.root, placed), indexes)
        for package in packages
        if normalize_pypi_name(str(package["name"])) not in provided
    ]
    found.sort(key=lambda each: each.name)
    sources = [each for each in found if not each.is_wheel]
    with ThreadPoolExecutor(max_workers=8) as pool:
        told = pool.map(partial(static_metadata, request), sources)
        built = tuple(each.name for each, metadata in zip(sources, told, strict=True) if metadata is None)
    return PypiSolution(distributions=tuple(found), built=built)


def lock_packages(solution: PypiSolution, request: PypiSolveRequest) -> tuple[PypiPackage, ...]:
    """The entries of the lock file. Raises SolveError where the metadata of a package cannot be had.

    ``request.interpreter`` builds what has no static metadata.
    """
    kept = {(package.location, package.version): package for package in request.locked}
    known: dict[str, PypiPackage] = {}
    for each in solution.distributions:
        old = kept.get((each.location, each.version if each.folder is None else None))
        if old is not None and each.folder is None and each.sha256 == old.data.get("sha256"):
            known[each.name] = old
    metadata = read_metadata([each for each in solution.distributions if each.name not in known], request)
    return tuple(
        known[each.name] if each.name in known else _entry(each, metadata[each.name]) for each in solution.distributions
    )


def _packages(path: Path) -> list[Mapping[str, object]]:
    import tomli

    data = tomli.loads(path.read_text(encoding="utf-8"))
    return cast("list[Mapping[str, object]]", data.get("packages", []))


def _indexes(
    command: Sequence[str],
    request: PypiSolveRequest,
    packages: Sequence[Mapping[str, object]],
    folder: Path,
    environment: Mapping[str, str],
) -> dict[str, str]:
    """Name → index.

    ``pylock.toml`` as uv writes it does not say it, ``requirements.txt`` does: it is asked for with the versions that
    were just chosen, where there is more than one index.
    """
    options = request.options
    requirements = (*request.requirements, *options.dependency_overrides.values())
    fetched = [each for each in packages if "wheels" in each or "sdist" in each]
    if not fetched:
        return {}
    links = any(kind == "url" for kind, _ in options.find_links)
    if not (options.extra_index_urls or links or any(each.index for each in requirements)):
        default = plain_index(options.index_url or configured_index())
        return {normalize_pypi_name(str(each["name"])): default for each in fetched}
    output = folder / "requirements.txt"
    output.write_text("".join(f"{each['name']}=={each['version']}\n" for each in fetched), encoding="utf-8")
    form = ("--format", "requirements.txt", "--no-annotate", "--emit-index-annotation")
    run_uv(
        [*command, *form, "--output-file", output.name],
        folder=folder,
        environment=environment,
        network=request.network,
        addresses=index_addresses(options),
    )
    text = output.read_text(encoding="utf-8")
    found = re.findall(r"^([A-Za-z0-9][\w.-]*)==[^\n]*\n\s+# from (\S+)$", text, re.MULTILINE)
    return {normalize_pypi_name(name): plain_index(url) for name, url in found}


def _with_index(each: Distribution, indexes: Mapping[str, str]) -> Distribution:
    index = indexes.get(each.name)
    return replace(each, index=index) if index is not None and each.url is not None and not each.direct else each


def _entry(each: Distribution, metadata: PypiMetadata) -> PypiPackage:
    version = None if each.folder is not None else each.version or metadata.version
    data: dict[str, object] = {"name": each.name}
    optional: dict[str, object] = {
        "version": version,
        "sha256": each.sha256 if each.folder is None and each.git is None else None,
        "index": each.index,
        "requires_dist": list(metadata.requires_dist) or None,
        "requires_python": metadata.requires_python,
    }
    data.update((key, value) for key, value in optional.items() if value is not None)
    return PypiPackage(location=each.location, name=each.name, version=version, data=data)


def _check_installed(request: PypiSolveRequest) -> None:
    """Raise SolveError where a path, git or url is asked for of what conda provides."""
    provided = {identity.name: identity for identity in request.installed}
    overrides = request.options.dependency_overrides
    for requirement in request.requirements:
        own = overrides.get(requirement.name, requirement)
        if own.is_source and own.name in provided:
            raise SolveError(
                f"`{describe(own)}` cannot be installed: a conda package provides {own.name} "
                f"{provided[own.name].version} already",
                code="pypi-conda-conflict",
                help=f"remove `{own.name}` from the conda dependencies (something may depend on it), or from the PyPI "
                "dependencies",
            )


def _explained(text: str, request: PypiSolveRequest) -> SolveError:
    """uv's explanation, in the words of a workspace, and which conda packages it is about."""
    text = text.removeprefix("error: ").replace(PROJECT, "the environment")
    text = re.sub(r"^\s*cause: ", "", text.replace("No solution found when resolving dependencies\n", ""))
    text = re.sub(r"\bthe environment==0\b", "the environment", text)
    text = re.sub(r"\n +(?=And )", "\n", text)
    pinned = [
        f"{identity.name} {identity.version}"
        for identity in request.installed
        if re.search(rf"(?<![\w.-]){re.escape(identity.name)}(?![\w-])", text)
    ]
    notes = [text]
    if pinned:
        notes.append(f"installed by conda, so these versions cannot move: {', '.join(pinned)}")
    return SolveError(
        "the PyPI requirements cannot be solved",
        code="pypi-conda-conflict" if pinned else "pypi-unsatisfiable",
        notes=notes,
        help="require another version of the conda package, or another one from PyPI" if pinned else None,
    )
