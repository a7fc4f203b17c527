"""What a built package says of things that its build was never given: traces of undeclared inputs.

Nothing is traced while the build runs; what it used of the machine and kept can be seen in the result: libraries
that neither the package nor its environment has, interpreters of scripts, paths of the user's. Mach-O and PE files are
searched for paths only.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

from smelt.archive import Member
from smelt.build.dynamic import dynamic_section

_BASELINE = re.compile(
    r"(ld-linux[\w.-]*|ld-musl[\w.-]*|ld64|libc|libm|libmvec|libpthread|libdl|librt|libutil|libresolv|libnsl|libanl"
    r"|libcrypt|libthread_db|libBrokenLocale|libnss_\w+|libc\.musl[\w.-]*"
    # what compilers add by themselves
    r"|libgcc_s|libstdc\+\+|libgomp|libatomic|libgfortran|libquadmath|libasan|libubsan|libtsan|liblsan)\.so(\.\d+)*"
)
"""Libraries of the system that conda packages may use, and those that belong to the compiler."""

_INTERPRETERS = frozenset(("/bin/sh", "/bin/bash", "/usr/bin/env", "/usr/bin/sh", "/usr/bin/bash", "/sbin/sh"))
_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a build was given. ``prefixes``: its environments. ``placeholder``: what stands for the prefix in files.
    ``foreign``: folders of this machine that nothing in a package should name, and what each is.
    """

    prefixes: tuple[Path, ...]
    placeholder: bytes
    foreign: Mapping[bytes, str]


def surroundings(
    prefixes: Iterable[Path], placeholder: bytes, foreign: Mapping[Path, str], allowed: Iterable[Path] = ()
) -> Surroundings:
    """Folders of ``foreign`` that are too short to be told in a text, or that hold one of ``allowed``, do not count."""
    kept = list(allowed)
    told: dict[bytes, str] = {}
    for folder, what in foreign.items():
        if len(folder.parts) > 1 and len(str(folder)) > 4 and not any(each.is_relative_to(folder) for each in kept):
            told.setdefault(os.fsencode(str(folder)), what)
    return Surroundings(prefixes=tuple(prefixes), placeholder=placeholder, foreign=told)


@lru_cache(maxsize=1)
def _libraries(prefixes: tuple[Path, ...]) -> frozenset[str]:
    """The names of the libraries of environments. Asked only for what is not told otherwise: it looks at every file."""
    folders = [prefix / name for prefix in prefixes for name in ("lib", "lib64", "sysroot")]
    return frozenset(name for folder in folders for _, _, names in os.walk(folder) for name in names if ".so" in name)


def undeclared(members: Sequence[Member], given: Surroundings) -> tuple[str, ...]:
    """A line for each thing that was not declared, by file; empty for a package that is clean."""
    known = {PurePosixPath(member.name).name for member in members}
    found: list[str] = []
    for member in sorted(members, key=lambda each: each.name):
        if member.link is not None:
            found += _of_link(member, given)
            continue
        found += _of_file(member, given, known)
    if len(found) > _SHOWN:
        found = [*found[:_SHOWN], f"and {len(found) - _SHOWN} more"]
    return tuple(found)


def _of_link(member: Member, given: Surroundings) -> list[str]:
    target = member.link or ""
    if target.startswith("/") and not target.encode("utf-8", "surrogateescape").startswith(given.placeholder):
        return [f"{member.name} is a link to {target}"]
    return []


def _of_file(member: Member, given: Surroundings, known: set[str]) -> list[str]:
    data = member.data
    found: list[str] = []
    if data.startswith(b"#!"):
        line = data[2:].partition(b"\n")[0].strip()
        interpreter = line.partition(b" ")[0].decode("utf-8", "replace")
        if interpreter.startswith("/") and interpreter not in _INTERPRETERS and not line.startswith(given.placeholder):
            found.append(f"{member.name} is run by {interpreter}, which is of this machine")
    elif data.startswith(b"\x7fELF"):
        needed, paths = dynamic_section(data)
        for name in needed:
            library = PurePosixPath(name).name
            if library in known or _BASELINE.fullmatch(library) is not None:
                continue
            if library not in _libraries(given.prefixes):
                found.append(f"{member.name} is linked with {name}, which no package of its environment has")
        for path in paths:
            if path.startswith("/") and not path.encode("utf-8", "surrogateescape").startswith(given.placeholder):
                found.append(f"{member.name} looks for libraries in {path}, a folder of this machine")
    for folder, what in given.foreign.items():
        if folder not in data:
            continue
        places = (place[0] for place in re.finditer(re.escape(folder) + rb"/[^\0\s\"':;,)<>]*", data))
        path = next((each for each in places if _is_there(folder, each)), None)
        if path is not None:
            found.append(f"{member.name} holds {path[:120].decode('utf-8', 'replace')}, a path in {what}")
    return found


def _is_there(folder: bytes, path: bytes) -> bool:
    """Whether a path is one of this machine, and not an example in a text that begins like one."""
    name = path[len(folder) + 1 :].partition(b"/")[0]
    return bool(name) and os.path.lexists(folder + b"/" + name)
