"""Unpacking archives that strangers made: everything lands inside the folder, or nothing does.

Refused: names that are absolute, climb out, hold backslashes or NUL, or say the same place twice (also where a
file system folds case); links that leave the folder; devices and pipes; more data than any honest archive holds.
Kept: contents, exec bits, modification times, symbolic links inside. Source: PEP 706, zipfile's documentation.
"""

from __future__ import annotations

import os
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, cast

from smelt.archive import DAMAGE, is_damage
from smelt.errors import SourceError

MAX_MEMBERS = 1_000_000
MAX_RATIO = 200
"""How many times larger than the archive its content may be…"""
MAX_SMALL = 512 * 1024 * 1024
"""…where it is more than this many bytes."""

_TAR_SUFFIXES = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar", ".tar.zst")


def unpack(archive: Path, target: Path, name: str | None = None) -> None:
    """Unpack ``archive`` (tar, compressed or not, or zip) into the new, empty folder ``target``.

    ``name`` is what messages call it, and whose suffix tells the format. Raises SourceError (``archive``) for
    what is refused, damaged, or of another format; then ``target`` holds garbage.
    """
    label = name or archive.name
    writer = _Writer(target, label, archive.stat().st_size)
    try:
        if zipfile.is_zipfile(archive) and not label.lower().endswith(_TAR_SUFFIXES):
            _unpack_zip(archive, writer)
        elif label.lower().endswith(".tar.zst"):
            _unpack_zst(archive, writer)
        else:
            with tarfile.open(archive, mode="r:*") as tar:
                _unpack_tar(tar, writer)
                _read_to_end(tar, writer)
    except (*DAMAGE, OSError) as error:
        if isinstance(error, OSError) and not is_damage(error):
            raise SourceError(f"cannot unpack `{label}`: {error}", code="archive") from error
        raise SourceError(
            f"`{label}` is damaged, or no archive that smelt can unpack: {error}",
            code="archive",
            help="accepted are .tar, .tar.gz, .tar.bz2, .tar.xz, .tar.zst and .zip",
        ) from error
    writer.finish()


def only_folder(target: Path) -> Path:
    """The single folder that an archive wraps its content in, or ``target`` itself if it does not."""
    entries = list(target.iterdir())
    if len(entries) == 1 and entries[0].is_dir() and not entries[0].is_symlink():
        return entries[0]
    return target


def _unpack_tar(tar: tarfile.TarFile, writer: _Writer) -> None:
    for member in tar:
        if member.isdir():
            writer.folder(member.name)
        elif member.isreg():
            content = tar.extractfile(member)
            assert content is not None
            writer.file(member.name, content, executable=bool(member.mode & 0o100), mtime=member.mtime)
        elif member.issym():
            writer.link(member.name, member.linkname)
        elif member.islnk():
            writer.same(member.name, member.linkname)
        else:
            raise writer.refused(member.name, "is a device or a pipe")


def _read_to_end(tar: tarfile.TarFile, writer: _Writer) -> None:
    """Read what is behind the last member: only then is the checksum of a compressed file looked at."""
    stream = cast("IO[bytes]", tar.fileobj)
    while chunk := stream.read(1 << 20):
        writer.count(len(chunk), "its end")


def _unpack_zst(archive: Path, writer: _Writer) -> None:
    import zstandard

    with archive.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as stream:
        try:
            with tarfile.open(fileobj=stream, mode="r|") as tar:
                _unpack_tar(tar, writer)
        except zstandard.ZstdError as error:
            raise tarfile.ReadError(str(error)) from error


def _unpack_zip(archive: Path, writer: _Writer) -> None:
    import time

    with zipfile.ZipFile(archive) as zip_file:
        for member in zip_file.infolist():
            # The name as it is in the archive: zipfile replaces what it does not like in the other one.
            name = member.orig_filename
            mode = member.external_attr >> 16
            if member.flag_bits & 0x1:
                raise writer.refused(name, "is encrypted")
            if member.is_dir():
                writer.folder(name)
            elif stat.S_ISLNK(mode):
                with zip_file.open(member) as content:
                    writer.link(name, content.read(4096).decode("utf-8", "surrogateescape"))
            elif stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                raise writer.refused(name, "is a device or a pipe")
            else:
                try:
                    mtime = time.mktime((*member.date_time, 0, 0, -1))
                except (ValueError, OverflowError):
                    mtime = 0
                with zip_file.open(member) as content:
                    writer.file(name, content, executable=bool(mode & 0o100), mtime=mtime)


class _Writer:
    """Writes members below one folder, each place once, never through a link."""

    def __init__(self, target: Path, label: str, size: int) -> None:
        self.target = target
        self.label = label
        self.limit = max(MAX_SMALL, size * MAX_RATIO)
        self.written = 0
        self.members = 0
        self.links: list[Path] = []
        self.times: list[tuple[Path, int]] = []
        target.mkdir(parents=True, exist_ok=True)

    def folder(self, name: str) -> None:
        """A folder; it may come more than once, and after what is in it."""
        path = self._place(name)
        if path == self.target:
            return
        self._parents(name, path)
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            raise self.refused(name, "is there twice")
        path.mkdir(exist_ok=True)

    def file(self, name: str, content: IO[bytes], *, executable: bool, mtime: float) -> None:
        """A regular file. ``mtime`` in seconds since the epoch."""
        path = self._new(name)
        self._create(name, path, lambda: self._copy(name, content, path))
        path.chmod(0o755 if executable else 0o644)
        self.times.append((path, int(min(max(mtime, 0), 2**33)) * 1_000_000_000))

    def link(self, name: str, target: str) -> None:
        """A symbolic link; whether it stays inside is known for sure only at the end."""
        path = self._new(name)
        if not target or "\0" in target or "\\" in target or target.startswith("/") or ":" in target.split("/")[0]:
            raise self.refused(name, f"is a link to `{target}`, which is outside")
        if os.name == "nt":
            raise self.refused(name, "is a symbolic link, which Windows does not let everyone make")
        self._create(name, path, lambda: path.symlink_to(target))
        self.links.append(path)

    def same(self, name: str, target: str) -> None:
        """A hard link to a file that is already there: a copy of it."""
        original = self._place(target)
        if original.is_symlink() or not original.is_file():
            raise self.refused(name, f"is a link to `{target}`, which is not there")
        self._parents(target, original)
        executable = bool(original.stat().st_mode & 0o100)
        times = dict(self.times)
        with original.open("rb") as content:
            self.file(name, content, executable=executable, mtime=times.get(original, 0) / 1e9)

    def count(self, size: int, name: str) -> None:
        """Take note of ``size`` more bytes, from member ``name``."""
        self.written += size
        if self.written > self.limit:
            raise self.refused(name, "makes it larger than any honest archive of its size")

    def finish(self) -> None:
        """Check that links stay inside, and set the times."""
        # With the folder that wraps everything taken away, a link must not lead above what remains either.
        root = os.path.realpath(only_folder(self.target))
        for path in self.links:
            found = os.path.realpath(path)
            if os.path.commonpath([root, found]) != root:
                raise self.refused(path.relative_to(self.target).as_posix(), "is a link that leads outside")
        for path, time_ns in self.times:
            os.utime(path, ns=(time_ns, time_ns))

    def refused(self, name: str, why: str) -> SourceError:
        """That a member will not be unpacked."""
        return SourceError(
            f"`{self.label}` is not safe to unpack: `{name}` {why}",
            code="archive",
            help="do not trust this archive; if its author is right, tell us",
        )

    def _place(self, name: str) -> Path:
        if "\0" in name or "\\" in name:
            raise self.refused(name, "has a name that not every system can have")
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if name.startswith("/") or ".." in parts or any(":" in part for part in parts[:1]):
            raise self.refused(name, "would land outside")
        if os.name == "nt" and any(part != part.rstrip(". ") or ":" in part for part in parts):
            raise self.refused(name, "has a name that Windows cannot have")
        self.members += 1
        if self.members > MAX_MEMBERS:
            raise SourceError(f"`{self.label}` holds more than {MAX_MEMBERS} entries", code="archive")
        return self.target.joinpath(*parts)

    def _new(self, name: str) -> Path:
        path = self._place(name)
        if path == self.target:
            raise self.refused(name, "has no name")
        self._parents(name, path)
        return path

    def _parents(self, name: str, path: Path) -> None:
        current = self.target
        for part in path.relative_to(self.target).parts[:-1]:
            current = current / part
            if current.is_symlink():
                raise self.refused(name, "would be written through a link")
            try:
                current.mkdir(exist_ok=True)
            except FileExistsError:
                raise self.refused(name, "is below a file") from None

    def _create(self, name: str, path: Path, make: Callable[[], object]) -> None:
        try:
            make()
        except FileExistsError:
            # The same name twice, or two names that this file system takes for one.
            raise self.refused(name, "is there twice") from None

    def _copy(self, name: str, content: IO[bytes], path: Path) -> None:
        with path.open("xb") as file:
            while chunk := content.read(1 << 20):
                self.count(len(chunk), name)
                file.write(chunk)
