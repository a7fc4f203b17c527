"""Making a prefix hold exactly the packages it must hold, whatever state it is in."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from smelt.errors import InstallError, SmeltError
from smelt.fs import cache_root
from smelt.install.cache_entry import PACKAGES
from smelt.install.contents import is_whole, remember
from smelt.install.failure import broken_off, prefix_error, rattler_error, skipped_scripts
from smelt.install.layout import check_place, lock_path, prepare_state_folder, recorded_prefix, write_environment_files
from smelt.install.locking import exclusive, peer_lock
from smelt.install.packages import provide
from smelt.install.pypi_plan import PypiChange, PypiInstall, check_python, clear_pypi
from smelt.install.pypi_plan import plan as plan_pypi
from smelt.install.pypi_prefix import pypi_files, site_entries
from smelt.install.reproducible import VARIABLE as REPRODUCIBLE
from smelt.install.request import InstallReporter, InstallRequest, InstallResult, SilentReporter
from smelt.install.state import (
    FINGERPRINT,
    PrefixState,
    conda_meta,
    content_key,
    is_complete_fingerprint,
    is_current,
    is_unfinished,
    marker_path,
    read_fingerprint,
    read_state,
    record_files,
    write_fingerprint,
    write_state,
)
from smelt.install.verify import Damage, clear, verify, wipe
from smelt.types import NOARCH, CondaRecord, digest_json


async def install(request: InstallRequest, reporter: InstallReporter | None = None) -> InstallResult:
    """Make ``request.prefix`` hold exactly ``request.records``.

    Nothing is touched where the prefix's markers say that it does already (``smelt.install.state.is_current``), no
    package is to be reinstalled and neither ``look`` nor ``verify`` is asked for. Otherwise the packages that are new
    are brought into the cache first; until all are there the prefix is as it was. Then the prefix is marked as
    unfinished, changed by rattler, and marked as finished.

    A prefix that was left unfinished (by a killed process, ours or the reference's), that was moved, or whose
    records cannot be read is emptied and linked anew from the cache: rattler would leave files that no record
    names, and would write through hard links into the cache where such a file is in its way. A prefix that another
    tool changed is compared with its records, and damaged packages are linked anew.

    May be killed at any moment; the next call repairs. Cancelling stops it while it fetches; once the prefix is
    being changed, that is finished first. Calls for one prefix wait for each other.
    Raises InstallError, ChannelError, CacheError and NotSupportedError.
    """
    reporter = reporter or SilentReporter()
    prefix = request.prefix
    force = bool(request.reinstall) or request.verify
    if not force and _is_right(request):
        return InstallResult(prefix=prefix, digest=request.digest, changed=False)
    _check_records(request)
    check_place(prefix)
    if request.pypi is not None:
        check_python(request.pypi, has_python=_python(request) is not None)
    try:
        if request.state_folder is not None:
            prepare_state_folder(request.state_folder)
        async with AsyncExitStack() as stack:
            lock = lock_path(prefix, request.environment, request.state_folder)
            purpose = f"installing environment '{request.environment}'"
            held = await stack.enter_async_context(exclusive(lock, purpose, reporter.waiting))
            if not force and _is_right(request):  # somebody else was faster
                return InstallResult(prefix=prefix, digest=request.digest, changed=False)
            return await _install_locked(request, reporter, stack, held)
    except OSError as error:
        raise prefix_error(error.errno, str(error), prefix) from error


async def _install_locked(
    request: InstallRequest, reporter: InstallReporter, stack: AsyncExitStack, lock: int
) -> InstallResult:
    prefix = request.prefix
    cache = request.cache or cache_root()
    before = read_state(prefix)
    installed = before.packages if before is not None else None
    damages: list[Damage] = []
    reason = _reason_to_start_anew(prefix, before)
    look = request.verify or request.look
    # not the time of its content, which `SOURCE_DATE_EPOCH` may have set
    since = marker_path(prefix).stat().st_ctime_ns if request.look and before is not None else None
    if reason is None and record_files(prefix) and (look or not _is_ours(prefix, before)):
        damages = verify(prefix, content=request.verify, since=since)
        if damages and request.pypi is not None:
            replaced = pypi_files(prefix)  # a wheel may hold what a conda package holds: it comes later
            damages = [each for each in damages if each.kind in ("missing", "record") or each.path not in replaced]
        if any(damage.package is None for damage in damages):
            reason = str(damages[0])
        elif not _is_ours(prefix, before):
            installed = None
    damaged = {damage.package for damage in damages if damage.package is not None}
    again = request.reinstall | damaged
    wanted = {record.name: content_key(record) for record in request.records}
    same = before is not None and before.digest == request.digest and installed == wanted
    if reason is None and same and look and not again:
        same = not _pypi_change(request, before.pypi if before is not None else None, again, relink=False, since=since)
    if same and reason is None and not again and _is_ours(prefix, before):
        if look and request.state_folder is not None:
            remember(prefix, request.environment, request.state_folder)
        return InstallResult(prefix=prefix, digest=request.digest, changed=False)
    known: Mapping[str, str] = {} if reason is not None or installed is None else installed
    # where python changes, rattler links all packages of pure Python anew
    relink = known.get("python") != wanted.get("python")
    changed = [
        record
        for record in request.records
        if record.name in again
        or known.get(record.name) != content_key(record)
        or (relink and record.noarch == "python")
    ]
    if not request.cached:
        thorough = bool(again) or request.verify
        await provide(cache, changed, reporter, thorough=thorough, network=request.network)

    pypi = before.pypi if before is not None and reason is None and _is_ours(prefix, before) else None
    conda_meta(prefix).mkdir(parents=True, exist_ok=True)
    peer = await peer_lock(conda_meta(prefix) / FINGERPRINT, reporter.waiting, stack)
    plan = _Plan(
        again=again,
        damages=tuple(damages),
        start_anew=reason,
        cache=cache,
        lock=lock,
        peer=peer,
        relink=relink,
        pypi=pypi,
        since=since,
    )
    # rattler's threads go on linking after a cancellation: let them finish before the locks are given up
    task = asyncio.create_task(_change(request, plan, reporter))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What is to be done to a prefix; ``lock``, ``peer``: the descriptors of its lock, and of the reference's marker.

    ``relink``: Python changes. ``pypi``: the PyPI packages that are there, None where that is not certain. ``since``:
    what was written to after it is looked at.
    """

    again: frozenset[str]
    damages: tuple[Damage, ...]
    start_anew: str | None
    cache: Path
    lock: int
    peer: int
    relink: bool
    pypi: Mapping[str, str] | None
    since: int | None


async def _change(request: InstallRequest, plan: _Plan, reporter: InstallReporter) -> InstallResult:
    prefix = request.prefix
    inherited = read_fingerprint(prefix)
    if is_unfinished(prefix, read_state(prefix)):
        wipe(prefix)  # before anything is written: what lies there may have filled the disk
    write_state(prefix, PrefixState(status="installing", digest=request.digest, prefix=str(prefix)))
    write_fingerprint(plan.peer, None)
    if plan.start_anew is not None:
        wipe(prefix)
    else:
        clear(prefix, plan.damages)
    pypi = _pypi_change(request, plan.pypi, plan.again, relink=plan.relink, since=plan.since)
    clear_pypi(prefix, pypi)
    linked, removed = await _link(request, plan, reporter)
    write_environment_files(request)
    failure: SmeltError | None = None
    if request.pypi is not None:
        from smelt.install.pypi import install_pypi

        entries = site_entries(prefix)
        try:
            await install_pypi(
                prefix,
                request.pypi,
                pypi,
                # a file that it shares with uv's cache could not get a time of its own
                copy="hard" in request.refused_links or bool(os.environ.get(REPRODUCIBLE)),
                python=_python(request),
                subdir=request.subdir,
                warn=reporter.warning,
                lock=plan.lock,
            )
        except SmeltError as error:
            if error.kind == "hostile-package" or site_entries(prefix) != entries:
                raise  # nobody knows what has to be cleared away: the environment is started anew
            failure = error
    untouched = not linked and not removed and not pypi and is_complete_fingerprint(inherited)
    # where PyPI packages are missing, the conda packages need not be linked anew
    digest = request.digest if failure is None else digest_json(["without its PyPI packages", request.digest])
    write_fingerprint(plan.peer, inherited if untouched else digest)
    keys = request.pypi.keys() if request.pypi is not None else {}
    finished = PrefixState(
        status="installed",
        digest=digest,
        prefix=str(prefix),
        packages={record.name: content_key(record) for record in request.records},
        records=record_files(prefix),
        fingerprint=read_fingerprint(prefix),
        pypi=keys if failure is None else {n: k for n, k in keys.items() if all(n != d.name for d in pypi.install)},
    )
    _check_complete(request, finished)
    write_state(prefix, finished)
    if failure is not None:
        raise failure
    if request.link_scripts and request.state_folder is not None:
        # scripts may change what their packages brought: that is how it is to be
        remember(prefix, request.environment, request.state_folder)
    done = {distribution.name for distribution in pypi.install}
    return InstallResult(
        prefix=prefix,
        digest=request.digest,
        changed=True,
        linked=tuple(sorted({*linked, *done})),
        removed=tuple(sorted({*removed, *(each.name for each in pypi.remove if each.name not in done)})),
        repaired=plan.start_anew or _summary([*map(str, plan.damages), *pypi.damages]),
        skipped_scripts=() if request.link_scripts else skipped_scripts(request, linked),
    )


def _is_right(request: InstallRequest) -> bool:
    """Whether nothing is to be done: by the markers, and by a stat of every file where that is asked for."""
    if not is_current(request.prefix, request.digest):
        return False
    if not request.look:
        return True
    return request.state_folder is not None and is_whole(request.prefix, request.environment, request.state_folder)


def _python(request: InstallRequest) -> CondaRecord | None:
    return next((record for record in request.records if record.name == "python"), None)


def _reason_to_start_anew(prefix: Path, state: PrefixState | None) -> str | None:
    if is_unfinished(prefix, state):
        return "its last installation was cut off"
    recorded = recorded_prefix(prefix)
    if recorded is not None and recorded != prefix and record_files(prefix):
        return f"it was moved from {recorded}"
    return None


def _is_ours(prefix: Path, state: PrefixState | None) -> bool:
    """Whether the prefix is as we left it, as far as markers tell."""
    return (
        state is not None
        and state.status == "installed"
        and state.fingerprint == read_fingerprint(prefix)
        and state.records == record_files(prefix)
    )


def _pypi_change(
    request: InstallRequest,
    known: Mapping[str, str] | None,
    again: frozenset[str],
    *,
    relink: bool,
    since: int | None,
) -> PypiChange:
    if request.pypi is None and known is not None and not known:
        return PypiChange()
    return plan_pypi(
        request.prefix,
        request.pypi or PypiInstall(),
        known,
        _python(request),
        again=again,
        relink=relink,
        verify=request.verify,
        since=since,
    )


async def _link(request: InstallRequest, plan: _Plan, reporter: InstallReporter) -> tuple[list[str], list[str]]:
    """Let rattler do it; gives the names of the packages that it linked and that it removed."""
    import rattler
    from rattler import exceptions

    from smelt.solve.records import to_rattler

    listener = _Listener(reporter)
    try:
        await rattler.install(
            records=[to_rattler(record) for record in request.records],
            target_prefix=request.prefix,
            cache_dir=plan.cache / PACKAGES,
            reinstall_packages=set(plan.again) if plan.start_anew is None else set(),
            platform=rattler.Subdir(request.subdir),  # pyright: ignore[reportArgumentType]
            execute_link_scripts=request.link_scripts,
            show_progress=False,
            reporter=cast(Any, listener),
            config=_link_config(request),
        )
    except (exceptions.InstallerError, exceptions.TransactionError, exceptions.IoError) as error:
        raise rattler_error(request, str(error)) from error
    except Exception as error:
        if type(error).__name__ != "RustPanic":  # rattler exports no such class
            raise
        raise broken_off(request, error) from error
    names = {record.name for record in request.records}
    return listener.linked, [name for name in listener.unlinked if name not in names]


def _link_config(request: InstallRequest) -> Any:
    if not request.refused_links:
        return None
    from rattler.config import Config

    return Config.from_toml("\n".join(f"allow-{kind}-links = false" for kind in sorted(request.refused_links)))


class _Listener:
    """rattler's reporter: it takes any object, and calls what it finds there.

    Exceptions raised here would be swallowed by rattler, so nothing here does more than note names.
    """

    def __init__(self, reporter: InstallReporter) -> None:
        self._reporter = reporter
        self.linked: list[str] = []
        self.unlinked: list[str] = []

    def on_transaction_start(self, total_operations: int) -> None:
        self._reporter.linking(total_operations)

    def on_unlink_start(self, operation: int, package_name: str) -> int:
        self.unlinked.append(package_name)
        return len(self.unlinked) - 1

    def on_link_start(self, operation: int, package_name: str) -> int:
        self.linked.append(package_name)
        return len(self.linked) - 1

    def on_link_complete(self, index: int) -> None:
        self._reporter.linked(self.linked[index])


def _check_records(request: InstallRequest) -> None:
    seen: dict[str, str] = {}
    for record in request.records:
        if record.name in seen:
            raise InstallError(
                f"environment `{request.environment}` would hold two packages called {record.name}",
                notes=[seen[record.name], record.url],
                help="the lock file is damaged: solve again (`smelt lock`)",
            )
        seen[record.name] = record.url
        if record.subdir not in (request.subdir, NOARCH):
            raise InstallError(
                f"{record.file_name} is for {record.subdir}, environment `{request.environment}` is for "
                f"{request.subdir}",
                notes=[record.url],
            )


def _check_complete(request: InstallRequest, state: PrefixState) -> None:
    if len(state.records) != len(request.records):
        raise InstallError(
            f"environment `{request.environment}` has {len(state.records)} packages after installing "
            f"{len(request.records)}",
            notes=[str(request.prefix)],
            help="another program changed it meanwhile; try again",
        )


def _summary(damages: Sequence[str]) -> str | None:
    if not damages:
        return None
    return damages[0] if len(damages) == 1 else f"{damages[0]}, and {len(damages) - 1} more"
