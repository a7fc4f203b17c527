"""The index of a channel: ``repodata.json`` and ``run_exports.json`` of each subdir."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from smelt.archive import DAMAGE, is_damage
from smelt.errors import ChannelError
from smelt.fs import remove_tree, write_bytes
from smelt.types import KNOWN_PLATFORMS, NOARCH

_NEEDS_V3 = re.compile(r"\[[^\]]*\b(extras|when|flags)\s*=|;\s*if\b")
_STALE = (
    "repodata.json.zst",
    "repodata.json.bz2",
    "repodata.json.jlap",
    "repodata.info.json",
    "repodata.state.json",
    "repodata.jlap",
    "current_repodata.json",
    "repodata_from_packages.json",
    "repodata_shards.msgpack.zst",
    "run_exports.json.zst",
    "run_exports.json.bz2",
    "shards",
)
_LARGEST_INFO = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedSubdir:
    """What was written for one subdir: how many packages it has, and whether that changed anything."""

    subdir: str
    packages: int
    changed: bool


def write_index(folder: Path) -> tuple[IndexedSubdir, ...]:
    """Write the index of each subdir of the channel ``folder``, ``noarch`` always; hold the channel's lock.

    Every archive is read and hashed anew, so a package that was rebuilt under its old name is described as it is
    now; forms of the index that are not written (compressed, sharded) are removed, since clients prefer them.
    Equal channels give equal bytes. Run-exports are in the records and in ``run_exports.json`` (CEP 12).
    Raises ChannelError for an archive that cannot be read or that belongs to another subdir, OSError.
    """
    subdirs = {NOARCH, *(p for p in KNOWN_PLATFORMS if (folder / p).is_dir())}
    return tuple(_write_subdir(folder / subdir) for subdir in sorted(subdirs))


def _write_subdir(folder: Path) -> IndexedSubdir:
    subdir = folder.name
    folder.mkdir(parents=True, exist_ok=True)
    records: dict[str, dict[str, dict[str, object]]] = {"packages": {}, "packages.conda": {}}
    revised: dict[str, dict[str, dict[str, object]]] = {}
    for path in sorted(folder.iterdir()):
        kind = _kind(path)
        if kind is None:
            continue
        record = read_record(path)
        if record.get("subdir", subdir) != subdir:
            raise ChannelError(
                f"{path} says that it belongs to `{record['subdir']}`, not to `{subdir}`",
                help=f"move it to the folder `{record['subdir']}` of the channel",
            )
        record["subdir"] = subdir
        if _is_revised(record):
            revised.setdefault(kind, {})[path.name.removesuffix(f".{kind}")] = record
        else:
            records["packages.conda" if kind == "conda" else "packages"][path.name] = record
    repodata: dict[str, object] = {"info": {"subdir": subdir}, **records, "removed": [], "repodata_version": 1}
    if revised:
        repodata |= {"v3": revised, "repodata_version": 2}
    exports: dict[str, object] = {"info": {"subdir": subdir, "version": 1}}
    for section, described in records.items():
        exports[section] = {name: {"run_exports": record["run_exports"]} for name, record in described.items()}
    changed = _replace(folder / "repodata.json", repodata)
    changed = _replace(folder / "run_exports.json", exports) or changed
    for name in _STALE:
        if (folder / name).exists():
            remove_tree(folder / name)
            changed = True
    count = sum(len(section) for section in (*records.values(), *revised.values()))
    return IndexedSubdir(subdir=subdir, packages=count, changed=changed)


def _kind(path: Path) -> str | None:
    if path.name.startswith(".") or not path.is_file():
        return None
    return next((kind for kind in ("conda", "tar.bz2") if path.name.endswith(f".{kind}")), None)


def _is_revised(record: dict[str, object]) -> bool:
    """Whether the record says what the first layout of repodata cannot (optional groups, conditions, flags)."""
    if record.get("extra_depends") or record.get("flags"):
        return True
    specs = [*cast("list[str]", record.get("depends", [])), *cast("list[str]", record.get("constrains", []))]
    return any(_NEEDS_V3.search(spec) for spec in specs)


def _replace(path: Path, data: object) -> bool:
    text = (json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()
    try:
        if path.read_bytes() == text:
            return False
    except FileNotFoundError:
        pass
    write_bytes(path, text)
    return True


def read_record(path: Path) -> dict[str, object]:
    """The repodata record of an archive: its ``index.json`` with hashes, size and run-exports.

    Raises ChannelError where it is no readable package, OSError.
    """
    try:
        members = _read_info(path)
        record = cast("object", json.loads(members["info/index.json"]))
        exports = cast("object", json.loads(members.get("info/run_exports.json", b"{}")))
    except (*DAMAGE, KeyError, OSError, _zstd_error()) as error:
        if isinstance(error, OSError) and not is_damage(error):
            raise
        raise ChannelError(
            f"{path} is not a readable conda package ({error})",
            code="corrupt-package",
            help="remove it, or copy it here again",
        ) from error
    if not isinstance(record, dict) or not {"name", "version", "build", "build_number"} <= record.keys():
        raise ChannelError(f"{path} does not say which package it is (info/index.json)", code="corrupt-package")
    record = cast("dict[str, object]", record)
    record.setdefault("depends", [])
    record["run_exports"] = _run_exports(exports)
    with path.open("rb") as file:
        record["sha256"] = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        record["md5"] = hashlib.file_digest(file, "md5").hexdigest()
        record["size"] = file.tell()
    return record


def _run_exports(data: object) -> dict[str, object]:
    if isinstance(data, list):  # the oldest form: a plain list is weak
        return {"weak": data}
    return dict(cast("dict[str, object]", data)) if isinstance(data, dict) else {}


def _zstd_error() -> type[Exception]:
    import zstandard

    return zstandard.ZstdError


def _read_info(path: Path) -> dict[str, bytes]:
    if path.name.endswith(".conda"):
        import zstandard

        with zipfile.ZipFile(path) as archive:
            names = [n for n in archive.namelist() if n.startswith("info-") and n.endswith(".tar.zst")]
            if len(names) != 1:
                raise ValueError("it has no single info part")
            with (
                archive.open(names[0]) as packed,
                zstandard.ZstdDecompressor().stream_reader(packed) as stream,
            ):
                return _pick(tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r|"))
    with path.open("rb") as file:
        return _pick(tarfile.open(fileobj=file, mode="r|bz2"))


def _pick(archive: tarfile.TarFile) -> dict[str, bytes]:
    wanted = {"info/index.json", "info/run_exports.json"}
    found: dict[str, bytes] = {}
    with archive as tar:
        for member in tar:
            name = member.name.removeprefix("./")
            if name in wanted and member.isfile():
                if member.size > _LARGEST_INFO:
                    raise ValueError(f"{name} is unreasonably large")
                source = tar.extractfile(member) or io.BytesIO()
                found[name] = source.read()
    return found
