"""The position finder finds every key and every value, however the text is written."""

from __future__ import annotations

import pickle
from typing import cast

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from smelt.manifest.document import parse_document
from smelt.manifest.positions import KeyPath, find_positions

BARE = st.text("abcXYZ019_-", min_size=1, max_size=4)
KEYS = st.one_of(BARE, st.text(max_size=4))
SCALARS = st.one_of(
    st.booleans(),
    st.integers(-(2**40), 2**40),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.text(max_size=6),
    st.sampled_from(['"', "'", '"""', "'''", "\\", "#", "]", "}", "a\nb", "=", "[x]"]),
    st.dates(),
    st.datetimes(),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=12,
)


def quote(text: str, draw: st.DataObject) -> str:
    """``text`` as one of the forms of TOML strings that can hold it."""
    forms = ["basic"]
    plain = all(character.isprintable() for character in text)
    if plain and "'" not in text:
        forms.append("literal")
    if "\r" not in text and all(character.isprintable() or character == "\n" for character in text):
        forms.append("multiline")
        if "'''" not in text and not text.endswith("'"):
            forms.append("multiline literal")
    form = draw.draw(st.sampled_from(forms))
    if form == "literal":
        return f"'{text}'"
    if form == "multiline literal":
        return f"'''\n{text}'''"
    escaped = "".join(
        f"\\{character}"
        if character in '"\\'
        else character
        if character.isprintable() or (character == "\n" and form == "multiline")
        else f"\\U{ord(character):08x}"
        for character in text
    )
    return f'"""\n{escaped}"""' if form == "multiline" else f'"{escaped}"'


def key_text(key: str, draw: st.DataObject) -> str:
    """``key`` bare where that is possible, or quoted."""
    if key and all(character in "abcXYZ019_-" for character in key) and draw.draw(st.booleans()):
        return key
    escaped = "".join(f"\\{c}" if c in '"\\' else c if c.isprintable() else f"\\U{ord(c):08x}" for c in key)
    return f'"{escaped}"'


def gap(draw: st.DataObject) -> str:
    """Something that may stand between the items of an array or table of TOML 1.1."""
    return draw.draw(st.sampled_from(["", " ", "\n", " # a comment ] } \" '\n\t", "\r\n  "]))


def value_text(value: object, draw: st.DataObject) -> str:
    """``value`` as TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return quote(value, draw)
    if isinstance(value, list):
        items = [value_text(item, draw) for item in cast("list[object]", value)]
        text = ",".join(f"{gap(draw)}{item}{gap(draw)}" for item in items)
        comma = "," if items and draw.draw(st.booleans()) else ""
        return f"[{text}{comma}{gap(draw)}]"
    if isinstance(value, dict):
        entries = cast("dict[str, object]", value)
        text = ",".join(
            f"{gap(draw)}{key_text(key, draw)} = {value_text(item, draw)}{gap(draw)}" for key, item in entries.items()
        )
        comma = "," if entries and draw.draw(st.booleans()) else ""
        return f"{{{text}{comma}{gap(draw)}}}"
    if hasattr(value, "isoformat"):
        return str(value.isoformat())  # pyright: ignore[reportUnknownMemberType, reportAttributeAccessIssue]
    return repr(value)


def document_text(data: dict[str, object], draw: st.DataObject, prefix: str = "") -> str:
    """``data`` as a TOML document: pairs first, then some tables under headers, some arrays of tables."""
    lines: list[str] = []
    later: list[str] = []
    for key, value in data.items():
        own = f"{prefix}{key_text(key, draw)}"
        if isinstance(value, dict) and draw.draw(st.booleans()):
            later.append(f"[ {own} ] # header\n" + document_text(cast("dict[str, object]", value), draw, f"{own} . "))
        elif (
            isinstance(value, list)
            and value
            and all(isinstance(item, dict) for item in cast("list[object]", value))
            and draw.draw(st.booleans())
        ):
            for item in cast("list[dict[str, object]]", value):
                later.append(f"[[{own}]]\n" + document_text(item, draw, f"{own}."))
        elif isinstance(value, dict) and len(cast("dict[str, object]", value)) == 1 and draw.draw(st.booleans()):
            (inner, item), *_ = cast("dict[str, object]", value).items()
            lines.append(f"{key_text(key, draw)}.{key_text(inner, draw)} = {value_text(item, draw)}")
        else:
            lines.append(f"{key_text(key, draw)} = {value_text(value, draw)}")
    return "\n".join([*lines, *later, ""])


def paths_of(value: object, path: KeyPath = ()) -> list[tuple[KeyPath, object]]:
    """Every key path in ``value`` with what is there."""
    found: list[tuple[KeyPath, object]] = [(path, value)] if path else []
    if isinstance(value, dict):
        for key, item in cast("dict[str, object]", value).items():
            found += paths_of(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(cast("list[object]", value)):
            found += paths_of(item, (*path, index))
    return found


@given(st.dictionaries(KEYS, VALUES, max_size=5), st.data())
def test_every_key_and_value_has_its_place(data: dict[str, object], draw: st.DataObject) -> None:
    text = document_text(data, draw)
    parsed = tomli.loads(text)
    spans = find_positions(text)
    for path, value in paths_of(parsed):
        span = spans[path]
        key = path[-1]
        if isinstance(key, str):
            written = text[span.key[0] : span.key[1]]
            assert any(key in tomli.loads(f"{form} = 1") for form in _forms(written)), (written, key)
        if isinstance(value, str):
            start, end = span.value
            assert any(_value_of(form) == value for form in (text[start:end], text[start - 1 : end + 1])), text[
                start:end
            ]
        elif isinstance(value, int | float):
            assert tomli.loads(f"x = {text[span.value[0] : span.value[1]]}")["x"] == value


def _forms(written: str) -> list[str]:
    return [form for form in (written, f'"{written}"', f"'{written}'") if _reads(f"{form} = 1")]


def _reads(text: str) -> bool:
    try:
        tomli.loads(text)
    except tomli.TOMLDecodeError:
        return False
    return True


def _value_of(text: str) -> object:
    return tomli.loads(f"x = {text}")["x"] if _reads(f"x = {text}") else None


TEXT = """\
# a comment
[workspace]
name = "demo"  # another
channels = [ "conda-forge", { channel = 'x', priority = 1 } ]

[feature.cuda.target."linux-*".dependencies]
python.version = ">=3.9"
numpy = {
  version = "*",   # TOML 1.1
  channel = "c",
}
text = \"\"\"
two
lines\"\"\"

[[thing]]
a = 1
[[thing]]
b = [[1, 2], [3]]
"""


@pytest.mark.parametrize(
    ("path", "key", "value"),
    [
        (("workspace",), (2, 2), (2, 1)),
        (("workspace", "name"), (3, 1), (3, 9)),
        (("workspace", "channels", 0), (4, 15), (4, 15)),
        (("workspace", "channels", 1, "channel"), (4, 31), (4, 42)),
        (("feature",), (6, 2), (6, 1)),
        (("feature", "cuda", "target", "linux-*"), (6, 23), (6, 1)),
        (("feature", "cuda", "target", "linux-*", "dependencies", "python"), (7, 1), (7, 1)),
        (("feature", "cuda", "target", "linux-*", "dependencies", "python", "version"), (7, 8), (7, 19)),
        (("feature", "cuda", "target", "linux-*", "dependencies", "numpy", "channel"), (10, 3), (10, 14)),
        (("feature", "cuda", "target", "linux-*", "dependencies", "text"), (12, 1), (12, 8)),
        (("thing", 1, "b", 1, 0), (19, 15), (19, 15)),
        (("workspace", "not", "there"), (2, 1), (2, 1)),
    ],
)
def test_places(path: KeyPath, key: tuple[int, int], value: tuple[int, int]) -> None:
    document = parse_document(TEXT, "pixi.toml")
    place = document.key(path)
    assert (place.line, place.column) == key
    place = document.value(path)
    assert (place.line, place.column) == value
    assert str(place) == f"pixi.toml:{value[0]}:{value[1]}"


def test_a_place_can_be_pickled_and_compared() -> None:
    place = parse_document(TEXT, "pixi.toml").value(("workspace", "name"))
    copy = pickle.loads(pickle.dumps(place))
    assert (copy.line, copy.column, copy.length, copy.source.text) == (3, 9, 4, TEXT)


def test_places_count_as_editors_do() -> None:
    """A byte order mark takes no column, and a line ends with CR LF as with LF."""
    raw = '\ufeffa = 1\r\nb = "ü"\r\nc = "x"\r\n'.encode()
    document = parse_document(raw, "pixi.toml")
    place = document.value(("c",))
    assert (place.line, place.column) == (3, 6)
    assert document.source.line(2) == 'b = "ü"'


def test_what_lies_very_deep_has_the_place_of_what_holds_it() -> None:
    depth = 300
    document = parse_document("a = " + "[" * depth + "1" + "]" * depth + "\nb = 2\n", "pixi.toml")
    assert document.value(("a", *([0] * (depth - 1)))).line == 1
    assert document.value(("b",)).line == 2
