"""A TOML file: its text, its data, and the place of everything in it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from smelt.errors import Label, ManifestError
from smelt.manifest.positions import KeyPath, Span, find_positions
from smelt.text import Place, SourceText, shown_path

if TYPE_CHECKING:
    import tomli


class Document:
    """A parsed TOML file. ``data`` is what ``tomli`` gives; places are found when they are first asked for."""

    __slots__ = ("_spans", "data", "source")

    def __init__(self, source: SourceText, data: dict[str, object]) -> None:
        self.source = source
        self.data = data
        self._spans: dict[KeyPath, Span] | None = None

    def key(self, path: KeyPath) -> Place:
        """The place of the key that ``path`` ends in, found lazily; that of the nearest parent if it is not there."""
        return LazyPlace(self, path, of_key=True)

    def value(self, path: KeyPath) -> Place:
        """The place of the value at ``path``, found lazily; that of the nearest parent if it is not there."""
        return LazyPlace(self, path, of_key=False)

    def has(self, path: KeyPath) -> bool:
        """Whether the file says anything at ``path``."""
        if self._spans is None:
            self._spans = find_positions(self.source.text)
        return path in self._spans

    def find(self, path: KeyPath, *, of_key: bool) -> tuple[int, int]:
        """Offsets (start, end) of the key or value at ``path`` or of its nearest parent."""
        if self._spans is None:
            self._spans = find_positions(self.source.text)
        full = path
        while path and path not in self._spans:
            path = path[:-1]
        if not path:
            return 0, 0
        span = self._spans[path]
        return span.key if of_key and path == full else span.value


class LazyPlace(Place):
    """A place that is only looked for when its line or column is asked for."""

    __slots__ = ("_document", "_found", "_of_key", "_path")

    def __init__(self, document: Document, path: KeyPath, *, of_key: bool) -> None:
        object.__setattr__(self, "source", document.source)
        object.__setattr__(self, "_document", document)
        object.__setattr__(self, "_path", path)
        object.__setattr__(self, "_of_key", of_key)
        object.__setattr__(self, "_found", None)

    @property
    def path(self) -> KeyPath:
        """The path that was asked for."""
        return cast("KeyPath", self._path)

    @property
    def of_key(self) -> bool:
        """Whether it is the place of a key, and not of its value."""
        return cast("bool", self._of_key)

    def nearby(self, *paths: KeyPath, up: int = 1) -> Place:
        """The key at the first of ``paths`` that is there, within the table that is ``up`` above this; else this."""
        document, table = cast("Document", self._document), self.path[:-up]
        found = next((full for path in paths if document.has(full := (*table, *path))), None)
        return document.key(found) if found is not None else self

    def _place(self) -> Place:
        found = cast("Place | None", self._found)
        if found is None:
            start, end = self._document.find(self._path, of_key=self._of_key)
            line_end = self.source.text.find("\n", start)
            end = end if line_end < 0 else min(end, line_end)
            found = self.source.place(start, end - start)
            object.__setattr__(self, "_found", found)
        return found

    @property
    def line(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self._place().line

    @property
    def column(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self._place().column

    @property
    def length(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self._place().length

    def __reduce__(self) -> tuple[Callable[..., Place], tuple[object, ...]]:
        return _place_of, (self.source, self.line, self.column, self.length)


def _place_of(source: SourceText, line: int, column: int, length: int) -> Place:
    return Place(source=source, line=line, column=column, length=length)


def read_document(path: Path) -> Document:
    """Read and parse the TOML file at ``path``.

    Raises ManifestError (``manifest-missing``, ``manifest-unreadable``, ``manifest-encoding``,
    ``manifest-syntax``).
    """
    shown = shown_path(path)
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise ManifestError(f"could not find {shown}", code="manifest-missing") from None
    except OSError as error:
        raise ManifestError(f"could not read {shown}: {error.strerror or error}", code="manifest-unreadable") from error
    return parse_document(raw, shown)


def parse_document(raw: bytes | str, shown: str) -> Document:
    """Parse the content of a TOML file that messages call ``shown``. Raises ManifestError as ``read_document``."""
    text = raw if isinstance(raw, str) else _decode(raw, shown)
    text = text.removeprefix("\ufeff")
    source = SourceText(path=shown, text=text)
    import tomli

    try:
        data: dict[str, object] = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        raise _syntax_error(error, source) from None
    except RecursionError:
        raise ManifestError(
            f"{shown} is nested too deeply",
            code="manifest-syntax",
            labels=[Label(place=source.place(_deepest(text)))],
            help="a manifest needs no more than a few levels",
        ) from None
    except ValueError as error:
        # tomli hands numbers and dates to Python, which limits both.
        raise ManifestError(
            f"{shown} holds a value that cannot be read: {_plain_words(str(error))}", code="manifest-syntax"
        ) from None
    return Document(source, data)


def _decode(raw: bytes, shown: str) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        start = error.start
        before = raw[:start].decode("utf-8-sig", "replace")
        source = SourceText(path=shown, text=raw.decode("utf-8-sig", "replace"))
        raise ManifestError(
            f"{shown} is not valid UTF-8 (byte 0x{raw[start]:02x} at offset {start})",
            code="manifest-encoding",
            labels=[Label(place=source.place(len(before)))],
            help="save the file in the encoding UTF-8",
        ) from None


_WORDS = (
    (re.compile(r"^Expected '=' after a key in a key/value pair"), "expected `=` after this key"),
    (re.compile(r"^Invalid initial character for a key part"), "this cannot begin a key"),
    (re.compile(r"^Expected newline or end of document after a statement"), "expected the end of the line here"),
    (re.compile(r"^Unterminated string"), "this string is not closed"),
    (re.compile(r"^Unclosed array"), "this array is not closed"),
    (re.compile(r"^Unclosed inline table"), "this inline table is not closed"),
    (re.compile(r"^Invalid value"), "this is not a TOML value"),
    (re.compile(r"^Invalid statement"), "expected a key or a table header here"),
    (re.compile(r"^Cannot overwrite a value"), "this key is defined twice"),
    (re.compile(r"^Cannot declare (.*) twice"), "this table is defined twice"),
    (re.compile(r"^Cannot mutate immutable namespace (.*)"), "this table is closed and cannot be extended here"),
    (re.compile(r"^Duplicate inline table key (.*)"), "this key is defined twice"),
    (re.compile(r"^Illegal character (.*)"), r"the character \1 is not allowed here"),
    (re.compile(r"^Found invalid character (.*)"), r"the character \1 is not allowed here"),
    (re.compile(r"^Unescaped '\\' in a string"), "this backslash begins no known escape"),
    (re.compile(r"^Escaped character is not a Unicode scalar value"), "this escape is no Unicode character"),
    (re.compile(r"^Invalid hex value"), "this is not a hexadecimal number"),
    (re.compile(r"^Invalid date or datetime"), "this is not a date"),
    (re.compile(r"^Expected ['\"](.*)['\"].*"), r"expected `\1` here"),
    (re.compile(r"^TOML .* nested .*"), "this is nested too deeply"),
)


def _syntax_error(error: tomli.TOMLDecodeError, source: SourceText) -> ManifestError:
    """What ``tomli`` says, in plainer words and with its place."""
    place = Place(source=source, line=error.lineno, column=error.colno)
    label = _plain_words(error.msg)
    help_text = None
    if source.line(place.line).lstrip().startswith(("<<<<<<<", "=======", ">>>>>>>")):
        label = "this line is left from an unfinished merge"
        help_text = "resolve the conflict and remove its markers"
    return ManifestError(
        f"{source.path} is not valid TOML",
        code="manifest-syntax",
        labels=[Label(place=place, message=label)],
        help=help_text,
    )


def _plain_words(message: str) -> str:
    for pattern, words in _WORDS:
        if pattern.match(message):
            return pattern.sub(words, message, count=1)
    return message[:1].lower() + message[1:]


def _deepest(text: str) -> int:
    depth = deepest = position = 0
    for offset, character in enumerate(text):
        if character in "[{":
            depth += 1
            if depth > deepest:
                deepest, position = depth, offset
        elif character in "]}":
            depth -= 1
    return position
