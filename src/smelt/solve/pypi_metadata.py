"""What packages require, as their own metadata say.

For a wheel of an index its metadata file is fetched (PEP 658); a wheel on the disk is opened; a local project is read
where it says everything itself; anything else uv unpacks or builds, into its cache, as it would to install it.
"""

from __future__ import annotations

import email.parser
import hashlib
import json
import netrc
import re
import tempfile
import urllib.error
import zipfile
from base64 import b64encode
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.message import Message
from functools import partial
from pathlib import Path
from typing import cast
from urllib.parse import unquote, urlsplit, urlunsplit

from packaging.requirements import InvalidRequirement, Requirement

from smelt.archive import DAMAGE
from smelt.errors import SolveError
from smelt.fs import smelt_cache, write_text
from smelt.lock.pypi_source import parse_git
from smelt.manifest.pypi import normalize_pypi_name
from smelt.solve.pypi_distribution import Distribution, pylock_text
from smelt.solve.pypi_input import index_addresses, isolation_arguments, platform_arguments, platform_environment
from smelt.solve.pypi_interpreter import interpreter_for
from smelt.solve.pypi_project import read_project
from smelt.solve.pypi_request import PypiSolveRequest
from smelt.solve.pypi_static import sdist_metadata
from smelt.solve.pypi_uv import UvFailed, run_uv
from smelt.solve.transfer import read_address

_TIMEOUT = 30
_AT_ONCE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class PypiMetadata:
    """Core metadata as far as a lock file holds them."""

    version: str | None
    requires_dist: tuple[str, ...]
    requires_python: str | None


def read_metadata(distributions: Sequence[Distribution], request: PypiSolveRequest) -> dict[str, PypiMetadata]:
    """The metadata of each distribution, by name. Raises SolveError (``pypi-metadata``) with uv's words."""
    found: dict[str, PypiMetadata] = {}
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        answers = pool.map(partial(static_metadata, request), distributions)
        for distribution, metadata in zip(distributions, answers, strict=True):
            if metadata is not None:
                found[distribution.name] = metadata
    rest = [each for each in distributions if each.name not in found]
    if rest:
        found |= _with_uv(rest, request)
    for distribution in rest:
        # of an sdist they may depend on the Python that built it
        if distribution.sha256 is not None and distribution.is_wheel:
            _remember(distribution.sha256, found[distribution.name])
    return found


def static_metadata(request: PypiSolveRequest, distribution: Distribution) -> PypiMetadata | None:
    """The metadata as far as they are known without building or unpacking anything by uv; None where they are not."""
    if distribution.folder is not None:
        return _of_project(distribution.folder, distribution.name)
    if distribution.git is not None:
        found = _of_git(request, distribution)
        # what a checkout does not say is only known once it was built
        return found if found is not None and found.version is not None else None
    if distribution.sha256 is None:
        return None
    known = _remembered(distribution.sha256)
    if known is not None:
        return known
    if not distribution.is_wheel:
        text = _from_sdist(request, distribution)
    elif distribution.path is not None:
        text = _from_wheel(distribution.path)
    else:
        text = _fetched_text(f"{distribution.url}.metadata", request)
    metadata = _parse(text, distribution.name) if text is not None else None
    if metadata is not None:
        _remember(distribution.sha256, metadata)
    return metadata


def _of_project(folder: Path, name: str) -> PypiMetadata | None:
    project = read_project(folder)
    if project is None:
        return None
    return PypiMetadata(
        version=project.version,
        requires_dist=tuple(normal_requirement(text, name) for text in project.requires_dist),
        requires_python=project.requires_python,
    )


def _of_git(request: PypiSolveRequest, distribution: Distribution) -> PypiMetadata | None:
    source = parse_git(distribution.git or "")
    if not source.commit or source.lfs or request.checkout is None:
        return None
    folder = request.checkout(source.git, source.commit, source.subdirectory)
    return _of_project(folder, distribution.name) if folder is not None else None


def _from_sdist(request: PypiSolveRequest, distribution: Distribution) -> str | None:
    dynamic = _path(distribution.sha256 or "").with_suffix(".dynamic")
    if dynamic.exists():
        return None
    try:
        data = (
            distribution.path.read_bytes()
            if distribution.path is not None
            else _fetch(distribution.url or "", request)
            if "#subdirectory=" not in (distribution.url or "")
            else None
        )
    except OSError:
        return None
    if data is None or hashlib.sha256(data).hexdigest() != distribution.sha256:
        return None
    text = sdist_metadata(data)
    if text is None:
        write_text(dynamic, "")  # it is not fetched again to find that out
    return text


def _from_wheel(path: Path) -> str | None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)]
            return archive.read(names[0]).decode("utf-8", "replace") if len(names) == 1 else None
    except (*DAMAGE, OSError):
        return None


def _fetched_text(url: str, request: PypiSolveRequest) -> str | None:
    data = _fetch(url, request)
    return data.decode("utf-8", "replace") if data is not None else None


def _fetch(url: str, request: PypiSolveRequest) -> bytes | None:
    """A file; None where the index has none or does not give it to us (uv will be asked then)."""
    if request.network.offline:
        return None
    parts = urlsplit(url.partition("#")[0])
    plain = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    for _ in range(2):
        try:
            return read_address(plain, timeout=_TIMEOUT, headers=_authorization(url, request))
        except urllib.error.HTTPError as error:
            if error.code < 500:
                return None
        except OSError:
            continue
    return None


def _authorization(url: str, request: PypiSolveRequest) -> dict[str, str]:
    """Credentials from the address, else from an index on the same host, else from the user's netrc file."""
    host = urlsplit(url).hostname
    options = request.options
    indexes = [
        options.index_url or "",
        *options.extra_index_urls,
        *(text for kind, text in options.find_links if kind == "url"),
    ]
    for candidate in (url, *indexes):
        parts = urlsplit(candidate)
        if parts.hostname == host and parts.username is not None:
            return _basic(unquote(parts.username), unquote(parts.password or ""))
    try:
        found = netrc.netrc().authenticators(host or "")
    except (OSError, netrc.NetrcParseError):
        return {}
    return _basic(found[0], found[2]) if found is not None else {}


def _basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"}


def _with_uv(distributions: Sequence[Distribution], request: PypiSolveRequest) -> dict[str, PypiMetadata]:
    with tempfile.TemporaryDirectory(prefix="smelt-uv-") as name:
        folder = Path(name)
        (folder / "pylock.toml").write_text(pylock_text(distributions), encoding="utf-8")
        command = ["pip", "install", "--quiet", "--no-deps", "--target", str(folder / "target")]
        command += ["--preview-features", "pylock", "--requirements", "pylock.toml"]
        try:
            with interpreter_for(request) as interpreter:
                run_uv(
                    [*command, *_python(request, interpreter)],
                    folder=folder,
                    environment=platform_environment(request.platform),
                    network=request.network,
                    addresses=index_addresses(request.options),
                )
        except UvFailed as error:
            names = ", ".join(each.name for each in distributions)
            raise SolveError(
                f"the metadata of {names} cannot be had", code="pypi-metadata", notes=[error.text]
            ) from error
        found: dict[str, PypiMetadata] = {}
        for path in (folder / "target").glob("*.dist-info/METADATA"):
            text = path.read_text(encoding="utf-8", errors="replace")
            named = normalize_pypi_name(str(_headers(text)["Name"]))
            found[named] = _parse(text, named)
    missing = [each.name for each in distributions if each.name not in found]
    if missing:
        raise SolveError(f"the metadata of {', '.join(missing)} cannot be had", code="pypi-metadata")
    return found


def _python(request: PypiSolveRequest, interpreter: Path) -> list[str]:
    return [
        *("--python", str(interpreter)),
        *("--python-version", request.platform.python),
        *platform_arguments(request.platform),
        *isolation_arguments(request.options),
    ]


def _headers(text: str) -> Message:
    return email.parser.HeaderParser().parsestr(text)


def _parse(text: str, name: str) -> PypiMetadata:
    headers = _headers(text)
    python = headers.get("Requires-Python")
    return PypiMetadata(
        version=str(headers["Version"]).strip() if headers["Version"] is not None else None,
        requires_dist=tuple(normal_requirement(str(each), name) for each in headers.get_all("Requires-Dist", [])),
        requires_python=_normal_specifiers(str(python)) if python is not None and str(python).strip() else None,
    )


def normal_requirement(text: str, package: str) -> str:
    """A requirement of ``package`` as PEP 508 has it today. Raises SolveError (``pypi-metadata``).

    Old forms that indexes are full of are mended as uv mends them: brackets, ``>=1.0.*``, spaces.
    """
    text = " ".join(text.split())
    for candidate in (text, _mended(text)):
        try:
            parsed = Requirement(candidate)
        except InvalidRequirement:
            continue
        extras = f"[{','.join(sorted(parsed.extras))}]" if parsed.extras else ""
        place = f" @ {parsed.url}" if parsed.url else str(parsed.specifier)
        marker = f" ; {parsed.marker}" if parsed.marker else ""
        return f"{normalize_pypi_name(parsed.name)}{extras}{place}{marker}"
    raise SolveError(
        f"`{package}` has a requirement that makes no sense: {text}",
        code="pypi-metadata",
        help=f"constrain `{package}` to another version",
    )


def _mended(text: str) -> str:
    head, mark, marker = text.partition(";")
    head = re.sub(r"(>=|<=|>|<|~=)\s*([0-9][^,*\s]*)\.\*", r"\1\2", head)
    head = re.sub(r"([0-9])\s+(>=|<=|==|!=|~=|>|<)", r"\1,\2", head)
    head = head.replace(",)", ")").rstrip(", ")
    return head + mark + marker


def _normal_specifiers(text: str) -> str | None:
    text = re.sub(r"(>=|<=|>|<|~=)\s*([0-9][^,*\s]*)\.\*", r"\1\2", text)
    parts = [part.strip().replace(" ", "") for part in text.strip().strip("'\"()").split(",") if part.strip()]
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        SpecifierSet(",".join(parts))
    except InvalidSpecifier:
        return None
    return ",".join(parts) or None


def _path(sha256: str) -> Path:
    return smelt_cache() / "pypi" / "metadata" / sha256[:2] / f"{sha256}.json"


def _remembered(sha256: str) -> PypiMetadata | None:
    try:
        data = cast("Mapping[str, object]", json.loads(_path(sha256).read_bytes()))
        return PypiMetadata(
            version=cast("str | None", data["version"]),
            requires_dist=tuple(cast("list[str]", data["requires_dist"])),
            requires_python=cast("str | None", data["requires_python"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None  # not there, or damaged: it is found again


def _remember(sha256: str, metadata: PypiMetadata) -> None:
    data = {
        "version": metadata.version,
        "requires_dist": list(metadata.requires_dist),
        "requires_python": metadata.requires_python,
    }
    write_text(_path(sha256), json.dumps(data))
