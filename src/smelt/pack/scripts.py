"""Scripts that activate an unpacked environment, one for each shell; they need nothing but the environment.

Source: pixi-unpack 0.7 (one script for the shell that was asked for); rattler writes them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from smelt.errors import InstallError, UsageError
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

_NOTHING = "smelt-no-path"
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

    Raises UsageError for an unknown shell, InstallError where rattler cannot write one.
    """
    chosen = shells if shells is not None else (_WINDOWS if os.name == "nt" else _UNIX)
    return {f"activate.{SHELLS[name]}": _script(prefix, check_shell(name)) for name in chosen}


def _script(prefix: Path, name: str) -> str:
    import rattler
    from rattler.shell import ActivationVariables, PathModificationBehavior, activate

    # an empty path would be taken for "that of this process"
    variables = ActivationVariables(None, [_NOTHING], PathModificationBehavior.Prepend)
    subdir = rattler.Subdir(current_platform())  # pyright: ignore[reportArgumentType]
    try:
        result = activate(prefix, variables, _shell(name), subdir)
    except Exception as error:
        raise InstallError(f"cannot write the activation script for {name}", notes=[str(error)]) from error
    return re.sub(f"[:;]{_NOTHING}", "", result.script)


def _shell(name: str) -> Any:
    from rattler.shell import Shell

    return getattr(Shell, "cmd_exe" if name == "cmd" else name)
