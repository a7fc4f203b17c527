"""What an installation is asked for, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from smelt.config.network import Network
from smelt.types import CondaRecord, VirtualPackage

if TYPE_CHECKING:
    from smelt.install.pypi_plan import PypiInstall


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallRequest:
    """One prefix and the packages it must hold, no more and no fewer.

    ``prefix`` is absolute. ``state_folder`` is the workspace's ``.pixi``, or None for a prefix that belongs to no
    workspace. ``digest`` names ``records`` (``smelt.install.state.environment_digest``). ``cache`` is the cache
    root (packages lie in its ``pkgs``), by default ``smelt.fs.cache_root()``; ``cached`` says that it holds all of
    them whole, and that nobody else writes there. ``reinstall`` names packages that are linked anew although nothing
    changed; ``verify`` compares every file with its package before deciding that nothing is to be done; ``look`` asks
    whether every file is there and was not written to. ``refused_links``: ``symbolic``, ``hard`` or ``ref`` links that
    must not be used.
    ``virtual_packages``, ``requirements`` (specs of virtual packages that the records depend on) and
    ``manifest_path`` are only written down, for tools that know the reference's layout.
    ``pypi``: what is installed after the conda packages. ``network``: how channels are reached.
    """

    prefix: Path
    environment: str
    records: tuple[CondaRecord, ...]
    subdir: str
    digest: str
    manifest_path: Path | None = None
    state_folder: Path | None = None
    virtual_packages: tuple[VirtualPackage, ...] = ()
    requirements: tuple[str, ...] = ()
    reinstall: frozenset[str] = frozenset()
    link_scripts: bool = False
    verify: bool = False
    look: bool = False
    cache: Path | None = None
    cached: bool = False
    refused_links: frozenset[str] = frozenset()
    pypi: PypiInstall | None = None
    network: Network = field(default_factory=Network)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallResult:
    """What was done. ``changed`` False: the prefix was right already and nothing was touched.

    ``linked`` and ``removed`` are names, sorted (a replaced package is in ``linked``). ``repaired`` says why the
    environment had to be repaired, or None. ``skipped_scripts`` are post-link scripts that were not run, relative
    to the prefix.
    """

    prefix: Path
    digest: str
    changed: bool
    linked: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    repaired: str | None = None
    skipped_scripts: tuple[str, ...] = ()


class InstallReporter(Protocol):
    """Hears how an installation gets on; called in the thread of the event loop, or in rattler's."""

    def waiting(self, message: str) -> None:
        """Another process holds a lock that is needed; called once for each lock."""
        ...

    def fetching(self, package: str, size: int | None) -> None:
        """``package`` (a file name) of ``size`` bytes is being brought into the cache."""
        ...

    def fetched_bytes(self, package: str, received: int) -> None:
        """``received`` bytes of ``package`` are here so far."""
        ...

    def fetched(self, package: str) -> None:
        """``package`` is in the cache."""
        ...

    def linking(self, total: int) -> None:
        """``total`` packages are about to be linked or removed."""
        ...

    def linked(self, package: str) -> None:
        """``package`` (a name) is linked."""
        ...

    def warning(self, message: str) -> None:
        """Something was healed that the user should know of."""
        ...


class SilentReporter:
    """A reporter that says nothing."""

    def waiting(self, message: str) -> None:
        """Nothing."""

    def fetching(self, package: str, size: int | None) -> None:
        """Nothing."""

    def fetched_bytes(self, package: str, received: int) -> None:
        """Nothing."""

    def fetched(self, package: str) -> None:
        """Nothing."""

    def linking(self, total: int) -> None:
        """Nothing."""

    def linked(self, package: str) -> None:
        """Nothing."""

    def warning(self, message: str) -> None:
        """Nothing."""
