"""Entries of dependency tables: conda requirements, sources, pins, and what is inherited.

Source: the reference's manifest page, "The dependencies table(s)" and "pin-subpackage and pin-compatible".
``pypi = "name==version"`` as a source is smelt's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Literal, cast

from smelt.manifest.positions import KeyPath
from smelt.manifest.reading import Problems, Table, type_name
from smelt.manifest.version import version_problem, version_spec_problem
from smelt.types import CondaSpec, GitReference, SourceLocation, is_package_name, normalize_name


@dataclass(frozen=True, slots=True, kw_only=True)
class TomlPin:
    """``{ pin-compatible = … }`` or ``{ pin-subpackage = … }``."""

    kind: Literal["compatible", "subpackage"]
    lower_bound: str | None = "x.x.x.x.x.x"
    upper_bound: str | None = "x"
    exact: bool = False
    build: str | None = None


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

_LOCATION_KEYS = ("url", "git", "path", "branch", "rev", "tag", "lfs", "subdirectory", "md5", "sha256", "pypi")
_ARCHIVES = (".conda", ".tar.bz2")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")
_PYPI = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*==\s*([A-Za-z0-9][A-Za-z0-9.!+_-]*)\s*")
_BUILD_NUMBER = re.compile(r"(?:==|!=|<=|>=|<|>|=)?\s*\d+")
_PIN_EXPRESSION = re.compile(r"x(?:\.x)*")


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
            help=f'write `{name} = "{value}"`' if isinstance(value, int | float) else None,
        )
        return None
    table = Table(cast("dict[str, object]", value), path, problems)
    if pins and ("pin-compatible" in table or "pin-subpackage" in table):
        pin = _read_pin(table)
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
                f"`{key}` cannot be given together with `workspace`",
                problems.key(table.at(key)),
                help="the version and the source of an inherited dependency are those of `[workspace.dependencies]`",
            )
            return False
    return True


def read_spec(table: Table, *, inherited: bool = False, hidden: tuple[str, ...] = ()) -> CondaSpec:
    """The requirement that ``table`` describes. Complains of keys that do not go together."""
    problems = table.problems
    version = table.parsed("version", version_spec_problem)
    location = _read_location(table, partial=inherited)
    build = table.string("build")
    number = _build_number(table)
    file_name = table.string("file-name")
    extras = table.strings("extras")
    flags = table.strings("flags")
    channel = table.string("channel")
    subdir = table.string("subdir")
    license = table.string("license")
    family = table.string("license-family")
    when = _read_when(table.take("when"), table.at("when"), problems) if "when" in table else table.take("when")
    features = table.strings("track-features")
    table.finish(hidden=hidden)
    given = [key for key in table.data if key in ("url", "git", "path", "pypi")]
    if len(given) > 1:
        _conflict(table, given[1], f"only one of {', '.join(f'`{key}`' for key in given)} can be given")
        return CondaSpec()
    kind = given[0] if given else None
    for key in ("branch", "tag", "rev", "lfs"):
        if key in table and kind != "git" and not inherited:
            _conflict(table, key, f"`{key}` only goes with `git`")
            return CondaSpec()
    refs = [key for key in table.data if key in ("branch", "tag", "rev")]
    if len(refs) > 1:
        _conflict(table, refs[1], f"only one of {', '.join(f'`{key}`' for key in refs)} can be given")
        return CondaSpec()
    binary = kind in ("url", "path") and str(table.data[kind]).endswith(_ARCHIVES)
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
            _conflict(table, key, f"`{key}` cannot be used with `{kind}`")
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


def _conflict(table: Table, key: str, message: str) -> None:
    table.problems.error("conflict", message, table.problems.key(table.at(key)))


def read_location(table: Table, *, lfs: bool = True) -> SourceLocation | None:
    """A table that is nothing but a source (``[package.build] source``, ``[dev]``), or None after a mistake."""
    problems = table.problems
    before = len(problems.errors)
    location = _read_location(table)
    table.finish()
    given = [key for key in table.data if key in ("url", "git", "path", "pypi")]
    if not given and len(problems.errors) == before:
        problems.error("source", "no source is given", table.place, help="give one of `path`, `git`, `url` and `pypi`")
    elif len(given) > 1:
        _conflict(table, given[1], f"only one of {', '.join(f'`{key}`' for key in given)} can be given")
    for key in ("branch", "tag", "rev", "lfs"):
        if key in table and "git" not in table:
            _conflict(table, key, f"`{key}` only goes with `git`")
    refs = [key for key in table.data if key in ("branch", "tag", "rev")]
    if len(refs) > 1:
        _conflict(table, refs[1], f"only one of {', '.join(f'`{key}`' for key in refs)} can be given")
    for key in ("sha256", "md5"):
        if key in table and given and given[0] != "url":
            _conflict(table, key, f"`{key}` cannot be used with `{given[0]}`")
    if not lfs and "lfs" in table:
        _conflict(table, "lfs", "`lfs` is not supported for the source of a package")
    return location if len(problems.errors) == before else None


def _read_location(table: Table, *, partial: bool = False) -> SourceLocation | None:
    """The source that ``table`` names, or None if it names none; ``partial``: a part of one is enough."""
    if not any(key in table for key in _LOCATION_KEYS):
        for key in _LOCATION_KEYS:
            table.asked[key] = None
        return None
    url = table.parsed("url", url_problem)
    git = table.parsed("git", _git_problem)
    path = table.string("path")
    branch, rev, tag = table.string("branch"), table.string("rev"), table.string("tag")
    lfs = table.boolean("lfs")
    subdirectory = table.parsed("subdirectory", subdirectory_problem)
    md5 = table.parsed("md5", lambda text: _digest_problem(text, "md5", 32))
    sha256 = table.parsed("sha256", lambda text: _digest_problem(text, "sha256", 64))
    pypi = table.parsed("pypi", pypi_source_problem)
    if "path" in table and path == "":
        table.problems.error("value", "a path cannot be empty", table.problems.value(table.at("path")))
    if not (url or git or path or pypi or partial):
        return None
    return SourceLocation(
        path=path,
        git=git,
        reference=GitReference(branch=branch, tag=tag, rev=rev) if branch or rev or tag else None,
        url=url,
        md5=md5 if url or partial else None,
        sha256=sha256 if url or partial else None,
        subdirectory=normalize_subdirectory(subdirectory) if subdirectory and (git or url or partial) else None,
        lfs=lfs if git or partial else None,
        pypi=normalize_pypi_source(pypi) if pypi else None,
    )


def _build_number(table: Table) -> str | None:
    value = table.take("build-number")
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return str(value)
    return table.parsed(
        "build-number",
        lambda text: None if _BUILD_NUMBER.fullmatch(text.strip()) else f"`{text}` is not a build number (`>=1`)",
    )


def url_problem(text: str) -> str | None:
    """Why ``text`` is no absolute URL, or None."""
    return None if _URL.fullmatch(text.strip()) else f"`{text}` is not an address (it begins with no `https://`)"


def _git_problem(text: str) -> str | None:
    if url_problem(text) is None:
        return None
    found = re.fullmatch(r"([\w.-]+@[\w.-]+):(\S+)", text)
    if found:
        return f"`{text}` is not an address; write `ssh://{found.group(1)}/{found.group(2)}`"
    return f"`{text}` is not the address of a git repository (`https://…`, `ssh://…`, `file://…`)"


def subdirectory_problem(text: str) -> str | None:
    """Why ``text`` does not name a folder inside of a checkout, or None."""
    if text.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", text):
        return f"the subdirectory `{text}` must be relative"
    depth = 0
    for part in re.split(r"[\\/]", text):
        depth += -1 if part == ".." else 0 if part in ("", ".") else 1
        if depth < 0:
            return f"the subdirectory `{text}` leads out of the source"
    return None


def normalize_subdirectory(text: str) -> str | None:
    """``text`` without ``.``, ``..`` and superfluous slashes; None for the root itself."""
    parts: list[str] = []
    for part in PurePosixPath(text.replace("\\", "/")).parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts) or None


def pypi_source_problem(text: str) -> str | None:
    """Why ``text`` is not ``name==version``, or None."""
    if _PYPI.fullmatch(text):
        return None
    return f"`{text}` does not name one release: write `name==version`"


def normalize_pypi_source(text: str) -> str:
    """``name==version`` without white space."""
    found = _PYPI.fullmatch(text)
    return f"{found.group(1)}=={found.group(2)}" if found else text


def _digest_problem(text: str, kind: str, length: int) -> str | None:
    if re.fullmatch(rf"[0-9a-fA-F]{{{length}}}", text):
        return None
    return f"`{text}` is not a {kind} digest ({length} hexadecimal digits)"


def _read_pin(table: Table) -> TomlPin | None:
    problems = table.problems
    key = "pin-compatible" if "pin-compatible" in table else "pin-subpackage"
    others = [other for other in table.data if other != key]
    if others:
        problems.error("pin", f"`{key}` cannot be combined with `{others[0]}`", problems.key(table.at(others[0])))
        return None
    kind: Literal["compatible", "subpackage"] = "compatible" if key == "pin-compatible" else "subpackage"
    value = table.data[key]
    if value is True:
        return TomlPin(kind=kind)
    if value is False:
        problems.error(
            "pin",
            f"`{key} = false` means nothing",
            problems.value(table.at(key)),
            help="remove it, or give a table (`lower-bound`, `upper-bound`, `build`, `exact`)",
        )
        return None
    pin = table.table(key, "`true` or a table")
    if pin is None:
        return None
    before = len(problems.errors)
    lower = pin.parsed("lower-bound", _bound_problem)
    upper = pin.parsed("upper-bound", _bound_problem)
    build = pin.string("build")
    exact = pin.boolean("exact") or False
    pin.finish()
    if exact and len(pin.data) > 1:
        other = next(each for each in pin.data if each != "exact")
        problems.error("pin", f"`exact` cannot be combined with `{other}`", problems.key(pin.at(other)))
    if len(problems.errors) > before:
        return None
    default = TomlPin(kind=kind)
    return TomlPin(
        kind=kind,
        lower_bound=lower if lower is not None else default.lower_bound,
        upper_bound=upper if upper is not None else default.upper_bound,
        exact=exact,
        build=build,
    )


def _bound_problem(text: str) -> str | None:
    if _PIN_EXPRESSION.fullmatch(text) or version_problem(text) is None:
        return None
    return f"`{text}` is neither a pin (`x.x`) nor a version"


_WHEN_TEXT = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.-]*)\s*((?:[=!<>~]|\s\*|\s\d|\s\().*)?", re.DOTALL)
_WHEN_KEYS = (
    *("version", "build", "build-number", "file-name", "extras", "flags", "subdir"),
    *("license", "license-family", "track-features", "when"),
)


def _read_when(value: object, path: KeyPath, problems: Problems) -> str | None:
    """The condition of a dependency as the text that MatchSpec's ``when`` takes."""
    if isinstance(value, str):
        if "[" in value or "]" in value:
            complaint = "a condition in text form takes no brackets"
        elif "::" in value:
            complaint = "a condition takes no channel"
        elif not _WHEN_TEXT.fullmatch(value.strip()):
            complaint = f"`{value}` is not the name of a package, with or without a version"
        else:
            return value.strip()
        problems.error(
            "when",
            complaint,
            problems.value(path),
            help='write a table: `when = { package = "python", version = ">=3.10", build = "*_cpython" }`',
        )
        return None
    if not isinstance(value, dict):
        problems.error("type", f"expected a string or a table, found {type_name(value)}", problems.value(path))
        return None
    table = Table(cast("dict[str, object]", value), path, problems)
    kinds = [key for key in ("all", "any", "package") if key in table]
    if len(kinds) != 1:
        problems.error("when", "a condition has exactly one of `all`, `any` and `package`", table.place)
        return None
    if kinds[0] != "package":
        return _combine_when(table, kinds[0])
    name = table.string("package")
    version = table.parsed("version", version_spec_problem)
    texts = {key: table.string(key) for key in ("build", "file-name", "subdir", "license", "license-family")}
    number = _build_number(table)
    lists = {key: table.strings(key) for key in ("extras", "flags", "track-features")}
    nested = _read_when(table.take("when"), table.at("when"), problems) if "when" in table else None
    for key in (*_LOCATION_KEYS, "channel"):
        if key in table:
            _conflict(table, key, f"`{key}` cannot be part of a condition")
            table.asked[key] = None
    table.finish(hidden=(*_LOCATION_KEYS, "channel"))
    if name is None:
        return None
    properties = {"version": version, "build_number": number}
    for key, text in texts.items():
        properties["fn" if key == "file-name" else key.replace("-", "_")] = text
    parts = [f"{key}='{text}'" for key, text in properties.items() if text is not None]
    parts += [f"{key.replace('-', '_')}=[{','.join(items)}]" for key, items in lists.items() if items]
    own = f"{name}[{', '.join(parts)}]" if parts else name
    return f"({own} and {nested})" if nested else own


def _combine_when(table: Table, key: str) -> str | None:
    items = table.array(key)
    table.finish()
    if items is None:
        return None
    if not items:
        table.problems.error("when", f"`{key}` needs at least one condition", table.problems.value(table.at(key)))
        return None
    parts = [_read_when(item, (*table.path, key, index), table.problems) for index, item in enumerate(items)]
    texts = [part for part in parts if part is not None]
    return texts[0] if len(texts) == 1 else f"({(' and ' if key == 'all' else ' or ').join(texts)})"


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
