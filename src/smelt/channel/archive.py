"""Archives of conda packages: a ``.conda`` whose bytes depend on nothing but its content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from smelt.archive import CondaArchive, Member, write_conda
from smelt.channel.model import PLACEHOLDER, Package, PackageFile, PackageHead, PackageLink
from smelt.channel.paths import check_relative
from smelt.errors import ChannelError
from smelt.types import NOARCH, sha256_file

_MTIME = 315_619_200  # 1980-01-02 in UTC: zip files, which wheels and zipapps are, know nothing earlier
_ARCHITECTURES = {"64": "x86_64", "32": "x86", "arm64": "arm64"}


def write_archive(package: Package, path: Path) -> None:
    """Write ``package`` as ``path`` (overwritten; not atomic: write beside and rename).

    Equal packages give equal bytes: dates, owners and the order of files are fixed.
    Raises ChannelError for paths that leave the prefix or are there twice, OSError where a file cannot be read.
    Source: CEP 35 (``.conda``), CEP 34 (contents of a package), the ``paths.json`` of conda-build.
    """
    entries = _sorted_entries(package)
    described = _describe(entries)
    archive = CondaArchive(files=tuple(map(_member, entries)), info=_info(package, described))
    write_conda(path, archive, mtime=_MTIME, stem=package.head.stem)


def _member(entry: PackageFile | PackageLink) -> Member:
    if isinstance(entry, PackageLink):
        return Member(name=entry.path, link=entry.target)
    if isinstance(entry.content, bytes):
        return Member(name=entry.path, data=entry.content, executable=entry.executable)
    return Member(name=entry.path, source=entry.content, executable=entry.executable)


def _sorted_entries(package: Package) -> list[PackageFile | PackageLink]:
    entries = sorted(package.entries, key=lambda entry: entry.path)
    seen: set[str] = set()
    for entry in entries:
        check_relative(entry.path, f"package {package.head.stem}")
        if entry.path in seen:
            raise ChannelError(f"package {package.head.stem} holds `{entry.path}` twice")
        seen.add(entry.path)
    return entries


def _describe(entries: Iterable[PackageFile | PackageLink]) -> list[dict[str, object]]:
    """The entries of ``paths.json``."""
    described: list[dict[str, object]] = []
    digests: dict[str, tuple[str, int]] = {}
    links: list[tuple[dict[str, object], str]] = []
    for entry in entries:
        if isinstance(entry, PackageLink):
            item: dict[str, object] = {"_path": entry.path, "path_type": "softlink"}
            links.append((item, _resolve(entry)))
            described.append(item)
            continue
        if isinstance(entry.content, bytes):
            digest, size = hashlib.sha256(entry.content).hexdigest(), len(entry.content)
        else:
            digest, size = sha256_file(entry.content), entry.content.stat().st_size
        digests[entry.path] = (digest, size)
        item = {"_path": entry.path, "path_type": "hardlink"}
        if entry.placeholder:
            item |= {"file_mode": "text", "prefix_placeholder": PLACEHOLDER}
        described.append(item | {"sha256": digest, "size_in_bytes": size})
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


def _info(package: Package, described: list[dict[str, object]]) -> tuple[Member, ...]:
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
    return tuple(Member(name=name, data=text) for name, text in texts.items())


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
