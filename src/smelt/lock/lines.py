"""The lines of binary packages as rattler writes them, without rattler where no value is in question.

Most of a lock are binary packages whose values are written as they stand. Their entries and rows are made here and put
into what rattler writes of the rest. A package with a value that would perhaps be quoted, normalized or refused has no
entry (None), and rattler writes it: so the text is always rattler's, and tests compare the two.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from smelt.lock.location import derive, derive_build_number, derive_noarch
from smelt.types import CondaRecord, RunExports

_PLAIN = re.compile(r"(?:[A-Za-z_/]|\.\.?/|[0-9](?=[^ ]*[G-WYZg-np-wyz]))(?:[!\"$-9;-~]|:(?=[!-~])| (?=[ !\"$-~]))*")
"""Text that stands without quotes, behind ``key: `` and behind ``- ``; one that starts with a digit is no number."""
_WORDS = frozenset(("true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf"))
_SEGMENTS = r"(?:/(?!\.\.?/)[A-Za-z0-9._+!=-]+)+/"
_PATH = re.compile(_SEGMENTS)
_ADDRESS = re.compile(
    rf"https?://(?:[a-z0-9-]+\.)*[a-z](?:[a-z0-9-]*[a-z0-9])?(?::[1-9][0-9]{{3}})?{_SEGMENTS}|file://{_SEGMENTS}"
)
_HOST = re.compile(r"(?:^|[/.])(?:xn--|-)|-\.")
"""What a host name may be changed or refused for."""
_ARCHIVE = re.compile(
    r"([a-z0-9_][a-z0-9_.-]*)-((?:[0-9]{1,3}!)?[0-9][0-9a-z]{0,17}(?:[._][0-9a-z]{1,18})*)-([A-Za-z0-9_.+]+)\.(?:conda|tar\.bz2)"
)
_SUBDIR = re.compile(r"[a-z]+(?:-[a-z0-9]+)?")
_PURL = re.compile(r"pkg:pypi/[a-z0-9-]+(?:\?source=[a-z-]+)?")
_PLATFORM = re.compile(r"      (?!- )\S.*:(?: \[\])?")
_RUN_EXPORTS = ("weak", "strong", "noarch", "weak_constrains", "strong_constrains")
_ROW = "      - conda: "
_NUMBERS = "0123456789e"
_LATEST = 10**14


class Entries:
    """Makes entries; what was found to be plain is remembered."""

    def __init__(self) -> None:
        self._plain: set[str] = set()
        self._folders: dict[str, tuple[bool, str | None, str | None]] = {}

    def entry(self, location: str, record: CondaRecord) -> str | None:
        """The lines of one item of ``packages``; None where they are not certain. Raises nothing."""
        try:
            return self._entry(location, record)
        except _Uncertain:
            return None

    def _entry(self, location: str, record: CondaRecord) -> str:
        base, _, file_name = location.rpartition("/")
        archive = _ARCHIVE.fullmatch(file_name)
        certain, subdir, channel = self._folder(base)
        if not certain or archive is None:
            raise _Uncertain
        unusual = record.extra_depends or record.features is not None or record.flags
        legacy = record.legacy_bz2_md5 is not None or record.legacy_bz2_size is not None
        told = (record.name, record.version, record.build) == archive.groups() and record.file_name == file_name
        if unusual or legacy or not told:
            raise _Uncertain
        lines = [f"- conda: {location}"]
        if record.build_number != derive_build_number(record.build):
            lines.append(f"  build_number: {_natural(record.build_number)}")
        if record.subdir != subdir:
            if _SUBDIR.fullmatch(record.subdir) is None:
                raise _Uncertain
            lines.append(f"  subdir: {record.subdir}")
        if record.noarch != derive_noarch(subdir or record.subdir, record.build):
            if record.noarch not in (None, "python", "generic"):
                raise _Uncertain
            lines.append(f"  noarch: {record.noarch or 'false'}")
        if record.sha256 is not None:
            lines.append(f"  sha256: {_digest(record.sha256, 64)}")
        if record.md5 is not None:
            lines.append(f"  md5: {_digest(record.md5, 32)}")
        self._list(lines, "  ", "depends", record.depends)
        self._list(lines, "  ", "constrains", record.constrains)
        if record.channel is not None and record.channel != channel:
            if not record.channel.endswith("/") or not self._folder(record.channel[:-1])[0]:
                raise _Uncertain
            lines.append(f"  channel: {record.channel[:-1]}")
        self._list(lines, "  ", "track_features", record.track_features)
        if record.license is not None:
            lines.append(f"  license: {self._scalar(record.license)}")
        if record.license_family is not None:
            lines.append(f"  license_family: {self._scalar(record.license_family)}")
        if record.purls is not None:
            _purls(lines, record.purls)
        if record.run_exports is not None:
            self._run_exports(lines, record.run_exports)
        if record.size is not None:
            lines.append(f"  size: {_natural(record.size)}")
        if record.timestamp is not None:
            if not 10**12 <= record.timestamp < _LATEST:  # rattler takes others for seconds
                raise _Uncertain
            lines.append(f"  timestamp: {record.timestamp}")
        if record.python_site_packages_path is not None:
            lines.append(f"  python_site_packages_path: {self._scalar(record.python_site_packages_path)}")
        return "\n".join(lines)

    def _folder(self, base: str) -> tuple[bool, str | None, str | None]:
        """Whether the address or path of a folder stays as it is; the subdir and channel of packages there."""
        known = self._folders.get(base)
        if known is None:
            folder = base + "/"
            host = folder.partition("://")[2].partition("/")[0]
            same = (_PATH if base.startswith("/") else _ADDRESS).fullmatch(folder) is not None
            derived = derive(folder + "a-1-0.conda")
            known = (same and _HOST.search(host) is None, derived.subdir, derived.channel)
            self._folders[base] = known
        return known

    def _scalar(self, text: str) -> str:
        if text not in self._plain:
            if _PLAIN.fullmatch(text) is None or (len(text) < 6 and text.lower() in _WORDS):
                raise _Uncertain
            self._plain.add(text)
        return text

    def _list(self, lines: list[str], indent: str, key: str, values: Sequence[str]) -> None:
        if not values:
            return
        plain = self._plain
        lines.append(f"{indent}{key}:")
        lines += [f"{indent}- {value if value in plain else self._scalar(value)}" for value in values]

    def _run_exports(self, lines: list[str], exports: RunExports) -> None:
        lines.append("  run_exports:")
        for key in _RUN_EXPORTS:
            self._list(lines, "    ", key, getattr(exports, key))
        if lines[-1] == "  run_exports:":
            lines[-1] += " {}"


class _Uncertain(Exception):
    """A value that rattler may write otherwise."""


def _natural(number: int) -> int:
    if type(number) is not int or not 0 <= number < 2**63:
        raise _Uncertain
    return number


def _digest(text: str, length: int) -> str:
    if len(text) != length or text.strip("0123456789abcdef"):
        raise _Uncertain
    if text.isdecimal():
        return f"'{text}'"
    if not text[2:].strip(_NUMBERS):  # a number of another base, or with an exponent
        raise _Uncertain
    return text


def _purls(lines: list[str], purls: Sequence[str]) -> None:
    if not all(map(_PURL.fullmatch, purls)) or (len(purls) > 1 and "?" in "".join(purls)):
        raise _Uncertain
    lines.append("  purls:" if purls else "  purls: []")
    lines += [f"  - {purl}" for purl in sorted(set(purls))]


def put_in(text: str, rows: Mapping[str, Mapping[str, Iterable[str]]], entries: Mapping[str, str]) -> str | None:
    """``text`` of a lock without most of its binary packages, with them: None where it is laid out otherwise.

    ``rows``: environment → platform → locations; ``entries``: location → entry. All environments and platforms of the
    lock have to be there. Binary packages that ``text`` has all the same give way to those of ``entries``.
    """
    head, found, block = text.partition("\npackages:")
    if not found or f"{_ROW}'" in head or f'{_ROW}"' in head:
        return None
    lists = [rows[name][platform] for name in sorted(rows) for platform in sorted(rows[name])]
    lines: list[str] = []
    own: set[str] = set()
    filled = 0
    inside = False
    for line in head.split("\n"):
        if own and line.startswith(_ROW):
            own.add(line.removeprefix(_ROW))
            continue
        lines += [_ROW + location for location in sorted(own)]
        own = set()
        if not line.startswith("      "):
            inside = line == "    packages:"
        elif inside and _PLATFORM.fullmatch(line) is not None:
            if filled == len(lists):
                return None
            own = set(lists[filled])
            filled += 1
            line = line.removesuffix(" []") if own else line
        lines.append(line)
    lines += [_ROW + location for location in sorted(own)]
    if filled < len(lists):
        return None
    packages = dict(entries)
    others: list[str] = []
    for other in block.removesuffix("\n").split("\n- ")[1:]:
        kind, _, location = other.partition("\n")[0].partition(": ")
        if kind != "conda":
            others.append(f"- {other}")
        elif location.startswith(("'", '"')):
            return None
        else:
            packages.setdefault(location, f"- {other}")
    if not packages and not others:
        return text
    return "\n".join([*lines, "packages:", *(packages[each] for each in sorted(packages)), *others]) + "\n"
