"""Where a locked PyPI package is from, and whether that is what is wanted.

Source: the reference's ``pixi_record`` (pinned git sources) and ``satisfiability``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from smelt.lock.model import PypiPackage
from smelt.lock.walk import Problem
from smelt.manifest.pypi import PypiRequirement
from smelt.types import GitReference


def same_index(left: str, right: str) -> bool:
    """Whether two addresses are of one index; neither a slash at the end nor credentials make a difference."""
    return plain_index(left).rstrip("/") == plain_index(right).rstrip("/")


def plain_index(url: str) -> str:
    """The address of an index without user and password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl() if "@" in parts.netloc else url


def url_problem(package: PypiPackage, own: PypiRequirement) -> Problem | None:
    """Why a locked package is not the one at an address."""
    if not package.location.startswith("direct+"):
        return Problem("pypi-source", f"'{package.name}' is locked from {package.location}, not from an address")
    have = package.location.removeprefix("direct+").partition("#")[0]
    wanted = (own.url or "").partition("#")[0]
    if plain_index(have) == plain_index(wanted):
        return None
    return Problem("pypi-source", f"'{package.name}' is locked from {have}, required is {plain_index(wanted)}")


def git_problem(package: PypiPackage, own: PypiRequirement, *, direct: bool) -> Problem | None:
    """Why a locked package is not what is wanted from a repository. ``direct``: the manifest wants it."""
    if not package.location.startswith("git+"):
        return Problem("pypi-source", f"'{package.name}' is locked from {package.location}, not from a git repository")
    location = parse_git(package.location)
    if repository(location.git) != repository(own.git or ""):
        return Problem(
            "pypi-source", f"'{package.name}' is locked from the repository {location.git}, required is {own.git}"
        )
    if direct and bool(own.lfs) != location.lfs:
        return Problem("pypi-source", f"'{package.name}' is locked {'with' if location.lfs else 'without'} git LFS")
    reference = own.reference or GitReference()
    if reference == GitReference():
        if location.reference == GitReference():
            return None
        return _reference_problem(package, reference, location.reference)
    if (location.subdirectory or "") != (own.subdirectory or "").strip("/"):
        return Problem(
            "pypi-source",
            f"'{package.name}' is locked from the subdirectory '{location.subdirectory or ''}', "
            f"required is '{own.subdirectory or ''}'",
        )
    if not location.says_reference or location.reference == reference:
        return None
    return _reference_problem(package, reference, location.reference)


def _reference_problem(package: PypiPackage, wanted: GitReference, have: GitReference) -> Problem:
    def shown(reference: GitReference) -> str:
        return reference.branch or reference.tag or reference.rev or "the default branch"

    return Problem("pypi-source", f"'{package.name}' is locked at {shown(have)}, required is {shown(wanted)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class GitLocation:
    """A pinned git source as locks write it: ``git+<repository>?branch=…&subdirectory=…#<commit>``."""

    git: str
    commit: str
    reference: GitReference
    subdirectory: str | None = None
    lfs: bool = False
    says_reference: bool = False


def parse_git(location: str) -> GitLocation:
    """A pinned git source; older locks have ``…@<ref>`` or the commit itself after ``@``."""
    address, _, commit = location.removeprefix("git+").partition("#")
    address, _, query = address.partition("?")
    values = dict(parse_qsl(query))
    scheme, _, rest = address.partition("://")
    base, mark, revision = rest.rpartition("@")
    if not mark or "/" not in base:
        base, revision = rest, ""
    if not commit and re.fullmatch(r"[0-9a-f]{40}", revision):
        commit, revision = revision, ""
    reference = GitReference(
        branch=values.get("branch"), tag=values.get("tag"), rev=values.get("rev") or (revision or None)
    )
    return GitLocation(
        git=f"{scheme}://{base}",
        commit=commit,
        reference=reference,
        subdirectory=values.get("subdirectory"),
        lfs=values.get("lfs") == "true",
        says_reference=reference != GitReference(),
    )


def repository(address: str) -> str:
    """One form for the addresses of one repository."""
    address = address.removeprefix("git+").partition("#")[0].partition("?")[0]
    return plain_index(address).rstrip("/").removesuffix(".git").lower()
