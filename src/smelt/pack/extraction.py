"""Packages are extracted as they come out of a pack, several at a time.

What is extracted is not known to be what was packed: it lies in a folder that is thrown away unless all of the pack was
compared. The hashes are those of the very bytes that were extracted.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from smelt.errors import CacheError, InstallError, PackError
from smelt.install.inspection import Identity, inspect
from smelt.install.packages import extract, seal
from smelt.install.request import InstallReporter
from smelt.pack.archive import damaged
from smelt.pack.feeding import Feed, Region, Send, make_pipe, release, send_through_pipe, send_to_file
from smelt.types import sha256_file

_LEAST_AT_ONCE = 16  # most of them wait for the disk
_MOST_AT_ONCE = 32
_PATIENCE = 0.02

Hashes = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """A package in ``folder``, inspected and sealed. With ``failure`` it is not usable, and only its hashes are known.

    The failure is to be raised where the package is what was packed: otherwise that it is not says more.
    """

    folder: Path
    sha256: str
    md5: str | None = None
    identity: Identity | None = None
    failure: InstallError | None = None


class Extraction:
    """Extracts packages into new folders in ``folder``. A context manager; all calls must have ended before its end."""

    def __init__(self, folder: Path, reporter: InstallReporter) -> None:
        from rattler.networking.client import Client

        at_once = max(_LEAST_AT_ONCE, min(2 * (os.cpu_count() or 1), _MOST_AT_ONCE))
        self._folder = folder
        self._reporter = reporter
        self._client = Client.default_client()
        self._gate = asyncio.Semaphore(at_once)
        self._pool = ThreadPoolExecutor(max_workers=at_once, thread_name_prefix="feed")
        self._number = 0
        folder.mkdir()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown()

    async def extract(self, name: str, size: int, source: Path | Region | Feed) -> Extracted:
        """Extract a package, called ``name`` in the pack. When cancelled it waits until nothing is written any more.

        Raises PackError (``disk-full``, ``pack-output``; ``pack-damaged`` for what came from a stream), InstallError
        (``hostile-package``), OSError of reading, Stopped.
        """
        async with self._gate:
            self._number += 1
            place = self._folder / f"{self._number}{'.conda' if name.endswith('.conda') else '.tar.bz2'}"
            target = self._folder / str(self._number)
            shown = name.rpartition("/")[2]
            self._reporter.fetching(shown, size)
            try:
                if isinstance(source, Path):
                    hashes = await self._extract(name, source, target)
                else:
                    hashes = await self._extract_sent(name, place, target, source.send)
                extracted = await asyncio.get_running_loop().run_in_executor(self._pool, _finish, name, target, hashes)
            except CacheError as error:
                raise _unwritable(name, error) from error
            except InstallError as error:
                if error.kind != "bad-archive":
                    raise
                if isinstance(source, Feed):
                    raise damaged(f"{name} cannot be extracted ({error.notes[-1]})") from error
                return Extracted(folder=target, sha256=await asyncio.to_thread(_digest, source), failure=error)
            self._reporter.fetched(shown)
            return extracted

    async def _extract(self, name: str, archive: Path, target: Path) -> Hashes:
        try:
            return await extract(archive, target, self._client, name=name.rpartition("/")[2], origin=name)
        except Exception as error:
            if type(error).__name__ != "RustPanic":  # rattler exports no such class
                raise
            raise InstallError(f"{name} cannot be unpacked", code="bad-archive", notes=[str(error)]) from error

    async def _extract_sent(self, name: str, place: Path, target: Path, send: Send) -> Hashes:
        # a pipe stays where it is until the whole folder goes: ext4 looks again and again at what was removed a moment
        # ago before it makes a file, and that took a third of all the time
        if make_pipe(place):
            return await self._through_pipe(place, send, self._extract(name, place, target))
        try:
            writing = asyncio.get_running_loop().run_in_executor(self._pool, send_to_file, place, send)
            try:
                await asyncio.shield(writing)
            except asyncio.CancelledError:
                await asyncio.wait([writing])
                raise
            return await self._extract(name, place, target)
        finally:
            place.unlink(missing_ok=True)

    async def _through_pipe(self, place: Path, send: Send, extraction: Coroutine[object, object, Hashes]) -> Hashes:
        """Both ends at once. Whichever is left alone is woken up, so that nobody waits for ever."""
        feeder = asyncio.get_running_loop().run_in_executor(self._pool, send_through_pipe, place, send)
        reader = asyncio.ensure_future(extraction)
        cancelled: asyncio.CancelledError | None = None
        while pending := [each for each in (feeder, reader) if not each.done()]:
            left_alone = reader.done() or (feeder.done() and feeder.exception() is not None)
            if left_alone:
                release(place)
            try:
                await asyncio.wait(
                    pending, timeout=_PATIENCE if left_alone else None, return_when=asyncio.FIRST_COMPLETED
                )
            except asyncio.CancelledError as error:
                cancelled = error  # rattler's threads would write on
        failure = feeder.exception()
        if cancelled is not None:
            reader.exception()  # nobody else asks for it
            raise cancelled
        if failure is not None and not isinstance(failure, BrokenPipeError):
            reader.exception()
            raise failure
        return reader.result()


def _finish(name: str, folder: Path, hashes: Hashes) -> Extracted:
    """In a thread: the first new file after much that was written may have to wait for the disk."""
    sha256, md5 = hashes
    try:
        identity = inspect(folder, name.rpartition("/")[2], name)
    except InstallError as error:
        return Extracted(folder=folder, sha256=sha256, md5=md5, failure=error)
    seal(folder, sha256)
    return Extracted(folder=folder, sha256=sha256, md5=md5, identity=identity)


def _digest(source: Path | Region) -> str:
    return sha256_file(source) if isinstance(source, Path) else source.digest()


def _unwritable(name: str, error: CacheError) -> PackError:
    if error.kind == "disk-full":
        return PackError(
            f"no space left to unpack {name}",
            code="disk-full",
            notes=error.notes,
            help="free some space, or unpack elsewhere (`-o`)",
        )
    return PackError(
        f"cannot unpack {name}", code="pack-output", notes=error.notes, help="name another place with `-o`"
    )
