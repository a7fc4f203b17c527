"""What the packages of an environment bring for its activation: scripts and variables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from smelt.errors import InstallError
from smelt.install.shells import Shell


def package_scripts(prefix: Path, folder: str, shell: Shell) -> tuple[Path, ...]:
    """The scripts in ``etc/conda/<folder>`` that ``shell`` can run, sorted."""
    try:
        found = sorted((prefix / "etc" / "conda" / folder).iterdir())
    except OSError:
        return ()
    return tuple(path for path in found if path.suffix[1:] in shell.extensions and path.is_file())


def package_variables(prefix: Path) -> dict[str, str]:
    """Variables from ``etc/conda/env_vars.d/*`` in order of names, then from ``conda-meta/state``.

    Values that are no strings are passed over, as the reference does. Raises InstallError for a file that is no
    JSON object.
    """
    found: dict[str, str] = {}
    try:
        files = sorted(path for path in (prefix / "etc" / "conda" / "env_vars.d").iterdir() if path.is_file())
    except OSError:
        files = []
    for path in files:
        found |= _strings(_object(path, _read_json(path)))
    state = prefix / "conda-meta" / "state"
    if state.is_file():
        table = _object(state, _object(state, _read_json(state)).get("env_vars"))
        found |= {name.upper(): value for name, value in _strings(table).items()}
    return found


def _read_json(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _bad_variables(path, str(error)) from error


def _object(path: Path, data: object) -> dict[str, object]:
    if not isinstance(data, dict):
        raise _bad_variables(path, "not a JSON object of variables")
    return cast("dict[str, object]", data)


def _strings(table: Mapping[str, object]) -> dict[str, str]:
    return {name: value for name, value in table.items() if isinstance(value, str)}


def _bad_variables(path: Path, reason: str) -> InstallError:
    return InstallError(
        f"cannot read the environment variables in {path}",
        code="activation-failed",
        notes=[reason],
        help="install the environment anew: `smelt clean`, then `smelt install`",
    )
