"""What a workspace's environments are built of, kept in the workspace itself: ``.pixi/smelt/builds``.

A ``.pixi`` that is brought to another machine (a cache of a CI service) needs no build there, although the store of
that machine is empty. Packages are hard links to those of the machine's store, or copies where links cannot be; the
layout, and how what is taken is verified, are those of a shared store (``smelt.build.shared``). Beside them::

    users.json     the build keys that each environment needs on a platform (``default/linux-64``)

What no environment needs any more is removed by whoever writes it. Source: the reference's ``.pixi/artifacts-v0``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from smelt.build.model import Artifact, BuildNode
from smelt.build.plain import mapping, texts
from smelt.build.shared import (
    FolderObjects,
    SharedPackage,
    SharedStore,
    Warn,
    content_at,
    digest_in,
    entry_at,
    sweep_parts,
)
from smelt.fs import hold, write_text

_USERS = "users.json"


class _LinkedObjects(FolderObjects):
    """Objects that are links to files elsewhere, where the file system has links. The folder need not be there."""

    def read(self, key: str) -> bytes | None:
        try:
            return (self._root / key).read_bytes()
        except FileNotFoundError:
            return None

    def fetch(self, key: str, target: Path) -> bool:
        try:
            target.hardlink_to(self._root / key)
        except FileNotFoundError:
            return False
        except OSError:
            self._root.mkdir(parents=True, exist_ok=True)
            return super().fetch(key, target)
        return True

    def write(self, key: str, content: bytes | Path) -> bool:
        path = self._root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep_parts(path.parent)
        if isinstance(content, Path):
            part = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}.part")
            try:
                part.hardlink_to(content)
                part.replace(path)
                return True
            except OSError:
                pass  # another file system, or one without links: a copy
            finally:
                part.unlink(missing_ok=True)
        return super().write(key, content)


class KeptBuilds:
    """The builds that are kept in the folder ``root``. ``reads``: whether builds are taken from it.

    ``warn`` hears of what is refused, and once of a folder that cannot be used, which stops no build.
    """

    def __init__(self, root: Path, *, reads: bool, warn: Warn) -> None:
        self._root = root
        self._reads = reads
        self._warn = warn
        self._store = SharedStore(_LinkedObjects(root), str(root), writes=True, warn=warn, kind="workspace's store")

    @property
    def origin(self) -> str:
        """What artifacts that were taken from it remember."""
        return self._store.origin

    def fetch(self, node: BuildNode, folder: Path) -> SharedPackage | None:
        """The package of ``node``, verified, in ``folder``; None if there is none that is whole."""
        return self._store.fetch(node, folder) if self._reads else None

    def may_have(self, node: BuildNode) -> bool:
        """Whether a package of ``node`` is kept, which may turn out to be damaged."""
        return self._reads and (self._root / entry_at(node.key)).is_file()

    def refuse(self, node: BuildNode, reason: str) -> None:
        """Tell that what is kept of ``node`` is not taken."""
        self._store.refuse(node, reason)

    def keep(self, node: BuildNode, artifact: Artifact) -> None:
        """See to it that the artifact is there; two stats where it is."""
        sha256 = artifact.record.sha256
        assert sha256 is not None
        there = self._root / content_at(sha256)
        with suppress(OSError):
            if there.stat().st_size == artifact.record.size and (self._root / entry_at(node.key)).is_file():
                return
        self._store.offer(node, artifact)

    def settle(self, users: Mapping[str, Sequence[str]], environments: Collection[str]) -> None:
        """Note the keys that ``users`` need (``ENVIRONMENT/SUBDIR``), and remove what no environment needs.

        What is noted of others stays while they are among ``environments``.
        """
        try:
            if not users and not self._root.is_dir():
                return
            with hold(self._root.with_name(f"{self._root.name}.lock"), "clearing up the workspace's builds"):
                old = self._users()
                still = {name: keys for name, keys in old.items() if name.rpartition("/")[0] in environments}
                known = {**still, **users}
                new = {name: sorted(keys) for name, keys in sorted(known.items()) if keys}
                if new != old:
                    write_text(self._root / _USERS, json.dumps(new, indent=1) + "\n", durable=False)
                self._remove_others({key for keys in new.values() for key in keys})
        except OSError as error:
            told = error.strerror or str(error)
            self._warn(f"what is built cannot be kept in {self._root}: {told}")

    def _users(self) -> dict[str, list[str]]:
        try:
            data = mapping(json.loads((self._root / _USERS).read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return {}
        return {name: list(texts(keys)) for name, keys in data.items()}

    def _remove_others(self, keys: Collection[str]) -> None:
        """Entries first: what they name is removed when nobody can ask for it any more."""
        needed: set[str] = set()
        others: list[Path] = []
        for path in (self._root / "keys").glob("*/*.json"):
            if path.stem not in keys:
                others.append(path)
        if not others:
            return
        for path in others:
            path.unlink(missing_ok=True)
        for path in (self._root / "keys").glob("*/*.json"):
            with suppress(OSError):
                needed.add(digest_in(path.read_bytes(), path.stem) or "")
        for path in (self._root / "content").glob("*/*.conda"):
            if path.stem not in needed and not path.name.startswith("."):
                path.unlink(missing_ok=True)
        for folder in (*(self._root / "keys").glob("*"), *(self._root / "content").glob("*")):
            with suppress(OSError):  # not empty
                folder.rmdir()
