"""Packages are extracted as they come out of a pack, several at a time.

What is extracted is not known to be what was packed: it lies in a folder that is thrown away unless all of the pack was
compared. The hashes are those of the very bytes that were extracted.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterable
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Self

from smelt.errors import CacheError, InstallError, PackError
from smelt.install.cache_entry import seal
from smelt.install.inspection import Identity, inspect
from smelt.install.request import InstallReporter
from smelt.pack.archive import damaged
from smelt.pack.extractor_process import ExtractorProcess, Hashes
from smelt.pack.feeding import Feed, Region, Stopped, head_of, pipes_have_names, send_to_file
from smelt.types import sha256_file

_LEAST_AT_ONCE = 2
_MOST_AT_ONCE = 6
_WORTH = 16 << 20
"""So many bytes are worth one more process, whose start takes about as long as extracting them."""
_EACH = 1 << 18
"""What a package counts besides its bytes."""
_PAUSE = 0.2

Source = Path | Region | Feed


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
    """Extracts packages into new folders in ``folder``. A context manager, at whose end nothing is written any more.

    Every thread has a process of its own, takes the packages in their order, and waits for their bytes: packages of a
    stream are extracted while they come.
    """

    def __init__(self, folder: Path, reporter: InstallReporter, first: ExtractorProcess | None = None) -> None:
        """``first``: a process that runs already, whoever started it."""
        folder.mkdir()
        self._first = first
        self._folder = folder
        self._reporter = reporter
        self._limit = max(_LEAST_AT_ONCE, min(1 + (os.cpu_count() or 1), _MOST_AT_ONCE))
        self._pipes = pipes_have_names(folder)
        self._tasks: SimpleQueue[tuple[Future[Extracted], str, int, Source] | None] = SimpleQueue()
        self._announced = 0
        self._numbers = itertools.count(1)
        self._threads: list[threading.Thread] = []
        self._processes: list[ExtractorProcess] = []
        self._lock = threading.Lock()
        self._stopped = False
        self._start_thread()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.stop()
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()

    def extract(self, name: str, size: int, source: Source) -> Future[Extracted]:
        """Extract a package of ``size`` bytes, called ``name`` in the pack. To be called by one thread at a time.

        The future raises PackError (``disk-full``, ``pack-output``, ``pack-process``; ``pack-damaged`` for what came
        from a stream), InstallError (``hostile-package``), OSError of reading, Stopped.
        """
        future: Future[Extracted] = Future()
        if self._stopped:
            future.set_exception(Stopped())
            return future
        self._tasks.put((future, name, size, source))
        self._announced += size + _EACH
        if len(self._threads) < self._limit and self._announced > _WORTH * len(self._threads):
            self._start_thread()
        return future

    def stop(self) -> None:
        """End what goes on, at once; it raises Stopped, as whatever has not begun."""
        with self._lock:
            self._stopped = True
            for process in self._processes:
                process.kill()

    def _start_thread(self) -> None:
        thread = threading.Thread(target=self._run, args=(len(self._threads),), name="extract", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _run(self, number: int) -> None:
        process: ExtractorProcess | None = None
        failure: Exception = Stopped()
        try:
            process = self._process(number)
        except PackError as error:
            failure = error
        try:
            while (task := self._tasks.get()) is not None:
                future, name, size, source = task
                future.set_running_or_notify_cancel()
                try:
                    if self._stopped or process is None:
                        raise failure
                    future.set_result(self._extract(process, number, name, size, source))
                except BaseException as error:  # noqa: BLE001 - raised where somebody waits for it
                    future.set_exception(Stopped() if self._stopped else error)
        finally:
            if process is not None:
                process.close()

    def _process(self, number: int) -> ExtractorProcess:
        process = (self._first if number == 0 else None) or ExtractorProcess()
        with self._lock:
            self._processes.append(process)
            if self._stopped:
                process.kill()
        return process

    def _extract(self, process: ExtractorProcess, number: int, name: str, size: int, source: Source) -> Extracted:
        folder = self._folder / str(next(self._numbers))
        shown = name.rpartition("/")[2]
        self._reporter.fetching(shown, size)
        try:
            extracted = _finish(name, folder, self._send(process, number, name, folder, source))
        except CacheError as error:
            raise _unwritable(name, error) from error
        except InstallError as error:
            if error.kind != "bad-archive":
                raise
            if isinstance(source, Feed):
                raise damaged(f"{name} cannot be extracted ({error.notes[-1]})") from error
            return Extracted(folder=folder, sha256=_digest(source), failure=error)
        self._reporter.fetched(shown)
        return extracted

    def _send(self, process: ExtractorProcess, number: int, name: str, folder: Path, source: Source) -> Hashes:
        whole = _is_streamed(head_of(source))
        if isinstance(source, Path):
            return process.extract(name, source, folder, "whole" if whole else "file")
        end = ".conda" if name.endswith(".conda") else ".tar.bz2"
        if self._pipes and not whole:
            return process.extract(name, self._folder / f"process{number}{end}", folder, "piped", source.send)
        place = folder.with_name(folder.name + end)
        try:
            send_to_file(place, source.send)
            return process.extract(name, place, folder, "whole" if whole else "file")
        finally:
            place.unlink(missing_ok=True)


def results(extraction: Extraction, futures: Iterable[Future[Extracted]]) -> list[Extracted]:
    """What they give, in their order. If one fails the others are stopped, and its failure is raised."""
    waiting = list(futures)
    unfinished = set(waiting)
    while unfinished:  # where Ctrl-C would not end a wait it is heard of in between
        done, unfinished = wait(unfinished, timeout=_PAUSE, return_when=FIRST_EXCEPTION)
        if any(each.exception() is not None for each in done):
            extraction.stop()
            wait(unfinished)
            break
    failures = [failure for each in waiting if (failure := each.exception()) is not None]
    for failure in failures:  # the one that made the others stop
        if not isinstance(failure, Stopped):
            raise failure
    if failures:
        raise failures[0]
    return [each.result() for each in waiting]


def _finish(name: str, folder: Path, hashes: Hashes) -> Extracted:
    sha256, md5 = hashes
    try:
        identity = inspect(folder, name.rpartition("/")[2], name)
    except InstallError as error:
        return Extracted(folder=folder, sha256=sha256, md5=md5, failure=error)
    seal(folder, sha256)
    return Extracted(folder=folder, sha256=sha256, md5=md5, identity=identity)


def _is_streamed(head: bytes) -> bool:
    """Whether a zip was written to where its writer could not go back: sizes come after the files."""
    return head[:4] == b"PK\x03\x04" and len(head) > 6 and bool(head[6] & 8)


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
