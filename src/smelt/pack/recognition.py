"""What somebody takes for a pack, and is another form of one: told by its beginning."""

from __future__ import annotations

from pathlib import Path

from smelt.errors import PackError

SCRIPT_MARK = b"An environment that unpacks itself, written by smelt."
_EXECUTABLE_MARK = b"@@END_HEADER@@"
_HEAD = 16384


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
    if head[257:262] == b"ustar" and head[:6] in (b"blobs\0", b"blobs/"):
        raise _image(path)


def _image(path: Path) -> PackError:
    return PackError(
        f"{path} is a container image, which is not unpacked but run",
        code="pack-form",
        help="load it with docker, podman or skopeo; to unpack an environment, pack it as a tar",
    )
