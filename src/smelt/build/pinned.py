"""Channels that hold what is locked for a build and nothing else. Source: CEP 15."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from smelt.errors import BuildError
from smelt.solve.records import to_repodata
from smelt.types import NOARCH, CondaRecord


def pinned_channels(
    records: Iterable[CondaRecord], *, exporting: Collection[str] = ()
) -> tuple[Mapping[str, Any], ...]:
    """Channels that hold these records and nothing else, each as subdir → ``repodata.json`` (CEP 15).

    ``exporting``: addresses of the packages whose run-exports count; where they are not known here, the entry has
    none, and the worker looks. ``info.base_url`` points to where the archives are. What a record says of virtual
    packages is left out: it was checked when the environment was solved, for the machine it was solved for.
    """
    channels: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for record in records:
        folder = record.url.rpartition("/")[0]
        # a channel's linux-64 and noarch go together, unless they lie in different places
        channel = channels.setdefault((record.channel or folder, _parent(folder, record.subdir)), {})
        section = channel.setdefault(record.subdir, _repodata(record.subdir, folder))
        data = to_repodata(record)
        data["depends"] = [spec for spec in data["depends"] if not spec.startswith("__")]
        data["constrains"] = [spec for spec in data["constrains"] if not spec.startswith("__")]
        if record.url not in exporting:
            data["run_exports"] = {}
        elif record.run_exports is not None:
            data["run_exports"] = record.run_exports.to_dict()
        kind = "packages" if record.file_name.endswith(".tar.bz2") else "packages.conda"
        section[kind][_canonical_file_name(record)] = data
    for channel in channels.values():
        channel.setdefault(NOARCH, _repodata(NOARCH, None))
    return tuple(channels.values())


def _parent(folder: str, subdir: str) -> str:
    return folder.removesuffix(f"/{subdir}")


def _repodata(subdir: str, folder: str | None) -> dict[str, Any]:
    info: dict[str, Any] = {"subdir": subdir}
    if folder is not None:
        info["base_url"] = f"{folder}/"
    return {"info": info, "packages": {}, "packages.conda": {}, "repodata_version": 2}


def _canonical_file_name(record: CondaRecord) -> str:
    suffix = ".tar.bz2" if record.file_name.endswith(".tar.bz2") else ".conda"
    name = f"{record.name}-{record.version}-{record.build}{suffix}"
    if name != record.file_name:
        raise BuildError(
            f"the archive of {record} is called {record.file_name}, not {name}",
            code="file-name",
            notes=[record.url],
        )
    return name
