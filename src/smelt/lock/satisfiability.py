"""Whether a lock file still fits the workspace, without solving anything.

The checks and their order follow the reference's ``satisfiability``: what is about a whole environment first
(channels, platforms, options, cut-off date), then a walk from the requirements through the ``depends`` of the
locked packages, then what the walk did not reach.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from smelt.lock.cutoffs import Meaning, cutoff_problem
from smelt.lock.matcher import Matcher
from smelt.lock.matching import Matching
from smelt.lock.model import Lock, LockedEnvironment, LockedPackage, PypiPackage, SourcePackage
from smelt.lock.options import DEFAULTS, solve_options
from smelt.lock.platforms import align, find_row, identity, listed, locked_identity
from smelt.lock.walk import Problem, Walk
from smelt.manifest.positions import KeyPath
from smelt.text import Place
from smelt.types import CondaRecord
from smelt.workspace.model import EffectiveEnvironment, Workspace, WorkspacePlatform
from smelt.workspace.pypi import group_options

if TYPE_CHECKING:
    from smelt.lock.pypi import LocalMetadata


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """Why a lock does not fit: on ``platform``, or on every platform of the environment where that is None.

    ``code``: a stable word for the kind of reason. ``place``: the requirement in the manifest that is not met, or
    leads to what does not fit; None where it is not about one.
    """

    environment: str
    platform: str | None
    reason: str
    code: str
    place: Place | None = field(default=None, compare=False)

    def __str__(self) -> str:
        on = f" on {self.platform}" if self.platform is not None else ""
        return f"environment '{self.environment}'{on}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """What a check needs to know beside the workspace and the lock.

    ``cutoff``: the meaning of an ``exclude-newer`` text (``smelt.solve.cutoff.parse_cutoff``). ``now``: what a
    duration counts back from. ``source_digests``: identifier → metadata digest of the variant as it is
    rendered now; None: source packages are taken as they are locked. ``source_records``: identifier →
    what a source package is now, for locks that do not say (mutable sources locked by the reference).
    ``source_differences``: identifier → in what such a package is no longer as it was locked (None: in nothing).
    ``default_indexes``: the PyPI indexes that are used where the manifest names none (None: any will do).
    ``local_metadata``: location of a local Python project → what it says of itself today. ``place``: of a value in
    the manifest.
    """

    matcher: Matcher
    cutoff: Meaning
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    source_digests: Mapping[str, str] | None = None
    source_records: Mapping[str, CondaRecord] = field(default_factory=lambda: MappingProxyType({}))
    source_differences: Mapping[str, str | None] = field(default_factory=lambda: MappingProxyType({}))
    default_indexes: Callable[[], Sequence[str]] | None = None
    local_metadata: Callable[[str], LocalMetadata | None] | None = None
    place: Callable[[KeyPath], Place | None] | None = None
    root: str | None = None


@dataclass(slots=True)
class PypiUse:
    """What the environments of one solve group ask for on a platform: conda packages by name, each with who asks."""

    by_conda: set[str] = field(default_factory=set[str])
    by_pypi: dict[str, str] = field(default_factory=dict[str, str])


def check(workspace: Workspace, lock: Lock, checks: Checks) -> tuple[Mismatch, ...]:
    """Every reason why ``lock`` does not fit ``workspace``, at most one per environment and platform.

    Raises NotSupportedError for ``dev`` dependencies, and what the matcher raises for specs that are not valid.
    """
    lock = align(lock, workspace)
    if checks.root is None:
        checks = replace(checks, root=workspace.root.as_posix())
    matching = Matching(checks.matcher)
    uses: dict[tuple[str, str], PypiUse] = {}
    found: list[Mismatch] = []
    for name in workspace.environments:
        found += _check_environment(workspace, name, lock, checks, matching, uses)
    found += _conda_for_pypi(workspace, uses)
    for name in lock.environments:
        if name not in workspace.environments:
            reason = "it is in the lock file but no longer in the workspace"
            found.append(Mismatch(environment=name, platform=None, reason=reason, code="removed-environment"))
    found += _check_solve_groups(workspace, lock, {(m.environment, m.platform) for m in found})
    return tuple(found)


def check_target(
    effective: EffectiveEnvironment,
    lock: Lock,
    checks: Checks,
    *,
    channels: Sequence[str] | None = None,
    matching: Matching | None = None,
    use: PypiUse | None = None,
) -> Mismatch | None:
    """Why one environment on one platform does not fit, or None. ``channels``: if others than its own count.
    ``use`` is filled with what is asked for, for a look at the whole solve group.

    ``lock`` has the platform names of the workspace (``smelt.lock.platforms.align``). Platforms that the
    environment no longer has, removed environments and solve groups are seen by ``check`` only.
    """
    environment, platform = effective.environment.name, effective.platform.name
    locked = lock.environments.get(environment)
    if locked is None:
        reason = "it is not in the lock file"
        return Mismatch(environment=environment, platform=None, reason=reason, code="missing-environment")
    problem = (
        _channel_problem(locked, channels if channels is not None else effective.channels)
        or _platform_problem(lock, locked, effective.platform)
        or _index_problem(lock, locked, effective, checks)
        or _option_problem(locked, effective)
        or cutoff_problem(lock, locked, effective, checks.cutoff, checks.now)
    )
    if problem is not None:
        whole = problem.code != "exclude-newer" and problem.code != "platform-definition"
        return _mismatch(environment, None if whole else platform, problem)
    packages = lock.packages_of(environment, platform)
    own = use if use is not None else PypiUse()
    problem = _package_problem(effective, lock, packages or (), checks, matching or Matching(checks.matcher), own)
    if problem is not None and problem.place is None and problem.at and checks.place is not None:
        problem = replace(problem, place=checks.place(problem.at))
    return _mismatch(environment, platform, problem) if problem is not None else None


def outdated(workspace: Workspace, mismatches: Sequence[Mismatch]) -> frozenset[tuple[str, str]]:
    """The (environment, platform) pairs to solve again: those that do not fit, with their solve groups."""
    pairs: set[tuple[str, str]] = set()
    for mismatch in mismatches:
        if mismatch.environment in workspace.environments:
            own = [platform.name for platform in workspace.platforms_of(mismatch.environment)]
            pairs.update((mismatch.environment, name) for name in own if mismatch.platform in (None, name))
    for members in workspace.solve_groups.values():
        platforms = {platform for environment, platform in pairs if environment in members}
        pairs.update((member, p) for member in members for p in platforms if (member, p) in workspace.effective)
    return frozenset(pairs)


def _check_environment(
    workspace: Workspace,
    name: str,
    lock: Lock,
    checks: Checks,
    matching: Matching,
    uses: dict[tuple[str, str], PypiUse],
) -> list[Mismatch]:
    effective = [workspace.effective[name, platform.name] for platform in workspace.platforms_of(name)]
    if any(one.pypi_requirements for one in effective):
        options = group_options(workspace, name)
        effective = [replace(one, pypi_options=options) for one in effective]
    locked = lock.environments.get(name)
    if locked is None:
        reason = "it is not in the lock file"
        return [Mismatch(environment=name, platform=None, reason=reason, code="missing-environment")]
    channels = tuple(dict.fromkeys(channel for one in effective for channel in one.channels))
    # an environment whose features share no platform has no channels either
    problem = (_channel_problem(locked, channels) if effective else None) or _extra_platforms(lock, locked, effective)
    if problem is not None:
        return [_mismatch(name, None, problem)]
    found: list[Mismatch] = []
    for one in effective:
        use = uses.setdefault((one.environment.solve_group or f"environment {name}", one.platform.name), PypiUse())
        mismatch = check_target(one, lock, checks, channels=channels, matching=matching, use=use)
        if mismatch is not None:
            found.append(mismatch)
            if mismatch.platform is None:
                break
    return found


def _mismatch(environment: str, platform: str | None, problem: Problem) -> Mismatch:
    return Mismatch(
        environment=environment, platform=platform, reason=problem.reason, code=problem.code, place=problem.place
    )


def _channel_problem(locked: LockedEnvironment, channels: Sequence[str]) -> Problem | None:
    wanted = [channel.rstrip("/") for channel in channels]
    have = [channel.rstrip("/") for channel in locked.channels]
    if len(have) <= len(wanted) and all(_same_channel(h, w) for h, w in zip(have, wanted, strict=False)):
        if len(have) == len(wanted):
            return None
        return Problem("channels-extended", f"the channels {', '.join(wanted[len(have) :])} were added")
    return Problem(
        "channels",
        f"the lock file was solved with the channels {', '.join(have) or '(none)'}, "
        f"the workspace has {', '.join(wanted) or '(none)'}",
    )


def _same_channel(have: str, wanted: str) -> bool:
    # Very old locks name channels without an address.
    return have == wanted or ("://" not in have and wanted.endswith("/" + have))


def _extra_platforms(
    lock: Lock, locked: LockedEnvironment, effective: Sequence[EffectiveEnvironment]
) -> Problem | None:
    names = {one.platform.name for one in effective}
    subdirs = {one.platform.subdir for one in effective}
    extra = sorted(
        row.name
        for row in lock.platforms
        if row.name in locked.packages and row.name not in names and row.subdir not in subdirs
    )
    if not extra:
        return None
    shown = ", ".join(f"'{name}'" for name in extra)
    return Problem("platforms", f"the platforms {shown} are in the lock file but not in the environment")


def _platform_problem(lock: Lock, locked: LockedEnvironment, platform: WorkspacePlatform) -> Problem | None:
    row = find_row(lock, platform.name)
    if row is None or row.name not in locked.packages:
        return None
    if row.subdir != platform.subdir:
        return Problem(
            "platform-definition",
            f"the platform '{platform.name}' is a {platform.subdir}, the lock file was solved for {row.subdir}",
        )
    wanted, have = identity(platform), locked_identity(row)
    if wanted == have:
        return None
    return Problem(
        "platform-definition",
        f"the platform '{platform.name}' declares the virtual packages [{listed(wanted)}], "
        f"the lock file was solved with [{listed(have)}]",
    )


def _option_problem(locked: LockedEnvironment, effective: EffectiveEnvironment) -> Problem | None:
    wanted = {**DEFAULTS, **solve_options(effective)}
    titles = {
        "strategy": "strategy",
        "channel-priority": "channel priority",
        "pypi-prerelease-mode": "PyPI prerelease mode",
    }
    for key, default in DEFAULTS.items():
        have = locked.options.get(key, default)
        if have != wanted[key]:
            return Problem(
                "solve-strategy" if key == "strategy" else key,
                f"the lock file was solved with another {titles[key]} ({have}) than the one selected ({wanted[key]})",
            )
    return None


def _index_problem(
    lock: Lock, locked: LockedEnvironment, effective: EffectiveEnvironment, checks: Checks
) -> Problem | None:
    if not effective.pypi_requirements:
        return None
    from smelt.lock.pypi_check import index_problem  # packaging takes 20 ms, and many workspaces are of conda alone

    return index_problem(lock, locked, effective, checks.default_indexes)


def _package_problem(
    effective: EffectiveEnvironment,
    lock: Lock,
    packages: Sequence[LockedPackage],
    checks: Checks,
    matching: Matching,
    use: PypiUse,
) -> Problem | None:
    conda: dict[str, CondaRecord | SourcePackage] = {}
    pypi: dict[str, PypiPackage] = {}
    for package in packages:
        held = pypi if isinstance(package, PypiPackage) else conda
        if package.name.lower() in held:
            return Problem("duplicate", f"the package '{package.name}' is locked twice")
        held[package.name.lower()] = package  # pyright: ignore[reportArgumentType]
    virtual = effective.platform.virtual_packages
    walk = Walk(conda, lock, virtual, matching, checks.source_records)
    problem = walk.constraints(effective.constraints) or walk.requirements(effective.dependencies)
    if problem is not None:
        return problem
    use.by_conda |= walk.visited

    def sources_changed() -> Problem | None:
        return walk.sources_changed(checks.source_digests, checks.source_differences)

    if not effective.pypi_requirements:
        return walk.left_over() or _unasked(pypi) or sources_changed()
    from smelt.lock.pypi_check import walk_pypi

    pypi_walk, problem = walk_pypi(
        effective, lock, conda, tuple(pypi.values()), walk, (checks.root, checks.local_metadata)
    )
    for name in pypi_walk.conda_used:
        use.by_pypi.setdefault(name, effective.environment.name)
    return walk.left_over() or problem or pypi_walk.left_over() or sources_changed()


def _unasked(packages: Mapping[str, PypiPackage]) -> Problem | None:
    """PyPI packages where none is required."""
    if not packages:
        return None
    names = ", ".join(sorted(packages))
    return Problem("superfluous", f"there are PyPI packages in the lock file that nothing requires: {names}")


def _conda_for_pypi(workspace: Workspace, uses: Mapping[tuple[str, str], PypiUse]) -> list[Mismatch]:
    """Conda packages that no conda requirement of their solve group asks for: they should be PyPI packages."""
    found: list[Mismatch] = []
    for (_, platform), use in uses.items():
        for name in sorted(use.by_pypi):
            if name not in use.by_conda:
                reason = f"'{name}' is locked as a conda package but only requested by PyPI dependencies"
                found.append(
                    Mismatch(environment=use.by_pypi[name], platform=platform, reason=reason, code="conda-for-pypi")
                )
                break
    return found


def _check_solve_groups(workspace: Workspace, lock: Lock, known: set[tuple[str, str | None]]) -> list[Mismatch]:
    """Environments of one solve group must hold the same package of each name."""
    found: list[Mismatch] = []
    for group, members in workspace.solve_groups.items():
        for platform in workspace.platforms:
            chosen: dict[tuple[str, str], tuple[str, str]] = {}
            for member in members:
                if (member, platform.name) not in workspace.effective or member not in lock.environments:
                    continue
                if (member, platform.name) in known or (member, None) in known:
                    break  # all of the group are solved again anyway
                mismatch = _group_mismatch(lock, platform, group, member, chosen)
                if mismatch is not None:
                    found.append(mismatch)
                    break
    return found


def _group_mismatch(
    lock: Lock,
    platform: WorkspacePlatform,
    group: str,
    member: str,
    chosen: dict[tuple[str, str], tuple[str, str]],
) -> Mismatch | None:
    locked = lock.environments[member]
    for reference in locked.packages.get(platform.name, ()):
        package = lock.packages[reference]
        key = (package.name.lower(), "pypi" if reference.kind == "pypi" else "conda")
        other, value = chosen.setdefault(key, (member, reference.value))
        if value != reference.value:
            return Mismatch(
                environment=member,
                platform=platform.name,
                reason=f"it has another '{package.name}' than environment '{other}' of its solve group '{group}'",
                code="solve-group",
            )
    return None
