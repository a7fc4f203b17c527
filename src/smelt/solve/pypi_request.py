"""One PyPI solve, as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from smelt.config.network import Network
from smelt.lock.model import PypiPackage
from smelt.lock.purls import PypiIdentity
from smelt.lock.pypi_platform import PypiPlatform
from smelt.manifest.pypi import PypiOptions, PypiRequirement


@dataclass(frozen=True, slots=True, kw_only=True)
class PypiSolveRequest:
    """What a PyPI solve is given.

    ``requirements``: those whose markers hold. ``installed``: what conda packages count as; their versions do not move
    and nothing is fetched for them. ``locked``: packages to stay with where they still fit. ``root``: of the workspace;
    paths are relative to it. ``interpreter``: a Python to build with. ``exclude_newer``: RFC 3339 time stamps,
    ``package_cutoffs`` by name. ``network``: how indexes are reached. ``checkout``: the folder of a git source by
    address, commit and subdirectory, None where it cannot be had.
    """

    requirements: tuple[PypiRequirement, ...]
    platform: PypiPlatform
    root: Path
    options: PypiOptions
    installed: tuple[PypiIdentity, ...] = ()
    locked: tuple[PypiPackage, ...] = ()
    strategy: str = "highest"
    exclude_newer: str | None = None
    package_cutoffs: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    interpreter: Path | None = None
    network: Network = field(default_factory=Network)
    checkout: Callable[[str, str, str | None], Path | None] | None = field(default=None, compare=False)
