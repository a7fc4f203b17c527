"""The files that the ``inputs`` and ``outputs`` of a task name.

Patterns are relative to the workspace and follow the rules of ``.gitignore``, but that a name without any wildcard
stands for the file at the root only, and a folder for all that is in it; ``!pattern`` takes files away, ``{a,b}``
gives alternatives, ``../`` and absolute paths lead out of the workspace. Hidden files count only where a pattern
names them by a component that starts with a dot.
Source: the reference's page "Advanced tasks", section "Caching", and its ``pixi_glob``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from smelt.source import stats
from smelt.tasks.shell.expand import expand_words
from smelt.tasks.shell.globs import Character
from smelt.tasks.shell.state import Options
from smelt.tasks.shell.syntax import Script
from smelt.tasks.shell.words import WordReader

_WILD = frozenset("*?[")


def matching_files(
    root: Path, patterns: Sequence[str], searched: dict[str, stats.Stamp | None] | None = None
) -> list[Path]:
    """The files below ``root`` (or beside it, for ``../``) that ``patterns`` name, sorted.

    In ``searched``, if given, is put every folder that was looked through, and every link that leads nowhere, with the
    stamp that it had before: as long as all of them have it, the same files are named.
    """
    from pathspec import GitIgnoreSpec

    expanded = [alternative for pattern in patterns for alternative in _alternatives(pattern)]
    base, lines = _rebased(root, expanded)
    if not any(not line.startswith("!") for line in lines):
        return []
    spec = GitIgnoreSpec.from_lines(lines)
    dotted = [part for line in lines if line[:1] != "!" for part in line.split("/") if part.startswith(".")]
    found: set[Path] = set()
    noted: dict[str, stats.Stamp | None] = {} if searched is None else searched
    for start in {_static_folder(line) for line in lines if not line.startswith("!")}:
        for path in _walk(base / start, dotted, frozenset(), noted):
            if spec.match_file(path.relative_to(base).as_posix()):
                found.add(path)
    return sorted(found)


def _alternatives(pattern: str) -> list[str]:
    """``pattern`` for each of the alternatives in its braces."""
    if "{" not in pattern:
        return [pattern]
    negated = pattern.startswith("!")
    reader = WordReader(_escaped(pattern.removeprefix("!")))
    words = expand_words((reader.word(),), _Nothing())
    return [f"!{word}" if negated else word for word in words]


def _escaped(pattern: str) -> str:
    """Everything but braces and commas loses its meaning for the word reader."""
    return "".join(char if char in "{}," else f"'{char}'" if char != "'" else '"\'"' for char in pattern)


class _Nothing:
    """A scope for words that ask for nothing."""

    cwd = ""
    options = Options()

    def variable(self, name: str) -> str | None:
        return None

    def substitute(self, script: Script) -> str:
        return ""

    def match(self, characters: list[Character]) -> list[str] | None:
        return None


def _rebased(root: Path, patterns: Sequence[str]) -> tuple[Path, list[str]]:
    """A folder that is above all patterns, and the patterns as lines of a ``.gitignore`` in it."""
    split: list[tuple[bool, str, str]] = []
    for pattern in patterns:
        negated = pattern.startswith("!")
        body = pattern.removeprefix("!").replace(os.sep, "/")
        if negated and body.startswith("**/"):
            split.append((True, "", body))  # takes files away everywhere
            continue
        # `**` and names with wildcards but without a folder match at any depth, below their own folder
        literal, wild = _literal_prefix(body)
        folder = os.path.normpath(root / literal)
        if not wild and os.path.isdir(folder):  # noqa: PTH112
            split.append((negated, folder, "**"))
        elif not wild:
            split.append((negated, os.path.dirname(folder), os.path.basename(folder)))  # noqa: PTH119, PTH120
        else:
            split.append((negated, folder, f"{wild}**" if wild.endswith("/") else wild))
    folders = [folder for _, folder, _ in split if folder]
    base = Path(os.path.commonpath([str(root), *folders]))
    lines: list[str] = []
    for negated, folder, rest in split:
        sign = "!" if negated else ""
        if not folder:
            lines.append(f"!{rest}")
            continue
        inside = Path(folder).relative_to(base).as_posix()
        prefix = "/" if inside == "." else f"/{_literally(inside)}/"
        anywhere = inside == "." and "/" not in rest and not _WILD.isdisjoint(rest)
        lines.append(f"{sign}{rest}" if anywhere else f"{sign}{prefix}{rest}")
    return base, lines


def _literal_prefix(pattern: str) -> tuple[str, str]:
    """The folders of a pattern before its first wildcard, and the rest; all of it, and nothing, without one."""
    if _WILD.isdisjoint(pattern):
        return pattern.rstrip("/"), ""
    parts = pattern.split("/")
    index = next(i for i, part in enumerate(parts) if not _WILD.isdisjoint(part))
    prefix = "/".join(parts[:index])
    return (prefix or "/") if pattern.startswith("/") else prefix, "/".join(parts[index:])


def _literally(path: str) -> str:
    return "".join(f"\\{char}" if char in "*?[\\!# " else char for char in path)


def _static_folder(line: str) -> str:
    parts = line.lstrip("/").split("/")
    static: list[str] = []
    for part in parts[:-1]:
        if not _WILD.isdisjoint(part.replace("\\*", "").replace("\\?", "").replace("\\[", "")):
            break
        static.append(part.replace("\\", ""))
    return "/".join(static)


def _walk(
    folder: Path, dotted: Sequence[str], above: frozenset[str], searched: dict[str, stats.Stamp | None]
) -> Iterator[Path]:
    """The files below ``folder``; links are followed, but not in circles."""
    real = os.path.realpath(folder)
    if real in above:
        return
    searched[str(folder)] = stats.stamp(str(folder))
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith(".") and not any(fnmatchcase(entry.name, part) for part in dotted):
            continue
        if entry.is_dir():
            yield from _walk(Path(entry.path), dotted, above | {real}, searched)
        elif entry.is_file():
            yield Path(entry.path)
        else:
            searched[entry.path] = stats.stamp(entry.path)
