"""Channels with this machine's tools as packages: scripts that start the real thing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from spine_kit import SUBDIR, Channel


def add_tools(folder: Path, name: str, *tools: str, path: str | None = None) -> None:
    """A package ``name`` in the channel ``folder`` whose commands are this machine's ``tools``; skips without them.

    ``path``: where they are looked for, instead of ``PATH``.
    """
    files: dict[str, str] = {}
    for tool in tools:
        found = shutil.which(tool, path=path)
        if found is None:
            pytest.skip(f"there is no {tool} on this machine")
        files[f"bin/{tool}"] = f'#!/bin/sh\nexec "{found}" "$@"\n'
    Channel(folder).add(name, "1.0", files=files, subdir=SUBDIR)
