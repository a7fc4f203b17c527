"""What the files of a pack say: checked as a whole before anything of it is used.

Source: pixi-pack 0.7 for the format; the section ``smelt`` is ours (``smelt.pack.description``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from smelt.errors import PackError
from smelt.pack.archive import damaged, hostile
from smelt.pack.description import PACK_VERSION, SECTION_VERSION, json_text
from smelt.pack.model import CHANNEL, METADATA, PYPI, REPODATA
from smelt.solve.records import from_repodata
from smelt.types import KNOWN_PLATFORMS, NOARCH, CondaRecord, digest_json

if TYPE_CHECKING:
    from smelt.solve.pypi_distribution import Distribution

KNOWN_VERSION = "0.7"
"""The versions of pixi-pack (``0.7.…``) whose packs this was tried with."""

_PACKAGE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.!+~-]*(?:\.conda|\.tar\.bz2)")
_WHEEL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.!+-]*\.whl")
_TOP = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFile:
    """A file of a pack that was read: its size and hashes; ``path`` where it is, None where it was passed over.

    At ``path`` of a package there may be nothing any more: it was extracted, and ``md5`` is known of it too.
    """

    size: int
    sha256: str
    path: Path | None
    md5: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedPack:
    """A pack whose every file is what the pack says.

    ``records`` have ``file://`` addresses. ``warnings``: what the user should know.
    """

    platform: str
    records: tuple[CondaRecord, ...]
    wheels: tuple[Distribution, ...]
    workspace: str | None = None
    environment: str | None = None
    warnings: tuple[str, ...] = ()


def place_of(name: str, *, folder: bool) -> bool:
    """Whether a file or folder of a pack is used (True), or may be there and is passed over (False).

    Raises PackError (``pack-hostile``) for a name that has no place in a pack.
    """
    parts = name.split("/")
    if not name.isprintable() or "\\" in name or ":" in name or any(part in ("", ".", "..") for part in parts):
        raise hostile(f"it holds {name!r}")
    if folder:
        if name in (CHANNEL, PYPI) or (len(parts) == 2 and parts[0] == CHANNEL and parts[1] in KNOWN_PLATFORMS):
            return True
    elif len(parts) == 3 and parts[0] == CHANNEL and parts[1] in KNOWN_PLATFORMS:
        if parts[2] == REPODATA or _PACKAGE.fullmatch(parts[2]):
            return True
    elif len(parts) == 2 and parts[0] == PYPI:
        if _WHEEL.fullmatch(parts[1]):
            return True
    elif name == METADATA:
        return True
    elif len(parts) == 1 and _TOP.fullmatch(name) and name not in (CHANNEL, PYPI):
        return False
    raise hostile(f"it holds {name!r}")


def is_archive(name: str) -> bool:
    """Whether a file that has a place in a pack is a conda package."""
    return name.startswith(f"{CHANNEL}/") and not name.endswith(f"/{REPODATA}")


def check_description(files: Mapping[str, FoundFile], platform: str) -> None:
    """Refuse a pack for what it says of itself, before its packages are extracted. Raises as ``open_pack``."""
    metadata, _ = _described(files)
    _check_platform(metadata, platform)


def open_pack(files: Mapping[str, FoundFile], platform: str, *, canonical: bool) -> OpenedPack:
    """The pack that ``files`` make, by their names in it.

    ``canonical``: the archive was written byte for byte as ours are, or there was none. Raises PackError: metadata that
    is missing or not readable (``pack-metadata``), another version (``pack-version``), another platform
    (``pack-platform``), a file that is missing, too many or not what it must be (``pack-damaged``).
    """
    metadata, section = _described(files)
    _check_files(section, files, canonical=canonical)
    _check_platform(metadata, platform)
    warnings: list[str] = []
    made_by = metadata.get("pixi-pack-version")
    if made_by is not None and not str(made_by).startswith(f"{KNOWN_VERSION}."):
        warnings.append(f"the pack was created with a different version of pixi-pack: {made_by}")
    records = _records(files, platform, warnings)
    wheels = _wheels(files, checked=section is not None)
    if wheels and all(record.name != "python" for record in records):
        raise PackError(
            "the pack holds wheels, but no python to install them with",
            code="pack-no-python",
            help="pack an environment that has `python`",
        )
    return OpenedPack(
        platform=platform,
        records=records,
        wheels=wheels,
        workspace=str(section["workspace"]) if section is not None else None,
        environment=str(section["environment"]) if section is not None else None,
        warnings=tuple(warnings),
    )


def _metadata(files: Mapping[str, FoundFile]) -> dict[str, Any]:
    found = files.get(METADATA)
    if found is None or found.path is None:
        raise _no_metadata("it is missing")
    text = found.path.read_bytes()
    if not text.strip():
        raise _no_metadata("it is empty")
    try:
        data: object = json.loads(text)
    except ValueError as error:
        raise _no_metadata(f"it is no JSON ({error})") from error
    if not isinstance(data, dict):
        raise _no_metadata("it is no table")
    values = cast("dict[str, Any]", data)
    version, platform = values.get("version"), values.get("platform")
    if not isinstance(version, str):
        raise _no_metadata("`version` is missing, or no text")
    if version != PACK_VERSION:
        raise PackError(
            f"unsupported pixi-pack version: {version}",
            code="pack-version",
            help=f"this smelt reads version {PACK_VERSION} of the format: pack again, or use the program that packed",
        )
    if platform not in KNOWN_PLATFORMS:
        raise _no_metadata("`platform` is missing, or no platform")
    if not isinstance(values.get("pixi-pack-version"), str | None):
        raise _no_metadata("`pixi-pack-version` is no text")
    others = values.keys() - {"version", "pixi-pack-version", "platform", "smelt"}
    if others:
        raise _no_metadata(f"nobody knows `{sorted(others)[0]}`")
    if "smelt" in values and text.decode("utf-8", "replace") != json_text(values):
        raise damaged(f"{METADATA} was changed")
    return values


def _no_metadata(reason: str) -> PackError:
    return PackError(
        f"the pack has no readable {METADATA}: {reason}",
        code="pack-metadata",
        help="this is no pack, or a damaged one: copy it here again, or pack again",
    )


def _check_platform(metadata: Mapping[str, Any], platform: str) -> None:
    if metadata["platform"] != platform:
        raise PackError(
            f"the pack was created for a different platform: it is for {metadata['platform']}, this machine is "
            f"{platform}",
            code="pack-platform",
            help="unpack it there, or pack the environment for this platform (`smelt pack --platform`)",
        )


def _described(files: Mapping[str, FoundFile]) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """What the pack says of itself, and our section of it with nothing changed in it; None in a pack of pixi-pack."""
    metadata = _metadata(files)
    if "smelt" not in metadata:
        return metadata, None
    section = metadata["smelt"]
    try:
        version, digest = section["version"], section["digest"]
        if not isinstance(section["files"], dict):
            raise TypeError("`files` is no table")
        body = {key: value for key, value in cast("dict[str, Any]", section).items() if key != "digest"}
        expected = digest_json({**metadata, "smelt": body})
        workspace, environment = section["workspace"], section["environment"]
    except (KeyError, TypeError, AttributeError) as error:
        raise _no_metadata(f"`smelt` is not readable ({error})") from error
    if version != SECTION_VERSION:
        raise PackError(
            f"the pack was written by another version of smelt (its description has version {version})",
            code="pack-version",
            help="use that version of smelt, or a newer one",
        )
    if digest != expected or not isinstance(workspace, str) or not isinstance(environment, str):
        raise damaged(f"{METADATA} was changed")
    return metadata, cast("dict[str, Any]", section)


def _check_files(section: dict[str, Any] | None, files: Mapping[str, FoundFile], *, canonical: bool) -> None:
    """All that our section says of files must be true. Raises PackError (``pack-damaged``)."""
    if section is None:
        return
    named = cast("dict[str, str]", section["files"])
    for name, sha256 in named.items():
        if name not in files:
            raise damaged(f"{name} is missing")
        if files[name].sha256 != sha256:
            raise damaged(f"{name} is not what was packed (expected sha256 {sha256}, found {files[name].sha256})")
    more = files.keys() - named.keys() - {METADATA}
    if more:
        raise damaged(f"{sorted(more)[0]} was not packed")
    if not canonical:
        raise damaged("its headers were changed")


def _records(files: Mapping[str, FoundFile], platform: str, warnings: list[str]) -> tuple[CondaRecord, ...]:
    archives = {name: file for name, file in files.items() if is_archive(name)}
    described: set[str] = set()
    found: list[CondaRecord] = []
    for name, file in sorted(files.items()):
        parts = name.split("/")
        if parts[0] != CHANNEL or parts[-1] != REPODATA or file.path is None:
            continue
        for file_name, data in _index(name, file.path).items():
            record = _record(name, file_name, data, archives, warnings)
            if record.subdir not in (platform, NOARCH):
                raise damaged(f"{record.file_name} is for {record.subdir}, the pack is for {platform}")
            described.add(f"{CHANNEL}/{record.subdir}/{file_name}")
            found.append(record)
    for name in archives:
        if name not in described:
            raise damaged(f"no {REPODATA} describes {name}")
    seen: dict[str, str] = {}
    for record in found:
        if record.name in seen:
            raise damaged(f"it holds two packages called {record.name}")
        seen[record.name] = record.url
    return tuple(found)


def _index(name: str, path: Path) -> dict[str, dict[str, Any]]:
    try:
        data = cast("dict[str, dict[str, dict[str, Any]]]", json.loads(path.read_bytes()))
        found = {**(data.get("packages.conda") or {}), **(data.get("packages") or {})}
        if not all(isinstance(each, dict) for each in found.values()):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError("a package is no table")
        return found
    except (ValueError, TypeError, AttributeError) as error:
        raise damaged(f"{name} is not readable ({error})") from error


def _record(
    index: str, file_name: str, data: dict[str, Any], archives: Mapping[str, FoundFile], warnings: list[str]
) -> CondaRecord:
    name = f"{CHANNEL}/{data.get('subdir')}/{file_name}"
    archive = archives.get(name)
    if archive is None or archive.path is None:
        raise damaged(f"{index} names {file_name}, which is missing")
    try:
        record = from_repodata(data, url=archive.path.absolute().as_uri(), file_name=file_name, channel=None)
        for text in (record.name, record.version, record.build, *record.depends, *record.constrains):
            if not isinstance(text, str) or not text.isprintable():  # pyright: ignore[reportUnnecessaryIsInstance]
                raise TypeError(f"{text!r}")
        int(record.build_number)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise damaged(f"{index} does not describe {file_name} readably ({error})") from error
    if record.sha256 is None and record.md5 is None:
        warnings.append(f"the pack says no hash of {file_name}: it could not be compared")
    if record.sha256 is not None and record.sha256 != archive.sha256:
        raise damaged(f"{file_name} is not what was packed (expected sha256 {record.sha256}, found {archive.sha256})")
    if record.size is not None and record.size != archive.size:
        raise damaged(f"{file_name} has {archive.size} bytes instead of {record.size}")
    if record.sha256 is None and record.md5 is not None and archive.md5 != record.md5:
        raise damaged(f"{file_name} is not what was packed (expected md5 {record.md5}, found {archive.md5})")
    return record


def _wheels(files: Mapping[str, FoundFile], *, checked: bool) -> tuple[Distribution, ...]:
    """The wheels. ``checked``: their hashes were compared; else what each says of its own files is."""
    wheels = [
        (name, file.path, file.sha256)
        for name, file in sorted(files.items())
        if name.startswith(f"{PYPI}/") and file.path is not None
    ]
    if not wheels:
        return ()
    from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

    from smelt.solve.pypi_distribution import Distribution

    found: dict[str, Distribution] = {}
    for name, path, sha256 in wheels:
        file_name = name.removeprefix(f"{PYPI}/")
        try:
            project, version, _, _ = parse_wheel_filename(file_name)
        except InvalidWheelFilename as error:
            raise damaged(f"{file_name} is no name of a wheel") from error
        if not checked:
            from smelt.pack.wheelcheck import check_wheel

            check_wheel(path)
        key = canonicalize_name(project)
        if key in found:
            raise damaged(f"it holds two wheels of {key}")
        found[key] = Distribution(
            name=key, version=str(version), location=file_name, path=path.absolute(), sha256=sha256
        )
    return tuple(found.values())
