"""The text of a lock as plain data, and everything that can be wrong with the text as such.

YAML is read by the parser that rattler itself uses (libyaml's rules, bounded nesting and repetition), so scalars
mean here what they mean there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast

from smelt.errors import Label, LockError
from smelt.lock.layout import Parse, plain_data
from smelt.text import Place, SourceText

NEWEST_VERSION = 7
_AT_LINE = re.compile(r"(?:at|starting at) line (\d+) column (\d+)")
_AT_POSITION = re.compile(r" at position (\d+)$")
_CONFLICT = re.compile(r"^<{7}(?: (.*))?$", re.MULTILINE)
_CONFLICT_END = re.compile(r"^>{7}(?: (.*))?$", re.MULTILINE)
_BRACKET = re.compile(r"[\[\]{}]")
_MAX_DEPTH = 128  # of the parser too
_MANY_BRACKETS = 2_000
_RELOCK = "remove the file and run `smelt lock` to make a new one, or restore it from version control"


def load(source: SourceText) -> tuple[Mapping[str, object], int]:
    """The top-level mapping of a lock file and its format version (1 to 7).

    Raises LockError: empty file (``lock-empty``), Git-LFS pointer (``lock-git-lfs``), merge-conflict markers
    (``lock-conflict``), invalid YAML (``lock-syntax``), no version, or a version that is not known
    (``lock-version``).
    """
    import ryaml

    text = source.text
    _check_text(source)
    _check_depth(source)
    try:
        parse = cast("Parse", ryaml.loads)  # pyright: ignore[reportPrivateImportUsage]
        data = plain_data(text, parse)
        if data is None:
            data = parse(text)
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        raise _syntax_error(source, str(error)) from None
    if not isinstance(data, dict):
        raise LockError(
            f"{source.path} is not a lock file: it must hold a mapping",
            code="lock-syntax",
            labels=[Label(place=source.place(0))],
            help=_RELOCK,
        )
    document = cast("dict[object, object]", data)
    for key in document:
        if not isinstance(key, str):
            raise LockError(f"{source.path}: top-level key {key!r} is not a string", code="lock-syntax", help=_RELOCK)
    named = cast("dict[str, object]", data)
    return named, _version(source, named)


def find(source: SourceText, needle: str, *, after: str | None = None) -> Place | None:
    """Where the line that holds ``needle`` is (below the top-level key ``after``), None where it is not found."""
    start = 0
    if after is not None:
        begin = re.search(rf"^{re.escape(after)}:", source.text, re.MULTILINE)
        start = begin.start() if begin is not None else 0
    offset = source.text.find(needle, start)
    return source.place(offset, len(needle)) if offset >= 0 and "\n" not in needle else None


def _check_text(source: SourceText) -> None:
    text = source.text
    if not text.strip("\ufeff \t\r\n\x00"):
        raise LockError(
            f"{source.path} is empty",
            code="lock-empty",
            help="remove the file and run `smelt lock` to make a new one",
        )
    if text.startswith("version https://git-lfs.github.com/"):
        raise LockError(
            f"{source.path} is a Git LFS pointer, not the lock file itself",
            code="lock-git-lfs",
            labels=[Label(place=source.place(0, len("version")))],
            help="run `git lfs pull` to fetch its content",
        )
    if "<<<<<<<" in text and (begin := _CONFLICT.search(text)) is not None:
        end = _CONFLICT_END.search(text, begin.end())
        sides = [side for side in (begin.group(1), end.group(1) if end is not None else None) if side]
        between = f" (between {' and '.join(sides)})" if sides else ""
        raise LockError(
            f"{source.path} has unresolved merge conflicts{between}",
            code="lock-conflict",
            labels=[Label(place=source.place(begin.start(), 7), message="the first conflict marker")],
            help="run `smelt lock`: it takes what fits of both sides, and solves the rest",
        )


def _check_depth(source: SourceText) -> None:
    # The parser refuses deep nesting, but only after a time that grows with the square of the depth.
    text = source.text
    if text.count("[") + text.count("{") < _MANY_BRACKETS:
        return
    depth = 0
    for bracket in _BRACKET.finditer(text):
        depth = depth + 1 if bracket.group() in "[{" else max(depth - 1, 0)
        if depth > _MAX_DEPTH:
            raise LockError(
                f"{source.path} is not valid YAML: nested too deeply",
                code="lock-syntax",
                labels=[Label(place=source.place(bracket.start()))],
                help=_RELOCK,
            )


def _syntax_error(source: SourceText, message: str) -> LockError:
    place: Place | None = None
    if (at := _AT_LINE.search(message)) is not None:
        place = Place(source=source, line=int(at.group(1)), column=int(at.group(2)))
        message = message[: at.start()].rstrip(" ,") + message[at.end() :]
    elif (position := _AT_POSITION.search(message)) is not None:
        # The parser counts bytes.
        before = source.text.encode("utf-8", "replace")[: int(position.group(1))].decode("utf-8", "ignore")
        place = source.place(len(before))
        message = message[: position.start()]
    return LockError(
        f"{source.path} is not valid YAML: {message}",
        code="lock-syntax",
        labels=[Label(place=place)] if place is not None else [],
        help=_RELOCK,
    )


def _version(source: SourceText, data: Mapping[str, object]) -> int:
    version = data.get("version")
    place = find(source, "version:") if "version" in data else source.place(0)
    labels = [Label(place=place)] if place is not None else []
    if version is None or type(version) is not int or version < 1:
        what = "no `version`" if version is None else f"`version` {version!r}, which is not one"
        raise LockError(
            f"{source.path} has {what}: it is not a lock file of a workspace",
            code="lock-version",
            labels=labels,
            help=_RELOCK,
        )
    if version > NEWEST_VERSION:
        raise LockError(
            f"{source.path} has format version {version}, the newest that is known here is {NEWEST_VERSION}",
            code="lock-version",
            labels=labels,
            help="a newer tool wrote it: update smelt, or remove the file and lock again with this one",
        )
    return version
