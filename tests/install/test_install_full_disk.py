"""Installing where nothing can be written: on a small file system that is mounted for the test."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from install_kit import assert_exact, make_package, request_for

from smelt.errors import CacheError, InstallError
from smelt.install.cache_entry import entry_problem
from smelt.install.prefix import install
from smelt.types import CondaRecord


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("mounting needs root on Linux")
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", folder], check=False).returncode != 0:
        pytest.skip("nothing can be mounted here")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.fixture
def records(tmp_path: Path) -> list[CondaRecord]:
    return [make_package(tmp_path / "channel", f"p{n}", files={f"share/p{n}": os.urandom(100_000)}) for n in range(10)]


def test_cache_on_another_file_system(tmp_path: Path, disk: Path, records: list[CondaRecord]) -> None:
    """Hard links cannot be made: files are copied, and what is done to them does not reach the cache."""
    request = request_for(tmp_path, *records[:3], cache=disk / "cache")
    assert asyncio.run(install(request)).changed
    assert_exact(request)
    time.sleep(0.05)  # the clock of file systems is coarse, and the next change has to be a later one
    for number in range(3):
        path = request.prefix / f"share/p{number}"
        assert path.stat().st_dev != (disk / "cache").stat().st_dev
        with path.open("r+b") as file:
            file.write(b"changed in place")
    assert {entry_problem(disk / "cache", record, thorough=True) for record in records[:3]} == {None}
    again = asyncio.run(install(request_for(tmp_path, *records[:3], cache=disk / "cache", look=True)))
    assert again.repaired is not None
    assert_exact(request)


def test_full_cache(tmp_path: Path, disk: Path, records: list[CondaRecord]) -> None:
    request = request_for(tmp_path, *records, cache=disk / "cache")
    with pytest.raises(CacheError) as caught:
        asyncio.run(install(request))
    assert caught.value.kind == "disk-full"
    assert not (request.prefix / "conda-meta").exists()
    assert not [path for path in (disk / "cache/pkgs/.smelt-staging").iterdir() if path.is_dir()]


def test_full_prefix_and_then_fewer_packages(tmp_path: Path, disk: Path, records: list[CondaRecord]) -> None:
    for _ in range(2):
        with pytest.raises(InstallError) as caught:
            asyncio.run(install(request_for(disk, *records, cache=tmp_path / "cache")))
        assert caught.value.kind == "disk-full"
    fewer = request_for(disk, *records[:3], cache=tmp_path / "cache")
    asyncio.run(install(fewer))
    assert_exact(fewer)


def test_read_only(tmp_path: Path, disk: Path, records: list[CondaRecord]) -> None:
    request = request_for(disk, *records[:2], cache=disk / "cache")
    asyncio.run(install(request))
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    assert asyncio.run(install(request)).changed is False
    with pytest.raises(InstallError) as caught:
        asyncio.run(install(request_for(disk, records[0], cache=disk / "cache")))
    assert caught.value.kind == "not-writable"
    for record in records[1:3]:
        with pytest.raises(CacheError):
            asyncio.run(install(request_for(tmp_path, record, cache=disk / "cache")))
