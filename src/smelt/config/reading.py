"""One ``config.toml``: from text to plain data under the names of today."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from smelt.config.keys import ANY, BUCKET, MOVED, OLD_NAMES, Key, complaint, expand, is_table, key_at, suggestion
from smelt.errors import ConfigError, ErrorGroup, Label, ManifestError
from smelt.manifest.document import Document, parse_document
from smelt.manifest.reading import type_name

Data = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """What one file says. ``written``: path under today's name → path as it stands in the file.

    ``warnings``: keys that are unknown or deprecated.
    """

    path: Path | None = None
    data: Mapping[str, object] = field(default_factory=dict[str, object])
    written: Mapping[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict[tuple[str, ...], tuple[str, ...]])
    warnings: tuple[str, ...] = ()


def read_layer(path: Path) -> Layer | None:
    """What the file at ``path`` says; None if there is no such file. Raises ConfigError as ``parse_layer``."""
    try:
        raw = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror or error}", code="config-unreadable") from error
    return parse_layer(raw, path)


def parse_layer(raw: bytes | str, path: Path) -> Layer:
    """What the text ``raw`` of the file ``path`` says.

    Raises ConfigError (``config-syntax``, ``config-value``), or ErrorGroup of several. A key that nobody knows is a
    warning: another version may know it.
    """
    try:
        document = parse_document(raw, str(path))
    except ManifestError as error:
        raise ConfigError(
            f"parse error in {path}: {error.message}", code="config-syntax", labels=error.labels, help=error.help
        ) from error
    reader = _Reader(document, path)
    reader.table((), (), document.data)
    return reader.layer()


class _Reader:
    def __init__(self, document: Document, path: Path) -> None:
        self.document = document
        self.path = path
        self.data: Data = {}
        self.written: dict[tuple[str, ...], tuple[str, ...]] = {}
        self.ignored: list[tuple[str, ...]] = []
        self.warnings: list[str] = []
        self.errors: list[ConfigError] = []

    def table(self, path: tuple[str, ...], written: tuple[str, ...], data: Mapping[str, object]) -> None:
        """Read the table at ``path`` (``written`` as it stands in the file)."""
        for name, value in data.items():
            at = (*written, name)
            here = _today((*path, name))
            if here in MOVED:
                self.warnings.append(
                    f"`{'.'.join(here)}` in {self.path} is deprecated: write `{'.'.join(MOVED[here])}` instead"
                )
                here = MOVED[here]
            key = key_at(here)
            if key is not None:
                self.value(key, here, at, value)
            elif is_table(here):
                self.written.setdefault(here, at)
                if isinstance(value, dict):
                    self.table(here, at, cast("Data", value))
                    if here[0] == "s3-options" and len(here) == 2:
                        self.bucket(at, cast("Data", value))
                else:
                    self.wrong(at, f"expected a table, found {type_name(value)}")
            else:
                self.ignored.append(here)

    def value(self, key: Key, path: tuple[str, ...], at: tuple[str, ...], value: object) -> None:
        """Read the value of ``key``."""
        if key.array:
            if not isinstance(value, list):
                self.wrong(at, f"expected an array, found {type_name(value)}")
                return
            for index, item in enumerate(cast("list[object]", value)):
                problem = complaint(key, item)
                if problem is not None:
                    self.wrong((*at, index), problem)
                    return
        elif (problem := complaint(key, value)) is not None:
            self.wrong(at, f"{problem}, found {type_name(value)}" if problem.startswith("expected") else problem)
            return
        if path == ("tls-root-certs",) and value in ("native", "all"):
            self.warnings.append(f'`tls-root-certs = "{value}"` in {self.path} is deprecated: write "system" instead')
        if path in self.written:
            self.wrong(at, f"`{'.'.join(map(str, at))}` means the same as `{'.'.join(self.written[path])}`")
            return
        self.written[path] = at
        if (key.absolute or key.kind == "detached") and isinstance(value, str):
            value = str(expand(value))
        table = self.data
        for part in path[:-1]:
            table = cast("Data", table.setdefault(part, {}))
        table[path[-1]] = value

    def bucket(self, at: tuple[str, ...], data: Mapping[str, object]) -> None:
        """A bucket needs all of its keys."""
        missing = [name for name in BUCKET if name not in data]
        if missing:
            self.wrong(at, f"{', '.join(f'`{name}`' for name in missing)} of the bucket `{at[-1]}` is missing")

    def wrong(self, at: tuple[str | int, ...], message: str) -> None:
        """Note a mistake."""
        name = ".".join(str(part) for part in at if isinstance(part, str))
        place = Label(place=self.document.value(at))
        self.errors.append(ConfigError(f"`{name}`: {message}", code="config-value", labels=[place]))

    def layer(self) -> Layer:
        """What was read; raises the mistakes."""
        if len(self.errors) == 1:
            raise self.errors[0]
        if self.errors:
            raise ErrorGroup(f"{self.path} has {len(self.errors)} mistakes", self.errors)
        if self.ignored:
            names = [".".join(path) for path in self.ignored]
            guesses = [f"`{guess}` for `{name}`" for name in names if (guess := suggestion(name)) is not None]
            meant = f" (did you mean {', '.join(guesses)}?)" if guesses else ""
            self.warnings.append(f"Ignoring '{', '.join(names)}' in {self.path}{meant}")
        return Layer(path=self.path, data=self.data, written=self.written, warnings=tuple(self.warnings))


def _today(path: tuple[str, ...]) -> tuple[str, ...]:
    if path in OLD_NAMES:
        return OLD_NAMES[path]
    if len(path) == 3 and path[0] == "repodata-config":
        found = OLD_NAMES.get((path[0], ANY, path[2]))
        return (path[0], path[1], found[2]) if found is not None else path
    return path
