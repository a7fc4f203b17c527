"""Conda packages as PyPI packages: what their records do not say, ``conda-pypi-map`` or their name does.

No mapping is downloaded that the manifest does not name: where the reference would ask its mapping service, a package
of conda-forge counts as the PyPI package of its own name if it needs Python, and as none if it does not.
Source: the reference's manifest page, "conda-pypi-map"; the package URL specification.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast
from urllib.parse import quote

from smelt.config.network import Network
from smelt.errors import ChannelError, ManifestError
from smelt.lock.purls import is_conda_forge, is_python_package
from smelt.manifest.pypi import normalize_pypi_name
from smelt.types import CondaRecord
from smelt.workspace.channel import channel_url
from smelt.workspace.model import Workspace

_TIMEOUT = 30
Names = Mapping[str, tuple[str, ...]]


class PurlMapper:
    """Gives records their package URLs. Mapping files are read once."""

    def __init__(self, workspace: Workspace, network: Network | None = None) -> None:
        self._offline = network is not None and network.offline
        self._disabled = workspace.conda_pypi_map is False
        self._entries: dict[str, object] = {}
        self._root = workspace.root
        self._mappings: dict[str, Names] = {}
        for channel, entry in (workspace.conda_pypi_map or {}).items():
            self._entries[channel_url(channel, workspace.root)] = entry

    def complete(self, records: Sequence[CondaRecord]) -> tuple[CondaRecord, ...]:
        """The same records, with package URLs where it can be told; what a record says itself stays.

        Raises ManifestError (a mapping file that cannot be read) and ChannelError (one that cannot be fetched).
        """
        return tuple(record if record.purls is not None else self._complete(record) for record in records)

    def _complete(self, record: CondaRecord) -> CondaRecord:
        entry = self._entries.get(record.channel or "")
        if self._disabled or entry is False:
            return replace(record, purls=())
        options = cast("Mapping[str, object]", entry or {})
        mapping = self._mapping(record.channel or "", options)
        if record.name in mapping:
            return replace(record, purls=_purls(mapping[record.name], "project-defined-mapping"))
        heuristic = options.get("same-name-heuristic", is_conda_forge(record.channel))
        if not heuristic:
            return record
        return replace(record, purls=_purls((record.name,), None) if is_python_package(record) else ())

    def _mapping(self, channel: str, options: Mapping[str, object]) -> Names:
        known = self._mappings.get(channel)
        if known is None:
            location = options.get("location")
            own = cast("Names", options.get("mapping") or {})
            known = {**(self._read(location) if isinstance(location, str) else {}), **own}
            self._mappings[channel] = known
        return known

    def _read(self, location: str) -> Names:
        try:
            if location.startswith(("http://", "https://")):
                if self._offline:
                    raise OSError("smelt is offline")
                # with what it needs 10 ms, and few workspaces have such a mapping
                from smelt.solve.transfer import read_address

                text = read_address(location, timeout=_TIMEOUT)
            else:
                path = Path(location.removeprefix("file://")).expanduser()
                text = (self._root / path).read_bytes()
        except OSError as error:
            kind = ChannelError if "://" in location else ManifestError
            raise kind(
                f"the mapping {location} cannot be read: {error}",
                code="conda-pypi-map",
                help="see `conda-pypi-map` in the manifest; paths are relative to its folder",
            ) from error
        try:
            data: object = json.loads(text)
            if not isinstance(data, dict):
                raise ValueError("it must be an object")
            return {name: _names(value) for name, value in cast("dict[str, object]", data).items()}
        except ValueError as error:
            raise ManifestError(
                f"the mapping {location} makes no sense: {error}",
                code="conda-pypi-map",
                help='it must look like `{"conda-name": "pypi-name", "other": ["one", "two"], "none": null}`',
            ) from error


def _names(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list) and all(isinstance(each, str) for each in cast("list[object]", value)):
        return tuple(cast("list[str]", value))
    raise ValueError(f"{value!r} is not a name, several names, or null")


def _purls(names: Sequence[str], source: str | None) -> tuple[str, ...]:
    end = f"?source={source}" if source is not None else ""
    return tuple(f"pkg:pypi/{quote(normalize_pypi_name(name))}{end}" for name in names)
