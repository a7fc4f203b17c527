"""Requirements on PyPI packages: those of the manifest and those of locked packages, in one form.

Source: PEP 440, PEP 508; the reference's manifest page, "pypi-dependencies".
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, replace
from functools import lru_cache
from urllib.parse import parse_qs

from packaging.markers import InvalidMarker, Marker
from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as Pep508
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from smelt.lock.location import is_url
from smelt.manifest.pypi import PypiRequirement, normalize_pypi_name
from smelt.types import GitReference


@dataclass(frozen=True, slots=True)
class PypiWanted:
    """What is wanted of a package. ``own``: where it comes from (version, place, index…). ``text`` is for messages."""

    name: str
    text: str
    specifier: SpecifierSet
    marker: Marker | None
    extras: tuple[str, ...]
    own: PypiRequirement

    def contains(self, version: Version) -> bool:
        """Whether the specifiers allow ``version``; pre-releases count like any other."""
        return self.specifier.contains(version, prereleases=True)


def from_manifest(requirement: PypiRequirement) -> PypiWanted:
    """A requirement of the manifest. Raises ValueError for a version or marker that is none."""
    try:
        marker = Marker(requirement.markers) if requirement.markers else None
        specifier = SpecifierSet(requirement.version or "")
    except (InvalidMarker, InvalidSpecifier) as error:
        raise ValueError(f"`{requirement.name}`: {error}") from None
    return PypiWanted(requirement.name, describe(requirement), specifier, marker, requirement.extras, requirement)


@lru_cache(maxsize=65536)
def from_text(text: str) -> PypiWanted:
    """A requirement of a locked package (PEP 508, paths allowed). Raises ValueError."""
    try:
        parsed = Pep508(text)
    except InvalidRequirement:
        raise ValueError(f"`{text}` is not a requirement (PEP 508)") from None
    name = normalize_pypi_name(parsed.name)
    own = PypiRequirement(name=name, extras=tuple(parsed.extras))
    if parsed.url is not None:
        own = _located(own, parsed.url)
    extras = tuple(sorted(normalize_pypi_name(extra) for extra in parsed.extras))
    return PypiWanted(name, text, parsed.specifier, parsed.marker, extras, own)


def _located(own: PypiRequirement, url: str) -> PypiRequirement:
    address, _, fragment = url.partition("#")
    folder = parse_qs(fragment).get("subdirectory", [None])[0]
    if address.startswith("git+"):
        scheme, _, rest = address.removeprefix("git+").partition("://")
        base, mark, revision = rest.rpartition("@")
        if not mark or "/" not in base:
            base, revision = rest, ""
        reference = GitReference(rev=revision) if revision else None
        return replace(own, git=f"{scheme}://{base}", reference=reference, subdirectory=folder)
    if address.startswith("file:") or not is_url(address):
        return replace(own, path=address.removeprefix("file://").removeprefix("file:"))
    return replace(own, url=address, subdirectory=folder)


def describe(requirement: PypiRequirement) -> str:
    """A requirement for messages, as PEP 508 has it."""
    extras = f"[{','.join(requirement.extras)}]" if requirement.extras else ""
    place = requirement.url or requirement.path
    if requirement.git is not None:
        place = f"git+{requirement.git}"
    middle = f" @ {place}" if place is not None else requirement.version or ""
    marker = f" ; {requirement.markers}" if requirement.markers else ""
    return f"{requirement.name}{extras}{middle}{marker}"


def lower_bound_problem(specifiers: str, python: Version) -> bool:
    """Whether ``Requires-Python`` leaves ``python`` out by its lower bounds.

    Upper bounds do not count, as uv has it: they are guesses more often than facts.
    """
    try:
        parsed = SpecifierSet(specifiers)
    except InvalidSpecifier:
        return False
    for each in parsed:
        if each.operator in (">=", ">", "~=") and not SpecifierSet(f">={each.version}").contains(python, True):
            return True
        if each.operator in ("==", "===") and Version(each.version.removesuffix(".*")) > python:
            return True
    return False


def same_path(left: str, right: str, root: str | None) -> bool:
    """Whether two paths, each absolute or relative to the workspace ``root``, are one."""
    return _absolute(left, root) == _absolute(right, root)


def _absolute(path: str, root: str | None) -> str:
    path = path.replace("\\", "/")
    if root is not None and not (path.startswith("/") or re.match(r"[A-Za-z]:/", path)):
        path = posixpath.join(root.replace("\\", "/"), path)
    return posixpath.normpath(path)


def self_expanded(name: str, requirements: tuple[str, ...]) -> frozenset[str]:
    """``requires_dist`` in a form in which two ways of writing one set of extras are equal.

    ``pkg[test] ; extra == "dev"`` in the metadata of ``pkg`` stands for what its extra ``test`` requires.
    """
    parsed = [Pep508(text) for text in requirements]
    found: set[str] = set()

    def expand(requirement: Pep508, marker: str, path: tuple[str, ...]) -> None:
        if normalize_pypi_name(requirement.name) != name:
            found.add(_canonical(requirement, marker))
            return
        for extra in map(normalize_pypi_name, requirement.extras):
            if extra in path:
                continue
            for child in parsed:
                own, rest = _split_extra(child)
                if own == extra:
                    joined = " and ".join(part for part in (rest, marker) if part)
                    expand(child, joined, (*path, extra))

    for requirement in parsed:
        expand(requirement, str(requirement.marker or ""), ())
    return frozenset(found)


_EXTRA = re.compile(r"""(?:^|\s+and\s+)extra\s*==\s*["']([^"']+)["']$|^extra\s*==\s*["']([^"']+)["']\s+and\s+""")


def _split_extra(requirement: Pep508) -> tuple[str | None, str]:
    """The extra that a requirement belongs to at its top level, and the rest of its marker."""
    text = str(requirement.marker or "")
    found = _EXTRA.search(text)
    if found is None:
        return None, text
    rest = (text[: found.start()] + text[found.end() :]).strip()
    return normalize_pypi_name(found[1] or found[2]), rest


_PYTHON_VERSION = re.compile(r"""python_version (<|>=) "(\d+\.\d+)\"""")


def _canonical(requirement: Pep508, marker: str) -> str:
    extras = ",".join(sorted(map(normalize_pypi_name, requirement.extras)))
    place = f" @ {requirement.url}" if requirement.url else ",".join(sorted(map(str, requirement.specifier)))
    # rattler writes python_version as python_full_version where that is the same
    marker = _PYTHON_VERSION.sub(r'python_full_version \1 "\2"', str(Marker(marker))) if marker else ""
    parts = sorted(re.split(r" and ", marker)) if " or " not in marker else [marker]
    return f"{normalize_pypi_name(requirement.name)}[{extras}]{place};{' and '.join(parts)}"
