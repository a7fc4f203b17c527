"""What somebody takes for a pack, and is another form of one: told by its beginning."""

from __future__ import annotations

import shlex
from pathlib import Path

from smelt.errors import PackError
from smelt.pack.archive import ZSTD_MAGIC

SCRIPT_MARK = b"An environment that unpacks itself, written by smelt."
_EXECUTABLE_MARK = b"@@END_HEADER@@"
_HEAD = 16384
_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz"}
_OTHERS = {b"PK\x03\x04": "a zip archive", b"7z\xbc\xaf": "a 7z archive"}


def check_form(path: Path) -> None:
    """Raises PackError (``pack-form``) where ``path`` is no pack to be unpacked, but known. Raises OSError."""
    if path.is_dir():
        if (path / "oci-layout").is_file():
            raise _image(path)
        return
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if head.startswith(b"#!") and (SCRIPT_MARK in head or _EXECUTABLE_MARK in head):
        raise PackError(
            f"{path} is a script that unpacks itself", code="pack-form", help=f"run it: `sh {path} --help` says how"
        )
    if not head:
        raise PackError(f"{path} is empty", code="pack-form", help="copy it here again, or pack again")
    for start, name in _COMPRESSED.items():
        if head.startswith(start):
            raise PackError(
                f"{path} is compressed by {name}, which no pack is",
                code="pack-form",
                help=f"uncompress it first: `{name} -dc {shlex.quote(str(path))} | smelt unpack -`",
            )
    for start, name in _OTHERS.items():
        if head.startswith(start):
            raise _no_pack(path, f"it is {name}")
    if not head.startswith(ZSTD_MAGIC) and head[257:262] != b"ustar" and _is_text(head):
        raise _no_pack(path, "it is a text")
    if head[257:262] == b"ustar" and head[:6] in (b"blobs\0", b"blobs/"):
        raise _image(path)


def _is_text(head: bytes) -> bool:
    return b"\0" not in head


def _no_pack(path: Path, what: str) -> PackError:
    return PackError(
        f"{path} is no pack: {what}",
        code="pack-form",
        help="name what `smelt pack` or `pixi-pack` wrote: a tar, a tar.zst or a folder",
    )


def _image(path: Path) -> PackError:
    return PackError(
        f"{path} is a container image, which is not unpacked but run",
        code="pack-form",
        help="load it with docker, podman or skopeo; to unpack an environment, pack it as a tar",
    )
