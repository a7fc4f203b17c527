"""What a pack holds: exactly these files, whatever form they are written in.

A pack is a folder of files with POSIX names (``PackContent.files()``). The forms (tar, compressed tar, folder, …) only
say how these files are written down, each in a module of its own with one function
``write(content, target, reporter)``. The layout is that of pixi-pack 0.7:

    channel/<subdir>/<package>.conda|.tar.bz2    and  channel/<subdir>/repodata.json
    pypi/<wheel>.whl                             only if there are wheels
    environment.yml
    pixi-pack.json
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from smelt.types import CondaRecord

if TYPE_CHECKING:
    from smelt.lock.model import LockedPackage, SourceLock, SourcePackage

CHANNEL = "channel"
PYPI = "pypi"
ENVIRONMENT = "environment.yml"
METADATA = "pixi-pack.json"
REPODATA = "repodata.json"

Origin = Literal["channel", "source", "injected"]
"""Where a conda package is from: a channel, a build of this workspace, or the command line."""

WheelOrigin = Literal["index", "built", "injected"]
"""Where a wheel is from: found as a wheel (index, URL, path), built from source for this pack, the command line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedFile:
    """One file of a pack: its name there, what it must be, and where its content is.

    ``name``: POSIX path within the pack. Exactly one of ``path`` (a file on this machine, which is only read) and
    ``data`` is given. The content behind ``path`` is *not* known to have ``sha256`` until it was read: who copies it
    does so through ``smelt.pack.copying``, which compares what was copied.
    """

    name: str
    size: int
    sha256: str
    path: Path | None = None
    data: bytes | None = field(default=None, repr=False)

    @classmethod
    def of(cls, name: str, data: bytes) -> PackedFile:
        """A small file that is made here."""
        return cls(name=name, size=len(data), sha256=hashlib.sha256(data).hexdigest(), data=data)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOrigin:
    """How a packed source package came to be, as the lock says.

    ``key``: the build key. ``package``: the entry of the lock (``source`` has the commit, URL or path, ``variants``
    the variant). ``locked``: what smelt locks beyond (backend and its version, ``pypi``, ``source_digest``).
    ``build``/``host``: what it was built with, source packages among them.
    """

    key: str
    package: SourcePackage
    locked: SourceLock | None
    build: tuple[LockedPackage, ...] = ()
    host: tuple[LockedPackage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CondaItem:
    """A conda package of a pack.

    ``record`` is what ``repodata.json`` of the pack says of it (for locked packages what the lock says; its ``url``
    tells where the package is from, for source packages and injected ones a ``file://`` address of this machine that
    is to be shown to nobody). ``source`` goes with origin ``source``.
    """

    record: CondaRecord
    file: PackedFile
    origin: Origin = "channel"
    source: SourceOrigin | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelItem:
    """A wheel of a pack. ``name`` is normalised.

    ``location``: how the lock names what was asked for (URL, path, ``git+…``; of the sdist, where the wheel was built
    from one), the file name for an injected one.
    """

    name: str
    version: str
    file: PackedFile
    location: str
    origin: WheelOrigin = "index"
    data: Mapping[str, object] = field(default_factory=dict[str, object], hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackContent:
    """The content of a pack, complete: every file is on this machine.

    ``packages`` and ``wheels`` are in the order of the lock, injected ones after them. ``left_out``: names of PyPI
    packages that are not wheels and were left out because that was asked for. ``extra``: further files at the top
    (an SBOM), which unpackers pass over. ``shared``: names of the packages that are the same in all environments of
    the workspace, where there are several.
    """

    workspace: str
    environment: str
    platform: str
    packages: tuple[CondaItem, ...]
    wheels: tuple[WheelItem, ...] = ()
    left_out: tuple[str, ...] = ()
    extra: tuple[PackedFile, ...] = ()
    shared: frozenset[str] = frozenset()

    def files(self) -> tuple[PackedFile, ...]:
        """Every file of the pack, the describing ones too, in the order in which they are archived.

        Raises PackError for two files of one name.
        """
        from smelt.pack.description import described

        return described(self)


class PackReporter(Protocol):
    """Hears how packing gets on. May be called from several threads."""

    def fetching(self, package: str, size: int | None) -> None:
        """A file is being brought here."""
        ...

    def fetched_bytes(self, package: str, received: int) -> None:
        """So much of it is here."""
        ...

    def fetched(self, package: str) -> None:
        """It is here."""
        ...

    def writing(self, total: int) -> None:
        """``total`` bytes are about to be written."""
        ...

    def written(self, done: int) -> None:
        """So many bytes are written by now."""
        ...

    def warning(self, message: str) -> None:
        """Something that the user should know."""
        ...


class SilentReporter:
    """A reporter that says nothing."""

    def fetching(self, package: str, size: int | None) -> None:
        """Nothing."""

    def fetched_bytes(self, package: str, received: int) -> None:
        """Nothing."""

    def fetched(self, package: str) -> None:
        """Nothing."""

    def writing(self, total: int) -> None:
        """Nothing."""

    def written(self, done: int) -> None:
        """Nothing."""

    def warning(self, message: str) -> None:
        """Nothing."""
