"""Which tables an edit is about: those of the workspace, of a feature or of an environment, for one platform or all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from smelt.manifest.edit.manifest import ManifestText
from smelt.manifest.positions import KeyPath


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """At most one of ``feature`` and ``environment`` is given; ``selector`` is the key of a ``target`` table.

    With ``environment`` the tables are those that stand in the environment itself.
    """

    feature: str | None = None
    environment: str | None = None
    selector: str | None = None

    @property
    def is_default(self) -> bool:
        """Whether it is the feature ``default``, whose tables are those of the manifest."""
        return self.environment is None and self.feature in (None, "default")

    @property
    def anchor(self) -> tuple[str, ...]:
        """The keys of the feature or environment."""
        if self.environment is not None:
            return ("environments", self.environment)
        return () if self.is_default else ("feature", str(self.feature))

    def path(self, manifest: ManifestText, *keys: str) -> KeyPath:
        """Where ``keys`` of the scope stand."""
        target = ("target", self.selector) if self.selector is not None else ()
        return manifest.at(*self.anchor, *target, *keys)

    def list_path(self, manifest: ManifestText, key: str) -> KeyPath:
        """Where ``channels`` or ``platforms`` of the scope stand."""
        return (*manifest.workspace, key) if self.is_default else manifest.at(*self.anchor, key)

    def prepare(self, manifest: ManifestText) -> ManifestText:
        """``manifest`` with the environment as a table, if it was written as a list of features."""
        if self.environment is None:
            return manifest
        path = manifest.at(*self.anchor)
        if not isinstance(manifest.get(path), list):
            return manifest
        return manifest.set(path, {"features": manifest.array(path)})

    def settle(self, manifest: ManifestText, emptied: KeyPath, *, declared: bool = False) -> ManifestText:
        """``manifest`` after something was removed from the table ``emptied``.

        In an environment, tables without content go, and the environment with them unless ``declared``; what stays
        of it still means something.
        """
        if self.environment is None:
            return manifest
        path = manifest.at(*self.anchor)
        manifest = manifest.prune(emptied, len(path) - 1)
        if manifest.get(path) is None:
            return manifest.set((*path, "features"), []) if declared else manifest
        entry: Mapping[str, object] = manifest.table(path) if isinstance(manifest.get(path), dict) else {"features": ()}
        return manifest if set(entry) - {"no-default-feature"} else manifest.set((*path, "features"), [])

    def __str__(self) -> str:
        """What messages call it."""
        if self.environment is not None:
            where = f"environment `{self.environment}`"
        else:
            where = "the workspace" if self.is_default else f"feature `{self.feature}`"
        return where if self.selector is None else f"{where} on `{self.selector}`"
