"""Which wheels: resolved by uv, fetched and verified by us, kept in the cache."""

from __future__ import annotations

import hashlib
import netrc
import os
import re
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from smelt.channel.targets import Target
from smelt.errors import ChannelError
from smelt.fs import smelt_cache, write_bytes
from smelt.solve.network import redacted
from smelt.solve.transfer import read_address
from smelt.types import sha256_file

_ATTEMPTS = 3
_TIMEOUT = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedWheel:
    """One wheel of a resolution: where it is (an address or a path) and what its sha256 must be."""

    name: str
    version: str
    file_name: str
    location: str
    sha256: str


def resolve(
    requirements: Sequence[str], target: Target, *, dependencies: bool = True, uv: str | None = None
) -> tuple[LockedWheel, ...]:
    """The wheels that satisfy ``requirements`` (PEP 508) on ``target``, with all they depend on.

    uv decides, with the user's own configuration of it (indexes, credentials); only wheels, nothing is built.
    ``uv``: the executable; callers that use threads ask ``uv_executable`` for it before.
    Raises ChannelError with uv's explanation where there is no solution.
    Source: PEP 751 (``pylock.toml``).
    """
    import tomli

    with tempfile.TemporaryDirectory(prefix="smelt-uv-") as name:
        source, output = Path(name) / "requirements.in", Path(name) / "pylock.toml"
        source.write_text("".join(f"{line}\n" for line in requirements), encoding="utf-8")
        command = [
            *(
                uv or uv_executable(),
                "pip",
                "compile",
                str(source),
                "--output-file",
                str(output),
                "--quiet",
                "--no-header",
            ),
            *("--format", "pylock.toml", "--only-binary", ":all:", "--no-sources"),
            *("--python", sys.executable),  # any will do, and uv need not look for one
            *("--python-version", target.python, "--python-platform", target.uv_platform),
            *(() if dependencies else ("--no-deps",)),
        ]
        run_uv(command, Path(name), f"the wheels for Python {target.python} on {target.platform} cannot be resolved")
        data = tomli.loads(output.read_text(encoding="utf-8"))
    packages = cast("list[dict[str, object]]", data.get("packages", []))
    return tuple(_locked(package) for package in packages)


def uv_executable() -> str:
    """The path of the ``uv`` that came with us. Raises ChannelError.

    Not safe in threads: it asks sysconfig, which fills its tables at the first question.
    """
    from uv import find_uv_bin

    try:
        return find_uv_bin()
    except FileNotFoundError as error:
        raise ChannelError(
            "the executable `uv` was not found", code="missing-tool", help="reinstall smelt; its package `uv` has it"
        ) from error


def run_uv(command: Sequence[str], folder: Path, failure: str) -> None:
    """Run uv in ``folder``, away from the user's project; ChannelError ``failure`` with its words if it fails."""
    environment = {**os.environ, "UV_PYTHON_DOWNLOADS": "never", "NO_COLOR": "1"}
    done = subprocess.run(
        list(command),
        cwd=folder,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        lines = [
            line for line in done.stderr.strip().splitlines() if not line.startswith("warning: The requested Python")
        ]
        raise ChannelError(failure, code="unresolvable-wheels", notes=[redacted("\n".join(lines))])


def _locked(package: Mapping[str, object]) -> LockedWheel:
    name, version = str(package["name"]), str(package.get("version", ""))
    wheels = cast("list[dict[str, object]]", package.get("wheels", []))
    archive = cast("dict[str, object] | None", package.get("archive"))
    entry = wheels[0] if wheels else archive  # uv gives the best one for the target
    if entry is None:
        raise ChannelError(
            f"{name} {version} comes without a wheel",
            help="build it as a source package of a workspace instead",
        )
    location = str(entry.get("url") or entry.get("path"))
    file_name = str(entry.get("name") or urllib.parse.unquote(urllib.parse.urlsplit(location).path.rsplit("/", 1)[-1]))
    sha256 = cast("dict[str, str]", entry.get("hashes", {})).get("sha256")
    if not file_name.endswith(".whl"):
        raise ChannelError(f"{name} {version} is not a wheel but `{file_name}`")
    if sha256 is None:
        raise ChannelError(f"the index gives no sha256 of {file_name}, so it cannot be verified")
    return LockedWheel(name=name, version=version, file_name=file_name, location=location, sha256=sha256)


def fetch(wheel: LockedWheel) -> Path:
    """The wheel as a file whose sha256 is right: from the cache, the disk or the network.

    Raises ChannelError where it cannot be had or is not what was locked.
    """
    if not re.fullmatch(r"[A-Za-z0-9][\w.+!-]*\.whl", wheel.file_name) or not re.fullmatch(
        r"[0-9a-f]{64}", wheel.sha256
    ):
        raise ChannelError(f"the index names a wheel in a way that is not allowed: {wheel.file_name!r}")
    parts = urllib.parse.urlsplit(wheel.location)
    if parts.scheme in ("http", "https"):
        path = smelt_cache() / "wheels" / wheel.sha256[:2] / wheel.sha256 / wheel.file_name
        if path.is_file() and sha256_file(path) == wheel.sha256:
            return path
        data = _download(wheel.location)
        _check(hashlib.sha256(data).hexdigest(), wheel)
        write_bytes(path, data)
        return path
    path = Path(urllib.request.url2pathname(parts.path)) if parts.scheme == "file" else Path(wheel.location)
    if not path.is_file():
        raise ChannelError(f"there is no wheel {path}")
    _check(sha256_file(path), wheel)
    return path


def _check(found: str, wheel: LockedWheel) -> None:
    if found != wheel.sha256:
        raise ChannelError(
            f"{wheel.file_name} is not what the index promised",
            code="hash-mismatch",
            notes=[f"sha256 expected: {wheel.sha256}\nsha256 received: {found}"],
            help="try again; if it stays so, something between here and the index changes files",
        )


def _download(url: str) -> bytes:
    failure: Exception | None = None
    for _ in range(_ATTEMPTS):
        try:
            return read_address(_without_user(url), timeout=_TIMEOUT, headers=_authorization(url))
        except urllib.error.HTTPError as error:
            failure = error
            if error.code < 500 and error.code != 429:
                break
        except OSError as error:
            failure = error
    raise ChannelError(
        f"{redacted(url)} cannot be downloaded ({failure})",
        code="download-failed",
        help="check the network; certificates and proxies are taken from SSL_CERT_FILE and HTTPS_PROXY",
    ) from failure


def _without_user(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _authorization(url: str) -> dict[str, str]:
    """Credentials from the address itself, else from the user's netrc file."""
    parts = urllib.parse.urlsplit(url)
    user, password = parts.username, parts.password
    if user is None:
        try:
            found = netrc.netrc().authenticators(parts.hostname or "")
        except (OSError, netrc.NetrcParseError):
            found = None
        if found is None:
            return {}
        user, password = found[0], found[2]
    pair = f"{urllib.parse.unquote(user)}:{urllib.parse.unquote(password or '')}"
    return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}
