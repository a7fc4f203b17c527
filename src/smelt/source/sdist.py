"""The source distribution of a release: uv says where it is, and no code of the project runs for that.

The index is whatever uv is configured to use. Source: uv's ``pip compile``, PEP 751 (``pylock.toml``).
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from smelt.config.network import Network
from smelt.errors import SourceError
from smelt.fs import cache_root
from smelt.solve.network import redacted, uv_variables

_RELEASE = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*==\s*([A-Za-z0-9][A-Za-z0-9.!+_-]*)\s*")

# Lower bounds of `Requires-Python` must hold for the Python that uv resolves for, upper ones need not.
_ANY_PYTHON = "3.99"

# These contradict `--no-binary`, and what they forbid does not happen here.
_VARIABLES = frozenset({"UV_NO_BUILD", "UV_NO_BUILD_PACKAGE", "UV_ONLY_BINARY", "UV_NO_BINARY", "UV_PYTHON_PLATFORM"})


def split_release(text: str) -> tuple[str, str]:
    """Name and version of ``name==version``. Raises SourceError."""
    found = _RELEASE.fullmatch(text)
    if found is None:
        raise SourceError(
            f"`{text}` does not name one release",
            code="pypi-release",
            help='write `pypi = "name==version"`',
        )
    return found[1], found[2]


def locate_sdist(release: str, folder: Path, network: Network | None = None) -> tuple[str, str | None]:
    """URL and sha256 (None if the index tells none) of the sdist of ``name==version``.

    ``folder``: from where uv looks for its configuration. Works offline where uv has cached the index.
    Raises SourceError (``pypi-release``): no such release, no sdist, no answer.
    """
    name, version = split_release(release)
    command = [
        _uv(),
        "pip",
        "compile",
        "-",
        "--quiet",
        "--no-header",
        "--no-annotate",
        "--no-deps",
        "--no-binary",
        ":all:",
        "--universal",
        "--python-version",
        _ANY_PYTHON,
        "--no-python-downloads",
        "--format",
        "pylock.toml",
    ]
    offline = network is not None and network.offline
    answer = _run([*command, *(("--offline",) if offline else ())], f"{name}=={version}\n", folder, network)
    if answer.returncode != 0 and not offline and _is_network(answer.stderr):
        answer = _run([*command, "--offline"], f"{name}=={version}\n", folder, network)
    if answer.returncode != 0:
        explanation = redacted(answer.stderr.strip())
        raise SourceError(
            f"uv finds no source distribution of {name} {version}",
            code="pypi-release",
            notes=[explanation] if explanation else [],
            help="check name and version, uv's index configuration, and the network",
        )
    return _sdist(answer.stdout, name, version, folder)


def _sdist(text: str, name: str, version: str, folder: Path) -> tuple[str, str | None]:
    import tomli

    packages = cast("Sequence[dict[str, Any]]", tomli.loads(text).get("packages", []))
    wanted = re.sub(r"[-_.]+", "-", name).lower()
    sdist = next((package.get("sdist") for package in packages if package.get("name") == wanted), None)
    if not isinstance(sdist, dict):
        raise SourceError(f"{name} {version} has no source distribution", code="pypi-release")
    found = cast("dict[str, Any]", sdist)
    url = found.get("url")
    if not isinstance(url, str):
        path = (folder / str(found.get("path", ""))).resolve()
        if not path.is_file():
            raise SourceError(f"uv does not say where the sdist of {name} {version} is", code="pypi-release")
        url = path.as_uri()
    digest = cast("dict[str, Any]", found.get("hashes") or {}).get("sha256")
    return url, str(digest) if digest is not None else None


def _uv() -> str:
    from uv import find_uv_bin

    return os.fspath(find_uv_bin())


def _run(command: list[str], text: str, folder: Path, network: Network | None) -> subprocess.CompletedProcess[str]:
    own = {key: value for key, value in os.environ.items() if key not in _VARIABLES}
    environment = {"UV_CACHE_DIR": str(cache_root() / "uv-cache"), **uv_variables(network or Network()), **own}
    return subprocess.run(
        command,
        input=text,
        cwd=folder,
        env={**environment, "NO_COLOR": "1"},
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )


def _is_network(text: str) -> bool:
    return any(
        sign in text
        for sign in ("error sending request", "Request failed", "Failed to fetch", "dns error", "timed out")
    )
