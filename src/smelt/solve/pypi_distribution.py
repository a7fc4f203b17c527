"""Distributions between uv's ``pylock.toml`` (PEP 751) and entries of a lock file."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from urllib.parse import quote, unquote, urlencode, urlsplit
from urllib.request import url2pathname

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from smelt.errors import SolveError
from smelt.lock.location import is_url, to_address
from smelt.lock.model import PypiPackage
from smelt.lock.pypi_platform import PypiPlatform
from smelt.lock.pypi_source import parse_git, plain_index
from smelt.manifest.pypi import PypiRequirement, normalize_pypi_name
from smelt.text import toml_basic
from smelt.types import GitReference

Table = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """One chosen distribution: exactly one of ``url``, ``path`` (a file), ``folder`` and ``git`` is given.

    ``direct``: named by its address or path, not found in an index. ``editable`` goes with ``folder``. ``location`` is
    how a lock names it.
    """

    name: str
    version: str | None
    location: str
    url: str | None = None
    path: Path | None = None
    folder: Path | None = None
    git: str | None = None
    sha256: str | None = None
    index: str | None = None
    direct: bool = False
    editable: bool = False

    @property
    def is_wheel(self) -> bool:
        """Whether it need not be built."""
        name = self.path.name if self.path is not None else urlsplit(self.url or "").path
        return name.endswith(".whl")


def from_pylock(
    package: Table, platform: PypiPlatform, root: Path, requirements: Mapping[str, PypiRequirement]
) -> Distribution:
    """One entry of uv's answer. ``requirements``: by name what asks for a place. Raises SolveError."""
    name = normalize_pypi_name(str(package["name"]))
    version = str(package["version"]) if "version" in package else None
    requirement = requirements.get(name)
    if "vcs" in package:
        location = _git_location(cast("Table", package["vcs"]), requirement)
        return Distribution(name=name, version=version, location=location, git=location, direct=True)
    if "directory" in package:
        table = cast("Table", package["directory"])
        folder = _absolute(str(table["path"]), root)
        location = _given(folder, root, requirement)
        return Distribution(name=name, version=version, location=location, folder=folder, direct=True)
    if "archive" in package:
        return _file(name, version, cast("Table", package["archive"]), root, requirement, direct=True)
    wheels = cast("Sequence[Table]", package.get("wheels", ()))
    best = _best(wheels, platform)
    if best is None:
        best = cast("Table | None", package.get("sdist"))
    if best is None:
        raise SolveError(f"uv chose {name} {version} without saying which file", code="pypi-no-file")
    return _file(name, version, best, root, requirement, direct=False)


def _best(wheels: Sequence[Table], platform: PypiPlatform) -> Table | None:
    """The wheel with the best tags; uv lists all that fit, in the order of the index."""
    ranks = platform.tags()
    found: list[tuple[int, int, int]] = []
    for number, wheel in enumerate(wheels):
        try:
            _, _, build, tags = parse_wheel_filename(_file_name(wheel))
        except InvalidWheelFilename:
            continue
        fitting = [ranks[tag] for tag in tags if tag in ranks]
        if fitting:
            found.append((min(fitting), -build[0] if build else 0, number))
    return wheels[min(found)[2]] if found else (wheels[0] if wheels else None)


def _file_name(entry: Table) -> str:
    if "name" in entry:
        return str(entry["name"])
    place = str(entry.get("url") or entry.get("path"))
    return unquote(urlsplit(place).path if is_url(place) else place).replace("\\", "/").rpartition("/")[2]


def _file(
    name: str, version: str | None, entry: Table, root: Path, requirement: PypiRequirement | None, *, direct: bool
) -> Distribution:
    sha256 = cast("Mapping[str, str]", entry.get("hashes", {})).get("sha256")
    url = str(entry["url"]) if "url" in entry else None
    if url is not None and not url.startswith("file:"):
        url = plain_index(url)
        subdirectory = entry.get("subdirectory")
        if subdirectory is not None:
            url = f"{url}#subdirectory={quote(str(subdirectory))}"
        location = f"direct+{url}" if direct else url
        return Distribution(name=name, version=version, location=location, url=url, sha256=sha256, direct=direct)
    path = _absolute(url2pathname(urlsplit(url).path) if url is not None else str(entry["path"]), root)
    location = _given(path, root, requirement) if direct else _relative(path, root)
    return Distribution(name=name, version=version, location=location, path=path, sha256=sha256, direct=direct)


def _absolute(path: str, root: Path) -> Path:
    return Path(os.path.normpath(root / path))


def _given(path: Path, root: Path, requirement: PypiRequirement | None) -> str:
    """Relative to the workspace (``.``, ``./a``, ``../b``), or absolute where the manifest has it so."""
    if requirement is not None and requirement.path is not None and Path(requirement.path).expanduser().is_absolute():
        return str(path)
    try:
        relative = os.path.relpath(path, root).replace("\\", "/")
    except ValueError:  # another drive
        return str(path)
    return relative if relative.startswith(".") else f"./{relative}"


def _relative(path: Path, root: Path) -> str:
    try:
        return f"./{path.relative_to(root).as_posix()}"
    except ValueError:
        return str(path)


def _git_location(vcs: Table, requirement: PypiRequirement | None) -> str:
    """``git+<repository>?subdirectory=…&branch=…#<commit>``, as the reference writes it."""
    reference = requirement.reference if requirement is not None and requirement.git is not None else None
    if reference is None and "requested-revision" in vcs:
        reference = GitReference(rev=str(vcs["requested-revision"]))
    reference = reference or GitReference()
    values = {
        "subdirectory": vcs.get("subdirectory"),
        "branch": reference.branch,
        "tag": reference.tag,
        "rev": reference.rev,
        "lfs": "true" if requirement is not None and requirement.lfs else None,
    }
    query = urlencode({key: str(value) for key, value in values.items() if value is not None})
    address = plain_index(str(vcs["url"]).removeprefix("git+"))
    return f"git+{address}{'?' + query if query else ''}#{vcs['commit-id']}"


def from_locked(package: PypiPackage, root: Path, *, editable: bool = False) -> Distribution:
    """A locked package as something to install."""
    location, version = package.location, package.version
    sha256 = cast("str | None", package.data.get("sha256"))
    name = normalize_pypi_name(package.name)
    if location.startswith("git+"):
        return Distribution(name=name, version=version, location=location, git=location, direct=True)
    if is_url(location) and not location.startswith("file:"):
        direct = location.startswith("direct+")
        url = location.removeprefix("direct+")
        return Distribution(name=name, version=version, location=location, url=url, sha256=sha256, direct=direct)
    address = to_address(location)
    path = _absolute(url2pathname(urlsplit(address).path) if address.startswith("file:") else location, root)
    if path.is_dir() or (version is None and not re.search(r"\.(?:whl|zip|tar\.[a-z0-9]+|tgz)$", path.name)):
        return Distribution(name=name, version=version, location=location, folder=path, direct=True, editable=editable)
    return Distribution(name=name, version=version, location=location, path=path, sha256=sha256)


def pylock_text(distributions: Sequence[Distribution]) -> str:
    """``pylock.toml`` that names exactly these distributions."""
    lines = ['lock-version = "1.0"', 'created-by = "smelt"']
    for each in distributions:
        lines += ["[[packages]]", f"name = {toml_basic(each.name)}"]
        if each.version is not None:
            lines.append(f"version = {toml_basic(each.version)}")
        lines.append(_source_line(each))
    return "\n".join(lines) + "\n"


def _source_line(each: Distribution) -> str:
    if each.folder is not None:
        return f"directory = {{ path = {toml_basic(str(each.folder))}, editable = {toml_basic(each.editable)} }}"
    if each.git is not None:
        git = parse_git(each.git)
        folder = f", subdirectory = {toml_basic(git.subdirectory)}" if git.subdirectory else ""
        return (
            f'vcs = {{ type = "git", url = {toml_basic(git.git)}, commit-id = {toml_basic(git.commit)}, '
            f"requested-revision = {toml_basic(git.commit)}{folder} }}"
        )
    hashes = f", hashes = {{ sha256 = {toml_basic(each.sha256)} }}" if each.sha256 is not None else ", hashes = {}"
    if each.path is not None:
        entry = f"path = {toml_basic(str(each.path))}{hashes}"
    else:
        url, _, fragment = (each.url or "").partition("#")
        folder = re.search(r"subdirectory=([^&]+)", fragment)
        extra = f", subdirectory = {toml_basic(unquote(folder[1]))}" if folder else ""
        entry = f"url = {toml_basic(url)}{hashes}{extra}"
    if each.direct:
        return f"archive = {{ {entry} }}"
    return f"wheels = [{{ {entry} }}]" if each.is_wheel else f"sdist = {{ {entry} }}"
