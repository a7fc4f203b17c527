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
import errno
import hashlib
import os
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from smelt.config.network import TIMEOUT, Network
from smelt.errors import CacheError, ChannelError, InstallError, NotSupportedError
from smelt.fs import remove_tree
from smelt.install.cache_entry import PACKAGES, REVISION_LENGTH, entry_problem, segment
from smelt.install.download import download, redacted
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


def seal(folder: Path, sha256: str) -> None:
    """Write down beside an extracted package which archive it is from, as ``adopt`` needs it. Raises OSError."""
    _lock_file(folder).write_bytes((1).to_bytes(REVISION_LENGTH, "big") + bytes.fromhex(sha256))


def adopt(cache: Path, extracted: Sequence[tuple[CondaRecord, Path]]) -> None:
    """Move packages into a cache that nobody else knows.

    Each was extracted from an archive whose hash was compared, was inspected and sealed; the folders are on the file
    system of ``cache``. Without the locks and the second look that a shared cache needs. If this fails the cache is to
    be thrown away. Raises OSError.
    """
    packages = cache / PACKAGES
    packages.mkdir(parents=True, exist_ok=True)
    for record, folder in extracted:
        entry = packages / segment(record)
        _lock_file(folder).replace(_lock_file(entry))
        folder.replace(entry)


def _lock_file(entry: Path) -> Path:
    return Path(f"{entry}.lock")


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
        raise _cache_error(error, record.file_name, packages) from error


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
    await extract(archive, target, client, name=record.file_name, origin=redacted(record.url))


async def extract(archive: Path, target: Path, client: Client, *, name: str, origin: str) -> tuple[str, str]:
    """Extract a package; sha256 and md5 of all bytes of ``archive``, which is read once, from its beginning to its end.

    ``name`` and ``origin`` are what errors call it. Raises InstallError (``bad-archive``, ``hostile-package``),
    CacheError.
    """
    from rattler.package_streaming import download_and_extract

    try:
        # the coroutine, also for a file: rattler's `extract` holds the interpreter's lock all the time
        sha256, md5 = await _to_end(download_and_extract(client, archive.absolute().as_uri(), target))
        return sha256.hex(), md5.hex()
    except OSError as error:
        if _errno(error) in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
            raise _cache_error(error, name, target) from error
        if "outside of destination" in str(error):
            raise InstallError(
                f"{name} would write outside of its folder",
                code="hostile-package",
                notes=[origin, str(error)],
                help="do not install from its channel, and tell whoever keeps it",
            ) from error
        raise InstallError(
            f"{name} cannot be unpacked",
            code="bad-archive",
            notes=[origin, str(error)],
            help="the archive is damaged or not a conda package: have it built or uploaded again",
        ) from error


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
    lock = _lock_file(entry)
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


def _cache_error(error: Exception, name: str, folder: Path) -> CacheError:
    number = _errno(error)
    full = number in (errno.ENOSPC, errno.EDQUOT)
    return CacheError(
        f"no space left for {name} in the package cache" if full else f"cannot put {name} into the package cache",
        code="disk-full" if full else "cache",
        notes=[f"{folder}: {error}"],
        help="free some space" if full else "see that the folder can be written, or set PIXI_CACHE_DIR to another",
    )


def _errno(error: Exception) -> int | None:
    """The error number, also where rattler only left it in the text (``os error 28``)."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    _, _, rest = str(error).rpartition("(os error ")
    digits = rest.partition(")")[0]
    return int(digits) if digits.isdigit() else None
