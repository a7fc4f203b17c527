"""What the tests of PyPI packages in prefixes ask of a prefix."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from smelt.api.workspace import Workspace
from smelt.install.pypi_prefix import damage, installed_distributions
from spine_kit import environment

SITE = f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"


Make = Callable[..., Workspace]


def prefix(workspace: Workspace) -> Path:
    return workspace.model.prefix("default")


def held(workspace: Workspace) -> dict[str, str]:
    """Name → version of what is ours in the prefix; every file of it is there and right."""
    found = [each for each in installed_distributions(prefix(workspace)) if each.is_ours]
    assert [damage(each, content=True) for each in found] == [None] * len(found)
    assert len({each.name for each in found}) == len(found)
    return {each.name: each.version for each in found}


def python(workspace: Workspace, code: str) -> str:
    done = subprocess.run(
        [prefix(workspace) / "bin" / "python", "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env=environment(),
    )
    return done.stdout.strip()
