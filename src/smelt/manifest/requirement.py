"""Entries of dependency tables: conda requirements, sources, pins, and what is inherited.

Source: the reference's manifest page, "The dependencies table(s)" and "pin-subpackage and pin-compatible".
``pypi = "name==version"`` as a source is smelt's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import cast

from smelt.manifest.location import conflict, read_partial_location
from smelt.manifest.pin import TomlPin, read_pin
from smelt.manifest.positions import KeyPath
from smelt.manifest.reading import Problems, Table, type_name
from smelt.manifest.version import version_spec_problem
from smelt.manifest.when import build_number, read_when
from smelt.types import CondaSpec, SourceLocation, is_package_name, normalize_name


@dataclass(frozen=True, slots=True, kw_only=True)
class TomlRequirement:
    """One entry of a dependency table.

    ``name`` is normalised; ``path`` is its place. Either ``pin`` is given, or ``spec`` is the requirement: that of
    the entry itself, or with ``inherited`` (``workspace = true``) what is laid over the workspace's entry.
    """

    name: str
    path: KeyPath
    spec: CondaSpec
    pin: TomlPin | None = None
    inherited: bool = False


Requirements = Mapping[str, TomlRequirement]
NO_REQUIREMENTS: Requirements = MappingProxyType({})
ARCHIVES = (".conda", ".tar.bz2")


def read_requirements(
    outer: Table,
    key: str,
    *,
    pins: bool = False,
    inheritance: bool = True,
    inline: Callable[[Table], object] | None = None,
) -> Requirements | None:
    """The dependency table at ``key`` of ``outer``, or None if there is none.

    ``pins``: whether pin entries are accepted; ``inheritance``: whether ``workspace = true`` is; ``inline``: reads
    an inline ``package`` table (without it, ``package`` is an unknown key).
    """
    table = outer.table(key, "a table of dependencies")
    return None if table is None else read_entries(table, list(table.data), pins, inheritance, inline)


def read_entries(
    table: Table,
    names: list[str],
    pins: bool = False,
    inheritance: bool = True,
    inline: Callable[[Table], object] | None = None,
) -> Requirements:
    """The entries ``names`` of ``table`` as requirements."""
    problems = table.problems
    found: dict[str, TomlRequirement] = {}
    for written in names:
        value = table.take(written)
        path = table.at(written)
        name = normalize_name(written)
        if not is_package_name(written):
            problems.error(
                "package-name",
                f"`{written}` is not the name of a conda package",
                problems.key(path),
                help="names have letters, digits, `-`, `_` and `.`",
            )
            continue
        if name in found:
            problems.error(
                "duplicate",
                f"`{written}` is given twice: upper and lower case are the same in names of packages",
                problems.key(path),
                "given again here",
                also=[(problems.key(found[name].path), "first given here")],
            )
            continue
        requirement = _read_entry(name, value, path, problems, pins, inheritance, inline)
        if requirement is not None:
            found[name] = requirement
    return found


def _read_entry(
    name: str,
    value: object,
    path: KeyPath,
    problems: Problems,
    pins: bool,
    inheritance: bool,
    inline: Callable[[Table], object] | None,
) -> TomlRequirement | None:
    if isinstance(value, str):
        complaint = version_spec_problem(value)
        if complaint is not None:
            problems.error("version", complaint, problems.value(path))
            return None
        return TomlRequirement(name=name, path=path, spec=CondaSpec(version=value))
    if not isinstance(value, dict):
        problems.error(
            "type",
            f"expected a version or a table, found {type_name(value)}",
            problems.value(path),
            help=_meant(name, value),
        )
        return None
    table = Table(cast("dict[str, object]", value), path, problems)
    if pins and ("pin-compatible" in table or "pin-subpackage" in table):
        pin = read_pin(table)
        return None if pin is None else TomlRequirement(name=name, path=path, spec=CondaSpec(), pin=pin)
    for key in ("pin-compatible", "pin-subpackage"):
        if not pins and key in table:
            problems.error(
                "pin",
                f"`{key}` is not allowed in this table",
                problems.key(table.at(key)),
                help="pins belong to `run-dependencies`, `host-dependencies` and `run-exports` of a package",
            )
            return None
    inherited = False
    if "workspace" in table:
        if not inheritance:
            problems.error(
                "inheritance",
                "`workspace = true` is not supported in this table",
                problems.key(table.at("workspace")),
            )
            return None
        if not _read_marker(table):
            return None
        inherited = True
    before = len(problems.errors)
    if inline is not None and "package" in table:
        package = table.table("package")
        if package is not None:
            inline(package)
    spec = read_spec(table, inherited=inherited)
    if len(problems.errors) > before:
        return None
    if inline is not None and "package" in table:
        if not inherited and not spec.is_source:
            problems.error(
                "inline-package",
                "an inline package needs a source",
                problems.value(path),
                help="add `path`, `git`, `url` or `pypi`: where the source code is",
            )
            return None
        raw = table.data["package"]
        spec = replace(spec, inline_package=MappingProxyType(cast("dict[str, object]", raw)))
    return TomlRequirement(name=name, path=path, spec=spec, inherited=inherited)


def _meant(name: str, value: object) -> str | None:
    if isinstance(value, bool):
        return f'write `{name} = "*"` for any version' if value else "leave the line out"
    return f'write `{name} = "{value}"`' if isinstance(value, int | float) else None


def _read_marker(table: Table) -> bool:
    problems = table.problems
    marker = table.boolean("workspace")
    if marker is None:
        return False
    if not marker:
        problems.error(
            "inheritance",
            "`workspace` cannot be false",
            problems.value(table.at("workspace")),
            help="remove `workspace = false`: nothing is inherited unless it is asked for",
        )
        return False
    for key in ("version", "path", "git", "url", "pypi"):
        if key in table:
            problems.error(
                "inheritance",
                f"`{key}` is mutually exclusive with `workspace`",
                problems.key(table.at(key)),
                help="the version and the source of an inherited dependency are those of `[workspace.dependencies]`",
            )
            return False
    return True


def read_spec(table: Table, *, inherited: bool = False, hidden: tuple[str, ...] = ()) -> CondaSpec:
    """The requirement that ``table`` describes. Complains of keys that do not go together."""
    problems = table.problems
    version = table.parsed("version", version_spec_problem)
    location = read_partial_location(table, partial=inherited)
    build = table.string("build")
    number = build_number(table)
    file_name = table.string("file-name")
    extras = table.strings("extras")
    flags = table.strings("flags")
    channel = table.string("channel")
    subdir = table.string("subdir")
    license = table.string("license")
    family = table.string("license-family")
    when = read_when(table.take("when"), table.at("when"), problems) if "when" in table else table.take("when")
    features = table.strings("track-features")
    table.finish(hidden=hidden)
    given = [key for key in table.data if key in ("url", "git", "path", "pypi")]
    if len(given) > 1:
        conflict(table, given[1], f"only one of {', '.join(f'`{key}`' for key in given)} can be given")
        return CondaSpec()
    kind = given[0] if given else None
    for key in ("branch", "tag", "rev", "lfs"):
        if key in table and kind != "git" and not inherited:
            conflict(table, key, f"`{key}` only goes with `git`")
            return CondaSpec()
    refs = [key for key in table.data if key in ("branch", "tag", "rev")]
    if len(refs) > 1:
        conflict(table, refs[1], f"only one of {', '.join(f'`{key}`' for key in refs)} can be given")
        return CondaSpec()
    binary = kind in ("url", "path") and str(table.data[kind]).endswith(ARCHIVES)
    refused: list[str] = []
    if kind is not None:
        refused += ["channel", "file-name", "license-family"]
        if kind != "url":
            refused += ["sha256", "md5"]
        if binary:
            refused += [
                *("version", "build", "build-number", "extras", "flags"),
                *("subdir", "license", "when", "track-features"),
            ]
    for key in refused:
        if key in table:
            conflict(table, key, f"`{key}` cannot be used with `{kind}`")
            return CondaSpec()
    md5, sha256 = table.data.get("md5"), table.data.get("sha256")
    spec = CondaSpec(
        version=version,
        build=build,
        build_number=number,
        file_name=file_name,
        channel=channel,
        subdir=subdir,
        license=license,
        license_family=family,
        md5=md5 if isinstance(md5, str) and (kind is None or binary) else None,
        sha256=sha256 if isinstance(sha256, str) and (kind is None or binary) else None,
        url=str(table.data[kind]) if binary and kind is not None else None,
        track_features=features or (),
        flags=flags or (),
        extras=extras or (),
        when=when if isinstance(when, str) else None,
        location=None if binary else location,
    )
    if kind is None and not inherited and spec == CondaSpec() and not problems.errors and not hidden:
        problems.error(
            "empty-spec",
            "this dependency says nothing of the package",
            table.place,
            help='give a version (`"*"` means any), another property of the package, or a source',
        )
    return spec


def layer(base: CondaSpec, overrides: CondaSpec) -> CondaSpec:
    """``base`` with every field that ``overrides`` gives; version and place of the source stay those of ``base``."""
    changes = {
        each.name: getattr(overrides, each.name)
        for each in fields(CondaSpec)
        if each.name not in ("version", "location", "md5", "sha256") and getattr(overrides, each.name) not in (None, ())
    }
    if overrides.location is not None and base.location is not None:
        changes["location"] = replace(
            base.location,
            **{
                each.name: getattr(overrides.location, each.name)
                for each in fields(SourceLocation)
                if getattr(overrides.location, each.name) is not None
            },
        )
    elif overrides.location is not None:
        changes["md5"] = overrides.location.md5 or base.md5
        changes["sha256"] = overrides.location.sha256 or base.sha256
    return replace(base, **changes)
