"""``pixi.lock`` → ``Lock``.

Version 7 is read here; older versions are first brought to version 7 by rattler (``smelt.lock.codec.upgrade``).
Unknown keys are passed over, as rattler's reader does. Source: ``rattler_lock``, ``parse/models/v7``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn, cast

from smelt.errors import Label, LockError
from smelt.lock import document, section
from smelt.lock.fields import (
    Convert,
    WrongValue,
    choice,
    flag,
    mapping,
    natural,
    number_or_text,
    string,
    strings,
    strings_by_name,
    timestamp,
)
from smelt.lock.location import derive, derive_build_number, derive_noarch, is_archive_name, to_address
from smelt.lock.model import (
    BuildSource,
    Lock,
    LockedEnvironment,
    LockedPackage,
    LockedPlatform,
    PypiPackage,
    Reference,
    ReferenceKind,
    SourcePackage,
)
from smelt.text import SourceText
from smelt.types import KNOWN_PLATFORMS, CondaRecord, GitReference, RunExports, SourceLocation

_KINDS: tuple[ReferenceKind, ...] = ("conda", "conda_source", "pypi")


def read(path: Path) -> Lock:
    """The lock file ``path``. Raises LockError: what ``parse`` raises, ``lock-missing``, ``lock-unreadable``."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise LockError(
            f"there is no lock file {path}", code="lock-missing", help="run `smelt lock` to make one"
        ) from None
    except OSError as error:
        raise LockError(
            f"{path} cannot be read: {error.strerror or error}",
            code="lock-unreadable",
            help="check that it is a file and that you may read it",
        ) from None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise LockError(
            f"{path} is not text in UTF-8 (line {line}, byte {error.start})",
            code="lock-syntax",
            help="remove the file and run `smelt lock` to make a new one, or restore it from version control",
        ) from None
    return parse(text.replace("\r\n", "\n"), str(path))


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
    lock = _Reader(upgraded).lock(document.load(upgraded)[0])
    return replace(lock, version=version, sources=section.read(data.get("smelt")))


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
            sources = section.read(data.get("smelt"))
        except WrongValue as error:
            self._fail(error)
        return Lock(
            version=document.NEWEST_VERSION,
            platforms=platforms,
            environments=MappingProxyType(environments),
            packages=MappingProxyType(packages),
            sources=sources,
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
        for index, item in enumerate(_list(value, "platforms") if value is not None else ()):
            path = f"platforms[{index}]"
            fields = _convert(item, _PLATFORM, path)
            name = cast("str", _required(fields, "name", path))
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
        for index, item in enumerate(_list(value, "packages")):
            path = f"packages[{index}]"
            data = mapping(item, path)
            reference = self._reference(data, path)
            if reference.kind == "conda":
                found[reference] = _conda(data, reference.value, path)
            elif reference.kind == "conda_source":
                found[reference] = self._source(data, reference.value, path)
            else:
                # rattler merges entries of one address; the first one is the fuller by its sort order.
                found.setdefault(reference, _pypi(data, reference.value, path))
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
        for index, item in enumerate(_list(value, path)):
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
            fields = _convert(item, _ENVIRONMENT, path)
            locked: dict[str, tuple[Reference, ...]] = {}
            for platform, references in cast("Mapping[str, object]", _required(fields, "packages", path)).items():
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
            channels, variables = _channels(_required(fields, "channels", path), f"{path}.channels")
            found[name] = LockedEnvironment(
                channels=channels,
                packages=MappingProxyType(locked),
                options=MappingProxyType(dict(cast("Mapping[str, object]", fields.get("options", {})))),
                indexes=MappingProxyType(indexes) if "indexes" in fields else None,
                channel_env_vars=MappingProxyType(variables),
            )
        return found

    def _source(self, data: Mapping[str, object], identifier: str, path: str) -> SourcePackage:
        name, bracket, rest = identifier.partition("[")
        digest, separator, location = rest.partition("] @ ")
        if not (name and bracket and digest and separator and location):
            raise WrongValue(
                f"{path}.conda_source",
                f"{identifier!r} is not of the form `name[hash] @ location`",
                near=identifier,
            )
        fields = _convert(data, _SOURCE, path, near=identifier)
        for key in ("build_packages", "host_packages"):
            fields[key] = self._references(data.get(key) or [], f"{path}.{key}")
        return SourcePackage(name=name, hash=digest, location=location, **fields)  # pyright: ignore[reportArgumentType]


def _list(value: object, path: str) -> list[object]:
    if not isinstance(value, list):
        raise WrongValue(path, "must be a list")
    return cast("list[object]", value)


def _required(fields: Mapping[str, object], key: str, path: str) -> object:
    if key not in fields:
        raise WrongValue(f"{path}.{key}", "is missing")
    return fields[key]


def _convert(value: object, table: Mapping[str, Convert], path: str, *, near: str | None = None) -> dict[str, object]:
    """The known fields of a mapping, each converted; null counts as absent."""
    found: dict[str, object] = {}
    for key, item in mapping(value, path).items():
        convert = table.get(key)
        if convert is not None and item is not None:
            try:
                found[key] = convert(item, key)
            except WrongValue as error:
                raise WrongValue(f"{path}.{error.path}", error.problem, near=near or error.near) from None
    return found


def _run_exports(value: object, path: str) -> RunExports:
    fields = _convert(value, _RUN_EXPORTS, path)
    return RunExports(**cast("dict[str, tuple[str, ...]]", fields))


def _variants(value: object, path: str) -> Mapping[str, str | int | bool]:
    return MappingProxyType({k: number_or_text(v, f"{path}.{k}") for k, v in mapping(value, path).items()})


def _build_source(value: object, path: str) -> BuildSource:
    fields = _convert(value, _BUILD_SOURCE, path)
    if sum(key in fields for key in ("path", "git", "url")) != 1:
        raise WrongValue(path, "must have exactly one of `path`, `git` and `url`")
    if "url" in fields and "sha256" not in fields:
        raise WrongValue(f"{path}.sha256", "is missing")
    if "git" in fields and "rev" not in fields:
        raise WrongValue(f"{path}.rev", "is missing")
    if "branch" in fields and "tag" in fields:
        raise WrongValue(path, "cannot have both `branch` and `tag`")
    return BuildSource(**fields)  # pyright: ignore[reportArgumentType]


def _source_depends(value: object, path: str) -> Mapping[str, SourceLocation]:
    found: dict[str, SourceLocation] = {}
    for name, item in mapping(value, path).items():
        here = f"{path}.{name}"
        fields = _convert(item, _SOURCE_LOCATION, here)
        if sum(key in fields for key in ("path", "git", "url")) != 1:
            raise WrongValue(here, "must have exactly one of `path`, `git` and `url`")
        pins = {key: cast("str", fields.pop(key)) for key in ("branch", "tag", "rev") if key in fields}
        if len(pins) > 1:
            raise WrongValue(here, "must have at most one of `branch`, `tag` and `rev`")
        reference = GitReference(**pins) if pins else None
        found[name] = SourceLocation(reference=reference, **fields)  # pyright: ignore[reportArgumentType]
    return MappingProxyType(found)


def _channels(value: object, path: str) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    urls: list[str] = []
    variables: dict[str, tuple[str, ...]] = {}
    for index, item in enumerate(_list(value, path)):
        here = f"{path}[{index}]"
        fields = _convert(item, _CHANNEL, here)
        url = cast("str", _required(fields, "url", here))
        urls.append(url)
        if fields.get("used_env_vars"):
            variables[url] = cast("tuple[str, ...]", fields["used_env_vars"])
    return tuple(urls), variables


def _conda(data: Mapping[str, object], location: str, path: str) -> CondaRecord:
    fields = _convert(data, _CONDA, path, near=location)
    derived = derive(location)
    for key in ("name", "version", "subdir", "file_name", "channel"):
        if key not in fields:
            fields[key] = getattr(derived, key)
    for key in ("name", "version", "subdir", "file_name"):
        if fields[key] is None:
            problem = "is missing, and the address does not tell it"
            raise WrongValue(f"{path}.{key}", problem, near=location)
    if not is_archive_name(location.replace("\\", "/").rsplit("/", 1)[-1].partition("#")[0].partition("?")[0]):
        raise WrongValue(f"{path}.conda", f"{location!r} is not the address of a package archive", near=location)
    build = cast("str", fields.setdefault("build", derived.build or ""))
    if "build_number" not in fields:
        fields["build_number"] = derive_build_number(build)
    if "noarch" not in fields:
        fields["noarch"] = derive_noarch(derived.subdir or cast("str", fields["subdir"]), derived.build or build)
    channel = cast("str | None", fields["channel"])
    if channel is not None and not channel.endswith("/"):
        fields["channel"] = channel + "/"
    return CondaRecord(url=to_address(location), **fields)  # pyright: ignore[reportArgumentType]


def _pypi(data: Mapping[str, object], location: str, path: str) -> PypiPackage:
    # rattler passes over a hash that is no text (unquoted digits), where every other field would be an error.
    data = {key: value for key, value in data.items() if key not in ("sha256", "md5") or isinstance(value, str)}
    fields = _convert(data, _PYPI, path, near=location)
    name = cast("str", _required(fields, "name", path))
    version = cast("str | None", fields.get("version"))
    kept = {key: value for key, value in data.items() if key != "pypi" and value is not None}
    return PypiPackage(location=location, name=name, version=version, data=MappingProxyType(kept))


_noarch: Callable[[object, str], object] = choice(
    {"python": "python", "generic": "generic", True: "generic", False: None, "": None}
)

_PLATFORM: Mapping[str, Convert] = {"name": string, "subdir": string, "virtual-packages": strings}
_CHANNEL: Mapping[str, Convert] = {"url": string, "used_env_vars": strings}
_ENVIRONMENT: Mapping[str, Convert] = {
    "channels": _list,
    "indexes": strings,
    "find-links": _list,
    "options": mapping,
    "packages": mapping,
}
_RUN_EXPORTS: Mapping[str, Convert] = {
    "weak": strings,
    "strong": strings,
    "noarch": strings,
    "weak_constrains": strings,
    "strong_constrains": strings,
}
_RECORD: Mapping[str, Convert] = {
    "version": string,
    "build": string,
    "build_number": natural,
    "subdir": string,
    "noarch": _noarch,
    "depends": strings,
    "constrains": strings,
    "extra_depends": strings_by_name,
    "features": string,
    "flags": strings,
    "track_features": strings,
    "license": string,
    "license_family": string,
    "purls": strings,
    "run_exports": _run_exports,
    "size": natural,
    "python_site_packages_path": string,
}
_CONDA: Mapping[str, Convert] = {
    **_RECORD,
    "name": string,
    "sha256": string,
    "md5": string,
    "legacy_bz2_md5": string,
    "legacy_bz2_size": natural,
    "channel": string,
    "file_name": string,
    "timestamp": timestamp,
}
_SOURCE: Mapping[str, Convert] = {
    **_RECORD,
    "variants": _variants,
    "source": _build_source,
    "source_depends": _source_depends,
}
_BUILD_SOURCE: Mapping[str, Convert] = {
    "path": string,
    "url": string,
    "sha256": string,
    "git": string,
    "rev": string,
    "branch": string,
    "tag": string,
    "explicit_rev": flag,
    "subdir": string,
}
_SOURCE_LOCATION: Mapping[str, Convert] = {
    "path": string,
    "git": string,
    "rev": string,
    "branch": string,
    "tag": string,
    "url": string,
    "md5": string,
    "sha256": string,
    "subdirectory": string,
    "lfs": flag,
}
_PYPI: Mapping[str, Convert] = {
    "name": string,
    "version": string,
    "sha256": string,
    "md5": string,
    "index": string,
    "requires_dist": strings,
    "requires_python": string,
}
