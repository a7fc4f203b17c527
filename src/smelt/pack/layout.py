"""An OCI image layout on disk: blobs by digest, and ``index.json``, which names the images.

Source: OCI image specification 1.1, "Image Layout Specification".
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from smelt.errors import PackError
from smelt.fs import write_bytes
from smelt.types import sha256_file

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
CONFIG = "application/vnd.oci.image.config.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
REFERENCE = "org.opencontainers.image.ref.name"

_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, IndexError)


def blob_path(folder: Path, digest: str) -> Path:
    """Where a blob is."""
    algorithm, _, value = digest.partition(":")
    if not algorithm.isalnum() or not value.isalnum():
        raise ValueError(f"digest {digest!r}")
    return folder / "blobs" / algorithm / value


def is_whole(folder: Path, digest: str, size: int) -> bool:
    """Whether a blob is there and is what it is called."""
    path = blob_path(folder, digest)
    try:
        return path.stat().st_size == size and f"sha256:{sha256_file(path)}" == digest
    except OSError:
        return False


def digest_of(data: bytes) -> str:
    """The digest of a blob."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def read_json(folder: Path, digest: str) -> dict[str, Any]:
    """A blob that is JSON. Raises OSError, ValueError."""
    return cast("dict[str, Any]", json.loads(blob_path(folder, digest).read_bytes()))


def json_bytes(data: object) -> bytes:
    """JSON as the layout has it: equal data, equal bytes."""
    return json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False).encode()


def store_json(folder: Path, data: object, media_type: str) -> dict[str, Any]:
    """Put ``data`` in as a blob; its descriptor. Raises OSError."""
    text = json_bytes(data)
    digest = digest_of(text)
    if not is_whole(folder, digest, len(text)):
        write_bytes(blob_path(folder, digest), text)
    return {"mediaType": media_type, "digest": digest, "size": len(text)}


def images(folder: Path) -> list[dict[str, Any]]:
    """The descriptors in ``index.json``; none where there is no layout yet. Raises PackError (``pack-output``)."""
    try:
        found = json.loads((folder / "index.json").read_bytes())["manifests"]
        return [dict(each) for each in found]
    except FileNotFoundError:
        return []
    except _UNREADABLE as error:
        raise PackError(
            f"the image layout {folder} cannot be read: its index.json is damaged",
            code="pack-output",
            notes=[str(error)],
            help="remove it, or name another folder with `-o`",
        ) from error


def manifests(folder: Path, described: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The manifests behind descriptors, those behind an index too; what is not there or unreadable is passed over."""
    for each in described:
        try:
            data = read_json(folder, str(each["digest"]))
        except (OSError, *_UNREADABLE):
            continue
        if isinstance(data.get("manifests"), list):
            yield from manifests(folder, data["manifests"])
        yield data


def finish(folder: Path, described: Mapping[str, Any]) -> None:
    """Name an image by its annotation ``ref.name``, in the place of an older one, and remove what no image has.

    ``index.json`` is replaced in one step: whoever reads the layout finds the old image or the new. Raises OSError.
    """
    name = described["annotations"][REFERENCE]
    others = [each for each in images(folder) if _name(each) != name]
    listed = sorted([*others, described], key=_name)
    write_bytes(folder / "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
    write_bytes(folder / "index.json", json_bytes({"schemaVersion": 2, "mediaType": INDEX, "manifests": listed}))
    _sweep(folder, listed)


def _name(described: Mapping[str, Any]) -> str:
    annotations: Mapping[str, object] = described.get("annotations") or {}
    return str(annotations.get(REFERENCE, ""))


def _sweep(folder: Path, listed: Iterable[Mapping[str, Any]]) -> None:
    listed = list(listed)
    needed = {str(each["digest"]) for each in listed}
    for data in manifests(folder, listed):
        for each in (data.get("config"), *(data.get("layers") or ()), *(data.get("manifests") or ())):
            if each is not None:
                needed.add(str(each["digest"]))
    for path in (folder / "blobs" / "sha256").iterdir():
        if f"sha256:{path.name}" not in needed:
            path.unlink()


def check_ours(target: Path) -> None:
    """Only an empty folder or a layout may be changed. Raises PackError (``pack-output``)."""
    entries = {"."}
    if target.is_dir():
        entries = {e.name for e in target.iterdir() if not (e.name.startswith(".") and e.name.endswith(".part"))}
    if not entries or ({"oci-layout", "blobs"} & entries and entries <= {"oci-layout", "index.json", "blobs"}):
        return
    raise PackError(
        f"cannot write the image to {target}: it holds something else",
        code="pack-output",
        notes=[", ".join(sorted(entries)[:5])] if target.is_dir() else [],
        help="name another folder with `-o`; only an OCI image layout is brought up to date",
    )
