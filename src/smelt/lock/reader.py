"""``pixi.lock`` → ``Lock``.

Version 7 is read here; older versions are first brought to version 7 by rattler (``smelt.lock.codec.upgrade``).
Unknown keys are passed over, as rattler's reader does. Source: ``rattler_lock``, ``parse/models/v7``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn, cast

from smelt.errors import Label, LockError
from smelt.lock import document, section
from smelt.lock.fields import Convert, WrongValue, convert_fields, items, mapping, required, string, strings
from smelt.lock.model import (
    Lock,
    LockedEnvironment,
    LockedPackage,
    LockedPlatform,
    Reference,
    ReferenceKind,
    SourcePackage,
)
from smelt.lock.packages import conda_record, pypi_package, source_package
from smelt.text import SourceText, shown_path
from smelt.types import KNOWN_PLATFORMS

_KINDS: tuple[ReferenceKind, ...] = ("conda", "conda_source", "pypi")


def read(path: Path) -> Lock:
    """The lock file ``path``. Raises LockError: what ``parse`` raises, ``lock-missing``, ``lock-unreadable``."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise LockError(
            f"there is no lock file {shown_path(path)}", code="lock-missing", help="run `smelt lock` to make one"
        ) from None
    except OSError as error:
        raise LockError(
            f"{shown_path(path)} cannot be read: {error.strerror or error}",
            code="lock-unreadable",
            help="check that it is a file and that you may read it",
        ) from None
    try:
        text = data.decode("utf-8").removeprefix("\ufeff")  # which some editors put there
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise LockError(
            f"{shown_path(path)} is not text in UTF-8 (line {line}, byte {error.start})",
            code="lock-syntax",
            help="remove the file and run `smelt lock` to make a new one, or restore it from version control",
        ) from None
    return parse(text.replace("\r\n", "\n"), shown_path(path))


def parse(text: str, path: str) -> Lock:
    """The lock file with content ``text``; ``path`` is what messages call it.

    Raises LockError with a code that says what is wrong: ``lock-empty``, ``lock-git-lfs``, ``lock-conflict``,
    ``lock-syntax``, ``lock-version``, ``lock-value`` (a wrong or missing value, with the path to it) or
    ``lock-reference`` (a package, platform or build input is named that is not in the file).
    """
    source = SourceText(path=path, text=text)
    data, version = document.load(source)
    if version == document.NEWEST_VERSION:
        return _Reader(source).lock(data)
    from smelt.lock.codec import upgrade

    upgraded = SourceText(path=path, text=upgrade(source, version))
    return replace(_Reader(upgraded).lock(document.load(upgraded)[0]), version=version)


class _Reader:
    """One pass over one file; equal reference texts become one object."""

    def __init__(self, source: SourceText) -> None:
        self.source = source
        self.references: dict[tuple[str, str], Reference] = {}

    def lock(self, data: Mapping[str, object]) -> Lock:
        try:
            platforms = self._platforms(data.get("platforms"))
            packages = self._packages(data.get("packages"))
            environments = self._environments(data.get("environments"), platforms, packages)
            sources, partial = section.read(data.get("smelt"))
        except WrongValue as error:
            self._fail(error)
        return Lock(
            version=document.NEWEST_VERSION,
            platforms=platforms,
            environments=MappingProxyType(environments),
            packages=MappingProxyType(packages),
            sources=sources,
            partial=partial,
        )

    def _fail(self, error: WrongValue) -> NoReturn:
        labels: list[Label] = []
        if error.near is not None:
            place = document.find(self.source, error.near, after=error.path.partition(".")[0].partition("[")[0])
            labels = [Label(place=place)] if place is not None else []
        raise LockError(
            f"{self.source.path}: {error}",
            code="lock-value",
            labels=labels,
            help="remove the file and run `smelt lock` to make a new one, or restore it from version control",
        ) from None

    def _missing(self, message: str, needle: str) -> NoReturn:
        place = document.find(self.source, needle)
        raise LockError(
            f"{self.source.path}: {message}",
            code="lock-reference",
            labels=[Label(place=place)] if place is not None else [],
            help="remove the file and run `smelt lock` to make a new one, or restore it from version control",
        )

    def _platforms(self, value: object) -> tuple[LockedPlatform, ...]:
        found: dict[str, LockedPlatform] = {}
        for index, item in enumerate(items(value, "platforms") if value is not None else ()):
            path = f"platforms[{index}]"
            fields = convert_fields(item, _PLATFORM, path)
            name = cast("str", required(fields, "name", path))
            subdir = cast("str", fields.get("subdir", name))
            if subdir not in KNOWN_PLATFORMS:
                raise WrongValue(f"{path}.subdir", f"{subdir!r} is not a platform", near=subdir)
            if not all(letter.isalnum() or letter in "_-" for letter in name):
                raise WrongValue(f"{path}.name", f"{name!r} is not a name of a platform", near=name)
            if name in found:
                raise WrongValue(path, f"platform {name!r} is there twice", near=name)
            packages = cast("tuple[str, ...]", fields.get("virtual-packages", ()))
            found[name] = LockedPlatform(name=name, subdir=subdir, virtual_packages=packages)
        return tuple(found.values())

    def _packages(self, value: object) -> dict[Reference, LockedPackage]:
        if value is None:
            raise WrongValue("packages", "is missing")
        found: dict[Reference, LockedPackage] = {}
        for index, item in enumerate(items(value, "packages")):
            path = f"packages[{index}]"
            if type(item) is not dict:
                raise WrongValue(path, "must be a mapping")
            data = cast("dict[str, object]", item)
            reference = self._reference(data, path)
            if reference.kind == "conda":
                found[reference] = conda_record(data, reference.value, path)
            elif reference.kind == "conda_source":
                found[reference] = source_package(data, reference.value, path, self._references)
            else:
                # rattler merges entries of one address; the first one is the fuller by its sort order.
                found.setdefault(reference, pypi_package(data, reference.value, path))
        for package in found.values():
            if isinstance(package, SourcePackage):
                for needed in (*package.build_packages, *package.host_packages):
                    if needed not in found:
                        self._missing(
                            f"{package.name} is built with {needed.value}, which is not in `packages`",
                            needed.value,
                        )
        return found

    def _reference(self, data: Mapping[str, object], path: str) -> Reference:
        for kind in _KINDS:
            value = data.get(kind)
            if value is not None:
                text = string(value, f"{path}.{kind}")
                known = self.references.get((kind, text))
                if known is None:
                    known = self.references[kind, text] = Reference(kind=kind, value=text)
                return known
        raise WrongValue(path, "must have `conda`, `conda_source` or `pypi`")

    def _references(self, value: object, path: str) -> tuple[Reference, ...]:
        known = self.references
        found: list[Reference] = []
        for index, item in enumerate(items(value, path)):
            reference: Reference | None = None
            if type(item) is dict:
                # Nearly always one pair that names a known package: look it up as it is.
                pair = next(iter(cast("dict[str, str]", item).items()), None)
                reference = known.get(pair) if pair is not None and type(pair[1]) is str else None
            found.append(
                reference or self._reference(mapping(cast("object", item), f"{path}[{index}]"), f"{path}[{index}]")
            )
        return tuple(found)

    def _environments(
        self,
        value: object,
        platforms: tuple[LockedPlatform, ...],
        packages: Mapping[Reference, LockedPackage],
    ) -> dict[str, LockedEnvironment]:
        if value is None:
            raise WrongValue("environments", "is missing")
        names = {platform.name for platform in platforms}
        found: dict[str, LockedEnvironment] = {}
        for name, item in mapping(value, "environments").items():
            path = f"environments.{name}"
            fields = convert_fields(item, _ENVIRONMENT, path)
            locked: dict[str, tuple[Reference, ...]] = {}
            for platform, references in cast("Mapping[str, object]", required(fields, "packages", path)).items():
                if platform not in names:
                    self._missing(
                        f"environment {name!r} is for platform {platform!r}, which is not in `platforms`", name
                    )
                locked[platform] = self._references(references, f"{path}.packages.{platform}")
                for reference in locked[platform]:
                    if reference not in packages:
                        self._missing(
                            f"environment {name!r} on {platform} has {reference.value}, which is not in `packages`",
                            reference.value,
                        )
            indexes = {key: item for key in ("indexes", "find-links") if (item := fields.get(key))}
            channels, variables = _channels(required(fields, "channels", path), f"{path}.channels")
            found[name] = LockedEnvironment(
                channels=channels,
                packages=MappingProxyType(locked),
                options=MappingProxyType(dict(cast("Mapping[str, object]", fields.get("options", {})))),
                indexes=MappingProxyType(indexes) if "indexes" in fields else None,
                channel_env_vars=MappingProxyType(variables),
            )
        return found


def _channels(value: object, path: str) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    urls: list[str] = []
    variables: dict[str, tuple[str, ...]] = {}
    for index, item in enumerate(items(value, path)):
        here = f"{path}[{index}]"
        fields = convert_fields(item, _CHANNEL, here)
        url = cast("str", required(fields, "url", here))
        urls.append(url)
        if fields.get("used_env_vars"):
            variables[url] = cast("tuple[str, ...]", fields["used_env_vars"])
    return tuple(urls), variables


_PLATFORM: Mapping[str, Convert] = {"name": string, "subdir": string, "virtual-packages": strings}
_CHANNEL: Mapping[str, Convert] = {"url": string, "used_env_vars": strings}
_ENVIRONMENT: Mapping[str, Convert] = {
    "channels": items,
    "indexes": strings,
    "find-links": items,
    "options": mapping,
    "packages": mapping,
}
