"""Packages that are put into a pack from the command line: read, and checked against the environment."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path
from typing import Any, cast

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from smelt.archive import DAMAGE
from smelt.channel.index import read_record
from smelt.errors import ChannelError, PackError, SolveError
from smelt.lock.pypi_platform import PypiPlatform
from smelt.pack.description import channel_name
from smelt.pack.model import PYPI, CondaItem, PackedFile, PackReporter, WheelItem
from smelt.solve.matching import RattlerMatcher
from smelt.solve.records import from_repodata
from smelt.types import KNOWN_PLATFORMS, NOARCH, CondaRecord, is_package_name, sha256_file, spec_name

_PURL = "pkg:pypi/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Injected:
    """What the command line adds to an environment."""

    packages: tuple[CondaItem, ...]
    wheels: tuple[WheelItem, ...]


def read_injected(path: Path) -> CondaItem:
    """A conda package by its path. Raises PackError (``pack-inject``) for a file that is none."""
    if not path.name.endswith((".conda", ".tar.bz2")):
        raise _bad(path, "it is neither a conda package (.conda, .tar.bz2) nor a wheel (.whl)")
    if not path.is_file():
        raise _bad(path, "there is no such file")
    try:
        data = cast("dict[str, Any]", read_record(path))
    except ChannelError as error:
        raise _bad(path, error.message) from error
    subdir = str(data.get("subdir") or NOARCH)
    if subdir not in KNOWN_PLATFORMS or not is_package_name(str(data["name"])):
        raise _bad(path, f"it says that it is {data['name']} for {subdir}")
    record = from_repodata({**data, "subdir": subdir}, url=path.absolute().as_uri(), file_name=path.name, channel=None)
    file = PackedFile(name=channel_name(record), size=data["size"], sha256=data["sha256"], path=path.absolute())
    return CondaItem(record=record, file=file, origin="injected")


def read_injected_wheel(path: Path, python: PypiPlatform | None) -> WheelItem:
    """A wheel by its path. Raises PackError (``pack-inject``) for what is none, or does not fit the environment."""
    try:
        name, version, _, tags = parse_wheel_filename(path.name)
    except InvalidWheelFilename as error:
        raise _bad(path, str(error)) from error
    if not path.is_file():
        raise _bad(path, "there is no such file")
    try:
        with zipfile.ZipFile(path) as archive:
            found = [entry for entry in archive.namelist() if _is_metadata(entry)]
            text = archive.read(found[0]).decode("utf-8", "replace") if len(found) == 1 else None
    except DAMAGE as error:
        raise _bad(path, f"it is not a wheel: {error}") from error
    if text is None:
        raise _bad(path, "it is not a wheel: it has no METADATA")
    metadata = HeaderParser().parsestr(text)
    if canonicalize_name(metadata["Name"] or "") != name or (metadata["Version"] or "") != str(version):
        raise _bad(path, f"it holds {metadata['Name']} {metadata['Version']}")
    if python is None:
        raise _bad(path, "the environment has no python", "require `python` in the environment, and lock again")
    if not tags & python.tags().keys():
        raise _bad(path, f"its tags do not fit python {python.python} on {python.subdir}")
    _check_requires_python(path, metadata["Requires-Python"], python)
    return WheelItem(
        name=name,
        version=str(version),
        file=PackedFile(
            name=f"{PYPI}/{path.name}", size=path.stat().st_size, sha256=sha256_file(path), path=path.absolute()
        ),
        location=path.name,
        origin="injected",
        data={
            "requires_dist": list(metadata.get_all("Requires-Dist") or ()),
            "requires_python": metadata["Requires-Python"],
        },
    )


def check_injected(
    platform: str,
    packages: Sequence[CondaItem],
    injected: Sequence[CondaItem],
    wheels: Sequence[WheelItem],
    injected_wheels: Sequence[WheelItem],
    reporter: PackReporter,
    python: PypiPlatform | None = None,
) -> Injected:
    """What of the injected packages is new to the environment; every package must have what it depends on.

    Raises PackError (``pack-inject``): another build of a package that is there, a dependency that is missing, a
    constraint that is broken, another platform. What a wheel requires is only warned of: which conda package provides
    a PyPI package cannot always be told.
    """
    there = {item.record.name: item for item in packages}
    added: list[CondaItem] = []
    for item in injected:
        record = item.record
        if record.subdir not in (platform, NOARCH):
            raise PackError(
                f"cannot inject {record.file_name}: it is for {record.subdir}, the pack is for {platform}",
                code="pack-inject",
                help="give the build for that platform",
            )
        held = there.get(record.name)
        if held is not None and held.file.sha256 == item.file.sha256:
            continue
        if held is not None:
            raise PackError(
                f"cannot inject {record.file_name}: the environment has {held.record} already",
                code="pack-inject",
                help=f"require the wanted version of {record.name} in the manifest, and lock again",
            )
        there[record.name] = item
        added.append(item)
    if added:
        _validate([item.record for item in there.values()])
    known = {wheel.name: wheel for wheel in wheels}
    added_wheels: list[WheelItem] = []
    for wheel in injected_wheels:
        held_wheel = known.get(wheel.name)
        if held_wheel is not None and held_wheel.file.sha256 == wheel.file.sha256:
            continue
        if held_wheel is not None:
            raise PackError(
                f"cannot inject {wheel.location}: the environment has {held_wheel.name} {held_wheel.version} already",
                code="pack-inject",
                help=f"require the wanted version of {wheel.name} in the manifest, and lock again",
            )
        known[wheel.name] = wheel
        added_wheels.append(wheel)
    if python is not None:
        for wheel in added_wheels:
            _warn_of_requirements(wheel, there, known, python, reporter)
    return Injected(packages=tuple(added), wheels=tuple(added_wheels))


def _validate(records: Sequence[CondaRecord]) -> None:
    matcher = RattlerMatcher()
    by_name = {record.name: record for record in records}
    try:
        for record in records:
            shown = f"{record.name}={record.version}={record.build}"
            for spec in record.depends:
                name = spec_name(spec)
                if name.startswith("__"):
                    continue  # the machine's own
                found = by_name.get(name)
                if found is None or not matcher.matches(spec, found):
                    raise PackError(
                        f"package '{shown}' has dependency '{spec}', which is not in the environment",
                        code="pack-inject",
                        help=f"inject {name} too, or require it in the manifest and lock again"
                        if found is None
                        else f"the environment has {found}",
                    )
            for spec in record.constrains:
                found = by_name.get(spec_name(spec))
                if found is not None and not matcher.matches(spec, found):
                    held = f"{found.name}={found.version}={found.build}"
                    raise PackError(
                        f"package '{shown}' has constraint '{spec}', which is not satisfied by '{held}' in the "
                        "environment",
                        code="pack-inject",
                        help="inject a build that fits, or require it in the manifest and lock again",
                    )
    except SolveError as error:
        raise PackError(error.message, code="pack-inject", notes=error.notes) from error


def _warn_of_requirements(
    wheel: WheelItem,
    packages: dict[str, CondaItem],
    wheels: dict[str, WheelItem],
    python: PypiPlatform,
    reporter: PackReporter,
) -> None:
    versions = _python_packages(packages) | {name: each.version for name, each in wheels.items()}
    for text in cast("Sequence[str]", wheel.data.get("requires_dist") or ()):
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if not python.holds(requirement.marker):
            continue
        version = versions.get(canonicalize_name(requirement.name))
        if version is None:
            reporter.warning(f"{wheel.location} requires {requirement}, which seems not to be in the environment")
        elif not requirement.specifier.contains(version, prereleases=True):
            reporter.warning(f"{wheel.location} requires {requirement}, the environment has {version}")


def _python_packages(packages: dict[str, CondaItem]) -> dict[str, str]:
    """What conda packages are as PyPI packages, as far as they say so; else by their own name."""
    found: dict[str, str] = {}
    for name, item in packages.items():
        found[canonicalize_name(name)] = item.record.version
        for purl in item.record.purls or ():
            if purl.startswith(_PURL):
                found[canonicalize_name(purl.removeprefix(_PURL).partition("@")[0].partition("?")[0])] = (
                    item.record.version
                )
    return found


def _check_requires_python(path: Path, text: str | None, python: PypiPlatform) -> None:
    if not text:
        return
    try:
        fits = SpecifierSet(text).contains(python.python, prereleases=True)
    except InvalidSpecifier:
        return
    if not fits:
        raise _bad(path, f"it requires python {text}, the environment has {python.python}")


def _is_metadata(entry: str) -> bool:
    folder, _, name = entry.partition("/")
    return folder.endswith(".dist-info") and name == "METADATA"


def _bad(path: Path, reason: str, help: str | None = None) -> PackError:
    return PackError(
        f"cannot inject {path}: {reason}",
        code="pack-inject",
        help=help or "`--inject` takes conda packages (.conda, .tar.bz2) and wheels (.whl)",
    )
