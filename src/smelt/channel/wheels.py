"""Wheels into a channel: resolve, fetch, convert, add."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

from smelt.channel.conversion import convert, describe, fit, platforms_of
from smelt.channel.folder import Edit, Say, editing
from smelt.channel.model import Addition, PackageHead
from smelt.channel.resolution import fetch, resolve, uv_executable
from smelt.channel.targets import Target, check_platform
from smelt.channel.versions import conda_name
from smelt.channel.wheelfile import Wheel, read_wheel
from smelt.errors import UsageError
from smelt.types import current_platform


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked for: requirements as uv reads them, the wheels among them that are files, extras by name."""

    requirements: tuple[str, ...]
    files: tuple[Wheel, ...]
    extras: Mapping[str, frozenset[str]] = field(hash=False)


def add_wheels(
    folder: Path,
    wheels: Iterable[str],
    *,
    pythons: Sequence[str] | None = None,
    platform: str | None = None,
    dependencies: bool = True,
    waiting: Say | None = None,
) -> tuple[Addition, ...]:
    """Add wheels, and the wheels they depend on, to the channel ``folder`` as conda packages.

    ``wheels``: requirements (PEP 508: ``rich>=13``, ``flask[async]==3.0``) or paths of ``.whl`` files. ``pythons``:
    versions (``3.12``, ``3.12.1``) to resolve for; by default those of the ``python`` packages in the channel, else the
    running one, as far as the files fit. ``platform``: this machine's by default, or the one the files are for.
    Packages that are the same for several Pythons are made once.
    Raises ChannelError, UsageError, NotSupportedError for a platform that wheels are not resolved for.
    """
    request = _read(wheels)
    with editing(folder, "adding wheels", waiting) as edit:
        chosen = platform or _platform(request.files)
        check_platform(chosen)
        targets = _targets(edit, request.files, pythons, chosen)
        with ThreadPoolExecutor(max_workers=4) as pool:  # it is uv and the network that take the time
            describing = partial(_describe, request, dependencies=dependencies, uv=uv_executable())
            found = list(pool.map(describing, targets))
        for target, described in zip(targets, found, strict=True):
            for head, wheel in described:
                edit.add(head, partial(convert, wheel, head, target))
        return tuple(edit.additions)


def _read(wheels: Iterable[str]) -> Request:
    requirements: list[str] = []
    files: list[Wheel] = []
    extras: dict[str, frozenset[str]] = {}
    for text in wheels:
        named = re.fullmatch(r"(?P<path>.+\.whl)(?:\[(?P<extras>[\w.,\s-]*)\])?", text.strip())
        if named is not None and " @ " not in text:
            wheel = read_wheel(Path(named["path"]).absolute())
            files.append(wheel)
            chosen = frozenset(e.strip() for e in (named["extras"] or "").split(",") if e.strip())
            inner = f"[{','.join(sorted(chosen))}]" if chosen else ""
            requirements.append(f"{wheel.metadata.name}{inner} @ {wheel.path.as_uri()}")
            name = wheel.metadata.name
        else:
            requirement = _requirement(text)
            requirements.append(str(requirement))
            name, chosen = requirement.name, frozenset(requirement.extras)
        extras[conda_name(name)] = extras.get(conda_name(name), frozenset()) | chosen
    return Request(requirements=tuple(requirements), files=tuple(files), extras=extras)


def _requirement(text: str) -> Requirement:
    try:
        return Requirement(text)
    except InvalidRequirement as error:
        raise UsageError(
            f"`{text}` is neither a wheel nor a requirement",
            help="write the path of a .whl file, or a requirement such as `rich>=13` (in quotes)",
            notes=[str(error)],
        ) from error


def _platform(files: Sequence[Wheel]) -> str:
    """This machine's platform, unless the files are for another one."""
    here = current_platform()
    for wheel in files:
        platforms = platforms_of(wheel.tags)
        if platforms and here not in platforms:
            return platforms[0]
    return here


def _targets(edit: Edit, files: Sequence[Wheel], pythons: Sequence[str] | None, platform: str) -> list[Target]:
    if pythons is not None:
        return [Target(python=_python_version(text), platform=platform) for text in dict.fromkeys(pythons)]
    newest: dict[int, Version] = {}
    for record in edit.records(platform):
        if record["name"] == "python":
            version = Version(str(record["version"]))
            newest[version.minor] = max(version, newest.get(version.minor, version))
    if not newest:
        running = Version(".".join(str(part) for part in sys.version_info[:3]))
        newest[running.minor] = running
    targets = [Target(python=str(newest[minor]), platform=platform) for minor in sorted(newest)]
    fitting = [target for target in targets if all(fit(wheel.tags, target) for wheel in files)]
    if files and not fitting:
        possible = [Target(python=f"3.{minor}.0", platform=platform) for minor in range(9, 31)]
        fitting = [target for target in possible if all(fit(wheel.tags, target) for wheel in files)][:1]
    return fitting or targets


def _python_version(text: str) -> str:
    try:
        version = Version(text)
    except InvalidVersion:
        version = None
    if version is None or version.major != 3 or len(version.release) < 2:
        raise UsageError(f"`{text}` is no version of Python 3", help="write `3.12` or `3.12.1`")
    return f"{version.major}.{version.minor}.{version.micro}" if not version.is_prerelease else str(version)


def _describe(request: Request, target: Target, *, dependencies: bool, uv: str) -> list[tuple[PackageHead, Wheel]]:
    locked = resolve(request.requirements, target, dependencies=dependencies, uv=uv)
    wheels = [read_wheel(fetch(one)) for one in locked]
    catalog = {wheel.metadata.name: wheel.metadata for wheel in wheels}
    return [
        (describe(wheel, target, catalog, request.extras.get(wheel.metadata.name, frozenset())), wheel)
        for wheel in wheels
    ]
