"""Wheels (PEP 427): what they say of themselves, and whether they are what they say."""

from __future__ import annotations

import base64
import configparser
import csv
import hashlib
import io
import re
import stat
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesParser
from email.policy import compat32
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from smelt.archive import DAMAGE
from smelt.channel.paths import check_relative
from smelt.errors import ChannelError
from smelt.types import sha256_file

_COMMAND = re.compile(r"[A-Za-z0-9_+-][\w.+ -]*")
_TARGET = re.compile(r"\s*([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\s*:\s*([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\s*(?:\[.*\])?\s*")
_SIGNATURES = ("RECORD.jws", "RECORD.p7s")
_LARGEST_TEXT = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What a distribution says of itself (``METADATA``, core metadata 2.x). ``name`` is normalised."""

    name: str
    version: Version
    requires_python: SpecifierSet
    requires: tuple[Requirement, ...]
    summary: str | None = None
    license: str | None = None
    home: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """A checked wheel. ``members``: archive path → zip entry, only files, ``RECORD`` and signatures left out.

    ``dist_info`` and ``data``: names of its two folders (the second may not exist). ``commands``: console and
    graphical scripts, name → ``module:attribute``. ``hashes``: what ``RECORD`` says, as (algorithm, base64).
    """

    path: Path
    sha256: str
    metadata: Metadata
    tags: frozenset[Tag]
    dist_info: str
    data: str
    commands: Mapping[str, str] = field(hash=False)
    members: Mapping[str, zipfile.ZipInfo] = field(repr=False, hash=False)
    hashes: Mapping[str, tuple[str, str]] = field(repr=False, hash=False)


def read_wheel(path: Path) -> Wheel:
    """Read a wheel and check it, without unpacking it.

    Refused: paths that leave the folder, links, the same path twice, bytes before the archive (another reader may see
    another archive), a second ``dist-info``, files that ``RECORD`` does not list, names that differ from the
    file name's, scripts whose names are paths. Raises ChannelError.
    """
    try:
        name, version, _, tags = parse_wheel_filename(path.name)
    except InvalidWheelFilename as error:
        raise ChannelError(f"{path.name} is not the name of a wheel ({error})", code="bad-wheel") from error
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(archive, path)
            dist_info = _dist_info(members, path)
            texts = {
                text: _text(archive, members, f"{dist_info}/{text}", path)
                for text in ("METADATA", "WHEEL", "RECORD", "entry_points.txt")
            }
    except FileNotFoundError as error:
        raise ChannelError(f"there is no wheel {path}") from error
    except (*DAMAGE, OSError) as error:
        raise ChannelError(f"{path} cannot be read as a wheel ({error})", code="bad-wheel") from error
    metadata = parse_metadata(texts["METADATA"], path.name)
    if metadata.name != name or metadata.version != version:
        raise _bad(path, f"it says that it is {metadata.name} {metadata.version}")
    if not dist_info.lower().endswith(".dist-info") or not _names_match(dist_info, metadata):
        raise _bad(path, f"its folder `{dist_info}` belongs to another distribution")
    hashes = _record(texts["RECORD"], members, dist_info, path)
    skipped = {f"{dist_info}/RECORD", *(f"{dist_info}/{name}" for name in _SIGNATURES)}
    return Wheel(
        path=path,
        sha256=sha256_file(path),
        metadata=metadata,
        tags=tags,
        dist_info=dist_info,
        data=f"{dist_info.removesuffix('.dist-info')}.data",
        commands=_commands(texts["entry_points.txt"], path),
        members={name: info for name, info in members.items() if name not in skipped},
        hashes=hashes,
    )


def _bad(path: Path, why: str) -> ChannelError:
    return ChannelError(
        f"{path.name} is not a sound wheel: {why}",
        code="bad-wheel",
        help="the file may be damaged or made to harm; get it from where it was published",
    )


def _members(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    infos = archive.infolist()
    if infos and min(info.header_offset for info in infos) != 0:
        raise _bad(path, "there are bytes before the archive")
    members: dict[str, zipfile.ZipInfo] = {}
    folded: dict[str, str] = {}
    for info in infos:
        # zipfile cuts names at a NUL and turns the system's separator; what is in the file is what counts
        raw = info.orig_filename
        if stat.S_ISLNK(info.external_attr >> 16):
            raise _bad(path, f"`{raw}` is a link")
        if info.flag_bits & 1:
            raise _bad(path, f"`{raw}` is encrypted")
        check_relative(raw.removesuffix("/"), path.name)
        if raw.endswith("/"):
            continue
        if raw in members:
            raise _bad(path, f"`{raw}` is there twice")
        clash = folded.setdefault(raw.lower(), raw)
        if clash != raw:
            raise _bad(path, f"`{raw}` and `{clash}` differ in case only")
        members[raw] = info
    return members


def _dist_info(members: Mapping[str, zipfile.ZipInfo], path: Path) -> str:
    found = {name.split("/")[0] for name in members if name.split("/")[0].endswith(".dist-info")}
    if len(found) != 1:
        raise _bad(path, "it has no dist-info folder" if not found else "it has several dist-info folders")
    return found.pop()


def _names_match(dist_info: str, metadata: Metadata) -> bool:
    name, _, version = dist_info.removesuffix(".dist-info").rpartition("-")
    try:
        return canonicalize_name(name) == metadata.name and Version(version.replace("_", "-")) == metadata.version
    except InvalidVersion:
        return False


def _text(archive: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo], name: str, path: Path) -> bytes:
    info = members.get(name)
    if info is None:
        if name.endswith("entry_points.txt"):
            return b""
        raise _bad(path, f"`{name}` is missing")
    if info.file_size > _LARGEST_TEXT:
        raise _bad(path, f"`{name}` is unreasonably large")
    return archive.read(info)


def _parse(text: bytes) -> Message:
    return BytesParser(policy=compat32).parsebytes(text)


def parse_metadata(text: bytes, origin: str) -> Metadata:
    """Core metadata of a distribution. Raises ChannelError for what cannot be understood."""
    message = _parse(text)
    try:
        return Metadata(
            name=canonicalize_name(str(message["Name"])),
            version=Version(str(message["Version"])),
            requires_python=SpecifierSet(str(message.get("Requires-Python", ""))),
            requires=tuple(Requirement(str(line)) for line in message.get_all("Requires-Dist", [])),
            summary=_one_line(message.get("Summary")),
            license=_license(message),
            home=_home(message),
        )
    except (InvalidVersion, InvalidRequirement, InvalidSpecifier) as error:
        raise ChannelError(f"the metadata of {origin} cannot be understood ({error})", code="bad-wheel") from error


def _one_line(value: object) -> str | None:
    text = " ".join(str(value).split()) if value is not None else ""
    return text if text and text != "UNKNOWN" else None


def _license(message: Message) -> str | None:
    for field_name in ("License-Expression", "License"):
        text = _one_line(message.get(field_name))
        if text and len(text) <= 100:  # some put the whole text there
            return text
    for line in message.get_all("Classifier", []):
        parts = str(line).split(" :: ")
        if parts[0] == "License":
            return parts[-1]
    return None


def _home(message: Message) -> str | None:
    for line in message.get_all("Project-URL", []):
        label, _, url = str(line).partition(",")
        if label.strip().lower() in ("homepage", "home", "source", "repository"):
            return url.strip()
    return _one_line(message.get("Home-page"))


def _commands(text: bytes, path: Path) -> dict[str, str]:
    parser = configparser.RawConfigParser(delimiters=("=",), strict=False, comment_prefixes=("#", ";"))
    parser.optionxform = str  # type: ignore[assignment] # names of commands keep their case
    try:
        parser.read_string(text.decode("utf-8"))
    except (configparser.Error, UnicodeDecodeError) as error:
        raise _bad(path, f"its entry points cannot be read ({error})") from error
    found: dict[str, str] = {}
    for section in ("console_scripts", "gui_scripts"):
        for name, value in parser.items(section) if parser.has_section(section) else ():
            target = _TARGET.fullmatch(value)
            if target is None or not _COMMAND.fullmatch(name):
                raise _bad(path, f"its entry point `{name} = {value}` is not allowed")
            found[name] = f"{target[1]}:{target[2]}"
    return found


def _record(
    text: bytes, members: Mapping[str, zipfile.ZipInfo], dist_info: str, path: Path
) -> dict[str, tuple[str, str]]:
    """The hashes in RECORD; every file must have one, but for RECORD itself and its signatures."""
    hashes: dict[str, tuple[str, str]] = {}
    for row in csv.reader(io.StringIO(text.decode("utf-8", "replace"))):
        if not row:
            continue
        if len(row) < 2:
            raise _bad(path, "its RECORD cannot be read")
        algorithm, _, digest = row[1].partition("=")
        if digest:
            hashes[row[0]] = (algorithm, digest)
    free = {f"{dist_info}/{name}" for name in ("RECORD", *_SIGNATURES)}
    for name in members:
        if name not in hashes and name not in free:
            raise _bad(path, f"RECORD has no hash of `{name}`")
        if name in hashes and hashes[name][0] not in ("sha256", "sha384", "sha512"):
            raise _bad(path, f"`{hashes[name][0]}` is no hash to rely on")
    return hashes


def read_files(wheel: Wheel) -> Iterator[tuple[str, bytes, bool]]:
    """The files of a wheel with their content and whether they are executable; hashes are checked.

    Raises ChannelError where a file is not what RECORD says.
    """
    try:
        with zipfile.ZipFile(wheel.path) as archive:
            for name, info in wheel.members.items():
                data = archive.read(info)
                algorithm, expected = wheel.hashes[name]
                digest = base64.urlsafe_b64encode(hashlib.new(algorithm, data).digest()).rstrip(b"=").decode()
                if digest != expected.rstrip("="):
                    raise _bad(wheel.path, f"`{name}` is not what RECORD says")
                yield name, data, bool((info.external_attr >> 16) & 0o111)
    except (*DAMAGE, OSError) as error:
        raise ChannelError(f"{wheel.path} cannot be read ({error})", code="bad-wheel") from error
