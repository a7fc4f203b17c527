"""The PyPI part of a check: what is about an environment, and the walk from its requirements."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from smelt.lock.model import Lock, LockedEnvironment, PypiPackage, SourcePackage
from smelt.lock.purls import PypiIdentity, identities
from smelt.lock.pypi import LocalMetadata, PypiLocked, PypiWalk, build_problem, wheel_problem
from smelt.lock.pypi_index import indexes_problem, locked_indexes
from smelt.lock.pypi_platform import platform_of
from smelt.lock.pypi_requirement import from_manifest
from smelt.lock.walk import Problem, Walk
from smelt.types import CondaRecord
from smelt.workspace.model import EffectiveEnvironment

Conda = Mapping[str, CondaRecord | SourcePackage]
Local = tuple[str | None, Callable[[str], LocalMetadata | None] | None]
"""The root of the workspace, and what a local project says of itself today, by its location."""


def walk_pypi(
    effective: EffectiveEnvironment,
    lock: Lock,
    conda: Conda,
    pypi: Sequence[PypiPackage],
    walk: Walk,
    local: Local,
) -> tuple[PypiWalk, Problem | None]:
    """Walk from the PyPI requirements of an environment; ``walk`` has been through its conda requirements."""
    platform = platform_of(conda, effective.platform.subdir, effective.platform.virtual_packages)
    missing: Problem | None = None
    if not pypi and conda and all(isinstance(p, CondaRecord) and p.purls is None for p in conda.values()):
        # where no requirement is for this platform nothing has to count as one
        wanted = map(from_manifest, effective.pypi_requirements)
        if platform is None or any(platform.holds(each.marker, each.extras) for each in wanted):
            reason = "the lock file does not say which conda packages count as packages of a PyPI index"
            missing = Problem("missing-purls", reason)
    locked = PypiLocked(
        packages=pypi,
        conda=_identities(conda, walk),
        indexes=locked_indexes(lock.environments[effective.environment.name]),
        has_index=lock.version >= 7,
        root=local[0],
        local=local[1],
    )
    found = PypiWalk(locked, platform, effective.pypi_options, walk.follow)
    problem = found.requirements(effective.pypi_requirements)
    return found, (
        missing
        or problem
        or build_problem(pypi, effective.pypi_options, effective.pypi_requirements, found.visited)
        or wheel_problem(pypi, platform, found.visited)
    )


def _identities(conda: Conda, walk: Walk) -> Mapping[str, tuple[str, PypiIdentity]]:
    found: dict[str, tuple[str, PypiIdentity]] = {}
    for name, package in conda.items():
        record = walk.source_record(package) if isinstance(package, SourcePackage) else package
        if record is not None:
            found.update({identity.name: (name, identity) for identity in identities(record)})
    return found


def index_problem(
    lock: Lock, locked: LockedEnvironment, effective: EffectiveEnvironment, defaults: Callable[[], Sequence[str]] | None
) -> Problem | None:
    """Whether the indexes that were solved with are those that are wanted now."""
    references = locked.packages.get(effective.platform.name, ())
    if not effective.pypi_requirements or not any(reference.kind == "pypi" for reference in references):
        return None
    if locked.indexes is None:
        if lock.version < 5:  # older lock files do not say
            return None
        return Problem("pypi-indexes", "the lock file does not say which PyPI indexes it was solved with")
    problem = indexes_problem(locked, effective.pypi_options, defaults)
    return Problem("pypi-indexes", problem) if problem is not None else None
