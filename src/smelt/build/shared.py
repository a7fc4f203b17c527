"""A store of built packages that many machines share: a folder on any file system, or a bucket.

Nothing in it is ever changed, and nothing is locked (locks on network file systems cannot be trusted)::

    keys/<key[:2]>/<key>.json              what the build key gave: name, sha256, size, inputs, log
    content/<sha256[:2]>/<sha256>.conda    the package, named by its content

A package is there before the entry that names it, each is written beside its place and renamed (in a bucket: put as a
whole), so a reader finds an entry whole or not at all, and of two writers of one build either may win. Whatever is
taken from it is verified: sha256, and that it is the package which was asked for. What does not stand that test is
refused, told, and built anew, which puts a good entry in its place. A store protects from damage, not from those who
may write to it: they can put any package under any key.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from smelt.archive import ArchiveError, read_conda
from smelt.build.model import Artifact, BuildNode
from smelt.build.plain import mapping, texts
from smelt.config.buckets import bucket_options
from smelt.config.network import Network
from smelt.errors import ConfigError, NotSupportedError
from smelt.fs import write_bytes
from smelt.fs.bucket import Bucket
from smelt.types import sha256_file

_SCHEMA = 1
_LARGEST_LOG = 4 << 20
_ABANDONED = 86_400

Warn = Callable[[str], None]


class Objects(Protocol):
    """Whole objects by key; every method raises OSError."""

    def read(self, key: str) -> bytes | None:
        """An object; None if there is none."""
        ...

    def fetch(self, key: str, target: Path) -> bool:
        """Write an object into the file ``target``; False if there is none."""
        ...

    def write(self, key: str, content: bytes | Path) -> bool:
        """Put an object in the place of what is there."""
        ...


class FolderObjects:
    """Objects that are the files of a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, key: str) -> bytes | None:
        """As ``Objects`` says; a missing folder is an error, since it may only not be mounted."""
        try:
            return (self._root / key).read_bytes()
        except FileNotFoundError:
            self._root.stat()
            return None

    def fetch(self, key: str, target: Path) -> bool:
        """As ``Objects`` says."""
        try:
            shutil.copyfile(self._root / key, target)
        except FileNotFoundError:
            self._root.stat()
            return False
        return True

    def write(self, key: str, content: bytes | Path) -> bool:
        """As ``Objects`` says."""
        path = self._root / key
        self._root.stat()
        sweep_parts(path.parent)
        if isinstance(content, bytes):
            write_bytes(path, content)
            return True
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}.part")
        try:
            shutil.copyfile(content, part)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        return True


def sweep_parts(folder: Path) -> None:
    """Remove what was being written for longer than any machine takes: its writer was killed."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".part") and time.time() - entry.stat().st_mtime > _ABANDONED:
                Path(entry.path).unlink(missing_ok=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedPackage:
    """A package taken from the store, whole, with what its ``index.json`` and ``run_exports.json`` say."""

    archive: Path
    log: Path
    index: Mapping[str, object]
    run_exports: Mapping[str, object]
    undeclared: tuple[str, ...]


class SharedStore:
    """The store at ``label``. ``writes``: what is built here is put into it. ``warn`` hears of what is refused, and of
    the first failure, after which the store is let alone: a build never fails because of it. ``kind``: what messages
    call it. ``origin``: that and ``label``, which is what artifacts remember that were taken from it.
    """

    def __init__(self, objects: Objects, label: str, *, writes: bool, warn: Warn, kind: str = "shared store") -> None:
        self._objects = objects
        self.label = label
        self.origin = f"the {kind} {label}"
        self._writes = writes
        self._warn = warn
        self._broken = False

    def fetch(self, node: BuildNode, folder: Path) -> SharedPackage | None:
        """The package of ``node``, brought into ``folder``; None if the store has none, or none that is whole."""
        if self._broken:
            return None
        try:
            data = self._objects.read(entry_at(node.key))
            if data is None:
                return None
            try:
                return self._checked(node, data, folder)
            except (ValueError, KeyError, TypeError, AttributeError, ArchiveError) as error:
                self.refuse(node, str(error))
                return None
        except OSError as error:
            self._give_up("read", error)
            return None

    def refuse(self, node: BuildNode, reason: str) -> None:
        """Tell that the store's package of ``node`` is not taken."""
        self._warn(f"{node.label} in {self.origin} is refused, and built here: {reason}")

    def offer(self, node: BuildNode, artifact: Artifact) -> None:
        """Put what was built into the store."""
        if self._broken or not self._writes:
            return
        sha256 = artifact.record.sha256
        assert sha256 is not None
        try:
            there = digest_in(self._objects.read(entry_at(node.key)), node.key)
            if there is not None and there != sha256:
                self._warn(f"{node.label} in {self.origin} had other bytes; it is replaced")
            self._objects.write(content_at(sha256), artifact.path)
            log = artifact.log.read_text(encoding="utf-8", errors="replace") if artifact.log.is_file() else ""
            entry = {
                "schema": _SCHEMA,
                "key": node.key,
                "file": artifact.path.name,
                "sha256": sha256,
                "size": artifact.record.size,
                "undeclared": list(artifact.undeclared),
                "inputs": dict(node.inputs),
                "log": log[-_LARGEST_LOG:],
            }
            text = json.dumps(entry, sort_keys=True, ensure_ascii=False)
            self._objects.write(entry_at(node.key), text.encode("utf-8", "surrogatepass"))
        except OSError as error:
            self._give_up("written", error)

    def has(self, key: str) -> bool:
        """Whether there is an entry (which may turn out to be damaged)."""
        try:
            return not self._broken and self._objects.read(entry_at(key)) is not None
        except OSError as error:
            self._give_up("read", error)
            return False

    def _checked(self, node: BuildNode, data: bytes, folder: Path) -> SharedPackage:
        """Raises ValueError and its kind, with what is wrong."""
        entry = mapping(json.loads(data))
        variant = node.variant
        name = f"{variant.name}-{variant.version}-{variant.build}.conda"
        if entry.get("schema") != _SCHEMA:
            raise ValueError(f"its entry is of format {entry.get('schema')!r}, this is {_SCHEMA}")
        if entry.get("key") != node.key or entry.get("file") != name:
            raise ValueError("its entry is about another build")
        sha256 = digest_in(data, node.key)
        if sha256 is None:
            raise ValueError("its entry has no digest")
        archive = folder / name
        if not self._objects.fetch(content_at(sha256), archive):
            raise ValueError("the package that its entry names is gone")
        found = sha256_file(archive)
        if found != sha256:
            raise ValueError(f"its sha256 is {found[:16]}…, its entry says {sha256[:16]}…")
        info = {member.name: member.data for member in read_conda(archive).info}
        log = folder / "build.log"
        log.write_text(f"taken from {self.origin}\n{entry.get('log', '')}", encoding="utf-8")
        return SharedPackage(
            archive=archive,
            log=log,
            index=mapping(json.loads(info["info/index.json"])),
            run_exports=mapping(json.loads(info.get("info/run_exports.json", b"{}"))),
            undeclared=texts(entry.get("undeclared")),
        )

    def _give_up(self, what: str, error: OSError) -> None:
        if not self._broken:
            self._broken = True
            told = error.strerror or str(error)
            where = f" ({error.filename})" if error.filename and error.strerror else ""
            self._warn(f"{self.origin} cannot be {what} and is not used: {told}{where}")


def shared_store(text: str, network: Network, *, writes: bool, warn: Warn) -> SharedStore:
    """The store at a path, ``file://`` or ``s3://`` address.

    Raises ConfigError for another address, NotSupportedError where the extra for buckets is not installed.
    """
    parts = urlsplit(text)
    if parts.scheme == "s3":
        _require_extra(text)
        return SharedStore(Bucket(bucket_options(text, network)), text, writes=writes, warn=warn)
    path = Path(url2pathname(unquote(parts.path))) if parts.scheme == "file" else Path(text).expanduser()
    if (len(parts.scheme) > 1 and parts.scheme != "file") or not path.is_absolute():
        raise ConfigError(
            f"`{text}` is no place for a shared store",
            code="config-value",
            help="write the absolute path of a folder, or `s3://BUCKET/FOLDER`",
        )
    return SharedStore(FolderObjects(path), str(path), writes=writes, warn=warn)


def _require_extra(url: str) -> None:
    try:
        import obstore  # noqa: F401  # pyright: ignore[reportUnusedImport]
    except ImportError as error:
        raise NotSupportedError(
            f"the shared store {url} is in a bucket, and smelt was installed without what it needs for that",
            help="install the extra `s3` (`pip install 'smelt[s3]'`)",
        ) from error


def entry_at(key: str) -> str:
    """The key of the entry about a build key."""
    return f"keys/{key[:2]}/{key}.json"


def content_at(sha256: str) -> str:
    """The key of the package with that digest."""
    return f"content/{sha256[:2]}/{sha256}.conda"


def digest_in(data: bytes | None, key: str) -> str | None:
    """The digest that an entry names; None for no entry, or one that is not about ``key``."""
    try:
        entry = mapping(None if data is None else json.loads(data))
    except ValueError:
        return None
    sha256 = entry.get("sha256")
    valid = isinstance(sha256, str) and len(sha256) == 64 and all(each in "0123456789abcdef" for each in sha256)
    return str(sha256) if valid and entry.get("key") == key else None
