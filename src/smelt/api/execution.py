"""Environments of no workspace: a few packages, made for one command, kept in the cache and found again.

Source: the reference's page ``pixi exec``.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from smelt.errors import SolveError, UsageError
from smelt.fs import hold, remove_tree, smelt_cache
from smelt.install.state import read_state
from smelt.types import KNOWN_PLATFORMS, current_platform, default_virtual_packages, digest_json, spec_name
from smelt.workspace.channel import channel_url, is_path

if TYPE_CHECKING:
    from smelt.api.reporter import Reporters
    from smelt.config.settings import Settings
    from smelt.types import CondaRecord

FOLDER = "exec"
_ILLEGAL = re.compile(r"[^A-Za-z0-9_.-]")
_ARCHIVES = (".conda", ".tar.bz2")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecRequest:
    """What an environment is to hold.

    ``specs``: MatchSpecs, or paths and addresses of package archives. ``guessed``: a package named as the command is
    wanted too. ``channels``: names, addresses or paths; those of the settings where there are none. ``subdir``: the
    conda platform, by default this machine's.
    """

    command: str
    specs: tuple[str, ...] = ()
    guessed: bool = False
    channels: tuple[str, ...] = ()
    subdir: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecEnvironment:
    """An environment that is ready. ``records`` None: it was there already, and nothing was solved.

    ``unguessed``: no package is called as the command, so that only what was named is there.
    ``name``: what it is called in prompts (``temp:`` and the names that were asked for), None if none was.
    """

    prefix: Path
    subdir: str
    name: str | None
    explicit: frozenset[str]
    records: tuple[CondaRecord, ...] | None
    unguessed: bool = False


def prepare(
    request: ExecRequest, settings: Settings, reporters: Reporters, *, fresh: bool = False, solve: bool = False
) -> ExecEnvironment:
    """The environment for ``request``: the one in the cache, or a new one.

    ``fresh``: make it anew. ``solve``: its records are wanted, so it is solved (not installed) again. May be called by
    many processes at once: one makes it. Raises SolveError, ChannelError, InstallError, and UsageError for a platform
    that is none.
    """
    subdir = request.subdir or current_platform()
    if subdir not in KNOWN_PLATFORMS:
        raise UsageError(f"`{subdir}` is no conda platform", help=f"known are {', '.join(sorted(KNOWN_PLATFORMS))}")
    here = Path.cwd()
    specs = [_absolute(spec, here) for spec in request.specs]
    if request.guessed:
        specs.append(guessed_package(request.command))
    urls = [channel_url(channel, here) for channel in request.channels or settings.default_channels]
    folder = smelt_cache() / FOLDER
    label = _label(request, specs)
    digest = digest_json([specs, urls, subdir, settings.offline])[:16]
    prefix = folder / (f"{label}-{digest}" if label else digest)
    named = sorted({_display_name(spec) for spec in request.specs})
    environment = ExecEnvironment(
        prefix=prefix,
        subdir=subdir,
        name=f"temp:{','.join(named)}" if named else None,
        explicit=frozenset(spec_name(spec) if not _is_archive(spec) else _archive_name(spec) for spec in specs),
        records=None,
    )
    if not fresh and not solve and _ready(prefix):
        return environment
    with hold(
        prefix.with_name(f"{prefix.name}.lock"),
        f"making the environment of `{request.command}`",
        reporters.install.waiting,
    ):
        if not fresh and not solve and _ready(prefix):  # somebody else was faster
            return environment
        if fresh:
            remove_tree(prefix)
        try:
            records, unguessed = _make(environment, specs, urls, settings, reporters), False
        except SolveError as error:
            if not (request.guessed and request.specs) or error.kind == "invalid-spec":
                raise
            # the command may be one of the packages that were named, or of the system
            records, unguessed = _make(environment, specs[:-1], urls, settings, reporters), True
    return replace(environment, records=records, unguessed=unguessed)


def exec_variables(environment: ExecEnvironment, outer: Mapping[str, str], *, prompt: bool) -> dict[str, str]:
    """All variables of a process in ``environment``, started where ``outer`` holds. Raises InstallError."""
    from smelt.install.activation import ActivationRequest, activate

    request = ActivationRequest(
        prefix=environment.prefix,
        root=None,
        manifest_path=None,
        workspace_name="",
        workspace_version=None,
        environment=environment.name or environment.prefix.name,
        platforms=(),
        subdir=environment.subdir,
    )
    found = {**outer, **activate(request, outer, cache_folder=None)}
    if environment.name is None:
        return found
    found["PIXI_ENVIRONMENT_NAME"] = environment.name
    if prompt and os.name == "nt":
        found["_PIXI_PROMPT"] = f"(pixi:{environment.name}) $P$G"
        found["PROMPT"] = "$P$G"
    elif prompt:
        found["PS1"] = rf"(pixi:{environment.name}) [\w] \$"
    return found


def guessed_package(command: str) -> str:
    """The package that is called as the command is, as far as packages can be. Source: the reference."""
    return _ILLEGAL.sub("-", command)


def _make(
    environment: ExecEnvironment, specs: Sequence[str], urls: Sequence[str], settings: Settings, reporters: Reporters
) -> tuple[CondaRecord, ...]:
    from smelt.config.network import network_of
    from smelt.install.prefix import install
    from smelt.install.request import InstallRequest
    from smelt.install.state import environment_digest
    from smelt.solve.conda import CondaSolver
    from smelt.solve.machine import machine_virtual_packages
    from smelt.solve.request import SolveRequest

    network = network_of(settings)
    native = environment.subdir == current_platform()
    packages = machine_virtual_packages() if native else default_virtual_packages(environment.subdir)

    async def work() -> tuple[CondaRecord, ...]:
        records = await CondaSolver(network=network).solve(
            SolveRequest(specs=tuple(specs), channels=tuple(urls), subdir=environment.subdir, virtual_packages=packages)
        )
        await install(
            InstallRequest(
                prefix=environment.prefix,
                environment=environment.name or environment.prefix.name,
                records=records,
                subdir=environment.subdir,
                digest=environment_digest(records),
                virtual_packages=packages,
                link_scripts=settings.run_post_link_scripts,
                refused_links=settings.refused_links,
                network=network,
            ),
            reporters.install,
        )
        return records

    return asyncio.run(work())


def _ready(prefix: Path) -> bool:
    state = read_state(prefix)
    if state is None or state.status != "installed" or state.prefix != str(prefix):
        return False
    os.utime(prefix)  # `cache gc` goes by when it was used last
    return True


def _is_archive(spec: str) -> bool:
    return spec.endswith(_ARCHIVES)


def _absolute(spec: str, here: Path) -> str:
    return str((here / Path(spec).expanduser()).absolute()) if _is_archive(spec) and is_path(spec) else spec


def _archive_name(spec: str) -> str:
    name = re.split(r"[\\/]", spec)[-1]
    return name.rsplit("-", 2)[0]


def _display_name(spec: str) -> str:
    if not _is_archive(spec):
        return spec_name(spec)
    relative = is_path(spec) and not Path(spec).is_absolute()
    return Path(spec).name if relative else _archive_name(spec)


def _label(request: ExecRequest, specs: Sequence[str]) -> str | None:
    if len(specs) == 1:
        return _archive_name(specs[0]) if _is_archive(specs[0]) else spec_name(specs[0])
    return guessed_package(request.command) if request.guessed else None
