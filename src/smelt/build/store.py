"""Artifacts by build key, shared by all workspaces of a user (or of many: nothing in it names a machine).

Layout, below the root (``<cache>/smelt``)::

    artifacts/<key[:2]>/<key>/<name>-<version>-<build>.conda
                              record.json   the repodata record, sha256 and size
                              inputs.json   what went into the key
                              build.log
    artifacts/index/<name>/<digest of platform and variant>.json   the last build of that variant
    artifacts/content/<content key[:2]>/<content key>.json   the last build with these files
    artifacts/editable/<digest[:2]>/<digest>.json   what the last editable package showed of its source
    staged/  staging outputs, see ``smelt.build.staging``
    locks/<key>.lock
    logs/   of failed builds
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, cast

from smelt.build.model import Artifact, BuildNode
from smelt.build.plain import mapping, texts
from smelt.errors import CacheError
from smelt.fs import hold, remove_tree, replace_folder, staging_folder, write_text
from smelt.solve.records import from_repodata
from smelt.types import CondaRecord, digest_json, sha256_file

_RECORD, _INPUTS, _LOG = "record.json", "inputs.json", "build.log"

_DAY = 86_400

Warn = Callable[[str], None]


def _nothing(message: str) -> None:
    """Nobody listens."""


class Store:
    """The store at ``root``. ``warn`` is told of damage that is found (and healed by building again)."""

    def __init__(self, root: Path, warn: Warn | None = None) -> None:
        self._root = root
        self._warn: Warn = warn or _nothing

    @property
    def logs(self) -> Path:
        """Where the logs of failed builds are."""
        return self._root / "logs"

    @property
    def staged(self) -> Path:
        """Where staging outputs are."""
        return self._root / "staged"

    def folder(self, key: str) -> Path:
        """Where the artifact of ``key`` is, if it is there."""
        return self._root / "artifacts" / key[:2] / key

    def stored_keys(self) -> Generator[str]:
        """The build keys of all artifacts, in no order."""
        for group in (self._root / "artifacts").glob("??"):
            for folder in group.iterdir():
                if len(folder.name) == 64 and not folder.name.startswith("."):
                    yield folder.name

    @contextmanager
    def building(
        self,
        key: str,
        label: str,
        waiting: Callable[[str], None] | None = None,
        check: Callable[[], None] | None = None,
    ) -> Generator[None]:
        """Hold the right to build ``key``; look it up again inside, another process may have built it meanwhile.

        ``waiting`` and ``check`` as in ``smelt.fs.hold``. Raises CacheError where the store cannot be written.
        """
        with ExitStack() as stack:
            with _explained(self._root):
                stack.enter_context(hold(self._root / "locks" / f"{key}.lock", f"building {label}", waiting, check))
            yield

    def lookup(self, key: str, *, tell: bool = True) -> Artifact | None:
        """The artifact of ``key``, None if there is none that is whole (of damage ``warn`` hears if ``tell``).

        Cheap: size and modification time of the archive are compared with the record; its content is read only
        where the time differs (a copied or restored store).
        """
        warn = self._warn if tell else _nothing
        folder = self.folder(key)
        try:
            data = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
        except FileNotFoundError:
            if folder.exists():
                warn(f"the stored build {key[:12]} has no record and is made again")
            return None
        except (ValueError, OSError) as error:
            warn(f"the record of the stored build {key[:12]} cannot be read ({error}): it is made again")
            return None
        record = _record(mapping(data), folder)
        if record is None:
            warn(f"the record of the stored build {key[:12]} is damaged: it is made again")
            return None
        path = folder / record.file_name
        try:
            stat = path.stat()
        except OSError:
            warn(f"the stored package {record.file_name} is gone: it is made again")
            return None
        whole = stat.st_size == record.size and (
            stat.st_mtime_ns == mapping(data).get("mtime_ns") or sha256_file(path) == record.sha256
        )
        if not whole:
            warn(f"the stored package {record.file_name} is damaged: it is made again")
            return None
        told, origin = texts(mapping(data).get("undeclared")), mapping(data).get("origin")
        return Artifact(
            key=key,
            path=path,
            record=record,
            log=folder / _LOG,
            undeclared=told,
            origin=origin if isinstance(origin, str) else None,
        )

    def verify(self, key: str) -> bool:
        """Whether the artifact of ``key`` is there and its content has the recorded sha256 (reads all of it)."""
        artifact = self.lookup(key)
        return artifact is not None and sha256_file(artifact.path) == artifact.record.sha256

    def same_files(self, node: BuildNode) -> Artifact | None:
        """An artifact of another build key that has the files which ``node`` would have; None if there is none.

        Its content is read and compared with the record, as another artifact is going to be made of it.
        """
        if not node.content:
            return None
        key = _key_in(self._content_entry(node.content))
        if key is None or key == node.key:
            return None
        artifact = self.lookup(key, tell=False)
        if artifact is None or sha256_file(artifact.path) != artifact.record.sha256:
            return None
        return artifact

    def put(
        self,
        node: BuildNode,
        archive: Path,
        index: Mapping[str, Any],
        log: Path,
        *,
        repacked: bool = False,
        undeclared: Sequence[str] = (),
        origin: str | None = None,
    ) -> Artifact:
        """Take ``archive`` in as the artifact of ``node``; call it inside ``building``.

        The archive is moved (or copied, from another file system); ``index`` is its ``index.json``. ``repacked``: its
        files were made by another build. ``undeclared`` is kept with it. ``origin``: the other store that it is from,
        None for what was built here. What was there before is replaced. Raises CacheError.
        """
        target = self.folder(node.key)
        with _explained(self._root):
            self._sweep(target)
            with staging_folder(target) as staging:
                placed = staging / archive.name
                shutil.move(archive, placed)
                shutil.copyfile(log, staging / _LOG)
                stat = placed.stat()
                repodata = {**index, "sha256": sha256_file(placed), "size": stat.st_size}
                repodata["run_exports"] = node.metadata.run_exports.to_dict()
                data = {
                    "key": node.key,
                    "mtime_ns": stat.st_mtime_ns,
                    "file": archive.name,
                    "repodata": repodata,
                    "undeclared": list(undeclared),
                    "origin": origin,
                }
                inputs = json.dumps(dict(node.inputs), indent=1, sort_keys=True, ensure_ascii=False)
                (staging / _INPUTS).write_text(inputs, encoding="utf-8")
                (staging / _RECORD).write_text(json.dumps(data, indent=1, sort_keys=True), encoding="utf-8")
                # The entries first: what a kill leaves of them is swept by the build that then has to be done again.
                # One that cannot be read is as good as none.
                write_text(self._index_entry(node), json.dumps({"key": node.key}), durable=False)
                if node.content:
                    write_text(self._content_entry(node.content), json.dumps({"key": node.key}), durable=False)
                replace_folder(staging, target)
        record = _record(data, target)
        if record is None:
            raise CacheError(f"the package {archive.name} does not describe itself", code="metadata-broken")
        return Artifact(
            key=node.key,
            path=target / archive.name,
            record=record,
            log=target / _LOG,
            built=origin is None,
            repacked=repacked,
            undeclared=tuple(undeclared),
            origin=origin,
            fetched=origin is not None,
        )

    def forget(self, key: str, label: str, waiting: Callable[[str], None] | None = None) -> int | None:
        """Remove the artifact of ``key``; its size in bytes, None if there was none.

        Waits while it is being built; what ``waiting`` raises gives up. Raises CacheError.
        """
        folder = self.folder(key)
        if not folder.exists():
            return None
        with self.building(key, label, waiting), _explained(self._root):
            size = folder_size(folder)
            # the record goes first: what is left of a removal that was killed is no artifact
            (folder / _RECORD).unlink(missing_ok=True)
            remove_tree(folder)
            return size

    def forget_lost(self) -> None:
        """Remove the index entries of artifacts that are gone."""
        for kind in ("index", "content", "editable"):
            for entry in (self._root / "artifacts" / kind).glob("*/*.json"):
                key = _key_in(entry)
                if key is None or not self.folder(key).exists():
                    entry.unlink(missing_ok=True)

    def mark_used(self, key: str) -> None:
        """Remember, to the day, that the artifact of ``key`` was used. ``used`` tells."""
        record = self.folder(key) / _RECORD
        # a store may be read-only: then its owner decides by other means what is to be removed
        with suppress(OSError):
            if time.time() - record.stat().st_mtime > _DAY:
                os.utime(record)

    def used(self, key: str) -> float:
        """When the artifact of ``key`` was made or used, in seconds since the epoch; 0 for what is no artifact."""
        try:
            return (self.folder(key) / _RECORD).stat().st_mtime
        except OSError:
            return 0.0

    def _sweep(self, target: Path) -> None:
        """Remove what killed processes left beside ``target`` (we hold its lock)."""
        if target.parent.is_dir():
            for left in target.parent.glob(f".{target.name}.*.part"):
                remove_tree(left)

    def keep_log(self, node: BuildNode, log: Path) -> Path:
        """Keep the log of a failed build; where it is. Raises CacheError."""
        target = self.logs / log_name(node)
        with _explained(self._root):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(log, target)
        return target

    def inputs(self, key: str) -> Mapping[str, object] | None:
        """What went into the key of a stored artifact."""
        try:
            data = json.loads((self.folder(key) / _INPUTS).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return mapping(data)

    def previous(self, node: BuildNode) -> Mapping[str, object] | None:
        """The inputs of the last build of the same package, platform and variant, whatever workspace it was for.

        None if there was none, or if it is no longer in the store.
        """
        key = _key_in(self._index_entry(node))
        return self.inputs(key) if key is not None else None

    def _content_entry(self, content: str) -> Path:
        return self._root / "artifacts" / "content" / content[:2] / f"{content}.json"

    def _index_entry(self, node: BuildNode) -> Path:
        variant = node.variant
        digest = digest_json([node.subdir, node.build_subdir, dict(variant.variant)])
        return self._root / "artifacts" / "index" / variant.name / f"{digest[:32]}.json"


def log_name(node: BuildNode) -> str:
    """What the log of a build is called where the logs of many are together."""
    variant = node.variant
    return f"{variant.name}-{variant.version}-{variant.build}-{node.key[:8]}.log"


def folder_size(folder: Path) -> int:
    """The size of all files below ``folder``, in bytes; what vanishes meanwhile does not count."""
    size = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                size += (Path(parent) / name).lstat().st_size
    return size


def _key_in(entry: Path) -> str | None:
    """The build key that an index entry names."""
    try:
        data: object = json.loads(entry.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    key = mapping(data).get("key")
    return key if isinstance(key, str) else None


def _record(data: Mapping[str, object], folder: Path) -> CondaRecord | None:
    """The repodata record with the address that the artifact has here; None if it is not whole."""
    repodata, name = data.get("repodata"), data.get("file")
    if not isinstance(repodata, dict) or not isinstance(name, str):
        return None
    try:
        record = from_repodata(
            cast("dict[str, Any]", repodata), url=(folder / name).absolute().as_uri(), file_name=name, channel=None
        )
    except (KeyError, TypeError, ValueError):
        return None
    return record if record.sha256 and record.size is not None else None


@contextmanager
def _explained(root: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise CacheError(
            f"the store of built packages cannot be used: {error.strerror or error}",
            code="cache-unusable",
            notes=[str(error.filename or root)],
            help="free some space, correct the permissions, or choose another cache (PIXI_CACHE_DIR)",
        ) from error
