"""Packages that others built, from the channels beside the repository."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from install_kit import SUBDIR, assert_exact, request_for

from smelt.install.prefix import install
from smelt.solve.records import from_repodata
from smelt.types import CondaRecord

CHANNELS = Path(__file__).resolve().parents[2].parent / "shared" / "channels"
pytestmark = pytest.mark.skipif(not CHANNELS.is_dir(), reason="no ../shared/channels here")


def newest(channel: str) -> tuple[CondaRecord, ...]:
    """One record of each name that a channel has for this platform, without regard for dependencies."""
    found: dict[str, CondaRecord] = {}
    for subdir in ("noarch", SUBDIR):
        path = CHANNELS / channel / subdir / "repodata.json"
        if not path.is_file():
            continue
        data = json.loads(path.read_text())
        for name, record in (data.get("packages", {}) | data.get("packages.conda", {})).items():
            archive = path.parent / name
            if archive.is_file():
                base = (CHANNELS / channel).as_uri() + "/"
                found[record["name"]] = from_repodata(record, url=archive.as_uri(), file_name=name, channel=base)
    return tuple(found.values())


@pytest.mark.parametrize("channel", sorted(path.name for path in CHANNELS.iterdir()) if CHANNELS.is_dir() else [])
def test_every_package_of_a_channel(tmp_path: Path, channel: str) -> None:
    records = newest(channel)
    if not records:
        pytest.skip("the channel holds no package for this platform")
    request = request_for(tmp_path, *records, verify=True)
    assert len(asyncio.run(install(request)).linked) == len(records)
    assert_exact(request)
    assert asyncio.run(install(request)).changed is False


def test_post_link_scripts_run_only_when_allowed(tmp_path: Path) -> None:
    records = newest("post_link_script_channel")
    careful = asyncio.run(install(request_for(tmp_path, *records)))
    assert careful.skipped_scripts
    trusting = asyncio.run(install(request_for(tmp_path, *records, environment="trusting", link_scripts=True)))
    assert trusting.skipped_scripts == ()
