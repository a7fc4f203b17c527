"""Extracted packages in rattler's package cache: are they whole, and how they get there.

rattler trusts an entry of its cache once it is there: it compares the recorded hash of the archive, but looks at
no file, takes an entry without a hash for any build of that name, never checks the hash of an archive named by
``file://``, and records the new hash of an entry *before* it replaces it. So every package that is about to be
linked is looked at here first, and fetched, checked against its hash before it is opened, and put in its place in
one step. Until all packages of an installation are in the cache, its prefix is not touched.

Layout of the cache (rattler_cache): ``pkgs/<name>-<version>-<build>/`` and beside it ``….lock``: a revision (8
bytes, big-endian) and the archive's sha256 (32 bytes, where it is known).
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from smelt.config.network import TIMEOUT, Network
from smelt.errors import ChannelError, InstallError, NotSupportedError
from smelt.fs import remove_tree
from smelt.install.cache_entry import PACKAGES, REVISION_LENGTH, entry_problem, lock_file, segment
from smelt.install.download import download, redacted
from smelt.install.failure import cache_error, extraction_error
from smelt.install.inspection import check_identity, inspect
from smelt.install.locking import exclusive
from smelt.install.request import InstallReporter
from smelt.solve.network import client as make_client
from smelt.types import CondaRecord

if TYPE_CHECKING:
    from rattler.networking.client import Client

_STAGING = ".smelt-staging"
_SCHEMES = ("https", "http", "s3", "oci", "gcs")
_NO_DAMAGE = ("not there", "of another build")


async def provide(
    cache: Path,
    records: Sequence[CondaRecord],
    reporter: InstallReporter,
    *,
    thorough: bool = False,
    network: Network | None = None,
) -> tuple[str, ...]:
    """See to it that the package cache holds ``records`` whole; gives the file names of those that were fetched.

    Safe with any number of processes and coroutines at once: nothing is fetched twice, and an entry is replaced
    only under rattler's own lock of the cache. Raises InstallError (``hash-mismatch``, ``archive-missing``,
    ``hostile-package``), ChannelError (``download-failed``; ``offline`` where something would have to be fetched) and
    CacheError (folder not writable, disk full), each naming the package's URL.
    """
    missing = [r for r in records if entry_problem(cache, r, thorough=thorough) is not None]
    if not missing:
        return ()
    network = network or Network()
    if network.offline:
        check_offline(missing)
    client = make_client(network)
    gate = asyncio.Semaphore(network.downloads)

    async def one(record: CondaRecord) -> None:
        async with gate:
            await _fetch(cache, record, client, reporter, thorough, network.timeout)

    tasks = [asyncio.create_task(one(record)) for record in missing]
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
    return tuple(record.file_name for record in missing)


def check_offline(records: Sequence[CondaRecord]) -> None:
    """Raise ChannelError (``offline``) if one of ``records``, none of which is cached, would have to be fetched."""
    remote = sorted({redacted(record.url) for record in records if not record.url.startswith("file:")})
    if remote:
        what = "a package is" if len(remote) == 1 else f"{len(remote)} packages are"
        raise ChannelError(
            f"smelt is offline, and {what} not in the package cache",
            code="offline",
            notes=remote,
            help="run the command once with the network (without `--offline`): what it fetches stays in the cache",
        )


async def _fetch(
    cache: Path, record: CondaRecord, client: Client, reporter: InstallReporter, thorough: bool, patience: float
) -> None:
    packages = cache / PACKAGES
    name = segment(record)
    staging = packages / _STAGING / name
    try:
        async with exclusive(packages / _STAGING / f"{name}.lock", f"fetching {record.file_name}", reporter.waiting):
            problem = entry_problem(cache, record, thorough=thorough)
            if problem is None:
                return  # another process was faster
            if problem not in _NO_DAMAGE:
                reporter.warning(f"{name} in the package cache is damaged: {problem}; it is brought there again")
            reporter.fetching(record.file_name, record.size)
            remove_tree(staging)  # of a process that was killed
            staging.mkdir()
            try:
                archive = await _archive(record, staging, client, reporter, patience)
                await _check_hash(record, archive)
                await _extract(record, archive, staging / "package", client)
                origin = redacted(record.url)
                check_identity(record, inspect(staging / "package", record.file_name, origin), origin)
                async with exclusive(packages / ".cache.lock"):
                    _replace_entry(packages / name, staging, record)
            finally:
                remove_tree(staging)
            reporter.fetched(record.file_name)
    except OSError as error:
        raise cache_error(error, record.file_name, packages) from error


async def _archive(
    record: CondaRecord, staging: Path, client: Client, reporter: InstallReporter, patience: float = TIMEOUT
) -> Path:
    """The archive of ``record`` as a file: where it is, or downloaded into ``staging``."""
    url = urlsplit(record.url)
    if url.scheme == "file":
        from urllib.request import url2pathname

        path = Path(url2pathname(url.path if not url.netloc else f"//{url.netloc}{url.path}"))
        if not path.is_file():
            raise InstallError(
                f"the package {record.file_name} is no longer there",
                code="archive-missing",
                notes=[record.url],
                help="solve again (`smelt lock`), or put the file back",
            )
        return path
    if url.scheme not in _SCHEMES:
        raise NotSupportedError(
            f"cannot fetch packages by `{url.scheme}:`",
            notes=[redacted(record.url)],
            help=f"use {', '.join(_SCHEMES)} or file",
        )
    return await download(record.url, staging / record.file_name, client, reporter, patience=patience)


async def _check_hash(record: CondaRecord, archive: Path) -> None:
    algorithm, expected = ("sha256", record.sha256) if record.sha256 else ("md5", record.md5)
    if expected is None:
        return
    actual = await asyncio.to_thread(_hash, archive, algorithm)
    if actual != expected:
        local = record.url.startswith("file:")
        raise InstallError(
            f"{record.file_name} is not the package that was locked",
            code="hash-mismatch",
            notes=[redacted(record.url), f"expected {algorithm} {expected}\nfound    {algorithm} {actual}"],
            help=(
                f"the file was replaced: accept the new one (`smelt update {record.name}`), or put the right file back"
                if local
                else "the channel or the way to it changed the file: do not use it before you know why; "
                f"`smelt update {record.name}` accepts the new file"
            ),
        )


def _hash(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


async def _extract(record: CondaRecord, archive: Path, target: Path, client: Client) -> None:
    from rattler.package_streaming import download_and_extract

    try:
        # the coroutine, also for a file: rattler's `extract` holds the interpreter's lock all the time
        await _to_end(download_and_extract(client, archive.absolute().as_uri(), target))
    except OSError as error:
        raise extraction_error(error, record.file_name, redacted(record.url), target) from error


async def _to_end(extraction: Awaitable[tuple[bytes, bytes]]) -> tuple[bytes, bytes]:
    """Wait for ``extraction`` also when cancelled: rattler's threads write on after that, into a removed folder."""
    task = asyncio.ensure_future(extraction)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def _replace_entry(entry: Path, staging: Path, record: CondaRecord) -> None:
    """Put the extracted package in its place; at no moment does an entry carry another's hash."""
    lock = lock_file(entry)
    revision = 0
    try:
        if entry.exists():
            entry.replace(staging / "old")
        revision = int.from_bytes(lock.read_bytes()[:REVISION_LENGTH], "big")
    except FileNotFoundError:
        pass
    lock.write_bytes((revision + 1).to_bytes(REVISION_LENGTH, "big") + bytes.fromhex(record.sha256 or ""))
    package = staging / "package"
    os.utime(package)  # so that its ctime is later than the lock's mtime on every file system
    package.replace(entry)
