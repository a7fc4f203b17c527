"""Builds as data: what goes in, what comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from smelt.source.model import Checkout, FinalMetadata, RenderedVariant
from smelt.types import CondaRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceInput:
    """A source package inside a build or host environment: the build that makes it.

    ``content``: its content key, empty where that is not known.
    """

    name: str
    key: str
    content: str = ""


BuildInput = CondaRecord | SourceInput


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildNode:
    """One build of one variant, with everything that identifies it.

    ``key``: the build key (see ``smelt.build.key``). ``content``: the content key, the same for builds that differ
    only in what the package says of itself (empty: not known, then nothing is repacked).
    ``build_inputs``/``host_inputs``: the locked packages of the two environments. ``channels``: base URLs, for what
    the recipe itself says of channels. ``identifier``: the lock's name of it. ``wanted_by``: environments that need
    it, for messages. ``source_digest``: identifies the source tree. ``inputs``: what went into the key, kept with
    the artifact for ``build --why``. ``recorded``: the sha256 that the lock records of this very build.
    """

    key: str
    identifier: str
    variant: RenderedVariant
    metadata: FinalMetadata
    checkout: Checkout
    source_digest: str
    build_inputs: tuple[BuildInput, ...]
    host_inputs: tuple[BuildInput, ...]
    channels: tuple[str, ...]
    subdir: str
    build_subdir: str
    inputs: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    wanted_by: tuple[str, ...] = ()
    content: str = ""
    recorded: str | None = None

    @property
    def label(self) -> str:
        """How messages call it: name, version and build string."""
        return f"{self.variant.name} {self.variant.version} {self.variant.build}"

    @property
    def needs(self) -> tuple[str, ...]:
        """The keys of the builds that must be there before this one can run."""
        return tuple(i.key for i in (*self.build_inputs, *self.host_inputs) if isinstance(i, SourceInput))


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A built package in the store: ``record.url`` is a ``file://`` address of ``path``.

    ``log`` is the build's log; ``built`` tells whether this call made it (False: it was in the store), ``repacked``
    whether it did so from the files of another build. ``undeclared``: what of it is of the machine that built it.
    ``origin``: the other store that it was taken from, None for what was built here; ``fetched`` whether this call did
    that.
    """

    key: str
    path: Path
    record: CondaRecord
    log: Path
    built: bool = False
    repacked: bool = False
    undeclared: tuple[str, ...] = ()
    origin: str | None = None
    fetched: bool = False
