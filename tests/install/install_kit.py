"""Real conda packages, small enough to make by hand, and what the tests ask of a prefix."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import zstandard

from smelt.install.prefix import install
from smelt.install.request import InstallRequest, InstallResult
from smelt.install.state import environment_digest
from smelt.install.verify import verify
from smelt.types import CondaRecord, current_platform

PLACEHOLDER = "/placeholder_" * 18
SUBDIR = current_platform()


class Link(str):
    """A symbolic link with this target."""


class Text(str):
    """A text that holds PLACEHOLDER, to be replaced by the prefix."""


Content = bytes | Link | Text


def make_package(
    folder: Path,
    name: str,
    version: str = "1.0",
    build: str = "0",
    files: Mapping[str, Content] | None = None,
    *,
    noarch: str | None = None,
    depends: tuple[str, ...] = (),
    entry_points: tuple[str, ...] = (),
    paths: list[dict[str, object]] | None = None,
    index: Mapping[str, object] | None = None,
) -> CondaRecord:
    """Write ``<name>-<version>-<build>.conda`` into a subdir of ``folder`` and describe it by a file: URL."""
    files = {f"share/{name}.txt": f"{name} {version} {build}\n".encode()} if files is None else files
    subdir = "noarch" if noarch else SUBDIR
    stem = f"{name}-{version}-{build}"
    content = {path: _bytes(data) for path, data in files.items()}
    info: dict[str, bytes] = {
        "info/index.json": _json(
            {
                "name": name,
                "version": version,
                "build": build,
                "build_number": 0,
                "subdir": subdir,
                "depends": list(depends),
                **({"noarch": noarch} if noarch else {}),
                **(index or {}),
            }
        ),
        "info/about.json": b"{}",
        "info/paths.json": _json({"paths_version": 1, "paths": paths or [_path(p, d) for p, d in files.items()]}),
    }
    if entry_points:
        link = {"noarch": {"type": "python", "entry_points": list(entry_points)}, "package_metadata_version": 1}
        info["info/link.json"] = _json(link)
    target = folder / subdir / f"{stem}.conda"
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("metadata.json", _json({"conda_pkg_format_version": 2}))
        archive.writestr(f"pkg-{stem}.tar.zst", _tar({p: files[p] for p in content}))
        archive.writestr(f"info-{stem}.tar.zst", _tar(info))
    data = target.read_bytes()
    return CondaRecord(
        name=name,
        version=version,
        build=build,
        build_number=0,
        subdir=subdir,
        url=target.as_uri(),
        file_name=target.name,
        channel=folder.as_uri() + "/",
        noarch=noarch,
        depends=depends,
        sha256=hashlib.sha256(data).hexdigest(),
        md5=hashlib.md5(data).hexdigest(),
        size=len(data),
    )


def _bytes(data: Content) -> bytes:
    return data.encode() if isinstance(data, str) else data


def _json(data: object) -> bytes:
    return json.dumps(data).encode()


def _path(path: str, data: Content) -> dict[str, object]:
    raw = _bytes(data)
    entry: dict[str, object] = {"_path": path, "path_type": "softlink" if isinstance(data, Link) else "hardlink"}
    if not isinstance(data, Link):
        entry |= {"sha256": hashlib.sha256(raw).hexdigest(), "size_in_bytes": len(raw)}
    if isinstance(data, Text):
        entry |= {"prefix_placeholder": PLACEHOLDER, "file_mode": "text"}
    return entry


def _tar(files: Mapping[str, Content]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for path, data in files.items():
            member = tarfile.TarInfo(path)
            member.mtime = 1_700_000_000
            member.mode = 0o755 if path.startswith("bin/") else 0o644
            if isinstance(data, Link):
                member.type = tarfile.SYMTYPE
                member.linkname = str(data)
                archive.addfile(member)
            else:
                content = _bytes(data)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return zstandard.ZstdCompressor(level=1).compress(raw.getvalue())


def request_for(root: Path, *records: CondaRecord, environment: str = "default", **more: object) -> InstallRequest:
    """A request for ``root/.pixi/envs/<environment>`` with its cache beside it."""
    values: dict[str, object] = {
        "prefix": root / ".pixi" / "envs" / environment,
        "environment": environment,
        "records": records,
        "subdir": SUBDIR,
        "digest": environment_digest(records),
        "state_folder": root / ".pixi",
        "manifest_path": root / "pixi.toml",
        "cache": root / "cache",
    }
    return InstallRequest(**{**values, **more})  # type: ignore[arg-type]


def owned_files(prefix: Path) -> dict[str, Path]:
    """What the packages' records say lies in the prefix."""
    found: dict[str, Path] = {}
    for record in (prefix / "conda-meta").glob("*.json"):
        for path in json.loads(record.read_bytes())["paths_data"]["paths"]:
            found[path["_path"]] = prefix / path["_path"]
    return found


def present_files(prefix: Path) -> set[str]:
    """What lies in the prefix but for ``conda-meta`` and rattler's tag."""
    return {
        path.relative_to(prefix).as_posix()
        for path in prefix.rglob("*")
        if not path.is_dir() or path.is_symlink()
        if path.relative_to(prefix).parts[0] not in ("conda-meta", "CACHEDIR.TAG")
    }


def assert_exact(request: InstallRequest) -> None:
    """Every file of every package is there and right, and no other file is there."""
    names = {f"{r.name}-{r.version}-{r.build}.json" for r in request.records}
    assert {path.name for path in (request.prefix / "conda-meta").glob("*.json")} == names
    assert verify(request.prefix) == []
    assert present_files(request.prefix) == set(owned_files(request.prefix))
    for record in request.records:
        path = request.prefix / "conda-meta" / f"{record.name}-{record.version}-{record.build}.json"
        assert json.loads(path.read_bytes())["sha256"] == record.sha256


def run(request: InstallRequest) -> InstallResult:
    return asyncio.run(install(request))
