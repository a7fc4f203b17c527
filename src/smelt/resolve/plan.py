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
from smelt.resolve.model import Candidate, Context, Solution
from smelt.resolve.packages import PackageLoader
from smelt.resolve.sources import LockedSources
from smelt.source.model import Checkout, FinalMetadata, RenderedVariant
from smelt.source.tree import TreeDigest, tree_digest
from smelt.types import CondaRecord
from smelt.workspace.load import config_for
from smelt.workspace.model import Workspace
from smelt.workspace.package import Package


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
        node = self._node(
            package.identifier,
            today.loaded.package,
            today.loaded.checkout,
            today.variant,
            today.context,
            metadata,
            (build, host),
            pair[0],
        )
        if locked is not None and locked.artifact_sha256 is not None and locked.build_key == node.key:
            self._nodes[node.key] = replace(node, recorded=locked.artifact_sha256)
        self._keys[package.identifier] = node.key
        return node.key

    def _node(
        self,
        identifier: str,
        package: Package,
        checkout: Checkout,
        variant: RenderedVariant,
        context: Context,
        metadata: FinalMetadata,
        sides: tuple[tuple[BuildInput, ...], tuple[BuildInput, ...]],
        wanted_by: str,
    ) -> BuildNode:
        build, host = sides
        digest, files = self._source(checkout, variant.file_globs)
        subdir, build_subdir = context.of_host(variant).subdir, context.builds_on
        key, inputs = build_key(
            variant=variant,
            metadata=metadata,
            checkout=checkout,
            source_digest=digest,
            build_inputs=build,
            host_inputs=host,
            subdir=subdir,
            build_subdir=build_subdir,
            configuration=_configuration(package, context, variant.name),
            files=files,
        )
        if key not in self._nodes:
            self._nodes[key] = BuildNode(
                key=key,
                identifier=identifier,
                variant=variant,
                metadata=metadata,
                checkout=checkout,
                source_digest=digest,
                build_inputs=build,
                host_inputs=host,
                channels=context.channels,
                subdir=subdir,
                build_subdir=build_subdir,
                inputs=inputs,
                wanted_by=(wanted_by,),
                # what a program makes of a description is not known without it
                content=content_key(inputs, (*build, *host)) if variant.foreign is None else "",
            )
        return self._nodes[key]

    def add_candidate(self, candidate: Candidate, context: Context, wanted_by: str) -> BuildNode:
        """Plan the build of a variant that was solved just now, in no lock, and of all that it is built with."""
        sides = (
            self._solved(candidate.build, context.of_build, wanted_by),
            self._solved(candidate.host, context.of_host(candidate.variant), wanted_by),
        )
        return self._node(
            candidate.record.url,
            candidate.package,
            candidate.checkout,
            candidate.variant,
            context,
            candidate.metadata,
            sides,
            wanted_by,
        )

    def _solved(self, solution: Solution, context: Context, wanted_by: str) -> tuple[BuildInput, ...]:
        found: list[BuildInput] = []
        for record in solution.records:
            chosen = solution.chosen.get(record.name)
            if chosen is None:
                found.append(record)
            else:
                node = self.add_candidate(chosen, context, wanted_by)
                found.append(SourceInput(name=record.name, key=node.key, content=node.content))
        return tuple(found)

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


def _configuration(package: Package, context: Context, name: str) -> Mapping[str, object]:
    """What the manifest and the profile say to the backend about the output ``name``."""
    profile = context.profile
    own = dict(config_for(package, context.subdir))
    if profile is not None and profile.applies_to(name):
        own |= {"profile": profile.name, **profile.config.get(package.backend.name, {})}
    return own
