"""Matching of file names: ``*``, ``?``, ``[a-z]``, ``[!a]`` and ``**``.

Matching ignores case on every system, ``*`` never crosses a separator and never matches a leading dot, ``**``
must be a whole component and matches any number of folders, hidden ones excepted.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

Character = tuple[str, bool]  # a character, and whether it may have a special meaning
_SPECIAL = frozenset("*?[")


def has_glob(characters: list[Character]) -> bool:
    """Whether anything in it asks for matching."""
    return any(special and char in _SPECIAL for char, special in characters)


def expand_glob(characters: list[Character], cwd: str, *, globstar: bool) -> list[str] | None:
    """The existing paths that match, in the order of their components; relative patterns give relative paths.

    None where the pattern is malformed (a ``[`` without its ``]``, ``**`` beside other characters).
    """
    text = "".join(char for char, _ in characters)
    absolute = os.path.isabs(text)  # noqa: PTH117
    components = _components(characters)
    root = cwd
    prefix = ""
    if absolute:
        drive, _ = os.path.splitdrive(text)
        root = prefix = drive + os.sep
        components = _components(characters[len(drive) :])
    matchers: list[_Matcher] = []
    for component in components:
        matcher = _matcher(component, globstar=globstar)
        if matcher is None:
            return None
        matchers.append(matcher)
    only_folders = text.endswith("/")
    found = sorted(set(_walk(root, (), matchers, only_folders)))
    return [prefix + os.sep.join(path) for path in found]  # noqa: PTH118


class _Matcher:
    """What one component of a pattern accepts: a literal name, an expression, or any folders (``**``)."""

    __slots__ = ("any_folders", "expression", "hidden", "literal")

    def __init__(
        self,
        *,
        literal: str | None = None,
        expression: re.Pattern[str] | None = None,
        any_folders: bool = False,
        hidden: bool = False,
    ) -> None:
        self.literal = literal
        self.expression = expression
        self.any_folders = any_folders
        self.hidden = hidden

    def accepts(self, name: str) -> bool:
        if name.startswith(".") and not self.hidden:
            return False
        return self.expression is not None and self.expression.fullmatch(name) is not None


def _components(characters: list[Character]) -> list[list[Character]]:
    components: list[list[Character]] = [[]]
    for char, special in characters:
        if char == "/" or (os.sep == "\\" and char == "\\"):
            components.append([])
        else:
            components[-1].append((char, special))
    return [component for component in components if component]


def _matcher(component: list[Character], *, globstar: bool) -> _Matcher | None:
    if not has_glob(component):
        return _Matcher(literal="".join(char for char, _ in component))
    stars = all(special and char == "*" for char, special in component)
    if globstar and stars and len(component) == 2:
        return _Matcher(any_folders=True)
    pattern: list[str] = []
    index = 0
    while index < len(component):
        char, special = component[index]
        index += 1
        if not special or char not in _SPECIAL:
            pattern.append(re.escape(char))
        elif char == "*":
            if globstar and index < len(component) and component[index] == ("*", True):
                return None
            pattern.append(".*")
        elif char == "?":
            pattern.append(".")
        else:
            end = _class_end(component, index)
            if end is None:
                return None
            pattern.append(_class(component[index:end]))
            index = end + 1
    return _Matcher(expression=re.compile("".join(pattern), re.IGNORECASE | re.DOTALL), hidden=component[0][0] == ".")


def _class_end(component: list[Character], begin: int) -> int | None:
    """The ``]`` that closes a class; the first character of the class may itself be one."""
    first = begin + 1 if component[begin : begin + 1] == [("!", True)] else begin
    for index in range(first + 1, len(component)):
        if component[index] == ("]", True):
            return index
    return None


def _class(members: list[Character]) -> str:
    text = "".join(char for char, _ in members)
    negated = text.startswith("!")
    text = text[1:] if negated else text
    pieces: list[str] = []
    index = 0
    while index < len(text):
        if index + 2 < len(text) and text[index + 1] == "-":
            low, high = text[index], text[index + 2]
            if low <= high:
                pieces.append(f"{re.escape(low)}-{re.escape(high)}")
            index += 3
        else:
            pieces.append(re.escape(text[index]))
            index += 1
    if not pieces:
        return "." if negated else "(?!)"
    return f"[{'^' if negated else ''}{''.join(pieces)}]"


def _walk(
    folder: str, path: tuple[str, ...], matchers: list[_Matcher], only_folders: bool
) -> Iterator[tuple[str, ...]]:
    if not matchers:
        if path and (not only_folders or os.path.isdir(folder)):  # noqa: PTH112
            yield path
        return
    first, rest = matchers[0], matchers[1:]
    if first.literal is not None:
        target = os.path.join(folder, first.literal)  # noqa: PTH118
        if os.path.lexists(target):
            yield from _walk(target, (*path, first.literal), rest, only_folders)
        return
    if first.any_folders:
        while rest and rest[0].any_folders:
            rest = rest[1:]
        for sub, names in _folders(folder, path, frozenset()):
            if rest:
                yield from _walk(sub, names, rest, only_folders)
            elif names != path:
                yield names
        return
    for name in _entries(folder):
        if first.accepts(name):
            target = os.path.join(folder, name)  # noqa: PTH118
            if not rest or os.path.isdir(target):  # noqa: PTH112
                yield from _walk(target, (*path, name), rest, only_folders)


def _folders(
    folder: str, path: tuple[str, ...], above: frozenset[tuple[int, int]]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """``folder`` and all that are in it; a link to a folder that is being walked is not followed again."""
    try:
        status = os.stat(folder)  # noqa: PTH116
    except OSError:
        return
    identity = (status.st_dev, status.st_ino)
    if identity in above and identity != (0, 0):
        return
    yield folder, path
    for name in _entries(folder):
        target = os.path.join(folder, name)  # noqa: PTH118
        if not name.startswith(".") and os.path.isdir(target):  # noqa: PTH112
            yield from _folders(target, (*path, name), above | {identity})


def _entries(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208
    except OSError:
        return []
