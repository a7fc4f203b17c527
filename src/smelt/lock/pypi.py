"""From the PyPI requirements of an environment through its locked packages.

A conda package that counts as a PyPI package (``smelt.lock.purls``) goes before one from an index. The order of the
checks and what they allow follow the reference's ``satisfiability``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import cast

from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from smelt.lock.location import is_url
from smelt.lock.model import PypiPackage
from smelt.lock.purls import PypiIdentity
from smelt.lock.pypi_platform import PypiPlatform
from smelt.lock.pypi_requirement import (
    PypiWanted,
    from_manifest,
    from_text,
    lower_bound_problem,
    same_path,
    self_expanded,
)
from smelt.lock.pypi_source import git_problem, same_index, url_problem
from smelt.lock.walk import Problem
from smelt.manifest.positions import KeyPath
from smelt.manifest.pypi import PypiOptions, PypiRequirement

NO_VERSION = "0a0.dev0"
"""What a project without a version counts as (the least version that there is)."""
_ENVIRONMENT = "<environment>"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalMetadata:
    """What the ``pyproject.toml`` of a local project says today; ``version`` None if it is found by building."""

    version: str | None
    requires_dist: tuple[str, ...]
    requires_python: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PypiLocked:
    """What of a lock a check of PyPI requirements looks at.

    ``conda``: by PyPI name the conda package (its name, in lower case) that counts as it, and as which version.
    ``indexes``: of the locked environment, the first is the default one. ``has_index``: whether its packages say which
    index they are of (version 7). ``root``: of the workspace. ``local``: location of a local project → its metadata.
    """

    packages: Sequence[PypiPackage]
    conda: Mapping[str, tuple[str, PypiIdentity]]
    indexes: tuple[str, ...] = ()
    has_index: bool = True
    root: str | None = None
    local: Callable[[str], LocalMetadata | None] | None = None


class PypiWalk:
    """One environment on one platform. ``follow``: goes through a conda package, by name."""

    def __init__(
        self,
        locked: PypiLocked,
        platform: PypiPlatform | None,
        options: PypiOptions,
        follow: Callable[[str], Problem | None],
    ) -> None:
        self._locked = locked
        self._by_name = {package.name: package for package in locked.packages}
        self._platform = platform
        self._overrides = options.dependency_overrides
        self._follow = follow
        # Each package that was reached, with the place of the requirement of the manifest that led there first.
        self._visited: dict[str, KeyPath] = {}
        self.conda_used: set[str] = set()

    def requirements(self, requirements: Sequence[PypiRequirement]) -> Problem | None:
        """The first thing that does not fit, and the requirement that leads to it.

        Conda packages that were reached are followed in any case.
        """
        first: Problem | None = None
        waiting: list[tuple[PypiWanted, str, KeyPath]] = []
        for requirement in requirements:
            try:
                wanted = from_manifest(requirement)
            except ValueError as error:
                return Problem("pypi-requirement", str(error), at=requirement.place)
            if self._platform is None or not self._platform.is_supported:
                return replace(_no_python(wanted, self._platform), at=requirement.place)
            if self._platform.holds(wanted.marker, wanted.extras):
                waiting.append((wanted, _ENVIRONMENT, requirement.place))
        seen: set[tuple[str, str]] = {(wanted.text, origin) for wanted, origin, _ in waiting}
        followed: set[tuple[str, tuple[str, ...]]] = set()
        while waiting:
            wanted, origin, at = waiting.pop()
            if wanted.name in self._locked.conda:
                problem = self._conda(wanted, origin)
            else:
                problem = self._pypi(wanted, origin)
                package = self._by_name.get(wanted.name)
                if package is not None:
                    if package.name not in self._visited:
                        self._visited[package.name] = at
                        problem = problem or self._package(package)
                    extras = self._override(wanted).extras
                    if (package.name, extras) not in followed:
                        followed.add((package.name, extras))
                        problem = self._depends(package, extras, at, waiting, seen) or problem
            if first is None and problem is not None:
                first = problem if problem.place is not None else replace(problem, at=at)
        return first

    @property
    def visited(self) -> Mapping[str, KeyPath]:
        """The PyPI packages that were reached, each with the place of the requirement that led there."""
        return self._visited

    def left_over(self) -> Problem | None:
        """Locked PyPI packages that nothing requires."""
        unused = sorted(name for name in self._by_name if name not in self._visited)
        if not unused:
            return None
        shown = ", ".join(unused)
        return Problem("superfluous", f"there are PyPI packages in the lock file that nothing requires: {shown}")

    def _override(self, wanted: PypiWanted) -> PypiWanted:
        override = self._overrides.get(wanted.name)
        return from_manifest(override) if override is not None else wanted

    def _depends(
        self,
        package: PypiPackage,
        extras: Sequence[str],
        at: KeyPath,
        waiting: list[tuple[PypiWanted, str, KeyPath]],
        seen: set[tuple[str, str]],
    ) -> Problem | None:
        assert self._platform is not None
        for text in requires_dist(package):
            try:
                wanted = from_text(text)
            except ValueError as error:
                return Problem("pypi-requirement", f"{error} (required by '{package.name}')")
            if self._platform.holds(wanted.marker, extras) and (text, package.name) not in seen:
                seen.add((text, package.name))
                waiting.append((wanted, package.name, at))
        return None

    def _conda(self, wanted: PypiWanted, origin: str) -> Problem | None:
        name, identity = self._locked.conda[wanted.name]
        self.conda_used.add(name)
        own = self._override(wanted)
        problem = self._follow(name)
        if own.own.is_source:
            kind = "path" if own.own.path is not None else "git" if own.own.git is not None else "url"
            return Problem(
                "pypi-source-is-conda",
                f"'{wanted.text}' is required as a {kind} dependency, but the conda package '{name}' "
                f"is installed as '{wanted.name}'",
            )
        return problem or (None if own.contains(identity.version) else _unsatisfied(wanted, origin))

    def _pypi(self, wanted: PypiWanted, origin: str) -> Problem | None:
        package = self._by_name.get(wanted.name)
        if package is None:
            return _unsatisfied(wanted, origin)
        wanted = self._override(wanted)
        own = wanted.own
        if own.git is not None:
            return git_problem(package, own, direct=origin == _ENVIRONMENT)
        if own.url is not None:
            return url_problem(package, own)
        if own.path is not None:
            if is_url(package.location):
                return Problem("pypi-source", f"'{package.name}' is locked from {package.location}, not from a path")
            if not same_path(package.location, own.path, self._locked.root):
                return Problem(
                    "pypi-source",
                    f"'{package.name}' is locked from the path '{package.location}', required is '{own.path}'",
                )
            return None
        return self._registry_problem(package, wanted, direct=origin == _ENVIRONMENT)

    def _registry_problem(self, package: PypiPackage, wanted: PypiWanted, *, direct: bool) -> Problem | None:
        if not direct and not is_url(package.location):
            return None
        text = self._version(package)
        try:
            fits = wanted.contains(Version(text))
        except InvalidVersion:
            fits = False
        if not fits:
            return Problem(
                "pypi-version",
                f"'{package.name}' with specifiers '{wanted.specifier}' does not match the locked version '{text}'",
            )
        return self._index_problem(package, wanted.own.index, direct=direct)

    def _index_problem(self, package: PypiPackage, required: str | None, *, direct: bool) -> Problem | None:
        from_index = is_url(package.location) and not package.location.startswith(("git+", "direct+"))
        if not self._locked.has_index or not from_index or not self._locked.indexes:
            return None
        have = str(package.data.get("index") or self._locked.indexes[0])
        if required is not None:
            accepted: tuple[str, ...] = (required,)
        elif direct:
            accepted = self._locked.indexes
        else:
            return None
        if any(same_index(have, each) for each in accepted):
            return None
        shown = ", ".join(accepted)
        return Problem("pypi-index", f"'{package.name}' requires index {shown} but the lock file has {have}")

    def _version(self, package: PypiPackage) -> str:
        if package.version is not None:
            return package.version
        now = self._local(package)
        return now.version if now is not None and now.version is not None else NO_VERSION

    def _local(self, package: PypiPackage) -> LocalMetadata | None:
        if self._locked.local is None or is_url(package.location):
            return None
        return self._locked.local(package.location)

    def _package(self, package: PypiPackage) -> Problem | None:
        """Whether a package is what it was when it was locked, and is for this Python."""
        assert self._platform is not None
        now = self._local(package)
        if now is not None:
            problem = _changed(package, now)
            if problem is not None:
                return problem
        required = package.data.get("requires_python")
        if isinstance(required, str) and lower_bound_problem(required, Version(self._platform.python)):
            return Problem(
                "pypi-python",
                f"'{package.name}' requires Python {required}, the lock file has Python {self._platform.python}",
            )
        return None


def requires_dist(package: PypiPackage) -> tuple[str, ...]:
    """The requirements of a locked package."""
    return tuple(str(each) for each in cast("Sequence[object]", package.data.get("requires_dist") or ()))


def wheel_problem(
    packages: Sequence[PypiPackage], platform: PypiPlatform | None, reached: Mapping[str, KeyPath] | None = None
) -> Problem | None:
    """The first wheel that cannot be installed on ``platform``, by the tags in its name.

    ``reached``: by package the place of the requirement that leads to it.
    """
    if platform is None or not platform.is_supported:
        return None
    for package in packages:
        file_name = package.location.partition("#")[0].rpartition("/")[2].replace("%2B", "+")
        if not file_name.endswith(".whl"):
            continue
        try:
            _, _, _, tags = parse_wheel_filename(file_name)
        except InvalidWheelFilename:
            continue
        if not any(tag in platform.tags() for tag in tags):
            return Problem(
                "pypi-wheel-tags",
                f"the wheel of '{package.name}' ({file_name}) is for another platform than the virtual packages and "
                f"Python {platform.python} of {platform.subdir} allow",
                at=(reached or {}).get(package.name, ()),
            )
    return None


def build_problem(
    packages: Sequence[PypiPackage],
    options: PypiOptions,
    requirements: Sequence[PypiRequirement],
    reached: Mapping[str, KeyPath] | None = None,
) -> Problem | None:
    """The first package that has to be built although ``no-build`` forbids it; editable projects may be.

    ``reached`` as for ``wheel_problem``.
    """
    editable = {requirement.name for requirement in requirements if requirement.path and requirement.editable}
    for package in packages:
        forbidden = options.no_build == "all" or package.name in options.no_build
        if forbidden and not package.location.partition("#")[0].endswith(".whl") and package.name not in editable:
            return Problem(
                "pypi-no-build",
                f"the lock file contains the package '{package.name}', which has to be built, but `no-build` is set",
                at=(reached or {}).get(package.name, ()),
            )
    return _binary_problem(packages, options, requirements, reached)


def _binary_problem(
    packages: Sequence[PypiPackage],
    options: PypiOptions,
    requirements: Sequence[PypiRequirement],
    reached: Mapping[str, KeyPath] | None,
) -> Problem | None:
    """The first wheel of an index or of ``find-links`` although ``no-binary`` forbids it.

    One that is required by its address or path is meant. The reference does not look at this.
    """
    if not options.no_binary:
        return None
    meant = {own.name for own in (*requirements, *options.dependency_overrides.values()) if own.is_source}
    for text in (text for package in packages for text in requires_dist(package) if "@" in text):
        with suppress(ValueError):  # of a package that nothing requires, or it would have been said already
            own = from_text(text).own
            meant |= {own.name} if own.is_source else set()
    for package in packages:
        forbidden = options.no_binary == "all" or package.name in options.no_binary
        wheel = package.location.partition("#")[0].endswith(".whl") and not package.location.startswith("direct+")
        if forbidden and wheel and package.name not in meant:
            return Problem(
                "pypi-no-binary",
                f"the lock file contains a wheel of the package '{package.name}', but `no-binary` is set",
                at=(reached or {}).get(package.name, ()),
            )
    return None


def _no_python(wanted: PypiWanted, platform: PypiPlatform | None) -> Problem:
    why = "no `python` is locked" if platform is None else f"there are no PyPI packages for {platform.subdir}"
    return Problem("pypi-python", f"the requirement '{wanted.text}' cannot be satisfied: {why}")


def _unsatisfied(wanted: PypiWanted, origin: str) -> Problem:
    return Problem("unsatisfied", f"the requirement '{wanted.text}' could not be satisfied (required by '{origin}')")


def _changed(package: PypiPackage, now: LocalMetadata) -> Problem | None:
    try:
        locked = self_expanded(package.name, requires_dist(package))
        today = self_expanded(package.name, now.requires_dist)
    except ValueError as error:
        return Problem("pypi-changed", f"the metadata of the local package '{package.name}' cannot be read: {error}")
    if locked != today:
        parts = [
            f"{word}: {', '.join(sorted(each.partition(';')[0].replace('[]', '') for each in names))}"
            for word, names in (("added", today - locked), ("removed", locked - today))
            if names
        ]
        return Problem(
            "pypi-changed", f"the requirements of the local package '{package.name}' changed ({'; '.join(parts)})"
        )
    if package.version is not None and now.version is not None and Version(package.version) != Version(now.version):
        return Problem(
            "pypi-changed",
            f"the local package '{package.name}' has version {now.version}, locked is {package.version}",
        )
    python = package.data.get("requires_python")
    if _specifiers(python) != _specifiers(now.requires_python):
        return Problem(
            "pypi-changed",
            f"the local package '{package.name}' requires Python {now.requires_python or 'any'}, "
            f"locked is {python or 'any'}",
        )
    return None


def _specifiers(text: object) -> frozenset[str]:
    return frozenset("".join(part.split()) for part in str(text or "").split(",") if part.strip())
