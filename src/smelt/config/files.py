"""Where ``config.toml`` files are.

Source: the reference's page "The Configuration of Pixi Itself".
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from smelt.errors import UsageError

FILE = "config.toml"
_FOLDER = "pixi"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigSource:
    """Which files stand in for those of the system and the user: the usual ones, ``none``, or one ``file``."""

    none: bool = False
    file: Path | None = None


def config_source(
    environment: Mapping[str, str], *, no_config: bool = False, config_file: Path | None = None
) -> ConfigSource:
    """What ``--no-config`` and ``--config-file`` ask for, or else ``PIXI_NO_CONFIG`` and ``PIXI_CONFIG_FILE``."""
    if no_config and config_file is not None:
        raise UsageError("`--no-config` and `--config-file` exclude each other")
    if no_config or config_file is not None:
        return ConfigSource(none=no_config, file=config_file)
    if boolish(environment.get("PIXI_NO_CONFIG", "")):
        return ConfigSource(none=True)
    named = environment.get("PIXI_CONFIG_FILE")
    return ConfigSource(file=Path(named) if named else None)


def boolish(text: str) -> bool | None:
    """What a variable that switches something says; None if it says nothing that is known."""
    lowered = text.strip().lower()
    if lowered in ("1", "true", "t", "yes", "y", "on"):
        return True
    return False if lowered in ("0", "false", "f", "no", "n", "off") else None


def pixi_home(environment: Mapping[str, str]) -> Path:
    """``PIXI_HOME``, else ``~/.pixi``."""
    home = environment.get("PIXI_HOME")
    return Path(home) if home else _home(environment) / ".pixi"


def system_file() -> Path:
    """The file for all users of the machine."""
    base = Path("C:\\ProgramData") if sys.platform == "win32" else Path("/etc")
    return base / _FOLDER / FILE


def user_files(environment: Mapping[str, str]) -> tuple[Path, ...]:
    """The files of the user, lowest priority first."""
    found: list[Path] = []
    xdg = environment.get("XDG_CONFIG_HOME")
    if sys.platform == "win32":
        roaming = environment.get("APPDATA")
        found.append((Path(roaming) if roaming else _home(environment) / "AppData" / "Roaming") / _FOLDER / FILE)
    elif sys.platform == "darwin":
        if xdg:
            found.append(Path(xdg) / _FOLDER / FILE)
        found.append(_home(environment) / "Library" / "Application Support" / _FOLDER / FILE)
    else:
        absolute = xdg is not None and Path(xdg).is_absolute()
        found.append((Path(xdg or "") if absolute else _home(environment) / ".config") / _FOLDER / FILE)
    return (*found, pixi_home(environment) / FILE)


def global_file(environment: Mapping[str, str]) -> Path:
    """The file that ``config set --global`` changes: one that is there already, else that in ``pixi_home``."""
    *others, home = user_files(environment)
    return next((path for path in others if path.exists()), home)


def local_file(root: Path) -> Path:
    """The file of the workspace in ``root``."""
    return root / ".pixi" / FILE


def shared_files(environment: Mapping[str, str], source: ConfigSource) -> tuple[Path, ...]:
    """The files that are not of one workspace, lowest priority first."""
    if source.none:
        return ()
    return (source.file,) if source.file is not None else (system_file(), *user_files(environment))


def _home(environment: Mapping[str, str]) -> Path:
    named = environment.get("USERPROFILE" if os.name == "nt" else "HOME")
    return Path(named) if named else Path.home()
