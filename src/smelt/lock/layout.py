"""The plain data of a lock that is laid out as rattler writes it, without a YAML parser for most of its lines.

Nine tenths of a lock are lines of three forms: ``  key: value``, ``  - text`` and ``      - conda: address``. Those are
read here; every package with any other line, and all that is not a list of packages, is given to the YAML parser,
piece by piece. ``plain_data`` answers None where the pieces are not certain to mean what they mean in their place, so
that an answer is always what the parser gives for the whole text: tests compare the two.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import cast

Parse = Callable[[str], object]
"""A YAML parser. Raises ValueError, TypeError, RecursionError or OverflowError for what it refuses."""

_REFUSED = (ValueError, TypeError, RecursionError, OverflowError)
_PACKAGES = "\npackages:\n- "
_SECTION = "\nsmelt:\n"
_ROW = "      - "
_MARK = "smelt-rows-"
_PLATFORM = re.compile(r"      [A-Za-z][A-Za-z0-9_-]*:")
_CONTROL = bytes({*range(128)} - {*range(32, 127), 10})
_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_")
_WORDS = frozenset(("true", "false", "null", "yes", "no", "on", "off", "y", "n"))
_LONGEST_NUMBER = 18
# Each is its own value: a key of the file becomes the one object here, as which it is found faster later.
_KEYS = {
    key: key
    for key in (
        *("conda", "pypi", "name", "version", "build", "build_number", "subdir", "noarch", "sha256", "md5"),
        *("license", "license_family", "size", "timestamp", "python_site_packages_path", "requires_python", "index"),
        *("channel", "file_name", "features", "editable", "arch", "platform"),
        *("depends", "constrains", "purls", "track_features", "flags", "requires_dist", "run_exports"),
    )
}
_RUN_EXPORTS = {f"  {key}": key for key in ("weak", "strong", "noarch", "weak_constrains", "strong_constrains")}


def plain_data(text: str, parse: Parse) -> dict[str, object] | None:
    """What ``parse`` makes of ``text``, as far as it is laid out as expected; None where it has to be asked for all.

    Equal entries of the lists of an environment are one object. Raises nothing.
    """
    head, found, block = text.partition(_PACKAGES)
    if not found or not head.startswith("version: ") or "\n---" in text or "\n..." in text:
        return None
    if len(text.encode("utf-8", "replace").translate(None, _CONTROL)) < len(text):
        return None
    block, section, tail = block.partition(_SECTION)
    try:
        reader = _Reader(parse)
        packages = [reader.package(each) for each in block.removesuffix("\n").split("\n- ")]
        before = reader.head(head)
        after: object = parse("smelt:\n" + tail) if section else {}
    except _Otherwise:
        return None
    except _REFUSED:
        return None  # the parser says what is wrong, and where, when it sees all of it
    if not isinstance(after, dict):
        return None
    own = cast("dict[str, object]", after)
    if "packages" in before or "packages" in own or before.keys() & own.keys():
        return None
    return {**before, "packages": packages, **own}


class _Otherwise(Exception):
    """Something is laid out otherwise."""


class _Reader:
    """One pass over one text: ``_items`` are the lines of lists that were seen, ``_rows`` those of environments."""

    def __init__(self, parse: Parse) -> None:
        self._parse = parse
        self._items: dict[str, str] = {}
        self._rows: dict[str, object] = {}

    def package(self, text: str) -> object:
        """One item of ``packages``, ``text`` without the dash."""
        lines = text.split("\n  ")
        try:
            data = self._entry(lines, text)
        except (_Otherwise, KeyError):
            if any(line and not line.startswith("  ") for line in text.split("\n")[1:]):
                raise _Otherwise from None
        else:
            kind = next(iter(data))
            self._rows[lines[0]] = {kind: data[kind]}
            return data
        # what is whole by itself, and has all its lines further in than the dash, ends where the next dash is
        self._rows[lines[0]] = self._single(lines[0])
        return self._single(text)

    def _single(self, text: str) -> object:
        data = self._parse(f"- {text}\n")
        if not isinstance(data, list) or len(cast("list[object]", data)) != 1:
            raise _Otherwise
        return cast("list[object]", data)[0]

    def _entry(self, lines: list[str], text: str) -> dict[str, object]:
        """The mapping that ``lines`` are, without the two spaces that each starts with.

        Raises KeyError for a key that is not known, _Otherwise.
        """
        if " #" in text or " \n" in text or text[-1:] in (" ", ":", "") or not text.isascii():
            raise _Otherwise
        known = self._items
        data: dict[str, object] = {}
        exports: dict[str, object] | None = None
        opened: list[list[object] | dict[str, object]] = []
        nowhere: list[object] = []
        items: list[object] = nowhere
        inner: list[object] = nowhere
        pairs = 0
        for line in lines:
            item = known.get(line)
            if item is not None:
                items.append(item)
                continue
            if line.startswith("- "):
                item = _scalar(line[2:])
                if type(item) is str:
                    known[line] = item
                items.append(item)
                continue
            if line.startswith("  - "):
                inner.append(_scalar(line[4:]))
                continue
            key, colon, value = line.partition(": ")
            if colon:
                pairs += 1
                data[_KEYS[key]] = _scalar(value)
                items = inner = nowhere
                exports = None
                continue
            if line[-1:] != ":":
                raise _Otherwise
            key = line[:-1]
            items = inner = nowhere
            if key == "run_exports":
                data["run_exports"] = exports = {}
                opened.append(exports)
            elif exports is not None and key in _RUN_EXPORTS:
                exports[_RUN_EXPORTS[key]] = inner = []
                opened.append(inner)
            else:
                exports = None
                data[_KEYS[key]] = items = []
                opened.append(items)
        # no `: ` but that of a pair, no `:` at an end but that of a key, and no key twice or with nothing under it
        if nowhere or not all(opened) or text.count(": ") != pairs or text.count(":\n") != len(opened):
            raise _Otherwise
        held = data.get("run_exports")
        if len(opened) + pairs != len(data) + (len(held) if isinstance(held, dict) else 0):  # pyright: ignore[reportUnknownArgumentType]
            raise _Otherwise
        if ": " not in lines[0]:
            raise _Otherwise
        return data

    def head(self, text: str) -> dict[str, object]:
        """What stands before the packages, which were read: entries of an environment's lists are looked up."""
        if _MARK in text:
            raise _Otherwise
        lines: list[str] = []
        runs: list[list[object]] = []
        inside = False
        for line in text.split("\n"):
            if not line.startswith(_ROW):
                lines.append(line)
                inside = False
                continue
            if not inside:
                if _PLATFORM.fullmatch(lines[-1]) is None:
                    raise _Otherwise
                lines.append(f"        {_MARK}{len(runs)}")
                runs.append([])
                inside = True
            row = self._rows.get(line[8:])
            if row is None:
                raise _Otherwise
            runs[-1].append(row)
        data = self._parse("\n".join(lines))
        if not isinstance(data, dict) or _put_in(cast("dict[str, object]", data), runs) < len(runs):
            raise _Otherwise
        return cast("dict[str, object]", data)


def _put_in(data: dict[str, object], runs: list[list[object]]) -> int:
    """Put the lists of packages where the parser has found their marks; how many there were."""
    environments = data.get("environments")
    number = 0
    for environment in cast("dict[str, object]", environments).values() if isinstance(environments, dict) else ():
        packages = cast("dict[str, object]", environment).get("packages") if isinstance(environment, dict) else None
        if isinstance(packages, dict):
            platforms = cast("dict[str, object]", packages)
            for platform, value in platforms.items():
                if number < len(runs) and value == f"{_MARK}{number}":
                    platforms[platform] = runs[number]
                    number += 1
    return number


def _scalar(text: str) -> object:
    """A scalar of one line, of which is known that there is no `: `, no ` #` and no space or colon at the end."""
    first = text[:1]
    if first in _LETTERS:
        if len(text) < 6 and text.lower() in _WORDS:
            raise _Otherwise
        return text
    if first.isdigit():
        if text.isdecimal():
            if (first != "0" or text == "0") and len(text) <= _LONGEST_NUMBER:
                return int(text)
        elif text.isalnum():  # a number would be of digits and perhaps an `e`, after a letter for its base
            if text[:2] not in ("0o", "0x") and text[2:].strip("0123456789eE"):
                return text
        elif text.count(".") > 1 and text.replace(".", "").isdecimal():
            return text
    elif text.startswith(("./", "../", "/")):
        return text
    elif first == "'":
        if text[-1] == "'" and text.count("'") == 2:
            return text[1:-1]
    elif text == "[]":
        return []
    elif text == "{}":
        return {}
    raise _Otherwise
