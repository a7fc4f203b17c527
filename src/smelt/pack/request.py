"""What is to be packed, before anything of it is fetched."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from smelt.config.network import Network
from smelt.lock.pypi_platform import PypiPlatform
from smelt.pack.model import Origin, SourceOrigin
from smelt.solve.pypi_distribution import Distribution
from smelt.types import CondaRecord

BuildWheel = Callable[[Distribution], Path]
"""Makes a wheel of a distribution that is none; called in another thread, for one at a time."""

AT_ONCE = 50
"""Downloads at the same time, where the settings say nothing (the reference's number)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedPackage:
    """A locked conda package: its record, ``url`` of which says where the archive is."""

    record: CondaRecord
    origin: Origin = "channel"
    source: SourceOrigin | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PackRequest:
    """A locked environment on a platform, and what goes with it.

    ``pypi_data``: by name what the lock says of PyPI packages. ``python``: what the environment is to wheels, None
    without a Python. ``inject``: packages from the command line. ``cache``: a folder that keeps what was fetched, laid
    out as pixi-pack does. ``build_wheel``: None where wheels cannot be built (the platform is not this one);
    then what is no wheel is left out with ``ignore_non_wheels``, and an error otherwise. ``shared``: names of
    the packages that are the same in all environments of the workspace, where there are several.
    """

    workspace: str
    environment: str
    platform: str
    packages: tuple[WantedPackage, ...]
    distributions: tuple[Distribution, ...] = ()
    pypi_data: Mapping[str, Mapping[str, object]] = field(default_factory=dict[str, Mapping[str, object]], hash=False)
    python: PypiPlatform | None = None
    inject: Sequence[Path] = ()
    cache: Path | None = None
    ignore_non_wheels: bool = False
    build_wheel: BuildWheel | None = None
    at_once: int = AT_ONCE
    shared: frozenset[str] = frozenset()
    network: Network = field(default_factory=Network)
