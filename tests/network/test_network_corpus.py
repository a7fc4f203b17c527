"""Real workspaces are solved on channels that hold what their lock files name.

After ``smelt lock`` the lock fits, whether there was none before or one that another version or tool wrote, and what
that had locked stays.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
from network_kit import config, serving

from smelt.lock import read
from smelt.lock.model import Lock
from smelt.types import CondaRecord
from spine_kit import smelt

CORPUS = Path(__file__).resolve().parents[2] / ".." / "shared" / "corpus"
UNITS = [
    "InsightSoftwareConsortium__ITK",
    "Quantco__dataframely",
    "facebookincubator__momentum",
    "jupyrdf__ipyelk",
    "lock-history/Deltares__Ribasim/v1",
    "lock-history/Deltares__Ribasim/v3",
    "lock-history/Deltares__Ribasim/v4",
    "lock-history/prefix-dev__rattler-build/v5",
    "lock-history/rerun-io__rerun/v2",
]


def place(channel: str) -> str:
    """The folder of a channel, by its address."""
    return channel.partition("://")[2].strip("/")


def as_repodata(record: CondaRecord) -> dict[str, object]:
    data: dict[str, object] = {
        "name": record.name,
        "version": str(record.version),
        "build": record.build,
        "build_number": record.build_number,
        "subdir": record.subdir,
        "depends": list(record.depends),
        "constrains": list(record.constrains),
    }
    for key in ("sha256", "md5", "size", "timestamp", "license", "noarch", "python_site_packages_path"):
        value: object = getattr(record, key)
        if value:
            data[key] = value
    if record.track_features:
        data["track_features"] = list(record.track_features)
    return data


def write_channels(lock: Lock, folder: Path) -> list[str]:
    """The channels of ``lock`` with what it names of them."""
    found: dict[tuple[str, str], dict[str, dict[str, object]]] = {}
    channels = {url.rstrip("/") for each in lock.environments.values() for url in each.channels}
    for record in lock.packages.values():
        assert isinstance(record, CondaRecord)
        channel, subdir, name = record.url.rsplit("/", 2)
        channels.add(channel)
        found.setdefault((channel, subdir), {})[name] = as_repodata(record)
    for channel in channels:
        for subdir in {"noarch", *(row.subdir for row in lock.platforms)}:
            path = folder / place(channel) / subdir / "repodata.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(index(subdir, found.get((channel, subdir), {}))), encoding="utf-8")
    return sorted(channels)


def index(subdir: str, packages: Mapping[str, dict[str, object]]) -> dict[str, object]:
    old = {name: data for name, data in packages.items() if name.endswith(".tar.bz2")}
    return {
        "info": {"subdir": subdir},
        "packages": old,
        "packages.conda": {name: data for name, data in packages.items() if name not in old},
        "repodata_version": 1,
    }


def names(lock: Lock) -> set[tuple[str, frozenset[str]]]:
    """Which files each environment × subdir has: of several platforms of one subdir those that fit are equal here."""
    rows = {row.name: row.subdir for row in lock.platforms}
    return {
        (f"{name} {rows[platform]}", frozenset(reference.value for reference in held))
        for name, environment in lock.environments.items()
        for platform, held in environment.packages.items()
    }


def settings(channels: Iterable[str], server: str) -> str:
    return "[mirrors]\n" + "".join(f'"{each}" = ["{server}/{place(each)}"]\n' for each in channels)


@pytest.mark.parametrize("unit", UNITS)
def test_what_was_locked_fits(unit: str, tmp_path: Path) -> None:
    if not (CORPUS / unit).is_dir():
        pytest.skip("the corpus of real lock files is not there")
    root = tmp_path / "ws"
    shutil.copytree(CORPUS / unit, root, symlinks=True)
    path = root / "pixi.lock"
    theirs = read(path)
    with serving(tmp_path / "served") as server:
        config(root, settings(write_channels(theirs, server.folder), server.url))
        for before in (path.read_bytes(), None):
            path.unlink(missing_ok=True)
            if before is not None:
                path.write_bytes(before)
            for command in (["lock"], ["lock", "--check"]):
                done = smelt(root, *command)
                assert done.returncode == 0, done.stderr
            ours = read(path)
            assert ours.version == 7
            if before is not None:
                kept = names(ours)
                assert {each for each in names(theirs) if each[1]} >= {each for each in kept if each[1]}
            assert sum(len(held) for each in ours.environments.values() for held in each.packages.values())
            # what another lock fitted is no help for the next
            shutil.rmtree(root / ".pixi" / "smelt", ignore_errors=True)
