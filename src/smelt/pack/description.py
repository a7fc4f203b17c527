"""The files of a pack that describe the others: repodata, ``environment.yml``, ``pixi-pack.json``.

Source: pixi-pack 0.7. What is ours stands under ``smelt`` in ``pixi-pack.json``, which pixi-unpack passes over: the
sha256 of every file, wheels and descriptions too, so that nothing in a pack of ours can change unnoticed.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

from smelt.errors import PackError
from smelt.pack.model import CHANNEL, ENVIRONMENT, METADATA, PYPI, REPODATA, PackContent, PackedFile
from smelt.solve.records import to_repodata
from smelt.types import NOARCH, CondaRecord, digest_json

PACK_VERSION = "1"
"""The version of the format; both programs refuse others."""

SECTION_VERSION = 1
"""The version of the section ``smelt``."""


def described(content: PackContent) -> tuple[PackedFile, ...]:
    """All files of a pack with those that describe it, in the order of the archive."""
    packed = [*(item.file for item in content.packages), *(item.file for item in content.wheels), *content.extra]
    packed += _repodata(content)
    packed.append(PackedFile.of(ENVIRONMENT, environment_text(content).encode()))
    packed.append(PackedFile.of(METADATA, metadata_text(content, packed).encode()))
    seen: set[str] = set()
    for file in packed:
        if file.name in seen:
            raise PackError(
                f"the pack would hold two files called {file.name}",
                code="pack-duplicate",
                help="a package that is injected must not be in the environment already",
            )
        seen.add(file.name)
    return tuple(sorted(packed, key=archive_order))


def archive_order(file: PackedFile) -> tuple[str, ...]:
    """Files of one folder together, folder by folder, by name."""
    return PurePosixPath(file.name).parts


def channel_name(record: CondaRecord) -> str:
    """Where the archive of ``record`` is in a pack."""
    return f"{CHANNEL}/{record.subdir}/{record.file_name}"


def _repodata(content: PackContent) -> Iterable[PackedFile]:
    """One index per folder; those of the platform and ``noarch`` also where they are empty: solvers ask for both."""
    folders: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict, {content.platform: {}, NOARCH: {}})
    for item in content.packages:
        folders[item.record.subdir][item.record.file_name] = to_repodata(item.record)
    for subdir, packages in folders.items():
        data: Mapping[str, object] = {
            "info": {"subdir": subdir},
            "packages": {},
            "packages.conda": dict(sorted(packages.items())),
            "repodata_version": 2,
        }
        yield PackedFile.of(f"{CHANNEL}/{subdir}/{REPODATA}", json_text(data).encode())


def environment_text(content: PackContent) -> str:
    """``environment.yml``, from which conda and micromamba make the environment without network."""
    lines = ["channels:", f"  - ./{CHANNEL}", "  - nodefaults", "dependencies:"]
    records = [item.record for item in content.packages]
    lines += [f"  - {record.name}={record.version}={record.build}" for record in records]
    if content.wheels:
        lines += ["  - pip:", "    - --no-index", f"    - --find-links ./{PYPI}"]
        lines += [f"    - {wheel.name}=={wheel.version}" for wheel in content.wheels]
    return "\n".join(lines) + "\n"


def metadata_text(content: PackContent, files: Iterable[PackedFile]) -> str:
    """``pixi-pack.json``. There is no ``pixi-pack-version``: it was not pixi-pack that wrote it."""
    section: dict[str, object] = {
        "version": SECTION_VERSION,
        "workspace": content.workspace,
        "environment": content.environment,
        "files": {file.name: file.sha256 for file in sorted(files, key=archive_order)},
    }
    data: dict[str, object] = {"version": PACK_VERSION, "platform": content.platform, "smelt": section}
    return json_text({**data, "smelt": {**section, "digest": digest_json(data)}})


def json_text(data: Mapping[str, object]) -> str:
    """JSON as the describing files have it."""
    return json.dumps(data, indent=2, ensure_ascii=False)
