"""Conda packages of format 2: a zip of ``metadata.json``, ``pkg-*.tar.zst`` and ``info-*.tar.zst``.

Source: the conda documentation, "Package specification", and CEP 35.
"""

from __future__ import annotations

import io
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import IO, cast

from smelt.archive.damage import DAMAGE, is_damage
from smelt.errors import SmeltError

COMPRESSION_LEVEL = 9
_IN_MEMORY = 64 * 1024 * 1024
_METADATA = b'{"conda_pkg_format_version":2}'
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)


class ArchiveError(SmeltError):
    """A package archive that is damaged, or holds what no package may hold."""

    code = "archive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A file or a symbolic link of a package.

    ``name``: POSIX path relative to the prefix. ``data`` is the content of a file, or ``source`` a file that is read
    when the archive is written; ``link`` is the target of a symbolic link (then there is no content).
    """

    name: str
    data: bytes = field(default=b"", repr=False)
    link: str | None = None
    executable: bool = False
    source: Path | None = None

    def with_data(self, data: bytes) -> Member:
        """The same file with another content."""
        return self if data is self.data else replace(self, data=data)


@dataclass(frozen=True, slots=True, kw_only=True)
class CondaArchive:
    """The members of a package: what is installed (``files``) and what describes it (``info``)."""

    files: tuple[Member, ...]
    info: tuple[Member, ...]


def read_conda(path: Path) -> CondaArchive:
    """Read a whole ``.conda`` package into memory.

    Folders are not members (a package has no empty ones); hard links become files of their own. Raises
    ArchiveError for anything that is no such archive, for members outside the prefix, devices and doubled names;
    OSError where the file cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as container:
            files: list[Member] = []
            info: list[Member] = []
            for entry in container.namelist():
                if entry.endswith(".tar.zst") and entry.startswith(("pkg-", "info-")):
                    with container.open(entry) as stream:
                        (files if entry.startswith("pkg-") else info).extend(_read_tar(stream, path))
    except (*DAMAGE, OSError) as error:
        if isinstance(error, OSError) and not is_damage(error):
            raise
        raise ArchiveError(f"{path.name} is not a conda package: {error}", notes=[str(path)]) from error
    if not info:
        raise ArchiveError(f"{path.name} is not a conda package: it describes nothing", notes=[str(path)])
    return CondaArchive(files=tuple(files), info=tuple(info))


def _read_tar(stream: IO[bytes], path: Path) -> Generator[Member]:
    import zstandard

    seen: dict[str, Member] = {}
    try:
        with (
            zstandard.ZstdDecompressor().stream_reader(stream) as plain,
            tarfile.open(fileobj=cast("IO[bytes]", plain), mode="r|", encoding="utf-8") as tar,
        ):
            for entry in tar:
                name = str(PurePosixPath(entry.name))
                if name.startswith("/") or ".." in PurePosixPath(name).parts:
                    raise ArchiveError(f"{path.name} holds a file outside the prefix: {entry.name}")
                if entry.isdir():
                    continue
                if name in seen:
                    raise ArchiveError(f"{path.name} holds {name} twice")
                executable = bool(entry.mode & stat.S_IXUSR)
                if entry.issym():
                    member = Member(name=name, link=entry.linkname)
                elif entry.islnk():
                    original = seen.get(str(PurePosixPath(entry.linkname)))
                    if original is None:
                        raise ArchiveError(f"{path.name} holds a link to nothing: {name}")
                    member = replace(original, name=name)
                elif entry.isfile():
                    content = tar.extractfile(entry)
                    member = Member(name=name, data=content.read() if content else b"", executable=executable)
                else:
                    raise ArchiveError(f"{path.name} holds a device or another special file: {name}")
                seen[name] = member
                yield member
    except zstandard.ZstdError as error:
        raise ArchiveError(f"{path.name} is damaged: {error}", notes=[str(path)]) from error


def write_conda(
    path: Path, archive: CondaArchive, *, mtime: int, level: int = COMPRESSION_LEVEL, stem: str | None = None
) -> None:
    """Write a ``.conda`` package; the bytes depend on the arguments and the version of zstandard only.

    Members are sorted, owned by nobody (0:0), modes are 0644 or 0755, all times are ``mtime`` (seconds since the
    epoch). ``stem``: the name within (default: that of ``path`` without ``.conda``). ``path`` is not
    written beside: the caller knows where it goes. Raises OSError.
    """
    stem = stem or path.name.removesuffix(".conda")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as container:
        _store(container, "metadata.json", io.BytesIO(_METADATA), len(_METADATA))
        for kind, members in (("pkg", archive.files), ("info", archive.info)):
            with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as compressed:
                _write_tar(cast("IO[bytes]", compressed), members, mtime, level)
                size = compressed.tell()
                compressed.seek(0)
                _store(container, f"{kind}-{stem}.tar.zst", cast("IO[bytes]", compressed), size)


def _store(container: zipfile.ZipFile, name: str, content: IO[bytes], size: int) -> None:
    entry = zipfile.ZipInfo(name, _ZIP_DATE)
    entry.create_system = 3  # the same on every system
    entry.external_attr = (stat.S_IFREG | 0o644) << 16
    entry.file_size = size
    with container.open(entry, "w") as target:
        while block := content.read(1024 * 1024):
            target.write(block)


def _write_tar(target: IO[bytes], members: Iterable[Member], mtime: int, level: int) -> None:
    import zstandard

    compressor = zstandard.ZstdCompressor(level=level, threads=0)
    ordered: Sequence[Member] = sorted(members, key=lambda member: member.name.encode("utf-8", "surrogateescape"))
    with (
        compressor.stream_writer(target, closefd=False) as stream,
        tarfile.open(fileobj=cast("IO[bytes]", stream), mode="w|", format=tarfile.GNU_FORMAT, encoding="utf-8") as tar,
    ):
        for member in ordered:
            entry = tarfile.TarInfo(member.name)
            entry.mtime = mtime
            if member.link is not None:
                entry.type = tarfile.SYMTYPE
                entry.linkname = member.link
                entry.mode = 0o777
                tar.addfile(entry)
            else:
                data = member.data if member.source is None else member.source.read_bytes()
                entry.size = len(data)
                entry.mode = 0o755 if member.executable else 0o644
                tar.addfile(entry, io.BytesIO(data))
