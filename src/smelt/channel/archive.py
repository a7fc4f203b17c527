"""Archives of conda packages: a ``.conda`` whose bytes depend on nothing but its content."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import tempfile
import zipfile
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from smelt.channel.model import PLACEHOLDER, Package, PackageFile, PackageHead, PackageLink
from smelt.channel.paths import check_relative
from smelt.errors import ChannelError
from smelt.types import NOARCH

_LEVEL = 9
_THREADS = 2  # zstd's output is the same for any number of threads from one on
_MTIME = 315_619_200  # 1980-01-02 in UTC: zip files, which wheels and zipapps are, know nothing earlier
_ZIP_DATE = (1980, 1, 2, 0, 0, 0)
_ARCHITECTURES = {"64": "x86_64", "32": "x86", "arm64": "arm64"}


def write_archive(package: Package, path: Path) -> None:
    """Write ``package`` as ``path`` (overwritten; not atomic: write beside and rename).

    Equal packages give equal bytes: dates, owners and the order of files are fixed.
    Raises ChannelError for paths that leave the prefix or are there twice, OSError where a file cannot be read.
    Source: CEP 35 (``.conda``), CEP 34 (contents of a package), the ``paths.json`` of conda-build.
    """
    entries = _sorted_entries(package)
    stem = package.head.stem
    with (
        tempfile.TemporaryFile(dir=path.parent) as content,
        tempfile.TemporaryFile(dir=path.parent) as info,
    ):
        described = _write_content(entries, content)
        _write_info(package, described, info)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
            _add(archive, "metadata.json", io.BytesIO(b'{"conda_pkg_format_version":2}'))
            _add(archive, f"pkg-{stem}.tar.zst", content)
            _add(archive, f"info-{stem}.tar.zst", info)


def _sorted_entries(package: Package) -> list[PackageFile | PackageLink]:
    entries = sorted(package.entries, key=lambda entry: entry.path)
    seen: set[str] = set()
    for entry in entries:
        check_relative(entry.path, f"package {package.head.stem}")
        if entry.path in seen:
            raise ChannelError(f"package {package.head.stem} holds `{entry.path}` twice")
        seen.add(entry.path)
    return entries


def _write_content(entries: Iterable[PackageFile | PackageLink], target: IO[bytes]) -> list[dict[str, object]]:
    """Write the files; returns their entries for ``paths.json``."""
    described: list[dict[str, object]] = []
    digests: dict[str, tuple[str, int]] = {}
    links: list[tuple[dict[str, object], str]] = []
    with _tar(target) as tar:
        for entry in entries:
            member = tarfile.TarInfo(entry.path)
            member.mtime = _MTIME
            if isinstance(entry, PackageLink):
                member.type, member.linkname, member.mode = tarfile.SYMTYPE, entry.target, 0o777
                tar.addfile(member)
                item: dict[str, object] = {"_path": entry.path, "path_type": "softlink"}
                links.append((item, _resolve(entry)))
                described.append(item)
                continue
            data = entry.content if isinstance(entry.content, bytes) else entry.content.read_bytes()
            member.size, member.mode = len(data), 0o755 if entry.executable else 0o644
            tar.addfile(member, io.BytesIO(data))
            digests[entry.path] = (hashlib.sha256(data).hexdigest(), len(data))
            item = {"_path": entry.path, "path_type": "hardlink"}
            if entry.placeholder:
                item |= {"file_mode": "text", "prefix_placeholder": PLACEHOLDER}
            item |= {"sha256": digests[entry.path][0], "size_in_bytes": len(data)}
            described.append(item)
    targets = {str(item["_path"]): target for item, target in links}
    for item, target_path in links:
        while target_path in targets and target_path != targets[target_path]:  # a link to a link
            target_path = targets[target_path]
        digest, size = digests.get(target_path, (hashlib.sha256(b"").hexdigest(), 0))
        item |= {"sha256": digest, "size_in_bytes": size}
    return described


def _resolve(link: PackageLink) -> str:
    parts = link.path.split("/")[:-1]
    for part in link.target.split("/"):
        if part == ".." and parts:
            parts.pop()
        elif part == ".." or link.target.startswith("/"):
            raise ChannelError(f"the link `{link.path}` leads out of its package: `{link.target}`")
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def _write_info(package: Package, described: list[dict[str, object]], target: IO[bytes]) -> None:
    head = package.head
    texts: dict[str, bytes] = {
        "info/index.json": _json(index_json(head)),
        "info/paths.json": _json({"paths": described, "paths_version": 1}),
        "info/files": "".join(f"{item['_path']}\n" for item in described).encode(),
        "info/about.json": _json(_about(head)),
        "info/hash_input.json": _json(dict(head.identity)),
        "info/run_exports.json": _json(head.run_exports.to_dict()),
    }
    if any("prefix_placeholder" in item for item in described):
        lines = [f"{PLACEHOLDER} text {i['_path']}\n" for i in described if "prefix_placeholder" in i]
        texts["info/has_prefix"] = "".join(lines).encode()
    if head.noarch == "python":
        noarch: dict[str, object] = {"type": "python"}
        if head.entry_points:
            noarch["entry_points"] = sorted(head.entry_points)
        texts["info/link.json"] = _json({"noarch": noarch, "package_metadata_version": 1})
    for name, text in package.licenses.items():
        check_relative(name, f"package {head.stem}")
        texts[f"info/licenses/{name}"] = text
    with _tar(target) as tar:
        for name in sorted(texts):
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.mtime = len(texts[name]), 0o644, _MTIME
            tar.addfile(member, io.BytesIO(texts[name]))


def index_json(head: PackageHead) -> dict[str, object]:
    """``info/index.json`` of a package (CEP 34): what repodata records are made from."""
    family, _, architecture = head.subdir.partition("-")
    platform = None if head.subdir == NOARCH else family
    data: dict[str, object] = {
        "arch": None if head.subdir == NOARCH else _ARCHITECTURES.get(architecture, architecture),
        "build": head.build,
        "build_number": head.build_number,
        "depends": sorted(head.depends, key=_python_first),
        "name": head.name,
        "platform": platform,
        "subdir": head.subdir,
        "version": head.version,
    }
    optional: dict[str, object | None] = {
        "constrains": sorted(head.constrains) or None,
        "license": head.license,
        "noarch": head.noarch,
        "purls": sorted(head.purls) or None,
        "python_site_packages_path": head.python_site_packages_path,
    }
    return data | {key: value for key, value in optional.items() if value is not None}


def _python_first(spec: str) -> tuple[bool, str]:
    return (spec.split(" ")[0] != "python", spec)


def _about(head: PackageHead) -> dict[str, object]:
    found = {"license": head.license, "summary": head.summary, "home": head.home}
    about: dict[str, object] = {key: value for key, value in found.items() if value}
    if head.identity:
        about["extra"] = dict(head.identity)
    return about


def _json(data: object) -> bytes:
    return (json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


@contextmanager
def _tar(target: IO[bytes]) -> Generator[tarfile.TarFile]:
    """A tar stream, compressed with zstd, into ``target``."""
    import zstandard

    writer = zstandard.ZstdCompressor(level=_LEVEL, threads=_THREADS).stream_writer(target, closefd=False)
    with writer, tarfile.TarFile(fileobj=cast("IO[bytes]", writer), mode="w", format=tarfile.PAX_FORMAT) as tar:
        yield tar


def _add(archive: zipfile.ZipFile, name: str, source: IO[bytes]) -> None:
    member = zipfile.ZipInfo(name, _ZIP_DATE)
    member.create_system = 3
    member.external_attr = 0o644 << 16
    source.seek(0, io.SEEK_END)
    member.file_size = source.tell()
    source.seek(0)
    with archive.open(member, "w") as target:
        while chunk := source.read(1 << 20):
            target.write(chunk)
