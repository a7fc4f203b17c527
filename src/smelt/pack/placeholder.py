"""The prefix inside files: put in place of what stands for it, as installing does.

Source: conda-build, "Making packages relocatable"; for lines ``#!`` what rattler does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

LONGEST_SHEBANG = 127
"""Characters of a first line ``#!`` that every Linux kernel reads."""

_SHEBANG = re.compile(rb"#![ \t]*((?:\\ |[^ \n\r\t])+)([^\n]*)")
_PYTHON = re.compile(rb"python[0-9.]*")


def in_text(data: bytes, placeholder: bytes, prefix: bytes) -> bytes:
    """A text with ``prefix`` in it. A first line that kernels could not read goes by way of ``sh`` or ``env``."""
    if not data.startswith(b"#!"):
        return data.replace(placeholder, prefix)
    first, newline, rest = data.partition(b"\n")
    if placeholder in first:
        replaced = first.replace(placeholder, prefix)
        if len(replaced) > LONGEST_SHEBANG or b" " in prefix:
            found = _SHEBANG.match(first)
            assert found is not None
            path, arguments = found[1], found[2]
            name = path.rpartition(b"/")[2]
            if _PYTHON.fullmatch(name):
                replaced = b"#!/bin/sh\n'''exec' \"" + path + b'"' + arguments + b' "$0" "$@" #\'\'\''
            else:
                replaced = b"#!/usr/bin/env " + name + arguments
            replaced = replaced.replace(placeholder, prefix)
        first = replaced
    return first + newline + rest.replace(placeholder, prefix)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixString:
    """A text that ends with NUL in a binary, with the prefix in it.

    It begins with the placeholder at ``offset``; ``tails`` are the lengths of what follows each placeholder, up to the
    next one or to the end.
    """

    offset: int
    tails: tuple[int, ...]


def strings(data: bytes, placeholder: bytes) -> tuple[PrefixString, ...]:
    """Where a binary has the prefix."""
    found: list[PrefixString] = []
    start = data.find(placeholder)
    while start >= 0:
        end = data.find(b"\0", start + len(placeholder))
        end = len(data) if end < 0 else end
        parts = data[start:end].split(placeholder)[1:]
        found.append(PrefixString(offset=start, tails=tuple(len(part) for part in parts)))
        start = data.find(placeholder, end)
    return tuple(found)


def in_binary(data: bytes, placeholder: bytes, prefix: bytes) -> bytes:
    """A binary of the same length with ``prefix`` in it, which is not longer than the placeholder."""
    assert len(prefix) <= len(placeholder)
    result = bytearray(data)
    for string in strings(data, placeholder):
        end = string.offset + len(placeholder) * len(string.tails) + sum(string.tails)
        text = data[string.offset : end].replace(placeholder, prefix)
        result[string.offset : end] = text.ljust(end - string.offset, b"\0")
    return bytes(result)
