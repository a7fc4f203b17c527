"""From a lock to the builds that its source packages need."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from smelt.build.key import build_key, content_key
from smelt.build.model import BuildInput, BuildNode, SourceInput
from smelt.errors import LockOutdatedError
from smelt.lock.model import Lock, Reference, SourcePackage
from smelt.resolve.groups import Pair
from smelt.resolve.packages import PackageLoader
from smelt.resolve.sources import LockedSources, LockedVariant
from smelt.source.model import Checkout, FinalMetadata
from smelt.source.tree import TreeDigest, tree_digest
from smelt.types import CondaRecord
from smelt.workspace.load import config_for
from smelt.workspace.model import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildPlan:
    """Builds in an order in which each comes after those it needs.

    ``keys``: the build key of each locked source package, by its identifier. ``indexes``: the stat indexes of the
    source trees that were looked at (see ``smelt.source.stats``), and the digest of each. ``files``: path → stamp of
    what else was read.
    """

    nodes: tuple[BuildNode, ...]
    keys: Mapping[str, str]
    indexes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    files: Mapping[str, tuple[int, ...] | None] = field(default_factory=lambda: MappingProxyType({}))


class BuildPlanner:
    """Plans the builds of environments of one lock; equal builds are planned once.

    The packages and environments are those of the lock: nothing is solved.
    """

    def __init__(self, workspace: Workspace, lock: Lock, loader: PackageLoader) -> None:
        self._workspace = workspace
        self._lock = lock
        self._loader = loader
        self._sources = LockedSources(workspace, lock, loader)
        self._nodes: dict[str, BuildNode] = {}
        self._keys: dict[str, str] = {}
        self._indexes: dict[str, str] = {}
        self._trees: dict[tuple[str, tuple[str, ...]], TreeDigest] = {}

    def add(self, pair: Pair, names: Collection[str] | None = None) -> None:
        """Plan everything that environment × platform ``pair`` needs, or what its packages called ``names`` need.

        Raises LockOutdatedError where the lock does not fit the workspace, and what loading, rendering and reading
        the sources raise.
        """
        environment = self._lock.environments.get(pair[0])
        for reference in environment.packages.get(pair[1], ()) if environment is not None else ():
            package = self._lock.packages[reference]
            if isinstance(package, SourcePackage) and (names is None or package.name in names):
                self._plan(pair, package)

    def finish(self) -> BuildPlan:
        """What was planned so far."""
        return BuildPlan(
            nodes=tuple(self._nodes.values()),
            keys=dict(self._keys),
            indexes=dict(self._indexes),
            files=dict(self._loader.files),
        )

    def _plan(self, pair: Pair, package: SourcePackage) -> str:
        key = self._keys.get(package.identifier)
        if key is not None:
            node = self._nodes[key]
            if pair[0] not in node.wanted_by:
                self._nodes[key] = replace(node, wanted_by=(*node.wanted_by, pair[0]))
            return key
        today = self._sources.must_find(pair, package)
        locked = self._lock.sources.get(package.identifier)
        if locked is not None and locked.metadata_digest != today.variant.metadata_digest:
            raise LockOutdatedError(
                f"source package `{package.name}` changed its requirements or its metadata since it was locked",
                help="run `smelt lock`",
            )
        build = self._inputs(pair, package.build_packages)
        host = self._inputs(pair, package.host_packages)
        metadata = FinalMetadata(
            depends=package.depends, constrains=package.constrains, run_exports=package.run_exports
        )
        digest, files = self._source(today.loaded.checkout, today.variant.file_globs)
        key, inputs = build_key(
            variant=today.variant,
            metadata=metadata,
            checkout=today.loaded.checkout,
            source_digest=digest,
            build_inputs=build,
            host_inputs=host,
            subdir=today.context.subdir,
            build_subdir=today.context.subdir,
            configuration=_configuration(today),
            files=files,
        )
        self._keys[package.identifier] = key
        if key in self._nodes:
            return key
        self._nodes[key] = BuildNode(
            key=key,
            identifier=package.identifier,
            variant=today.variant,
            metadata=metadata,
            checkout=today.loaded.checkout,
            source_digest=digest,
            build_inputs=build,
            host_inputs=host,
            channels=today.context.channels,
            subdir=today.context.subdir,
            build_subdir=today.context.subdir,
            inputs=inputs,
            wanted_by=(pair[0],),
            content=content_key(inputs, (*build, *host)),
        )
        return key

    def _inputs(self, pair: Pair, references: Sequence[Reference]) -> tuple[BuildInput, ...]:
        found: list[BuildInput] = []
        for reference in references:
            package = self._lock.packages[reference]
            if isinstance(package, SourcePackage):
                key = self._plan(pair, package)
                found.append(SourceInput(name=package.name, key=key, content=self._nodes[key].content))
            elif isinstance(package, CondaRecord):
                found.append(package)
            else:
                raise LockOutdatedError(f"a build environment is locked with a PyPI package: {reference.value}")
        return tuple(found)

    def _source(self, checkout: Checkout, globs: tuple[str, ...]) -> tuple[str, Mapping[str, str] | None]:
        """The digest of the source, and of each of its files where it is a folder."""
        if checkout.digest is not None:
            inner = checkout.pinned.subdir
            return (f"{checkout.digest}#{inner}" if inner else checkout.digest), None
        key = (str(checkout.folder), globs)
        tree = self._trees.get(key)
        if tree is None:
            tree = tree_digest(checkout.folder, globs)
            self._indexes[str(tree.index_path)] = tree.digest
            self._trees[key] = tree
        return tree.digest, {file.path: f"{file.kind}{file.sha256}" for file in tree.files}


def _configuration(today: LockedVariant) -> Mapping[str, object]:
    """What the manifest and the profile say to the backend."""
    package, profile = today.loaded.package, today.context.profile
    own = dict(config_for(package, today.context.subdir))
    if profile is not None and profile.applies_to(today.variant.name):
        own |= {"profile": profile.name, **profile.config.get(package.backend.name, {})}
    return own
