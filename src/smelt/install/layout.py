"""The small files that make a prefix and ``.pixi`` what the reference expects.

Source: the reference's ``pixi_core`` (environment files), ``conda run`` (``history``).
"""

from __future__ import annotations

import json
from pathlib import Path

from smelt.errors import InstallError
from smelt.install.request import InstallRequest
from smelt.install.state import FINGERPRINT, MARKER, conda_meta, record_files

REFERENCE_VERSION = "0.77.0"
_GITIGNORE = "*\n!config.toml\n"
_CONDAPACKAGEIGNORE = ".pixi\n!.pixi/config.toml\n"
_HISTORY = "// not relevant for pixi but for `conda run -p`"


def prepare_state_folder(state_folder: Path) -> None:
    """Make ``.pixi`` with its ignore files; existing ones are kept. Raises OSError."""
    state_folder.mkdir(parents=True, exist_ok=True)
    for name, text in ((".gitignore", _GITIGNORE), (".condapackageignore", _CONDAPACKAGEIGNORE)):
        path = state_folder / name
        if not path.exists():
            path.write_text(text, encoding="utf-8", newline="\n")


def write_environment_files(request: InstallRequest) -> None:
    """Write ``conda-meta``'s ``pixi``, ``pixi_env_prefix`` and ``history``. Raises OSError.

    ``environment_lock_file_hash`` is the value with which the reference itself marks "look again": its hash is over
    its own in-memory form of the lock, and a wrong one would make it trust a prefix it must not.
    """
    folder = conda_meta(request.prefix)
    platform: dict[str, object] = {
        "subdir": request.subdir,
        "virtual_packages": [_virtual_package(p.name, p.version, p.build) for p in request.virtual_packages],
    }
    data: dict[str, object] = {
        "manifest_path": str(request.manifest_path or ""),
        "environment_name": request.environment,
        "pixi_version": REFERENCE_VERSION,
        "environment_lock_file_hash": "invalid-hash",
        "resolved_platform": platform,
        "minimum_supported_platform": {"subdir": request.subdir, "requirements": list(request.requirements)},
    }
    (folder / "pixi").write_text(json.dumps(data, indent=2), encoding="utf-8", newline="\n")
    (folder / "pixi_env_prefix").write_text(str(folder), encoding="utf-8", newline="\n")
    (folder / "history").write_text(_HISTORY, encoding="utf-8", newline="\n")


def recorded_prefix(prefix: Path) -> Path | None:
    """Where the environment was when it was installed, as ``pixi_env_prefix`` says; None if it does not say."""
    try:
        text = (conda_meta(prefix) / "pixi_env_prefix").read_text(encoding="utf-8").strip()
    except OSError:
        return None
    return Path(text).parent if text else None


def _virtual_package(name: str, version: str, build: str) -> str:
    return f"{name}={version}={build}"


def lock_path(prefix: Path, environment: str, state_folder: Path | None) -> Path:
    """The lock of an environment. It lies outside the prefix, which may be emptied or removed under it."""
    if state_folder is not None:
        return state_folder / "smelt" / "locks" / f"{environment}.lock"
    return prefix.parent / f".{prefix.name}.lock"


def activation_folder(state_folder: Path) -> Path:
    """Where the answers of activation scripts are kept."""
    return state_folder / "smelt" / "activation"


def check_place(prefix: Path) -> None:
    """Raise InstallError (``environment-link``) where a prefix is reached by a link and holds no environment.

    An installation removes what is not locked, and a workspace of somebody else may hold a link to any folder of the
    user. A link to an empty folder, or to an environment that smelt or the reference made, is the user's own.
    """
    if not any(each.is_symlink() for each in (prefix, *prefix.parents[:2])):
        return
    if any((conda_meta(prefix) / name).is_file() for name in (MARKER, FINGERPRINT, "pixi")):
        return
    try:
        found = sorted(path.name for path in prefix.iterdir() if path.name != "conda-meta")
    except FileNotFoundError:
        return
    if found or record_files(prefix):
        raise InstallError(
            f"{prefix} is a link to {prefix.resolve()}, which holds something that is no environment of a workspace",
            code="environment-link",
            notes=[f"there is {', '.join(found[:5])}{', …' if len(found) > 5 else ''}"] if found else [],
            help="remove the link, or let it lead to an empty folder",
        )
