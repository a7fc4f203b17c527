"""What ``conda-meta`` holds: a record of every package with its files, and the history.

conda, mamba and Pixi read it to know what is installed. Source: CEP 34 and what rattler writes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from smelt.pack.entry import Entry
from smelt.pack.model import CondaItem, PackContent
from smelt.pack.packagefile import PackagePath
from smelt.pack.tarball import MTIME
from smelt.solve.network import redacted
from smelt.solve.records import to_repodata


def prefix_record(
    item: CondaItem, places: Mapping[str, str], paths: Mapping[str, PackagePath], generated: Iterable[Entry]
) -> Entry:
    """The record of one package. ``places``: where its ``paths`` are; ``generated``: the commands made for it."""
    record = item.record
    described: list[dict[str, object]] = []
    for old, new in sorted(places.items(), key=lambda pair: pair[1]):
        path = paths[old]
        kind = "softlink" if path.link else "directory" if path.folder else "hardlink"
        entry: dict[str, object] = {"_path": new, "path_type": kind}
        if path.sha256 is not None:
            entry["sha256"] = path.sha256
        if path.size is not None:
            entry["size_in_bytes"] = path.size
        if path.placeholder is not None:
            entry |= {"prefix_placeholder": path.placeholder, "file_mode": "binary" if path.binary else "text"}
        described.append(entry)
    for command in generated:
        described.append({"_path": command.path, "path_type": "unix_python_entry_point"})
    public = item.origin == "channel" and not record.url.startswith("file:")
    local = f"file:///channel/{record.subdir}/{record.file_name}"  # folders of this machine are shown to nobody
    data = {
        **to_repodata(record),
        "fn": record.file_name,
        "url": redacted(record.url) if public else local,
        "channel": redacted(record.channel) if public and record.channel else "file:///channel/",
        "files": [str(entry["_path"]) for entry in described],
        "paths_data": {"paths_version": 1, "paths": described},
    }
    text = json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"
    stem = record.file_name.removesuffix(".conda").removesuffix(".tar.bz2")
    return Entry(path=f"conda-meta/{stem}.json", data=text, size=len(text))


def history(content: PackContent) -> Entry:
    """``conda-meta/history``, without which conda takes a folder for no environment."""
    date = datetime.fromtimestamp(MTIME, tz=UTC)
    lines = [f"==> {date:%Y-%m-%d %H:%M:%S} <=="]
    records = sorted((item.record for item in content.packages), key=lambda record: record.name)
    lines += [f"+{record.subdir}::{record.name}-{record.version}-{record.build}" for record in records]
    return Entry.of("conda-meta/history", ("\n".join(lines) + "\n").encode())
