"""The image beneath: an OCI image layout on this machine, as a folder or a tar.

Source: OCI image specification 1.1.
"""

from __future__ import annotations

import json
import re
import shutil
import tarfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from smelt.errors import PackError
from smelt.pack.layout import blob_path, is_whole
from smelt.types import sha256_file

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseImage:
    """An image whose every blob is what it must be."""

    folder: Path
    config: dict[str, Any] = field(repr=False, hash=False)
    layers: tuple[dict[str, Any], ...] = field(repr=False, hash=False)

    @property
    def diff_ids(self) -> list[str]:
        """The digests of the layers' tars."""
        return [str(each) for each in self.config["rootfs"]["diff_ids"]]

    @property
    def history(self) -> list[dict[str, Any]]:
        """How it was made."""
        return list(self.config.get("history") or [])

    def copy_layers(self, target: Path) -> None:
        """Put its layers into another layout. Raises OSError."""
        for layer in self.layers:
            path = blob_path(target, str(layer["digest"]))
            if not is_whole(target, str(layer["digest"]), int(layer["size"])):
                part = path.with_name(f".{path.name}.part")
                shutil.copyfile(blob_path(self.folder, str(layer["digest"])), part)
                part.replace(path)


def read_base(path: Path, scratch: Path, machine: tuple[str, str | None]) -> BaseImage:
    """The image at ``path`` for ``machine`` (architecture and variant). Raises PackError (``pack-image-base``)."""
    folder = path
    try:
        if path.is_file():
            with tarfile.open(path) as tar:
                tar.extractall(scratch, filter="data")
            folder = scratch
        index = json.loads((folder / "index.json").read_bytes())
        manifest = _manifest(folder, index, machine, path)
        config = _checked(folder, manifest["config"])
        found = cast("dict[str, Any]", json.loads(config.read_bytes()))
        for layer in manifest["layers"]:
            _checked(folder, layer)
        if (found["os"], found["architecture"]) != ("linux", machine[0]):
            raise _bad(path, f"it is for {found['os']}/{found['architecture']}, not for linux/{machine[0]}")
        if len(found["rootfs"]["diff_ids"]) != len(manifest["layers"]):
            raise _bad(path, "its layers and its description do not fit")
        return BaseImage(folder=folder, config=found, layers=tuple(manifest["layers"]))
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise _bad(path, "it is not there" if not path.exists() else "it is no OCI image layout") from error
        raise _bad(path, getattr(error, "strerror", None) or str(error)) from error
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise _bad(path, f"it is no OCI image layout ({error!r})") from error


def _manifest(folder: Path, index: dict[str, Any], machine: tuple[str, str | None], path: Path) -> dict[str, Any]:
    candidates = [
        each
        for each in index["manifests"]
        if "platform" not in each or (each["platform"]["os"], each["platform"]["architecture"]) == ("linux", machine[0])
    ]
    if len(candidates) != 1:
        what = "no image" if not candidates else "several images"
        raise _bad(path, f"it holds {what} for linux/{machine[0]}")
    data = cast("dict[str, Any]", json.loads(_checked(folder, candidates[0]).read_bytes()))
    return _manifest(folder, data, machine, path) if "manifests" in data else data


def _checked(folder: Path, described: dict[str, Any]) -> Path:
    digest = str(described["digest"])
    if not _DIGEST.fullmatch(digest):
        raise ValueError(f"digest {digest!r}")
    path = blob_path(folder, digest)
    if f"sha256:{sha256_file(path)}" != digest:
        raise ValueError(f"blob {digest} is damaged")
    return path


def _bad(path: Path, reason: str) -> PackError:
    return PackError(
        f"{path} cannot be the image beneath: {reason}",
        code="pack-image-base",
        help="make one with `skopeo copy docker://… oci:FOLDER`, and name the folder",
    )
