"""Bringing every file of a pack to this machine.

A file that lies on this machine is taken where it is, and compared with its hash when it is copied into the pack
(``smelt.pack.copying``). What is downloaded is compared at once, and fetched again where it is not what it must be.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from collections.abc import Coroutine, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from smelt.config.network import Network
from smelt.errors import InstallError, PackError
from smelt.fs import remove_tree
from smelt.install.download import redacted
from smelt.pack.description import channel_name
from smelt.pack.injection import check_injected, read_injected, read_injected_wheel
from smelt.pack.model import PYPI, CondaItem, PackContent, PackedFile, PackReporter, WheelItem, WheelOrigin
from smelt.pack.request import PackRequest, WantedPackage
from smelt.pack.transfer import MakeClient, transfer
from smelt.solve.pypi_distribution import Distribution
from smelt.types import KNOWN_PLATFORMS, CondaRecord, sha256_file

if TYPE_CHECKING:
    from rattler.networking.client import Client

T = TypeVar("T")

_ATTEMPTS = 3
_TAG = """Signature: 8a477f597d28d172789f06886806bc55
# This file marks a cache directory; it was created by smelt.
# For information about cache directory tags see https://bford.info/cachedir/
"""


async def collect(request: PackRequest, folder: Path, client: MakeClient, reporter: PackReporter) -> PackContent:
    """Everything that is to be in the pack, on this machine.

    ``folder``: takes downloads where the request has no cache; keep it until the pack is written. ``client`` is asked
    for if there is something to download, and again where a connection breaks. Raises PackError (a package that is no
    wheel, an injected package that does not fit), InstallError (``archive-missing``, ``hash-mismatch``), ChannelError,
    SourceError, OSError.
    """
    if request.cache is not None:
        _mark_cache(request.cache)
    fetcher = _Fetcher(request, folder, client, reporter)
    packages = tuple(await fetcher.all_packages())
    left_out: list[str] = []
    wheels: list[WheelItem] = []
    for found, distribution in zip(await fetcher.all_wheels(), request.distributions, strict=True):
        if found is None:
            left_out.append(distribution.name)
        else:
            wheels.append(found)
    injected = [await asyncio.to_thread(read_injected, path) for path in request.inject if not _is_wheel(path)]
    injected_wheels = [
        await asyncio.to_thread(read_injected_wheel, path, request.python) for path in request.inject if _is_wheel(path)
    ]
    added = check_injected(
        request.platform, packages, injected, wheels, injected_wheels, reporter, python=request.python
    )
    packages = (*packages, *added.packages)
    wheels += added.wheels
    if wheels and all(item.record.name != "python" for item in packages):
        raise PackError(
            "the pack would hold wheels, but no python to install them with",
            code="pack-no-python",
            help="require `python` in the environment, and lock again",
        )
    return PackContent(
        workspace=request.workspace,
        environment=request.environment,
        platform=request.platform,
        packages=packages,
        wheels=tuple(wheels),
        left_out=tuple(left_out),
        shared=request.shared,
    )


class _Fetcher:
    """What the downloads of one pack share."""

    def __init__(self, request: PackRequest, folder: Path, client: MakeClient, reporter: PackReporter) -> None:
        self._request = request
        self._folder = folder
        self._make_client = client
        self._client: Client | None = None
        self._reporter = reporter
        self._gate = asyncio.Semaphore(max(request.at_once, 1))

    async def all_packages(self) -> list[CondaItem]:
        return await _gather(self._package(wanted) for wanted in self._request.packages)

    async def all_wheels(self) -> list[WheelItem | None]:
        found = await _gather(self._wheel(each) for each in self._request.distributions)
        build = self._request.build_wheel
        result: list[WheelItem | None] = []
        for item, distribution in zip(found, self._request.distributions, strict=True):
            if item is not None or self._request.ignore_non_wheels or build is None:
                result.append(item)
                continue
            self._reporter.fetching(distribution.name, None)
            path = await asyncio.to_thread(build, distribution)
            self._reporter.fetched(distribution.name)
            result.append(self._wheel_item(distribution, path, await _sha256(path), "built"))
        return result

    async def _package(self, wanted: WantedPackage) -> CondaItem:
        record = wanted.record
        _check_place(record)
        async with self._gate:
            path = await self._archive(record, keep=wanted.origin == "channel")
            size = path.stat().st_size
            sha256 = record.sha256
            if sha256 is None:
                if record.md5 is not None:
                    await _compare(path, "md5", record.md5, record)
                sha256 = await _sha256(path)
            if record.size not in (None, size):
                raise _replaced(record, f"expected {record.size} bytes\nfound    {size} bytes")
        file = PackedFile(name=channel_name(record), size=size, sha256=sha256, path=path)
        record = replace(record, sha256=sha256, size=size)
        return CondaItem(record=record, file=file, origin=wanted.origin, source=wanted.source)

    async def _archive(self, record: CondaRecord, *, keep: bool) -> Path:
        """The archive of ``record`` as a file; in the cache of the request if there is one and ``keep``."""
        cache = self._request.cache if keep else None
        target = (cache or self._folder) / record.subdir / record.file_name
        if cache is not None and await _is_whole(target, record):
            return target
        local = local_path(record.url)
        if local is not None:
            if not local.is_file():
                raise InstallError(
                    f"the package {record.file_name} is no longer there",
                    code="archive-missing",
                    notes=[record.url],
                    help="solve again (`smelt lock`), or put the file back",
                )
            if cache is None:
                return local
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = target.with_name(f".{target.name}.{os.getpid()}.part")
        part = folder / target.name
        self._reporter.fetching(record.file_name, record.size)
        try:
            folder.mkdir(exist_ok=True)
            for attempt in range(1, _ATTEMPTS + 1):
                if local is not None:
                    await asyncio.to_thread(shutil.copyfile, local, part)
                else:
                    await self._download(record, part)
                try:
                    await _compare_record(part, record)
                    break
                except InstallError:
                    if local is not None or attempt == _ATTEMPTS:
                        raise
                    part.unlink()  # nothing of it is to be trusted
            part.replace(target)
        finally:
            remove_tree(folder)
        self._reporter.fetched(record.file_name)
        return target

    async def _download(self, record: CondaRecord, part: Path) -> None:
        if self._client is None:
            self._client = self._make_client({})
        await transfer(record.url, part, record.size, self._client, self._make_client, self._reporter)

    async def _wheel(self, distribution: Distribution) -> WheelItem | None:
        """The wheel of ``distribution``; None where it is none (to be built, or left out)."""
        if not distribution.is_wheel:
            if self._request.ignore_non_wheels:
                self._reporter.warning(f"left out the PyPI package {distribution.name}: it is not a wheel")
            elif self._request.build_wheel is None:
                raise PackError(
                    f"package {distribution.name} is not a wheel file, and cannot be built for "
                    f"{self._request.platform} here",
                    code="pack-not-a-wheel",
                    notes=[redacted(distribution.location)],
                    help="pack on that platform, ask for wheels in the manifest (`no-build`), or leave such packages "
                    "out with `--ignore-pypi-non-wheel`",
                )
            return None
        async with self._gate:
            path, sha256 = await self._wheel_file(distribution)
        return self._wheel_item(distribution, path, sha256, "index")

    async def _wheel_file(self, distribution: Distribution) -> tuple[Path, str]:
        cache = self._request.cache / PYPI if self._request.cache is not None else None
        name = _wheel_name(distribution)
        target = cache / name if cache is not None else None
        if target is not None and target.is_file():
            found = await _sha256(target)
            if found == distribution.sha256:
                return target, found
        if distribution.path is not None:
            if not distribution.path.is_file():
                raise InstallError(
                    f"the wheel {name} is no longer there",
                    code="archive-missing",
                    notes=[str(distribution.path)],
                    help="solve again (`smelt lock`), or put the file back",
                )
            return distribution.path, distribution.sha256 or await _sha256(distribution.path)
        self._reporter.fetching(name, None)
        path, sha256 = await asyncio.to_thread(_fetch_wheel, distribution, self._request.network)
        if target is not None:
            target.parent.mkdir(parents=True, exist_ok=True)
            part = target.with_name(f".{target.name}.{os.getpid()}.part")
            await asyncio.to_thread(shutil.copyfile, path, part)
            part.replace(target)
            path = target
        self._reporter.fetched(name)
        return path, sha256

    def _wheel_item(self, distribution: Distribution, path: Path, sha256: str, origin: WheelOrigin) -> WheelItem:
        name = _wheel_name(distribution) if origin == "index" else path.name
        try:
            _, version, _, _ = parse_wheel_filename(name)
        except InvalidWheelFilename as error:
            raise PackError(
                f"{name} cannot be the name of a wheel: {error}",
                code="pack-wheel-name",
                notes=[redacted(distribution.location)],
                help="give the file the name that it had when it was built",
            ) from error
        return WheelItem(
            name=distribution.name,
            version=distribution.version or str(version),
            file=PackedFile(name=f"{PYPI}/{name}", size=path.stat().st_size, sha256=sha256, path=path),
            location=distribution.location,
            origin=origin,
            data=self._request.pypi_data.get(distribution.name, {}),
        )


async def _gather(coroutines: Iterable[Coroutine[None, None, T]]) -> list[T]:
    """All answers in order; the first failure stops the others and waits for their end."""
    tasks = [asyncio.create_task(each) for each in coroutines]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


def local_path(url: str) -> Path | None:
    """The path behind a ``file:`` address, None for others."""
    parts = urlsplit(url)
    if parts.scheme != "file":
        return None
    return Path(url2pathname(parts.path if not parts.netloc else f"//{parts.netloc}{parts.path}"))


def _is_wheel(path: Path) -> bool:
    return path.name.endswith(".whl")


def _wheel_name(distribution: Distribution) -> str:
    if distribution.path is not None:
        return distribution.path.name
    return unquote(urlsplit(distribution.url or "").path).rpartition("/")[2]


def _fetch_wheel(distribution: Distribution, network: Network) -> tuple[Path, str]:
    from smelt.source.download import fetch

    return fetch(distribution.url or "", distribution.sha256, network=network)


def _mark_cache(cache: Path) -> None:
    """Mark a cache as such, so that backups leave it out. Source: the cache directory tagging specification."""
    cache.mkdir(parents=True, exist_ok=True)
    tag = cache / "CACHEDIR.TAG"
    if not tag.exists():
        tag.write_text(_TAG, encoding="utf-8", newline="\n")


def _check_place(record: CondaRecord) -> None:
    name = record.file_name
    hostile = "/" in name or "\\" in name or name.startswith(".") or any(ord(c) < 32 for c in name)
    if hostile or not name.endswith((".conda", ".tar.bz2")) or record.subdir not in KNOWN_PLATFORMS:
        raise PackError(
            f"the package {record.name} has an impossible place in a pack: {record.subdir}/{name}",
            code="pack-name",
            notes=[redacted(record.url)],
            help="see where the lock file got it from",
        )


async def _is_whole(path: Path, record: CondaRecord) -> bool:
    try:
        await _compare_record(path, record)
    except (InstallError, FileNotFoundError):
        return False
    return record.sha256 is not None or record.md5 is not None


async def _compare_record(path: Path, record: CondaRecord) -> None:
    if record.sha256 is not None:
        await _compare(path, "sha256", record.sha256, record)
    elif record.md5 is not None:
        await _compare(path, "md5", record.md5, record)


async def _compare(path: Path, algorithm: str, expected: str, record: CondaRecord) -> None:
    found = await asyncio.to_thread(_digest, path, algorithm)
    if found != expected:
        raise _replaced(record, f"expected {algorithm} {expected}\nfound    {algorithm} {found}")


def _replaced(record: CondaRecord, reason: str) -> InstallError:
    return InstallError(
        f"{record.file_name} is not the package that was locked",
        code="hash-mismatch",
        notes=[redacted(record.url), reason],
        help=f"the file was replaced: accept the new one (`smelt update {record.name}`), or put the right file back",
    )


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


async def _sha256(path: Path) -> str:
    return await asyncio.to_thread(sha256_file, path)
