"""The program that a foreign backend is: what is asked for, and what is there.

How its environment is solved and installed is not known here: whoever renders packages brings a ``BackendTools``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from smelt.errors import UsageError

API_PACKAGE = "pixi-build-api-version"
API_VERSION = 7
"""The version of the protocol that smelt speaks; a backend's environment holds the package of that version."""

OVERRIDE = "PIXI_BUILD_BACKEND_OVERRIDE"
OVERRIDE_ALL = "PIXI_BUILD_BACKEND_OVERRIDE_ALL"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolRequest:
    """A backend that is to be had.

    ``specs``: MatchSpecs of its environment, the backend's own first. ``channels``: base URLs. ``locked``: version and
    build (``1.0 h0_0``) to take where they fit, as they are locked. ``exclude_newer``: as for solves. ``command``: a
    program of this machine that stands for the backend; then no environment is made. ``untrusted``: those of
    ``channels`` that only the package names, ``package``, which is from elsewhere (``origin``).
    """

    name: str
    specs: tuple[str, ...]
    channels: tuple[str, ...]
    locked: str | None = None
    exclude_newer: str | None = None
    command: str | None = None
    untrusted: tuple[str, ...] = ()
    package: str = ""
    origin: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendTool:
    """A backend that can be started.

    ``version``: what is locked of it and goes into build keys: version and build of its package, or the digest of the
    program that was put in its place. ``command``: the path of the program. ``environment``: variables that are set
    for it. ``override``: it is a program of this machine.
    """

    name: str
    version: str
    command: str
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    override: bool = False


class BackendTools(Protocol):
    """Provides the programs of backends; called from several threads."""

    def __call__(self, request: ToolRequest) -> BackendTool:
        """The program. Raises SolveError, ChannelError, InstallError, SourceError."""
        ...


def override_of(name: str, variables: Mapping[str, str] | None = None) -> str | None:
    """The command that the environment puts in the place of the backend ``name``; None where there is none.

    A path that leads to smelt itself stands for smelt's own backend of that name, so it is none.
    Raises UsageError for a variable that cannot be read. Source: the reference's page "Backends", "Overriding".
    """
    variables = os.environ if variables is None else variables
    if OVERRIDE_ALL in variables:
        return name
    for part in filter(None, variables.get(OVERRIDE, "").split(",")):
        words = part.split("=")
        if len(words) > 2 or not words[0].strip():
            raise UsageError(
                f"{OVERRIDE} holds `{part}`, which is no backend",
                help="write `name=path` or `name`, several with commas between them",
            )
        if words[0].strip() == name:
            command = words[-1].strip() or name
            return None if _is_smelt(command) else command
    return None


def _is_smelt(command: str) -> bool:
    import sysconfig

    own = Path(sysconfig.get_path("scripts")) / ("smelt.exe" if os.name == "nt" else "smelt")
    return Path(command).is_absolute() and Path(command).resolve() == own.resolve()
