"""Backends that are programs: each in an environment of its own in the cache, or one that the user puts in its place.

An environment is found again by what was asked for with the version and build of the backend pinned, so a locked
backend is solved once on a machine, and not at all afterwards.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from smelt.api.trust import BackendTrust
from smelt.config.network import Network
from smelt.errors import SolveError, SourceError
from smelt.fs import hold, smelt_cache, write_text
from smelt.source.protocol.tool import API_PACKAGE, API_VERSION, OVERRIDE, OVERRIDE_ALL, BackendTool, ToolRequest
from smelt.types import CondaRecord, current_platform, digest_json

if TYPE_CHECKING:
    from smelt.api.reporter import Reporters

FOLDER = "backends"
_RECORD = "backend.json"
_SCHEMA = 1
_USUAL = "pixi-build-"

Result = TypeVar("Result")


class BackendEnvironments:
    """Makes the environments of backends (``smelt.source.protocol.tool.BackendTools``)."""

    def __init__(self, network: Network, reporters: Reporters, trust: BackendTrust) -> None:
        self._network = network
        self._reporters = reporters
        self._trust = trust
        self._busy = threading.Lock()
        self._known: dict[ToolRequest, BackendTool] = {}
        self._told: set[str] = set()

    def __call__(self, request: ToolRequest) -> BackendTool:
        """The backend, installed first where it is not there.

        Raises SourceError: ``backend-untrusted`` (nobody here has chosen it), ``backend-unsolvable`` (no such backend,
        or none that speaks our version of the protocol), ``backend-missing`` (no executable), ``backend-api-version``;
        ChannelError, InstallError.
        """
        with self._busy:
            found = self._known.get(request)
            if found is None:
                if request.command is None:
                    self._trust.require(request)
                found = self._overridden(request) if request.command is not None else self._isolated(request)
                self._known[request] = found
            return found

    def _overridden(self, request: ToolRequest) -> BackendTool:
        """A program of this machine; what it is its content says, as nothing else does."""
        assert request.command is not None
        found = shutil.which(request.command)
        if found is None:
            raise SourceError(
                f"the backend `{request.name}` is to be replaced by `{request.command}`, which is no program",
                code="backend-missing",
                help=f"correct {OVERRIDE_ALL if OVERRIDE_ALL in os.environ else OVERRIDE}, or unset it",
            )
        path = Path(found).absolute()
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if request.name not in self._told:
            self._told.add(request.name)
            self._reporters.build.warning(f"the backend `{request.name}` is replaced by {path}")
        return BackendTool(
            name=request.name,
            version=f"override {digest[:16]}",
            command=str(path),
            environment={"PATH": os.environ.get("PATH", "")},
            override=True,
        )

    def _isolated(self, request: ToolRequest) -> BackendTool:
        version = request.locked
        if version is not None and len(version.split()) == 2 and not version.startswith("override "):
            ready = self._ready(self._folder(request, version), request)
            if ready is not None:
                return ready
            try:
                return self._make(request, self._solve(request, (_pinned(request.name, version),)))
            except SourceError as error:
                if error.kind != "backend-unsolvable":
                    raise
                # the manifest asks for another one now, or its channel lost it: the lock no longer fits, and says so
        return self._make(request, self._solve(request, ()))

    def _folder(self, request: ToolRequest, version: str) -> Path:
        asked = [_SCHEMA, list(request.specs), list(request.channels), request.exclude_newer, current_platform()]
        return smelt_cache() / FOLDER / f"{request.name}-{digest_json([*asked, version])[:16]}"

    def _ready(self, folder: Path, request: ToolRequest) -> BackendTool | None:
        """The backend of an environment that was made before; None where there is none, or it was changed since."""
        from smelt.install.state import read_state

        try:
            data = cast("dict[str, object]", json.loads((folder / _RECORD).read_text(encoding="utf-8")))
            variables = cast("Mapping[str, str]", data["environment"])
            tool = BackendTool(
                name=request.name,
                version=str(data["version"]),
                command=str(data["command"]),
                environment={str(key): str(value) for key, value in variables.items()},
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        state = read_state(folder / "env")
        if state is None or state.status != "installed" or state.prefix != str(folder / "env"):
            return None
        if not Path(tool.command).is_file():
            return None
        os.utime(folder)  # `cache gc` goes by when it was used last
        return tool

    def _solve(self, request: ToolRequest, more: Sequence[str]) -> tuple[CondaRecord, ...]:
        from smelt.solve.conda import CondaSolver
        from smelt.solve.machine import machine_virtual_packages
        from smelt.solve.request import SolveRequest

        ask = SolveRequest(
            specs=(*request.specs, *more),
            constraints=(f"{API_PACKAGE} >={API_VERSION},<{API_VERSION + 1}",),
            channels=request.channels,
            subdir=current_platform(),
            virtual_packages=machine_virtual_packages(),
            exclude_newer=request.exclude_newer,
        )

        def solve(ask: SolveRequest) -> tuple[CondaRecord, ...]:
            return _run(lambda: CondaSolver(network=self._network).solve(ask))

        try:
            records = solve(ask)
        except SolveError as error:
            try:
                speaks = next(each for each in solve(replace(ask, constraints=())) if each.name == API_PACKAGE)
            except (SolveError, StopIteration):
                speaks = None
            if speaks is not None:
                raise SourceError(
                    f"the backend `{request.name}` speaks version {speaks.version} of the protocol, smelt speaks "
                    f"version {API_VERSION}",
                    code="backend-api-version",
                    help="allow another version of the backend, or take another version of smelt",
                ) from error
            raise SourceError(
                f"the backend `{request.name}` cannot be had",
                code="backend-unsolvable",
                notes=[error.message, *error.notes, f"channels: {', '.join(request.channels) or 'none'}"],
                help=_advice(request),
            ) from error
        if not any(record.name == API_PACKAGE for record in records):
            raise SourceError(
                f"the backend `{request.name}` does not say which version of the protocol it speaks: it does not "
                f"depend on `{API_PACKAGE}`",
                code="backend-api-version",
                help="take another version of it, or tell whoever keeps it",
            )
        return records

    def _make(self, request: ToolRequest, records: tuple[CondaRecord, ...]) -> BackendTool:
        own = next(record for record in records if record.name == request.name)
        version = f"{own.version} {own.build}"
        folder = self._folder(request, version)
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = folder.with_name(f"{folder.name}.lock")
        with hold(lock, f"installing the backend `{request.name}`", self._reporters.install.waiting):
            ready = self._ready(folder, request)
            if ready is not None:
                return ready
            prefix = folder / "env"
            self._install(request, prefix, records)
            command = _executable(prefix, request.name)
            tool = BackendTool(
                name=request.name, version=version, command=str(command), environment=_variables(prefix, request.name)
            )
            data = {"version": version, "command": tool.command, "environment": dict(tool.environment)}
            write_text(folder / _RECORD, json.dumps(data, indent=1) + "\n")
            return tool

    def _install(self, request: ToolRequest, prefix: Path, records: tuple[CondaRecord, ...]) -> None:
        from smelt.install.prefix import install
        from smelt.install.request import InstallRequest
        from smelt.install.state import environment_digest

        ask = InstallRequest(
            prefix=prefix,
            environment=f"backend {request.name}",
            records=records,
            subdir=current_platform(),
            digest=environment_digest(records),
            network=self._network,
        )

        async def work() -> None:
            await install(ask, self._reporters.install)

        _run(work)


def _run(work: Callable[[], Coroutine[object, object, Result]]) -> Result:
    """Wait for ``work``, also where this thread runs an event loop of its own."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(work())).result()


def _pinned(name: str, version: str) -> str:
    number, _, build = version.partition(" ")
    return f"{name} =={number} {build}"


def _executable(prefix: Path, name: str) -> Path:
    inner = ("Scripts", "Library/bin", "bin", "") if os.name == "nt" else ("bin",)
    suffixes = (".exe", ".bat", "") if os.name == "nt" else ("",)
    for folder in inner:
        for suffix in suffixes:
            path = prefix / folder / f"{name}{suffix}"
            if path.is_file():
                return path
    raise SourceError(
        f"the package of the backend `{name}` brings no executable `{name}`",
        code="backend-missing",
        help="take another version of it, or tell whoever keeps it",
    )


def _variables(prefix: Path, name: str) -> dict[str, str]:
    """What activating the environment of a backend sets, with the folders of the system on the search path."""
    from smelt.install.activation import ActivationRequest, activate

    if os.name == "nt":
        root = os.environ.get("SYSTEMROOT", r"C:\Windows")
        outer = {"PATH": os.pathsep.join([rf"{root}\System32", root]), "SYSTEMROOT": root}
    else:
        outer = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin"}
    request = ActivationRequest(
        prefix=prefix,
        root=None,
        manifest_path=None,
        workspace_name="",
        workspace_version=None,
        environment=name,
        platforms=(),
        subdir=current_platform(),
    )
    return {**outer, **activate(request, outer, cache_folder=None)}


def _advice(request: ToolRequest) -> str:
    from smelt.source.backends.registry import NATIVE, installed_backends
    from smelt.text import closest

    own = sorted({*NATIVE, *installed_backends()})
    # nearly all of them begin alike
    guess = closest(request.name.removeprefix(_USUAL), [name.removeprefix(_USUAL) for name in own])
    if guess is not None:
        return f"did you mean `{guess if guess in own else _USUAL + guess}`?"
    return f"name channels that have it (`channels` beside its `name`); without any smelt has {', '.join(own)}"
