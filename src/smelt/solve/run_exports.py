"""Run-exports of packages whose repodata does not hold them (CEP 12)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from smelt.config.network import Network
from smelt.errors import ChannelError
from smelt.solve.network import client, redacted, without_addresses
from smelt.types import CondaRecord, RunExports


class RunExportsSource:
    """Looks run-exports up: ``run_exports.json`` of the channel first, the archive itself where it has none.

    What was found is remembered for the life of the object.
    """

    def __init__(self, network: Network | None = None) -> None:
        self._network = network or Network()
        self._tables: dict[str, asyncio.Task[dict[str, object] | None]] = {}
        self._found: dict[str, asyncio.Task[RunExports]] = {}
        self._client: Any = None

    async def complete(self, records: Sequence[CondaRecord]) -> tuple[CondaRecord, ...]:
        """The same records with ``run_exports`` known for each. Raises ChannelError."""
        found = await asyncio.gather(*(self._of(record) for record in records))
        return tuple(
            record if record.run_exports is not None else replace(record, run_exports=exports)
            for record, exports in zip(records, found, strict=True)
        )

    async def _of(self, record: CondaRecord) -> RunExports:
        if record.run_exports is not None:
            return record.run_exports
        task = self._found.get(record.url)
        if task is None:
            task = asyncio.ensure_future(self._look_up(record))
            self._found[record.url] = task
        return await task

    async def _look_up(self, record: CondaRecord) -> RunExports:
        folder = record.url.rpartition("/")[0]
        task = self._tables.get(folder)
        if task is None:
            task = asyncio.ensure_future(self._table(folder))
            self._tables[folder] = task
        table = await task
        for key in ("packages.conda", "packages"):
            section = table.get(key) if table is not None else None
            entry = _mapping_in(section, record.file_name)
            if entry is not None:
                return _understood(entry.get("run_exports") or {}, record)
        return await self._from_archive(record)

    async def _table(self, folder: str) -> dict[str, object] | None:
        url = f"{folder}/run_exports.json"
        path = local_path(url)
        if path is not None:
            if not path.is_file():
                return None
            text: str | bytes = await asyncio.to_thread(path.read_bytes)
        else:
            from rattler.package_streaming import download_bytes

            try:
                text = await download_bytes(self._http(), url)
            except Exception as error:
                if _is_missing(error):
                    return None
                raise ChannelError(
                    f"cannot read {redacted(url)}", code="channel-unreachable", notes=[redacted(str(error))]
                ) from error
        try:
            data: object = json.loads(text)
        except ValueError as error:
            raise ChannelError(f"{redacted(url)} is not JSON", code="channel-broken", notes=[str(error)]) from error
        if not isinstance(data, dict):
            raise ChannelError(f"{redacted(url)} is no table of run-exports", code="channel-broken")
        return cast("dict[str, object]", data)

    async def _from_archive(self, record: CondaRecord) -> RunExports:
        from rattler.package_streaming import PackageArchive

        path = local_path(record.url)
        try:
            if path is not None:
                archive = await PackageArchive.from_path(path)
            else:
                archive = await PackageArchive.from_url(self._http(), record.url)
            content = await archive.read_file("info/run_exports.json")
            exports: object = json.loads(content) if content is not None else {}
        except Exception as error:
            raise ChannelError(
                f"cannot read the run-exports of {record.file_name}",
                code="channel-unreachable",
                notes=[redacted(f"{record.url}: {error}")],
            ) from error
        return _understood(exports, record)

    def _http(self) -> Any:
        if self._client is None:
            self._client = client(self._network)
        return self._client


def _mapping_in(section: object, name: str) -> Mapping[str, object] | None:
    """The table called ``name`` in ``section``; None where there is none, or one of them is none."""
    found = cast("dict[str, object]", section).get(name) if isinstance(section, dict) else None
    return cast("dict[str, object]", found) if isinstance(found, dict) else None


def _understood(data: object, record: CondaRecord) -> RunExports:
    """Raises ChannelError where the package says something that cannot be meant."""
    if isinstance(data, list):  # the oldest form: a plain list is weak
        data = {"weak": cast("list[object]", data)}
    try:
        if not isinstance(data, dict):
            raise TypeError("run_exports must be a table")
        return RunExports.from_dict(cast("dict[str, object]", data))
    except TypeError as error:
        raise ChannelError(
            f"the run-exports of {record.file_name} make no sense: {error}",
            code="channel-broken",
            notes=[redacted(record.url)],
            help="tell who maintains the package",
        ) from error


def local_path(url: str) -> Path | None:
    """The path that a ``file://`` URL names, None for any other URL."""
    parts = urlsplit(url)
    if parts.scheme != "file":
        return None
    from urllib.request import url2pathname  # with what it needs 10 ms, and only build environments come here

    return Path(url2pathname(unquote(parts.path)))


def _is_missing(error: Exception) -> bool:
    text = without_addresses(str(error))
    return "404" in text or "not found" in text.lower()
