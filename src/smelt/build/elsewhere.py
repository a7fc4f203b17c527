"""Stores beside the machine's: builds are taken from them before they are made, and given to them for others."""

from __future__ import annotations

import functools
from pathlib import Path

from smelt.build.cleanup import Cleanup
from smelt.build.described import compare_described
from smelt.build.kept import KeptBuilds
from smelt.build.model import Artifact, BuildNode
from smelt.build.record import check_recorded
from smelt.build.shared import SharedPackage, SharedStore
from smelt.build.store import Store
from smelt.build.work_folder import lock_of, work_name
from smelt.errors import BuildError
from smelt.fs import hold, remove_tree
from smelt.scheduler.cancellation import Cancellation, interruptible
from smelt.types import sha256_file


class OtherStores:
    """What the workspace keeps (``kept``) and a ``shared`` store, where there are such."""

    def __init__(
        self, store: Store, work_root: Path, cleanup: Cleanup, *, kept: KeptBuilds | None, shared: SharedStore | None
    ) -> None:
        self._store = store
        self._work_root = work_root
        self._cleanup = cleanup
        self._kept = kept
        self._shared = shared

    def fetch(self, node: BuildNode, cancellation: Cancellation) -> Artifact | None:
        """The artifact of ``node``, verified, in the machine's store now; None if no other has one that can be taken.

        Raises Cancelled, OSError.
        """
        for store in (self._kept, self._shared):
            found = self._fetch_from(store, node, cancellation) if store is not None else None
            if found is not None:
                return found
        return None

    def offer(self, node: BuildNode, artifact: Artifact, cancellation: Cancellation) -> None:
        """Give what was built here to the shared store. Raises Cancelled."""
        if self._shared is not None:
            interruptible(functools.partial(self._shared.offer, node, artifact), cancellation)

    def keep(self, node: BuildNode, artifact: Artifact) -> None:
        """See to it that the workspace has it."""
        if self._kept is not None:
            self._kept.keep(node, artifact)

    def _fetch_from(
        self, shared: SharedStore | KeptBuilds, node: BuildNode, cancellation: Cancellation
    ) -> Artifact | None:
        found = list[SharedPackage | None]()
        folder = self._work_root / work_name(node)
        with hold(lock_of(folder), f"fetching {node.label}", check=cancellation.check):
            try:
                remove_tree(folder)
                folder.mkdir(parents=True)
                interruptible(lambda: found.append(shared.fetch(node, folder)), cancellation)
                package = found[0]
                if package is None:
                    return None
                try:
                    compare_described(node, package.index, package.run_exports)
                    check_recorded(node, sha256_file(package.archive))
                except BuildError as error:
                    shared.refuse(node, "\n".join([error.message, *error.notes[1:]]))
                    return None
                return self._store.put(
                    node,
                    package.archive,
                    package.index,
                    package.log,
                    undeclared=package.undeclared,
                    origin=shared.origin,
                )
            finally:
                self._cleanup.discard(folder)
