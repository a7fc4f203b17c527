"""Platforms: the entries of ``workspace.platforms``, their names, and the selectors of ``target`` tables.

Source: the reference's manifest page, "platforms" and "The target table".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

from smelt.manifest.positions import KeyPath
from smelt.manifest.reading import Problems, Table, type_name
from smelt.manifest.version import version_problem
from smelt.text import closest
from smelt.types import KNOWN_PLATFORMS, VirtualPackage, default_virtual_packages, is_package_name, platform_family

FAMILIES = ("linux", "macos", "osx", "unix", "win")
_NAME = re.compile(r"[A-Za-z](?:[A-Za-z0-9-]*[A-Za-z0-9])?")
_GLOB = re.compile(r"[A-Za-z0-9*-]+")
_LONGEST = 64

# The order makes the derived name: two entries that declare the same have the same name.
_FRIENDLY = (
    ("cuda", "__cuda", ()),
    ("archspec", "__archspec", ()),
    ("glibc", "__glibc", ()),
    ("linux", "__linux", ()),
    ("macos", "__osx", ("osx",)),
    ("windows", "__win", ()),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TomlPlatform:
    """One entry of ``workspace.platforms``; ``declared`` holds only what the entry itself says."""

    name: str
    subdir: str
    declared: tuple[VirtualPackage, ...] = ()
    path: KeyPath = ()

    @property
    def is_plain(self) -> bool:
        """Whether the entry is nothing but a conda platform."""
        return self.name == self.subdir


def platform_name_problem(name: str) -> str | None:
    """Why ``name`` cannot name a platform of a workspace, or None."""
    if not name:
        return "the name of a platform cannot be empty"
    if len(name) > _LONGEST:
        return f"the name of a platform has at most {_LONGEST} characters, `{name[:20]}…` has {len(name)}"
    if name in FAMILIES:
        return f"`{name}` cannot name a platform: it stands for a family of platforms"
    if not _NAME.fullmatch(name):
        return f"`{name}` cannot name a platform: letters, digits and `-` are allowed, beginning with a letter"
    return None


def selector_problem(selector: str) -> str | None:
    """Why ``selector`` cannot be the key of a ``target`` table, or None."""
    if "(" in selector:
        return f"`{selector}` is not a platform: conditions belong to the dependency tables of `[package]`"
    if selector in FAMILIES or selector in KNOWN_PLATFORMS:
        return None
    if any(mark in selector for mark in "*?["):
        if len(selector) > _LONGEST or not _GLOB.fullmatch(selector):
            return f"`{selector}` is not a pattern for names of platforms (`*` is the only wildcard)"
        return None
    return platform_name_problem(selector)


def selects(selector: str, name: str, subdir: str) -> bool:
    """Whether the target selector applies to the platform ``name`` of conda platform ``subdir``."""
    family = platform_family(subdir)
    if selector == "unix":
        return family not in ("win", "wasi", "noarch", "zos")
    if selector in ("osx", "macos"):
        return family == "osx"
    if selector in ("linux", "win"):
        return family == selector
    if selector in KNOWN_PLATFORMS:
        return selector == subdir
    if "*" in selector:
        pattern = ".*".join(re.escape(part) for part in re.split(r"\*+", selector))
        return re.fullmatch(pattern, name) is not None
    return selector == name


def read_platforms(outer: Table) -> tuple[TomlPlatform, ...]:
    """``platforms`` of the workspace table."""
    problems = outer.problems
    found: dict[str, TomlPlatform] = {}
    for index, item in enumerate(outer.array("platforms", "an array of platforms") or ()):
        platform = _read_platform(item, (*outer.path, "platforms", index), problems)
        if platform is None:
            continue
        if platform.name in found:
            problems.error(
                "duplicate",
                f"the platform `{platform.name}` is given twice",
                problems.value(platform.path),
                "given again here",
                also=[(problems.value(found[platform.name].path), "first given here")],
            )
            continue
        found[platform.name] = platform
    return tuple(found.values())


def _read_platform(value: object, path: KeyPath, problems: Problems) -> TomlPlatform | None:
    if isinstance(value, str):
        if not _check_subdir(value, path, problems):
            return None
        return TomlPlatform(name=value, subdir=value, path=path)
    if not isinstance(value, dict):
        problems.error("type", f"expected a string or a table, found {type_name(value)}", problems.value(path))
        return None
    table = Table(cast("dict[str, object]", value), path, problems)
    before = len(problems.errors)
    name = table.parsed("name", platform_name_problem)
    subdir = table.string("platform")
    declared = _read_virtual_packages(table)
    table.finish()
    if len(problems.errors) > before:
        return None
    if subdir is not None:
        if not _check_subdir(subdir, table.at("platform"), problems):
            return None
    elif name is None:
        problems.error("platform", "a platform needs `platform` or `name`", table.place)
        return None
    elif name in KNOWN_PLATFORMS:
        subdir = name
    else:
        problems.error(
            "platform",
            f"`{name}` is not a conda platform",
            problems.value(table.at("name")),
            help='say which it is: `platform = "linux-64"`',
        )
        return None
    if name is None:
        name = derived_name(subdir, declared)
        complaint = platform_name_problem(name)
        if complaint is not None:
            problems.error("platform", complaint, table.place, help="give the entry a `name`")
            return None
    names = {package.name for package in declared}
    if "__cuda_arch" in names and "__cuda" not in names:
        problems.error("platform", "`__cuda_arch` needs `__cuda`", table.place)
        return None
    if name == subdir and declared:
        problems.error(
            "platform",
            f"`{name}` is the plain conda platform and cannot declare virtual packages",
            table.place,
            help="give the entry a `name` of its own",
        )
        return None
    return TomlPlatform(name=name, subdir=subdir, declared=declared, path=path)


def _check_subdir(subdir: str, path: KeyPath, problems: Problems) -> bool:
    if subdir in KNOWN_PLATFORMS:
        return True
    guess = closest(subdir, KNOWN_PLATFORMS)
    problems.error(
        "platform",
        f"`{subdir}` is not a conda platform",
        problems.value(path),
        help=f"did you mean `{guess}`?" if guess else f"known are {', '.join(KNOWN_PLATFORMS)}",
    )
    return False


def _read_virtual_packages(table: Table) -> tuple[VirtualPackage, ...]:
    problems = table.problems
    found = _read_cuda(table)
    for key, conda_name, aliases in _FRIENDLY:
        if key == "cuda":
            continue
        given = [each for each in (key, *aliases) if each in table]
        for each in (key, *aliases):
            table.asked[each] = None
        if len(given) > 1:
            problems.error("conflict", f"`{given[1]}` means the same as `{given[0]}`", problems.key(table.at(given[1])))
        elif given and key == "archspec":
            value = table.string(given[0])
            if value == "":
                problems.error("value", "`archspec` cannot be empty", problems.value(table.at(given[0])))
            elif value is not None:
                found.append(VirtualPackage(name=conda_name, build=value))
        elif given:
            value = table.parsed(given[0], version_problem)
            if value is not None:
                found.append(VirtualPackage(name=conda_name, version=value))
    for key in [key for key in table.data if key.startswith("__")]:
        package = _read_raw(table, key)
        if package is None:
            continue
        if any(each.name == package.name for each in found):
            problems.error("conflict", f"`{package.name}` is declared twice", problems.key(table.at(key)))
            continue
        found.append(package)
    return tuple(found)


def _read_cuda(table: Table) -> list[VirtualPackage]:
    problems = table.problems
    value = table.take("cuda")
    if not isinstance(value, dict):
        version = table.parsed("cuda", version_problem)
        return [VirtualPackage(name="__cuda", version=version)] if version is not None else []
    inner = Table(cast("dict[str, object]", value), table.at("cuda"), problems)
    driver = inner.parsed("driver", version_problem)
    arch = inner.parsed("arch", version_problem)
    inner.finish()
    if "driver" not in inner:
        problems.error(
            "missing-key",
            "`cuda` needs `driver`: the version of CUDA that the driver supports",
            problems.value(inner.at("arch")) if "arch" in inner else inner.place,
        )
        return []
    found = [VirtualPackage(name="__cuda", version=driver)] if driver is not None else []
    if arch is not None:
        found.append(VirtualPackage(name="__cuda_arch", version=arch))
    return found


def _read_raw(table: Table, key: str) -> VirtualPackage | None:
    problems = table.problems
    if not is_package_name(key):
        problems.error("package-name", f"`{key}` is not a virtual package", problems.key(table.at(key)))
        return None
    value = table.string(key, "a version in quotes")
    if value is None:
        return None
    version, _, build = value.partition("=")
    complaint = version_problem(version)
    if complaint is not None:
        problems.error("version", complaint, problems.value(table.at(key)))
        return None
    return VirtualPackage(name=key.lower(), version=version, build=build or "0")


def customised(subdir: str, declared: Iterable[VirtualPackage]) -> tuple[VirtualPackage, ...]:
    """What of ``declared`` differs from what is assumed of ``subdir`` anyway."""
    defaults = default_virtual_packages(subdir)
    return tuple(package for package in declared if package not in defaults)


def derived_name(subdir: str, declared: Sequence[VirtualPackage]) -> str:
    """The name of a platform that has none: the conda platform and what is special of it."""
    special = {package.name: package for package in customised(subdir, declared)}
    parts = [subdir]
    for key, conda_name, _ in _FRIENDLY:
        package = special.get(conda_name)
        if package is None:
            continue
        if conda_name == "__archspec":
            if package.version != "0" or package.build == "0":
                continue
            parts.append(f"{key}-{_segment(package.build)}")
        elif package.build == "0":
            parts.append(f"{key}-{_segment(package.version)}")
        else:
            continue
        del special[conda_name]
    for name in sorted(special):
        package = special[name]
        text = package.version if package.build == "0" else f"{package.version}={package.build}"
        parts.append(f"{_segment(name)}-{_segment(text)}")
    return "-".join(parts)


def _segment(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")


def read_platform_names(outer: Table) -> tuple[str, ...] | None:
    """``platforms`` of a feature: names of platforms of the workspace."""
    names = outer.strings("platforms", _reference_problem)
    if names is None:
        return None
    problems = outer.problems
    seen: dict[str, int] = {}
    for index, name in enumerate(names):
        if name in seen:
            problems.error(
                "duplicate",
                f"the platform `{name}` is given twice",
                problems.value((*outer.path, "platforms", index)),
                also=[(problems.value((*outer.path, "platforms", seen[name])), "first given here")],
            )
        seen.setdefault(name, index)
    return tuple(seen)


def _reference_problem(name: str) -> str | None:
    return None if name in KNOWN_PLATFORMS else platform_name_problem(name)
