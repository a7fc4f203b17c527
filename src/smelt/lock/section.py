"""smelt's own part of the lock: the top-level key ``smelt``, which rattler's reader passes over.

    smelt:
      version: 1
      partial: true
      sources:
        kiwisolver[1a2b3c4d] @ .:
          version: 1.4.8
          …

``partial`` is there where the lock was made for some platforms of the workspace only.
Written as plain YAML, keys in fixed order, entries sorted, so that equal content is equal text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import cast

from smelt.lock.fields import Convert, WrongValue, mapping, natural, string
from smelt.lock.model import SourceLock

VERSION = 1
_FIELDS = tuple(field.name for field in fields(SourceLock))
_REQUIRED = ("version", "build", "build_number", "subdir", "backend", "backend_version", "metadata_digest")
# Letters first, then only what is never special to YAML inside a scalar of one line.
_PLAIN = re.compile(
    r"[A-Za-z_./][A-Za-z0-9_.+/=-]*(?:[ ][A-Za-z0-9_.+/=@\[\]-]+)*(?:\[[0-9a-f]+\] @ [A-Za-z0-9_./+-]+)?"
)
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n", ".inf", ".nan"})
_NUMBER_LIKE = re.compile(r"[.][0-9]|[.](?:inf|nan)$", re.IGNORECASE)
_UNSAFE = re.compile(r'["\\\x00-\x1f\x7f-\xa0\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]')


def read(value: object) -> tuple[Mapping[str, SourceLock], bool]:
    """What is under ``smelt``: the sources by identifier, and whether the lock is partial.

    Raises WrongValue, also where its version is not known.
    """
    if value is None:
        return MappingProxyType({}), False
    data = mapping(value, "smelt")
    version = data.get("version")
    if type(version) is not int or version < 1:
        raise WrongValue("smelt.version", f"must be {VERSION}, not {version!r}", near="smelt:")
    if version > VERSION:
        raise WrongValue(
            "smelt.version",
            f"{version} is newer than what this smelt knows ({VERSION}): update smelt",
            near="smelt:",
        )
    found: dict[str, SourceLock] = {}
    sources = data.get("sources")
    for identifier, item in mapping(sources, "smelt.sources").items() if sources is not None else ():
        path = f"smelt.sources.{identifier}"
        entry: dict[str, object] = {}
        for key, part in mapping(item, path).items():
            if key in _FIELDS and part is not None:
                convert: Convert = natural if key == "build_number" else string
                entry[key] = convert(part, f"{path}.{key}")
        for key in _REQUIRED:
            if key not in entry:
                raise WrongValue(f"{path}.{key}", "is missing", near=identifier)
        found[identifier] = SourceLock(**cast("dict[str, str]", entry))  # pyright: ignore[reportArgumentType]
    partial = data.get("partial", False)
    if not isinstance(partial, bool):
        raise WrongValue("smelt.partial", f"must be true or false, not {partial!r}", near="partial:")
    return MappingProxyType(found), partial


def to_text(sources: Mapping[str, SourceLock], *, partial: bool = False) -> str:
    """The section as text with a final line break; nothing where there is nothing to say."""
    if not (sources or partial):
        return ""
    lines = ["smelt:", f"  version: {VERSION}"]
    if partial:
        lines.append("  partial: true")
    if sources:
        lines.append("  sources:")
    for identifier in sorted(sources):
        lines.append(f"    {scalar(identifier)}:")
        for name in _FIELDS:
            value = cast("str | int | None", getattr(sources[identifier], name))
            if value is not None:
                lines.append(f"      {name}: {value if isinstance(value, int) else scalar(value)}")
    return "\n".join(lines) + "\n"


def scalar(text: str) -> str:
    """``text`` as a YAML scalar on one line: plain where that is safe, else quoted."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS and not _NUMBER_LIKE.match(text):
        return text
    if not _UNSAFE.search(text) and "'" not in text:
        return f"'{text}'"
    return '"' + _UNSAFE.sub(_escape, text) + '"'


def _escape(found: re.Match[str]) -> str:
    letter = found.group()
    return "\\" + letter if letter in '"\\' else f"\\u{ord(letter):04x}"
