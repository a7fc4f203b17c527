"""Scripts that activate an unpacked environment, one for each shell; they need nothing but the environment.

Source: pixi-unpack 0.7 (one script for the shell that was asked for).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from smelt.errors import UsageError
from smelt.install.activation import ActivationRequest, activation_plan, assign
from smelt.install.shells import find_shell
from smelt.text import closest
from smelt.types import current_platform

SHELLS: Mapping[str, str] = MappingProxyType(
    {
        "bash": "sh",
        "zsh": "sh",
        "xonsh": "sh",
        "cmd": "bat",
        "powershell": "ps1",
        "fish": "fish",
    }
)
"""Shells, and what their scripts' names end with (those of pixi-unpack)."""

_UNIX = ("bash", "fish", "powershell")
_WINDOWS = ("cmd", "powershell", "bash")


def check_shell(name: str) -> str:
    """``name``, if there is such a shell. Raises UsageError."""
    if name not in SHELLS:
        guess = closest(name, SHELLS)
        raise UsageError(
            f"there is no shell called `{name}` here",
            help=(f"did you mean `{guess}`? " if guess else "") + "known: " + ", ".join(SHELLS),
        )
    return name


def activation_scripts(prefix: Path, shells: Sequence[str] | None = None) -> dict[str, str]:
    """Name → text of the scripts that activate ``prefix`` (``activate.sh`` …); None: those of this system's shells.

    Raises UsageError for an unknown shell, InstallError where a package's variables cannot be read.
    """
    chosen = shells if shells is not None else (_WINDOWS if os.name == "nt" else _UNIX)
    return {f"activate.{SHELLS[name]}": _script(prefix, check_shell(name)) for name in chosen}


def _script(prefix: Path, name: str) -> str:
    shell = find_shell(name)
    request = ActivationRequest(
        prefix=prefix,
        root=None,
        manifest_path=None,
        workspace_name="",
        workspace_version=None,
        environment="",
        platforms=(),
        subdir=current_platform(),
    )
    plan = activation_plan(request, {}, shell)
    lines = [shell.opening] if shell.opening else []
    lines.append(shell.paths((*plan.paths, shell.inherited)))
    lines += [assign(shell, assignment) for assignment in plan.before]
    lines += [shell.run(str(script)) for script in plan.scripts]
    return shell.newline.join([*lines, ""])
