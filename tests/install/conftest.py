"""A channel with a few packages for each test."""

from __future__ import annotations

from pathlib import Path

import pytest
from install_kit import PLACEHOLDER, Link, Text, make_package

from smelt.types import CondaRecord


@pytest.fixture
def channel(tmp_path: Path) -> Path:
    return tmp_path / "channel"


@pytest.fixture
def tools(channel: Path) -> tuple[CondaRecord, ...]:
    return (
        make_package(
            channel,
            "tool",
            files={
                "bin/tool": Text(f"#!/bin/sh\necho {PLACEHOLDER}/share\n"),
                "lib/libtool.so.1": b"\x7fELF" + b"x" * 2000,
                "lib/libtool.so": Link("libtool.so.1"),
            },
        ),
        make_package(channel, "data", noarch="generic"),
        make_package(channel, "other", "2.5"),
    )
