"""A pack on its way in: its packages are extracted while it is read, and nothing is used before all was compared."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

from smelt.errors import PackError
from smelt.install.inspection import check_identity
from smelt.install.request import InstallReporter
from smelt.pack.archive import PackStream, TarReader, damaged, hostile
from smelt.pack.contents import FoundFile, OpenedPack, check_description, is_archive, open_pack, place_of
from smelt.pack.copying import CHUNK, EndedEarly, Pump, read_into
from smelt.pack.extraction import Extracted, Extraction, Source, results
from smelt.pack.extractor_process import ExtractorProcess
from smelt.pack.feeding import Feed, Region, Stopped, Store
from smelt.pack.model import CHANNEL, PYPI
from smelt.pack.recognition import check_form
from smelt.types import CondaRecord, current_platform, sha256_file

_LARGEST_TEXT = 64 * 1024 * 1024
_JOIN = 1.0
_PAUSE = 0.2

Begin = Callable[[str, int, Source], None]
"""Told of each package (its name in the pack, its size) as soon as it is found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadPack:
    """A pack that is whole, and the folders that its packages were extracted to, in the order of its records."""

    opened: OpenedPack
    packages: tuple[tuple[CondaRecord, Path], ...]


def read_pack(
    pack: Path | IO[bytes],
    staging: Path,
    reporter: InstallReporter,
    meanwhile: Callable[[], object],
    first: ExtractorProcess | None = None,
) -> ReadPack:
    """Read a pack (a file, a folder, a stream) into the empty folder ``staging``.

    Every file was compared with its hash when this returns. What a file that can be read at any place, or a folder,
    says of itself is looked at first. ``meanwhile`` is called once all is under way; ``first`` runs already, and is
    used. Raises PackError, InstallError (``bad-archive``, ``hostile-package``), OSError, and what ``meanwhile`` raises.
    """
    with Extraction(staging / "packages", reporter, first) as extraction:
        if isinstance(pack, Path) and pack.is_dir():
            check_form(pack)
            found = _look_through(pack)
            extracted = _extract_all(extraction, found, meanwhile)
        else:
            with _opened(pack) as raw:
                stream = PackStream(raw)
                if stream.is_empty:
                    raise PackError(
                        "the pack is empty: nothing came", code="pack-form", help="see that what writes it did not fail"
                    )
                found = _Found(root=staging / "pack")
                size = pack.stat().st_size if isinstance(pack, Path) and not stream.is_compressed else None
                intake = _Intake(stream, found, pack if isinstance(pack, Path) else None, size)
                if stream.descriptor is None:
                    extracted = _extract_while_read(intake, extraction, meanwhile)
                else:
                    intake.read(lambda name, size, source: None)
                    extracted = _extract_all(extraction, found, meanwhile)
    files = dict(found.files)
    for name, package in extracted.items():
        size = found.packages[name][0]
        files[name] = FoundFile(size=size, sha256=package.sha256, md5=package.md5, path=found.root / name)
    opened = open_pack(files, current_platform(), canonical=found.canonical)
    for package in extracted.values():
        if package.failure is not None:
            raise package.failure
    packages: list[tuple[CondaRecord, Path]] = []
    for record in opened.records:
        name = f"{CHANNEL}/{record.subdir}/{record.file_name}"
        package = extracted[name]
        if package.identity is not None:
            check_identity(record, package.identity, name)
        packages.append((record, package.folder))
    return ReadPack(opened=opened, packages=tuple(packages))


@dataclass(slots=True, kw_only=True)
class _Found:
    """What is in a pack: packages with their sizes, and other files, which are in ``root`` where they are used."""

    root: Path
    files: dict[str, FoundFile] = field(default_factory=dict[str, FoundFile])
    packages: dict[str, tuple[int, Source]] = field(default_factory=dict[str, tuple[int, Source]])
    canonical: bool = True


@contextmanager
def _opened(pack: Path | IO[bytes]) -> Generator[IO[bytes]]:
    if not isinstance(pack, Path):
        yield pack
        return
    try:
        raw = pack.open("rb", buffering=0)
    except OSError as error:
        raise PackError(
            f"cannot read the pack {pack}: {error.strerror or error}",
            code="pack-missing",
            help="name a pack: a file, a folder, or `-` for the standard input",
        ) from error
    with raw:
        if pack.is_file():
            check_form(pack)
        yield cast("IO[bytes]", raw)


def _extract_all(extraction: Extraction, found: _Found, meanwhile: Callable[[], object]) -> Mapping[str, Extracted]:
    check_description(found.files, current_platform())
    futures = {name: extraction.extract(name, size, source) for name, (size, source) in found.packages.items()}
    meanwhile()
    return dict(zip(futures, results(extraction, futures.values()), strict=True))


def _extract_while_read(
    intake: _Intake, extraction: Extraction, meanwhile: Callable[[], object]
) -> Mapping[str, Extracted]:
    """Read a stream in a thread of its own; packages are extracted as they come."""
    futures: dict[str, Future[Extracted]] = {}
    failures: list[BaseException] = []
    over = threading.Event()  # all is read, or something failed

    def settled(future: Future[Extracted]) -> None:
        if future.exception() is not None:
            intake.store.stop()
            over.set()

    def begin(name: str, size: int, source: Source) -> None:
        futures[name] = extraction.extract(name, size, source)
        futures[name].add_done_callback(settled)

    def read() -> None:
        try:
            intake.read(begin)
        except BaseException as error:  # noqa: BLE001 - raised where somebody waits for it
            failures.append(error)
        over.set()

    # a daemon: it may wait for a stream that never ends, when the user has given up long ago
    thread = threading.Thread(target=read, name="read", daemon=True)
    thread.start()
    try:
        meanwhile()
        while not over.wait(_PAUSE):
            pass
        thread.join(_JOIN)
        for failure in failures:
            if not isinstance(failure, Stopped):  # else a package failed, and says why
                raise failure
        return dict(zip(futures, results(extraction, futures.values()), strict=True))
    except BaseException:
        intake.store.stop()
        thread.join(_JOIN)  # unless it waits for more of the stream, after which it writes nothing
        raise


class _Intake:
    """Takes an archive apart: files are written to where they belong, packages handed on."""

    def __init__(self, stream: PackStream, found: _Found, path: Path | None, available: int | None) -> None:
        self.store = Store()
        self._stream = stream
        self._found = found
        self._path = path
        self._available = available

    def read(self, begin: Begin) -> None:
        """Read to the end. Raises PackError, OSError, Stopped."""
        self._found.root.mkdir()
        reader = TarReader(self._stream)
        hashes: dict[str, tuple[int, Path | None, Future[str]]] = {}
        folders: set[str] = set()
        with Pump() as pump:
            for entry in reader.entries():
                self.store.check()
                used = place_of(entry.name, folder=entry.size is None)
                if entry.name in hashes or entry.name in folders or entry.name in self._found.packages:
                    raise hostile(f"it holds {entry.name!r} twice")
                if entry.size is None:
                    folders.add(entry.name)
                    continue
                self._check_size(entry.name, entry.size)
                try:
                    if is_archive(entry.name):
                        self._package(entry.name, entry.size, begin)
                    else:
                        path = self._found.root / entry.name if used else None
                        hashes[entry.name] = (entry.size, path, self._file(pump, path, entry.size))
                except EndedEarly as error:
                    raise damaged(f"it ends within {entry.name}") from error
            for name, (size, path, future) in hashes.items():
                self._found.files[name] = FoundFile(size=size, sha256=future.result(), path=path)
        names = [*hashes, *self._found.packages]
        self._found.canonical = reader.canonical and folders == _parents(names)

    def _file(self, pump: Pump, path: Path | None, size: int) -> Future[str]:
        if path is None:
            return pump.move(self._stream, size, lambda view: None, self.store.check)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb", buffering=0) as target:
            return pump.move(self._stream, size, target.write, self.store.check)

    def _package(self, name: str, size: int, begin: Begin) -> None:
        descriptor = self._stream.descriptor
        if descriptor is not None and self._path is not None:
            offset = self._stream.skip(size)
            source = Region(descriptor=descriptor, path=self._path, offset=offset, size=size)
            self._found.packages[name] = (size, source)
            begin(name, size, source)
            return
        feed = Feed(self.store)
        self._found.packages[name] = (size, feed)
        begin(name, size, feed)
        left = size
        while left:
            piece = memoryview(self.store.buffer())[: min(left, CHUNK)]
            length = read_into(self._stream, piece)
            left -= length
            if length < len(piece):
                raise EndedEarly(left)
            feed.put(piece)
        feed.end()

    def _check_size(self, name: str, size: int) -> None:
        if not name.startswith((f"{CHANNEL}/", f"{PYPI}/")) and size > _LARGEST_TEXT:
            raise hostile(f"{name} has {size} bytes")
        if self._available is not None and size > self._available:
            raise damaged(f"it ends within {name}")
        free = shutil.disk_usage(self._found.root).free
        if size > free:
            raise PackError(
                f"no space for {name}: it has {size} bytes, {free} are free",
                code="disk-full",
                help="free some space, or unpack elsewhere (`-o`)",
            )


def _parents(names: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for name in names:
        parts = name.split("/")
        found.update("/".join(parts[:end]) for end in range(1, len(parts)))
    return found


def _look_through(folder: Path) -> _Found:
    """What is in a pack that is a folder; what has no place in a pack is passed over, links are refused."""
    found = _Found(root=folder)
    for parent, names, files in os.walk(folder):
        here = Path(parent)
        for name in (*names, *files):
            path = here / name
            relative = path.relative_to(folder).as_posix()
            top = relative.partition("/")[0]
            if top not in (CHANNEL, PYPI) and (name in names or name.startswith(".")):
                continue
            if path.is_symlink():
                raise hostile(f"it holds a symbolic link: {relative!r}")
            if name in names:
                continue
            if name.startswith("."):
                continue  # what file managers leave
            if not path.is_file():
                raise hostile(f"it holds something that is no file: {relative!r}")
            used = place_of(relative, folder=False)
            size = path.stat().st_size
            if is_archive(relative):
                found.packages[relative] = (size, path)
            else:
                found.files[relative] = FoundFile(size=size, sha256=sha256_file(path), path=path if used else None)
        names[:] = [name for name in names if here != folder or name in (CHANNEL, PYPI)]
    return found
