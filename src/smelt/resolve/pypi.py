"""The PyPI half of a solve: after conda, with what conda chose."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from smelt.config.network import Network
from smelt.errors import Label, ManifestError, NotSupportedError, SmeltError, SolveError, SourceError
from smelt.lock.model import BuildSource, Lock, PypiPackage
from smelt.lock.purls import identities
from smelt.lock.pypi import PypiLocked, PypiWalk
from smelt.lock.pypi_platform import PypiPlatform, platform_of
from smelt.lock.pypi_requirement import from_manifest
from smelt.manifest.document import read_document
from smelt.manifest.pypi import PypiRequirement
from smelt.resolve.model import Solution
from smelt.resolve.purls import PurlMapper
from smelt.solve.conda import CondaSolver
from smelt.solve.cutoff import parse_cutoff
from smelt.solve.machine import machine_virtual_packages
from smelt.solve.pypi import InterpreterNeeded, choose, lock_packages
from smelt.solve.pypi_interpreter import fits_interpreter
from smelt.solve.pypi_request import PypiSolveRequest
from smelt.solve.request import SolveRequest
from smelt.types import CondaRecord, current_platform, spec_name
from smelt.workspace.model import EffectiveEnvironment, Workspace
from smelt.workspace.pypi import group_options

ProvidePython = Callable[[Sequence[CondaRecord], str], Awaitable[Path]]
"""Installs records of a platform (this machine's) somewhere and gives the Python among them."""


@dataclass(frozen=True, slots=True)
class PypiSolver:
    """Solves the PyPI requirements of environments that are solved together.

    ``provide``: a Python to build with. ``solver``: finds one of this machine where another platform is solved for.
    """

    workspace: Workspace
    old: Lock | None
    unlock: Collection[str] | None
    provide: ProvidePython | None
    mapper: PurlMapper
    network: Network = field(default_factory=Network)
    solver: CondaSolver | None = None
    _provided: dict[tuple[str, ...], asyncio.Task[Path]] = field(
        default_factory=dict[tuple[str, ...], "asyncio.Task[Path]"], compare=False
    )

    async def complete(self, solution: Solution, members: Sequence[EffectiveEnvironment]) -> Solution:
        """``solution`` with the PyPI packages of ``members``, and with package URLs of its conda packages.

        Raises SolveError headed by environment and platform and pointing at what is required; NotSupportedError,
        ManifestError, ChannelError.
        """
        names = [member.environment.name for member in members]
        if not any(each.pypi_requirements for (name, _), each in self.workspace.effective.items() if name in names):
            return solution
        records = self.mapper.complete([r for r in solution.records if r.name not in solution.chosen])
        chosen = [record for record in solution.records if record.name in solution.chosen]
        solution = replace(solution, records=tuple(sorted((*records, *chosen), key=lambda record: record.name)))
        requirements = tuple(dict.fromkeys(each for member in members for each in member.pypi_requirements))
        if not requirements:
            return solution
        try:
            return replace(solution, pypi=await self._solve(solution, members, requirements))
        except (SolveError, NotSupportedError) as error:
            raise self._headed(error, members, requirements) from error

    async def _solve(
        self, solution: Solution, members: Sequence[EffectiveEnvironment], requirements: Sequence[PypiRequirement]
    ) -> tuple[PypiPackage, ...]:
        first = members[0]
        platform = _platform(solution, first)
        wanted = [from_manifest(requirement) for requirement in requirements]
        if platform is None:
            raise SolveError(
                "PyPI packages need a Python, and none is required",
                code="pypi-no-python",
                help="add `python` to the dependencies: `smelt add python`",
            )
        if not platform.is_supported:
            raise NotSupportedError(f"there are no PyPI packages for {platform.subdir}", code="pypi-platform")
        holding = tuple(each.own for each in wanted if platform.holds(each.marker, each.extras))
        if not holding:
            return ()
        installed = [identity for record in solution.records for identity in identities(record)]
        now = datetime.now(UTC)
        request = PypiSolveRequest(
            requirements=holding,
            platform=platform,
            root=self.workspace.root,
            options=group_options(self.workspace, first.environment.name),
            installed=tuple({identity.name: identity for identity in installed}.values()),
            locked=self._locked(members),
            strategy=first.solve_strategy,
            exclude_newer=_moment(first.exclude_newer, now),
            network=self.network,
            checkout=self._checkout,
            package_cutoffs={name: _moment(text, now) or "" for name, text in first.pypi_package_cutoffs.items()},
        )
        isolated = request.options.no_build_isolation == ()
        if not isolated:
            request = replace(request, interpreter=await self._interpreter(solution, request, first, isolated=False))
        try:
            chosen = await asyncio.to_thread(choose, request)
            needed = chosen.built and request.interpreter is None and not fits_interpreter(platform)
        except InterpreterNeeded:
            chosen, needed = None, True
        if needed:
            request = replace(request, interpreter=await self._interpreter(solution, request, first, isolated=isolated))
        if chosen is None:
            chosen = await asyncio.to_thread(choose, request)
        return await asyncio.to_thread(lock_packages, chosen, request)

    def _checkout(self, address: str, commit: str, subdirectory: str | None) -> Path | None:
        """The code of a git source, for what it says of itself; uv tells what is wrong with it if it cannot be had."""
        from smelt.source.fetch import checkout

        try:
            source = BuildSource(git=address, rev=commit, subdir=subdirectory)
            return checkout(source, self.workspace.root, network=self.network).folder
        except SourceError:
            return None

    async def _interpreter(
        self, solution: Solution, request: PypiSolveRequest, member: EffectiveEnvironment, *, isolated: bool
    ) -> Path:
        """A Python of the environment's version, with what the environment holds where builds are not isolated."""
        here = request.platform.subdir == current_platform()
        if here and self.provide is not None:
            records = [record for record in solution.records if record.name not in solution.chosen]
            if isolated:
                records = _closure(records, "python")
            return await self._provide(records, request.platform.subdir)
        if fits_interpreter(request.platform):
            return Path(sys.executable)
        minor = ".".join(map(str, request.platform.python_minor))
        wanted = f"free-threaded Python {minor}" if request.platform.free_threaded else f"Python {minor}"
        notes: list[str] = []
        if isolated and not here and self.provide is not None and self.solver is not None:
            # as the reference does it: a Python of this machine builds, and tells of itself what it is
            try:
                found = await self.solver.solve(_python_here(request.platform, member))
                return await self._provide(_closure(found, "python"), current_platform())
            except SolveError as error:
                notes = [error.message, *error.notes]
        raise SolveError(
            f"something has to be built for its metadata, and there is no {wanted} here to do that with",
            code="pypi-no-interpreter",
            notes=notes,
            help=f"lock with a {wanted}, on a machine of that platform, or take versions that come as wheels",
        )

    async def _provide(self, records: Sequence[CondaRecord], subdir: str) -> Path:
        """Install ``records``, once for all that ask for the same at the same time."""
        assert self.provide is not None
        key = tuple(sorted(record.url for record in records))
        task = self._provided.get(key)
        if task is None:
            task = self._provided[key] = asyncio.ensure_future(self.provide(records, subdir))
        return await asyncio.shield(task)

    def _locked(self, members: Sequence[EffectiveEnvironment]) -> tuple[PypiPackage, ...]:
        """The packages to stay with, where they can."""
        if self.old is None or self.unlock is None:
            return ()
        found: dict[str, PypiPackage] = {}
        for member in members:
            for package in self.old.packages_of(member.environment.name, member.platform.name) or ():
                if isinstance(package, PypiPackage) and package.name not in self.unlock:
                    found.setdefault(package.name, package)
        return tuple(found.values())

    def _headed(
        self, error: SmeltError, members: Sequence[EffectiveEnvironment], requirements: Sequence[PypiRequirement]
    ) -> SmeltError:
        first = members[0]
        group = first.environment.solve_group
        what = f"solve group `{group}`" if group else f"environment `{first.environment.name}`"
        text = "\n".join([error.message, *error.notes])
        head = f"{what}, {first.platform.name}: {error.message}"
        labels = [*error.labels, *self._labels(requirements, text)][:5]
        return type(error)(head, code=error.kind, labels=labels, help=error.help, notes=error.notes)

    def _labels(self, requirements: Sequence[PypiRequirement], text: str) -> list[Label]:
        named = [r for r in requirements if re.search(rf"(?<![\w.-]){re.escape(r.name)}(?![\w-])", text) and r.place]
        if not named:
            return []
        try:
            document = read_document(self.workspace.manifest_path)
            places = [document.key(requirement.place) for requirement in named]
        except (ManifestError, OSError, KeyError):
            return []  # the manifest changed meanwhile: the message stands without its place
        return [Label(place=place, message="required here") for place in places]


def part_of(
    solution: Solution, member: EffectiveEnvironment, root: Path
) -> tuple[tuple[str, ...], tuple[PypiPackage, ...]]:
    """What of a solution an environment's PyPI requirements need: names of conda packages, and PyPI packages."""
    if not member.pypi_requirements:
        return (), ()
    conda: dict[str, None] = {}

    def follow(name: str) -> None:
        conda[name] = None

    locked = PypiLocked(
        packages=solution.pypi,
        conda={each.name: (record.name, each) for record in solution.records for each in identities(record)},
        root=root.as_posix(),
    )
    walk = PypiWalk(locked, _platform(solution, member), member.pypi_options, follow)
    walk.requirements(member.pypi_requirements)
    return tuple(conda), tuple(package for package in solution.pypi if package.name in walk.visited)


def _platform(solution: Solution, member: EffectiveEnvironment) -> PypiPlatform | None:
    conda = {record.name: record for record in solution.records}
    return platform_of(conda, member.platform.subdir, member.platform.virtual_packages)


def _python_here(platform: PypiPlatform, member: EffectiveEnvironment) -> SolveRequest:
    """The solve for a Python of this machine, of the kind of that of ``platform``, from an environment's channels."""
    major, minor = platform.python_minor
    abi = (f"python_abi {major}.{minor}.* *_cp{major}{minor}t",) if platform.free_threaded else ()
    return SolveRequest(
        specs=(f"python {major}.{minor}.*", *abi),
        channels=member.channels,
        subdir=current_platform(),
        virtual_packages=machine_virtual_packages(),
        channel_priority=member.channel_priority,
        exclude_newer=member.exclude_newer,
        channel_cutoffs=tuple(sorted(member.channel_cutoffs.items())),
        package_cutoffs=tuple(sorted(member.package_cutoffs.items())),
    )


def _closure(records: Sequence[CondaRecord], root: str) -> list[CondaRecord]:
    by_name = {record.name: record for record in records}
    kept: dict[str, CondaRecord] = {}
    waiting = [root]
    while waiting:
        name = waiting.pop()
        if name in by_name and name not in kept:
            kept[name] = by_name[name]
            waiting += map(spec_name, by_name[name].depends)
    return list(kept.values())


def _moment(text: str | None, now: datetime) -> str | None:
    """A cut-off as RFC 3339."""
    if text is None:
        return None
    meaning = parse_cutoff(text)
    moment = now - meaning if isinstance(meaning, timedelta) else meaning
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
