"""Where source code is: paths, git repositories, archives, and releases on PyPI (smelt's own)."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from smelt.manifest.reading import Table
from smelt.types import GitReference, SourceLocation

LOCATION_KEYS = ("url", "git", "path", "branch", "rev", "tag", "lfs", "subdirectory", "md5", "sha256", "pypi")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")
_PYPI = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*==\s*([A-Za-z0-9][A-Za-z0-9.!+_-]*)\s*")


def conflict(table: Table, key: str, message: str) -> None:
    """Report that ``key`` does not go with the others of ``table``."""
    table.problems.error("conflict", message, table.problems.key(table.at(key)))


def read_location(table: Table, *, lfs: bool = True) -> SourceLocation | None:
    """A table that is nothing but a source (``[package.build] source``, ``[dev]``), or None after a mistake."""
    problems = table.problems
    before = len(problems.errors)
    location = read_partial_location(table)
    table.finish()
    given = [key for key in table.data if key in ("url", "git", "path", "pypi")]
    if not given and len(problems.errors) == before:
        problems.error("source", "no source is given", table.place, help="give one of `path`, `git`, `url` and `pypi`")
    elif len(given) > 1:
        conflict(table, given[1], f"only one of {', '.join(f'`{key}`' for key in given)} can be given")
    for key in ("branch", "tag", "rev", "lfs"):
        if key in table and "git" not in table:
            conflict(table, key, f"`{key}` only goes with `git`")
    refs = [key for key in table.data if key in ("branch", "tag", "rev")]
    if len(refs) > 1:
        conflict(table, refs[1], f"only one of {', '.join(f'`{key}`' for key in refs)} can be given")
    for key in ("sha256", "md5"):
        if key in table and given and given[0] != "url":
            conflict(table, key, f"`{key}` cannot be used with `{given[0]}`")
    if not lfs and "lfs" in table:
        conflict(table, "lfs", "`lfs` is not supported for the source of a package")
    return location if len(problems.errors) == before else None


def read_partial_location(table: Table, *, partial: bool = False) -> SourceLocation | None:
    """The source that ``table`` names, or None if it names none; ``partial``: a part of one is enough."""
    if not any(key in table for key in LOCATION_KEYS):
        for key in LOCATION_KEYS:
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


def url_problem(text: str) -> str | None:
    """Why ``text`` is no absolute URL, or None."""
    return None if _URL.fullmatch(text.strip()) else f"`{text}` is not an address (it begins with no `https://`)"


def channel_problem(text: str) -> str | None:
    """Why ``text`` is no channel, or None."""
    if not text.strip():
        return "a channel cannot be empty"
    if "://" in text and url_problem(text) is not None:
        return f"`{text}` is not an address"
    return None


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
