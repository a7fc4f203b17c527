"""Installing environments of a workspace: what is unchanged is told by stats; the rest is built and linked.

What an unchanged workspace does not need is imported inside the functions that need it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from smelt.api.platforms import effective_for, platform_for, require_locked
from smelt.api.pypi import project_stamps, pypi_install
from smelt.api.state import KnownState, forget_known, read_known, stamps, write_known
from smelt.errors import ErrorGroup, InstallError, SmeltError, UnknownNameError
from smelt.install.contents import forget, is_whole
from smelt.install.reproducible import reproducible_time, stamp
from smelt.install.state import environment_digest, is_current
from smelt.text import closest
from smelt.types import CondaRecord, current_platform

if TYPE_CHECKING:
    from smelt.api.subset import Subset
    from smelt.api.workspace import LockMode, Workspace
    from smelt.install.request import InstallReporter, InstallRequest
    from smelt.lock.model import Lock
    from smelt.resolve.plan import BuildPlan

_AT_ONCE = 4
"""Environments that are installed at the same time: more would only wait for the disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """An environment after an installation.

    ``changed``: whether anything was touched. ``repaired``: what was wrong with it, if anything was.
    """

    environment: str
    prefix: Path
    changed: bool
    repaired: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallOptions:
    """How to install.

    ``platform``: one that this machine is not. ``reinstall``: names of packages that are linked anew, or all with
    ``reinstall_all``. ``look``: see whether every file is there and was not written to; ``verify``: compare every file
    with its package. ``jobs``: builds at the same time. ``subset``:
    which packages; the next installation without it adds the others.
    """

    platform: str | None = None
    reinstall: frozenset[str] = frozenset()
    reinstall_all: bool = False
    subset: Subset | None = None
    look: bool = False
    verify: bool = False
    jobs: int | None = None


def known_installed(workspace: Workspace, names: Sequence[str], *, look: bool) -> tuple[Installed, ...] | None:
    """The answer where nothing changed since the last installation; None where that is not certain."""
    known = read_known(workspace.model.state_folder, current_platform())
    if known is None or any(name not in known.environments for name in names) or not known.holds():
        return None
    if not all(is_current(workspace.model.prefix(name), known.environments[name]) for name in names):
        return None
    if look and not all(is_whole(workspace.model.prefix(name), name, workspace.model.state_folder) for name in names):
        return None
    return tuple(Installed(environment=name, prefix=workspace.model.prefix(name), changed=False) for name in names)


def install_environments(
    workspace: Workspace, names: Sequence[str], mode: LockMode, options: InstallOptions
) -> tuple[Installed, ...]:
    """Make the prefixes of the environments ``names`` hold what is locked; see ``Workspace.install``.

    Those that this machine cannot run are left out, and told at the end.
    """
    import asyncio  # 20 ms that an unchanged workspace does not pay

    lock = workspace.ensure_lock(mode, options.platform)
    locked = stamps([workspace.model.lock_path])
    left: dict[str, frozenset[str]] | None = None
    if options.subset:
        left = {
            name: options.subset.names(lock, effective_for(workspace.model, name, options.platform)) for name in names
        }
    unsuitable = _unsuitable(workspace, names, lock, left) if options.platform is None else {}
    names = [name for name in names if name not in unsuitable]
    if unsuitable and not names:
        raise _together(unsuitable)
    built = _build(workspace, lock, names, options, left)
    projects = project_stamps(lock, workspace.model.root)
    requests = [
        _request(workspace, name, lock, built.records, options, left[name] if left is not None else None)
        for name in names
    ]
    _check_reinstalled(options, requests)

    _detach(workspace)
    installed = asyncio.run(_all_of(requests, workspace.reporters.install))
    seconds = reproducible_time(os.environ, workspace.reporters.install.warning)
    settings = workspace.settings_stamps()
    usual = options.platform is None and left is None and mode != "frozen"
    if seconds is not None:
        forget_known(workspace.model.state_folder)
        forget(workspace.model.state_folder)
        stamp(workspace.model.state_folder, [request.prefix for request in requests], seconds)
    elif usual and workspace.read is not None and settings is not None:
        _remember(
            workspace,
            {**workspace.read, **settings, **locked, **built.files, **projects},
            built.indexes,
            {r.environment: r.digest for r in requests},
        )
    if unsuitable:
        raise _together(unsuitable)
    return tuple(installed)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Built:
    """The source packages of a lock: identifier → what was built of it; and what else was looked at for that."""

    records: Mapping[str, CondaRecord] = field(default_factory=dict[str, CondaRecord])
    files: Mapping[str, tuple[int, ...] | None] = field(default_factory=dict[str, "tuple[int, ...] | None"])
    indexes: Mapping[str, str] = field(default_factory=dict[str, str])


def _build(
    workspace: Workspace,
    lock: Lock,
    names: Sequence[str],
    options: InstallOptions,
    left: Mapping[str, frozenset[str]] | None,
) -> _Built:
    """Build the source packages that ``names`` need."""
    from smelt.lock.model import SourcePackage

    require_locked(lock, names)
    dev = any(effective.dev for effective in workspace.model.effective.values())
    if not dev and not any(isinstance(package, SourcePackage) for package in lock.packages.values()):
        return _Built()

    # 50 ms, with all that rendering and building takes
    from smelt.api.build_options import BuildOptions, for_workspace
    from smelt.api.building import run_builds
    from smelt.api.developing import builds_to_work_with

    plan = workspace.plan_of(lock, names, options.platform, left)
    build = for_workspace(BuildOptions(jobs=options.jobs, workspace=workspace.model.manifest_path), workspace)
    if options.platform is None:
        own = _own_builds(workspace, names, lock, plan, left)
        artifacts = builds_to_work_with(plan, own, build, workspace.reporters)
    else:
        artifacts = run_builds(plan, build, workspace.reporters)
    records = {identifier: artifacts[key].record for identifier, key in plan.keys.items() if key in artifacts}
    return _Built(records=records, files=plan.files, indexes=plan.indexes)


async def _all_of(requests: Sequence[InstallRequest], reporter: InstallReporter) -> list[Installed]:
    """Install environments at the same time. If one fails, the others are finished first; then its error is raised."""
    import asyncio

    from smelt.install.prefix import install

    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(request: InstallRequest) -> Installed:
        async with gate:
            result = await install(request, reporter)
        return Installed(
            environment=request.environment,
            prefix=request.prefix,
            changed=result.changed,
            repaired=result.repaired,
        )

    tasks = [asyncio.create_task(one(request)) for request in requests]
    try:
        await asyncio.wait(tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return [task.result() for task in tasks]


def _unsuitable(
    workspace: Workspace, names: Sequence[str], lock: Lock, left: Mapping[str, frozenset[str]] | None
) -> dict[str, InstallError]:
    """The environments that need something which this machine has not, each with what it is."""
    from smelt.api.machine import check_machine
    from smelt.lock.model import PypiPackage

    found: dict[str, InstallError] = {}
    for name in names:
        if name not in lock.environments:
            continue
        platform = platform_for(workspace.model, name)
        packages = [
            package
            for package in lock.packages_of(name, platform.name) or ()
            if not isinstance(package, PypiPackage) and (left is None or package.name in left[name])
        ]
        try:
            check_machine(name, packages, platform)
        except InstallError as error:
            found[name] = error
    return found


def _together(errors: Mapping[str, InstallError]) -> SmeltError:
    found = list(errors.values())
    if len(found) == 1:
        return found[0]
    return ErrorGroup(f"{len(found)} environments cannot run on this machine", found)


def _own_builds(
    workspace: Workspace,
    names: Sequence[str],
    lock: Lock,
    plan: BuildPlan,
    left: Mapping[str, frozenset[str]] | None,
) -> list[str]:
    """The builds that environments hold themselves, without those that these are only built with."""
    from smelt.lock.model import SourcePackage

    found: dict[str, None] = {}
    for name in names:
        for package in lock.packages_of(name, platform_for(workspace.model, name, None).name) or ():
            if isinstance(package, SourcePackage) and (left is None or package.name in left[name]):
                found[plan.keys[package.identifier]] = None
    return list(found)


def _detach(workspace: Workspace) -> None:
    """Put the environments where the settings want them. A script's are in the cache anyway."""
    from smelt.fs import cache_root
    from smelt.install.detached import detached_folder, link_environments

    base = workspace.settings.detached_environments(cache_root())
    model = workspace.model
    if base is not None and model.state is None:
        link_environments(model.state_folder, detached_folder(model.root, model.name, base))


def _request(
    workspace: Workspace,
    name: str,
    lock: Lock,
    built: Mapping[str, CondaRecord],
    options: InstallOptions,
    names: frozenset[str] | None,
) -> InstallRequest:
    from smelt.api.machine import requirements
    from smelt.install.request import InstallRequest
    from smelt.lock.model import PypiPackage, SourcePackage

    where = platform_for(workspace.model, name, options.platform)
    records: list[CondaRecord] = []
    pypi: list[PypiPackage] = []
    for package in lock.packages_of(name, where.name) or ():
        if names is not None and package.name not in names:
            continue
        if isinstance(package, CondaRecord):
            records.append(package)
        elif isinstance(package, SourcePackage):
            records.append(built[package.identifier])
        else:
            pypi.append(package)
    wanted = pypi_install(pypi, workspace.model, workspace.model.effective[name, where.name], workspace.network)
    return InstallRequest(
        prefix=workspace.model.prefix(name),
        environment=name,
        records=tuple(records),
        subdir=where.subdir,
        digest=environment_digest(records, wanted.keys() if wanted is not None else None),
        pypi=wanted,
        manifest_path=workspace.model.manifest_path,
        state_folder=workspace.model.state_folder,
        virtual_packages=where.virtual_packages,
        requirements=tuple(requirements(records)),
        reinstall=_relinked(options, [*(each.name for each in records), *(each.name for each in pypi)]),
        verify=options.verify,
        look=options.look,
        link_scripts=workspace.settings.run_post_link_scripts,
        refused_links=workspace.settings.refused_links,
        network=workspace.network,
    )


def _relinked(options: InstallOptions, names: Sequence[str]) -> frozenset[str]:
    if options.reinstall_all or not options.reinstall:
        return frozenset(names if options.reinstall_all else ())
    from smelt.manifest.pypi import normalize_pypi_name

    asked = {normalize_pypi_name(name) for name in options.reinstall}
    return frozenset(name for name in names if normalize_pypi_name(name) in asked)


def _check_reinstalled(options: InstallOptions, requests: Sequence[InstallRequest]) -> None:
    """Raise UnknownNameError for a package that is to be reinstalled and that no environment has."""
    if not options.reinstall:
        return
    from smelt.api.subset import unknown_packages

    known = {record.name for request in requests for record in request.records}
    known |= {each.name for request in requests if request.pypi is not None for each in request.pypi.distributions}
    missing = unknown_packages(sorted(options.reinstall), known)
    if missing:
        where = ", ".join(request.environment for request in requests)
        guess = closest(missing[0], known)
        raise UnknownNameError(
            f"there is no package `{missing[0]}` to reinstall in {where}",
            code="unknown-package",
            help=f"did you mean `{guess}`?" if guess else "`smelt list` shows the packages of an environment",
        )


def _remember(
    workspace: Workspace,
    files: Mapping[str, tuple[int, ...] | None],
    trees: Mapping[str, str],
    digests: Mapping[str, str],
) -> None:
    """Write down what was read and what came of it; what is known of other environments stays while it holds."""
    subdir = current_platform()
    old = read_known(workspace.model.state_folder, subdir)
    if old is not None and old.manifest == str(workspace.model.manifest_path) and old.holds():
        files = {**old.files, **files}
        trees = {**old.trees, **trees}
        digests = {**old.environments, **digests}
    known = KnownState(
        manifest=str(workspace.model.manifest_path),
        files=files,
        trees=trees,
        environments=digests,
        supported=workspace.supported(),
        warned=bool(workspace.model.warnings or workspace.settings.warnings or workspace.settings.broken),
    )
    write_known(workspace.model.state_folder, subdir, known)
