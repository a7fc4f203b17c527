"""The layers of an image: which package is in which, and their bytes.

A layer depends on nothing but its packages and the prefix. So a changed package moves its own layer, or the group that
it is in, and environments share what they have in common.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from smelt.pack.entry import Entry, EntryWriter
from smelt.pack.gzipped import GzipWriter
from smelt.pack.layout import images, is_whole, manifests, read_json
from smelt.pack.linked import Part
from smelt.types import digest_json

KEY = "io.smelt.layer.key"
LAYER_VERSION = 1
"""Counts up when the same packages give another layer."""

SHARED_LAYERS = 16
OWN_LAYERS = 40
GROUPS = 16
"""With the base of small packages and the top layer: 74. No runtime takes more than 127, and there may be a base."""

LARGE = 4 << 20
"""Shared packages of so many bytes (packed) have a layer of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A layer that is to be there: ``key`` says all that its bytes depend on."""

    title: str
    parts: tuple[Part, ...] = field(repr=False)
    extra: tuple[Entry, ...] = field(default=(), repr=False)
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenLayer:
    """A layer that is there: the digest of its blob, its size, and the digest of the tar in it."""

    key: str
    digest: str
    size: int
    diff_id: str


def layers(parts: Sequence[Part], shared: frozenset[str], prefix: str) -> tuple[Layer, ...]:
    """How the parts are put into layers.

    First what all environments of the workspace have (names in ``shared``): large packages on their own, the others in
    one base layer; both depend on nothing of this environment. Then the packages of this environment: those built from
    source and the largest on their own, the others in groups by name. The order changes nothing: parts share no path.
    """
    common = [part for part in parts if _is_common(part, shared)]
    others = [part for part in parts if part not in common]
    large = sorted((p for p in common if p.item.file.size >= LARGE), key=lambda part: (-part.item.file.size, part.name))
    large = large[:SHARED_LAYERS]
    base = [part for part in common if part not in large]
    single = sorted(others, key=lambda part: (part.origin == "channel", -part.item.file.size, part.name))[:OWN_LAYERS]
    grouped: dict[int, list[Part]] = {}
    for part in others:
        if part not in single:
            number = int(hashlib.sha256(part.name.encode()).hexdigest(), 16) % GROUPS
            grouped.setdefault(number, []).append(part)
    found = [layer("packages of all environments", base, prefix)] if base else []
    found += [layer(part.label, [part], prefix) for part in sorted(large, key=lambda part: part.name)]
    for _, group in sorted(grouped.items()):
        found.append(layer(", ".join(sorted(part.name for part in group)), group, prefix))
    found += [layer(part.label, [part], prefix) for part in parts if part in single]
    return tuple(found)


def _is_common(part: Part, shared: frozenset[str]) -> bool:
    # where its files go depends on the environment's Python
    return part.origin == "channel" and part.name in shared and (part.python is None or "python" in shared)


def layer(title: str, parts: Sequence[Part], prefix: str, extra: tuple[Entry, ...] = ()) -> Layer:
    """A layer of ``parts`` and further files."""
    own = [(entry.path, hashlib.sha256(entry.data or b"").hexdigest(), entry.executable) for entry in extra]
    key = digest_json([LAYER_VERSION, prefix, sorted(part.key for part in parts), own])
    return Layer(title=title, parts=tuple(sorted(parts, key=lambda part: part.name)), extra=extra, key=key)


def known_layers(folder: Path) -> dict[str, WrittenLayer]:
    """The layers of ours in a layout, by key. Raises PackError (``pack-output``)."""
    found: dict[str, WrittenLayer] = {}
    for manifest in manifests(folder, images(folder)):
        try:
            config = read_json(folder, str(manifest["config"]["digest"]))
            pairs = list(zip(manifest["layers"], config["rootfs"]["diff_ids"], strict=True))
            for described, diff_id in pairs:
                annotations: Mapping[str, object] = described.get("annotations") or {}
                key, size = annotations.get(KEY), int(described["size"])
                if isinstance(key, str):
                    found[key] = WrittenLayer(key=key, digest=str(described["digest"]), size=size, diff_id=str(diff_id))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # of another program, or damaged: nothing of it is reused
    return found


def provide(folder: Path, wanted: Layer, prefix: str, known: Mapping[str, WrittenLayer]) -> WrittenLayer:
    """The layer, taken from what is there or written now. Raises PackError, InstallError, ChannelError, OSError."""
    found = known.get(wanted.key)
    if found is not None and is_whole(folder, found.digest, found.size):
        return found
    blobs = folder / "blobs" / "sha256"
    part = blobs / f".{wanted.key}.{os.getpid()}.part"
    plain, packed = hashlib.sha256(), hashlib.sha256()
    size = 0
    try:
        with part.open("wb") as out:

            def store(data: bytes) -> None:
                nonlocal size
                packed.update(data)
                size += len(data)
                out.write(data)

            with GzipWriter(store) as compressed:
                _write(wanted, prefix, _Both(plain.update, compressed.write))
        part.replace(blobs / packed.hexdigest())
    finally:
        part.unlink(missing_ok=True)
    return WrittenLayer(
        key=wanted.key, digest=f"sha256:{packed.hexdigest()}", size=size, diff_id=f"sha256:{plain.hexdigest()}"
    )


def _write(wanted: Layer, prefix: str, out: _Both) -> None:
    root = prefix.strip("/")
    writer = EntryWriter(out)
    for part in wanted.parts:
        for entry in part.entries():
            writer.add(f"{root}/{entry.path}", entry, prefix.encode())
    for entry in wanted.extra:
        writer.add(f"{root}/{entry.path}", entry, prefix.encode())
    writer.close()


class _Both:
    """A stream that hands what is written to two."""

    def __init__(self, first: Callable[[bytes], object], second: Callable[[bytes], object]) -> None:
        self._first, self._second = first, second

    def write(self, data: bytes) -> int:
        """Hand on."""
        self._first(data)
        self._second(data)
        return len(data)
