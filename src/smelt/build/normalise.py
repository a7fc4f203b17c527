"""The same build gives the same bytes: an artifact without traces of the machine, the folder and the time."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import posixpath
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, cast

from smelt.archive import CondaArchive, Member, read_conda, write_conda
from smelt.build.binary import is_mach_o, without_traces
from smelt.build.bytecode import is_bytecode
from smelt.build.environment import PathSubstitute
from smelt.build.requirement import canonical
from smelt.errors import BuildError

CompileModules = Callable[[Sequence[Member], frozenset[str]], Sequence[Member]]
"""Gives bytecode for the modules among members; the names are those whose text changes at installation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NormalRequest:
    """``archive``: what rattler-build wrote. ``target``: where the artifact goes (its name counts).

    ``paths``: what stands for paths of this machine, replaced in this order.
    ``timestamp``: seconds since the epoch. ``compile_modules``: None where there is to be no bytecode. ``inspect`` is
    shown the files as they will be. ``depends`` and ``constrains``: what is locked, for the order of it.
    """

    archive: Path
    target: Path
    paths: tuple[PathSubstitute, ...]
    timestamp: int
    compile_modules: CompileModules | None = None
    inspect: Callable[[Sequence[Member]], None] | None = None
    depends: tuple[str, ...] = ()
    constrains: tuple[str, ...] = ()


def normalise(request: NormalRequest) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Write the artifact; gives its ``index.json``, and its ``run_exports.json`` (empty where it has none).

    - paths of the build are replaced by fixed ones, in binary files of the same length;
    - times in gzip and ar headers, and build-ids, are fixed; bytecode is compiled anew;
    - ``direct_url.json`` goes; hashes and sizes in ``RECORD`` and ``paths.json`` are those of what is there;
    - ``index.json`` has the fixed time and requirements in the order of the lock, ``about.json`` no channels; members
      are sorted, modes 0644 or 0755.

    Raises ArchiveError, BuildError (``metadata-broken``), OSError.
    """
    archive = read_conda(request.archive)
    names = frozenset(member.name for member in archive.files)
    files = {
        member.name: _clean(member, request.paths)
        for member in archive.files
        if not is_bytecode(member.name, names) and not _is_direct_url(member.name)
    }
    info = {member.name: member.with_data(_in_text(member.data, request.paths)) for member in archive.info}
    entries = path_entries(info, request.paths)
    if request.compile_modules is not None:
        unsuited = frozenset(name for name, entry in entries.items() if entry.get("prefix_placeholder"))
        for member in request.compile_modules(tuple(files.values()), unsuited):
            files[member.name] = member
    noarch = json_of(info, "info/index.json").get("noarch") == "python"
    for name in [name for name in files if name.endswith(".dist-info/RECORD")]:
        files[name] = files[name].with_data(_record(files[name].data, name, files, noarch=noarch))
    index = _index(json_of(info, "info/index.json"), request)
    about = json_of(info, "info/about.json")
    about.pop("channels", None)
    info["info/index.json"] = info["info/index.json"].with_data(_dump(index))
    info["info/about.json"] = info["info/about.json"].with_data(_dump(about))
    info["info/paths.json"] = info["info/paths.json"].with_data(described_paths(entries, files))
    if request.inspect is not None:
        request.inspect(tuple(files.values()))
    write_conda(
        request.target,
        CondaArchive(files=tuple(files.values()), info=tuple(info.values())),
        mtime=request.timestamp,
    )
    return index, json_of(info, "info/run_exports.json") if "info/run_exports.json" in info else {}


def _is_direct_url(name: str) -> bool:
    return name.endswith(".dist-info/direct_url.json")


def _in_text(data: bytes, paths: Iterable[PathSubstitute]) -> bytes:
    for each in paths:
        if each.path in data:
            data = data.replace(each.path, each.in_text)
    return data


def _in_binary(data: bytes, paths: Iterable[PathSubstitute]) -> bytes:
    for each in paths:
        if each.in_binary is not None and each.path in data:
            data = data.replace(each.path, each.in_binary)
    return data


def _clean(member: Member, paths: Sequence[PathSubstitute]) -> Member:
    if member.link is not None:
        link = _in_text(member.link.encode("utf-8", "surrogateescape"), paths)
        return replace(member, link=link.decode("utf-8", "surrogateescape"))
    data = member.data
    data = _in_binary(data, paths) if b"\0" in data else _in_text(data, paths)
    data = without_traces(data)
    if data != member.data and is_mach_o(data):
        data = _signed(data, PurePosixPath(member.name).name)
    return member.with_data(data)


def _signed(data: bytes, name: str) -> bytes:
    """A macOS binary with an ad-hoc signature of its changed content (arm64 runs nothing else)."""
    if sys.platform != "darwin":
        raise BuildError(
            f"{name} is a macOS binary that must be signed again after its paths were replaced",
            code="cannot-sign",
            help="build packages for macOS on macOS",
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        subprocess.run(["/usr/bin/codesign", "-f", "-s", "-", str(path)], check=True, capture_output=True)
        return path.read_bytes()


def json_of(info: Mapping[str, Member], name: str) -> dict[str, Any]:
    """A file that describes a package. Raises BuildError (``metadata-broken``)."""
    member = info.get(name)
    try:
        data: object = json.loads(member.data) if member is not None else None
    except ValueError:
        data = None
    if not isinstance(data, dict):
        raise BuildError(f"the package that was built has no {name} that can be read", code="metadata-broken")
    return cast("dict[str, Any]", data)


def _dump(data: Mapping[str, Any]) -> bytes:
    return (json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _index(index: dict[str, Any], request: NormalRequest) -> dict[str, Any]:
    ordered = {"depends": request.depends, "constrains": request.constrains}
    described = {key: _in_order(index[key], locked) for key, locked in ordered.items() if index.get(key)}
    return {**index, **described, "timestamp": request.timestamp * 1000}


def _in_order(found: Sequence[str], locked: Sequence[str]) -> list[str]:
    """``found`` in the order of ``locked``: what comes from run-exports has none. What is not locked comes last."""
    if set(found) <= set(locked):  # as they mostly are; then nobody has to be asked for the one form of a text
        places = {text: place for place, text in enumerate(locked)}
        return sorted(set(found), key=places.__getitem__)
    places = {canonical(text): place for place, text in enumerate(locked)}
    unique = {canonical(text): text for text in found}
    return [unique[text] for text in sorted(unique, key=lambda text: (places.get(text, len(places)), text))]


def path_entries(info: Mapping[str, Member], paths: Sequence[PathSubstitute]) -> dict[str, dict[str, Any]]:
    """``paths.json`` by name; placeholders hold the fixed prefix. Raises BuildError (``metadata-broken``).

    The text was rewritten already, but on Windows JSON doubles the backslashes of a path.
    """
    entries: dict[str, dict[str, Any]] = {}
    for entry in cast("list[dict[str, Any]]", json_of(info, "info/paths.json").get("paths") or []):
        placeholder = entry.get("prefix_placeholder")
        if isinstance(placeholder, str):
            entry["prefix_placeholder"] = _in_text(placeholder.encode(), paths).decode()
        entries[str(entry["_path"])] = entry
    return entries


def described_paths(entries: Mapping[str, Mapping[str, Any]], files: Mapping[str, Member]) -> bytes:
    """``paths.json`` of ``files``; ``entries``: what is known of them already."""
    found: list[dict[str, Any]] = []
    found += [dict(entry) for entry in entries.values() if entry.get("path_type") == "directory"]
    for name, member in files.items():
        target = member if member.link is None else _target(member, files)
        data = target.data if target is not None else b""
        found.append(
            {
                **entries.get(name, {}),
                "_path": name,
                "path_type": "softlink" if member.link is not None else "hardlink",
                "sha256": hashlib.sha256(data).hexdigest(),
                "size_in_bytes": len(member.link.encode()) if member.link is not None else len(data),
            }
        )
    return _dump({"paths": sorted(found, key=lambda entry: entry["_path"]), "paths_version": 1})


def _target(member: Member, files: Mapping[str, Member]) -> Member | None:
    """The file that a symbolic link leads to, None if that is outside of the package."""
    for _ in range(40):
        if member.link is None:
            return member
        name = posixpath.normpath(posixpath.join(posixpath.dirname(member.name), member.link))
        found = files.get(name)
        if found is None:
            return None
        member = found
    return None


def _record(data: bytes, name: str, files: Mapping[str, Member], *, noarch: bool) -> bytes:
    """``RECORD`` of an installed distribution (PEP 376) with the hashes and sizes of what is there now."""
    site = str(PurePosixPath(name).parent.parent)
    rows: list[list[str]] = []
    for row in csv.reader(io.StringIO(data.decode("utf-8"))):
        if not row:
            continue
        path = row[0].replace("\\", "/")
        if path.endswith(".pyc") or _is_direct_url(path):
            continue
        member = files.get(_installed(site, path, noarch=noarch))
        if member is None:
            # a script that the installation makes, with the path of its prefix: nobody can know its hash
            rows.append([path, "", ""])
        elif path.endswith(".dist-info/RECORD") or not row[1:2] or not row[1]:
            rows.append([path, *row[1:]])
        else:
            digest = base64.urlsafe_b64encode(hashlib.sha256(member.data).digest()).rstrip(b"=").decode()
            rows.append([path, f"sha256={digest}", str(len(member.data))])
    target = io.StringIO()
    csv.writer(target, lineterminator="\n").writerows(sorted(rows))
    return target.getvalue().encode()


def _installed(site: str, path: str, *, noarch: bool) -> str:
    """Where a path in ``RECORD`` is in the package. noarch packages hold site-packages and scripts elsewhere."""
    if not noarch or not path.startswith("../"):
        return posixpath.normpath(posixpath.join(site, path))
    rest = path.lstrip("./")
    head, _, tail = rest.partition("/")
    return f"python-scripts/{tail}" if head in ("bin", "Scripts") else rest
