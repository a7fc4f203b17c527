"""Setting and removing keys and items of a TOML text.

Every function takes a text that is valid TOML and gives a text that says the same but for the change. What it does
not touch keeps its bytes; what it adds follows the layout around it. Raises ManifestError (``manifest-edit``)
where the text does not have the shape that the change needs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast

from smelt.errors import ManifestError
from smelt.manifest.edit.search import Definition, Held, find_definition
from smelt.manifest.edit.sequence import Sequence, Splice, indent_at, newline_of, splice
from smelt.manifest.edit.tree import Section, Value, parse_tree
from smelt.manifest.edit.values import toml_key, toml_value
from smelt.manifest.positions import KeyPath

_COMMENT_LINE = re.compile(r"[ \t]*#[^\n]*(?:\n|$)")
_BLANK_LINES = re.compile(r"(?:[ \t]*\r?\n)*")


def set_value(text: str, path: KeyPath, value: object) -> str:
    """``text`` with ``value`` at ``path``, put in the place of what was there or added to its table.

    Tables that are missing are added. A table that has a header keeps it, if ``value`` is a table too.
    """
    tree = parse_tree(text)
    found = find_definition(tree, path)
    if found.exact is not None:
        old = found.exact.entry.value
        new = toml_value(value, text[old.start : old.end], newline_of(text))
        return splice(text, [Splice(start=old.start, end=old.end, new=new)])
    if not found:
        return _insert(text, tree, path, value)
    table = _as_table(value)
    if table is not None and not found.dotted and not found.is_array_of_tables(path):
        return _merge(text, path, table)
    if found.dotted and not found.sections:
        first = found.dotted[0]
        for _ in found.dotted[1:]:
            text = _remove_held(text, find_definition(parse_tree(text), path).dotted[-1])
        parts = first.entry.parts[: len(path) - len(first.path)]
        last = find_definition(parse_tree(text), path).dotted[0].entry.value
        key = text[parts[0][0] : parts[-1][1]]
        new = f"{key} = {toml_value(value, newline=newline_of(text))}"
        return splice(text, [Splice(start=parts[0][0], end=last.end, new=new)])
    rest = remove_key(text, path)
    added = _insert(rest, parse_tree(rest), path, value)
    return added if "\n" in rest else added.replace("\n", newline_of(text))


def remove_key(text: str, path: KeyPath) -> str:
    """``text`` without ``path``: its line with the comment on it, or its header and all below.

    Comments on lines of their own stay, but for those directly above a header that goes. A table that only headers
    below it implied is gone with the last of them. Raises KeyError if there is nothing at ``path``.
    """
    found = find_definition(parse_tree(text), path)
    if not found:
        raise KeyError(path)
    while found:
        if found.exact is not None:
            text = _remove_held(text, found.exact)
        elif found.dotted:
            text = _remove_held(text, found.dotted[-1])
        else:
            text = _remove_section(text, parse_tree(text), found.sections[-1].header)
        found = find_definition(parse_tree(text), path)
    return text


def insert_item(text: str, path: KeyPath, value: object, index: int | None = None) -> str:
    """``text`` with ``value`` put before item ``index`` of the array at ``path`` (at its end: None)."""
    tree = parse_tree(text)
    found = find_definition(tree, path)
    if not found:
        return _insert(text, tree, path, [value])
    if found.is_array_of_tables(path):
        items = [each for each in found.sections if each.path[:-1] == path]
        if isinstance(value, Mapping) and (index is None or index >= len(items)):
            return _add_section(text, tree, found.sections[-1], path, cast("Mapping[str, object]", value), item=True)
        raise _shape(path, "is written with `[[…]]` headers", "write it as an array (`[…]`) to have it edited")
    array = _array(found, path)
    sequence = Sequence(text, array.extent, [each.extent for each in array.items or ()])
    new = toml_value(value, _quotes(text, array), newline_of(text))
    return splice(text, sequence.insert(len(sequence.slots) if index is None else index, new))


def remove_item(text: str, path: KeyPath, index: int) -> str:
    """``text`` without item ``index`` of the array at ``path``."""
    tree = parse_tree(text)
    found = find_definition(tree, path)
    if found.is_array_of_tables(path):
        for section in reversed([each for each in found.sections if each.path[len(path)] == index]):
            text = _remove_section(text, parse_tree(text), section.header)
        return text
    array = _array(found, path)
    return splice(text, Sequence(text, array.extent, [each.extent for each in array.items or ()]).remove(index))


def replace_item(text: str, path: KeyPath, index: int, value: object) -> str:
    """``text`` with ``value`` in the place of item ``index`` of the array at ``path``."""
    found = find_definition(parse_tree(text), path)
    if found.is_array_of_tables(path):
        raise _shape(path, "is written with `[[…]]` headers", "write it as an array (`[…]`) to have it edited")
    old = (_array(found, path).items or ())[index]
    new = toml_value(value, text[old.start : old.end], newline_of(text))
    return splice(text, [Splice(start=old.start, end=old.end, new=new)])


def add_header(text: str, path: KeyPath) -> str:
    """``text`` with an empty table at ``path``, if there is nothing there."""
    tree = parse_tree(text)
    if find_definition(tree, path):
        return text
    return _insert(text, tree, path, {}, header=True)


def _as_table(value: object) -> Mapping[str, object] | None:
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else None


def _array(found: Definition, path: KeyPath) -> Value:
    if found.exact is None or found.exact.entry.value.items is None:
        raise _shape(path, "is not an array", None)
    return found.exact.entry.value


def _quotes(text: str, array: Value) -> str:
    """A text of the array, for its quotes."""
    return next((text[each.start : each.end] for each in array.items or () if text[each.start] == "'"), "")


def _shape(path: KeyPath, what: str, help: str | None) -> ManifestError:
    name = ".".join(str(part) for part in path)
    return ManifestError(f"`{name}` cannot be edited: it {what}", code="manifest-edit", help=help)


def _merge(text: str, path: KeyPath, value: Mapping[str, object]) -> str:
    """Make the table that has headers at ``path`` hold ``value``, key by key."""
    import tomli

    entries: dict[str, object] = tomli.loads(text)
    for part in path:
        entries = cast("dict[str, dict[str, object]]", entries)[str(part)]
    for name in entries:
        if name not in value:
            text = remove_key(text, (*path, name))
    for name, each in value.items():
        if name not in entries or entries[name] != each or type(entries[name]) is not type(each):
            text = set_value(text, (*path, name), each)
    return add_header(text, path)


def _insert(text: str, tree: tuple[Section, ...], path: KeyPath, value: object, *, header: bool = False) -> str:
    """Add ``path``, of which at most the tables above it are there. ``header``: as a section of its own."""
    depth = len(path) - 1
    while depth > 0 and not find_definition(tree, path[:depth]):
        depth -= 1
    above = path[:depth]
    missing = path[depth:]
    found = find_definition(tree, above)
    if found.is_array_of_tables(above):
        raise _shape(above, "is written with `[[…]]` headers", None)
    if found.exact is not None:
        held = found.exact.entry.value
        if held.entries is None:
            raise _shape(above, "is not a table", None)
        for part in reversed(missing[1:]):
            value = {str(part): value}
        sequence = Sequence(text, held.extent, [each.extent for each in held.entries])
        entry = f"{toml_key(str(missing[0]))} = {toml_value(value, newline=newline_of(text))}"
        return splice(text, sequence.insert(len(sequence.slots), entry))
    if found.dotted:
        return _insert_dotted(text, found.dotted[-1], above, missing, value)
    section = found.header(above)
    if len(missing) == 1 and section is not None and not header:
        return _add_line(text, section, f"{toml_key(str(missing[0]))} = {toml_value(value, newline=newline_of(text))}")
    if header:
        assert isinstance(value, Mapping)
        empty = cast("Mapping[str, object]", value)
        return _add_section(text, tree, _last(tree, found), path, empty)
    contents = {str(missing[-1]): value}
    if len(missing) == 1:  # the table is only implied by headers below it: its own goes before them
        return _add_section_before(text, found.sections[0], above, contents)
    return _add_section(text, tree, _last(tree, found), path[:-1], contents)


def _last(tree: tuple[Section, ...], found: Definition) -> Section:
    return found.sections[-1] if found.sections else tree[-1]


def _insert_dotted(text: str, held: Held, above: KeyPath, missing: KeyPath, value: object) -> str:
    """Add an entry behind ``held``, whose key leads through ``above``, with a key that begins as its own."""
    parts = held.entry.parts[: len(above) - len(held.path)]
    keys = ".".join(toml_key(str(part)) for part in missing)
    entry = f"{text[parts[0][0] : parts[-1][1]]}.{keys} = {toml_value(value, newline=newline_of(text))}"
    if isinstance(held.holder, Section):
        at = _line_end(text, held.entry.value.end)
        return splice(text, [Splice(start=at, end=at, new=f"{newline_of(text)}{indent_at(text, parts[0][0])}{entry}")])
    sequence = Sequence(text, held.holder.extent, [each.extent for each in held.holder.entries or ()])
    return splice(text, sequence.insert(held.index + 1, entry))


def _add_line(text: str, section: Section, line: str) -> str:
    """Add ``line`` to the end of ``section``."""
    newline = newline_of(text)
    if section.header is None and not section.entries:
        return f"{line}{newline}{newline}{text}" if text.strip() else f"{line}{newline}"
    indent = indent_at(text, section.entries[-1].extent[0] if section.entries else cast("int", _start(section)))
    at = _line_end(text, section.end)
    ending = newline if at == len(text) else ""
    return splice(text, [Splice(start=at, end=at, new=f"{newline}{indent}{line}{ending}")])


def _start(section: Section) -> int | None:
    return section.header[0] if section.header is not None else None


def _section_text(path: KeyPath, contents: Mapping[str, object], indent: str, newline: str, *, item: bool) -> str:
    name = ".".join(toml_key(str(part)) for part in path if isinstance(part, str))
    lines = [f"[[{name}]]" if item else f"[{name}]"]
    lines += [f"{toml_key(key)} = {toml_value(each, newline=newline)}" for key, each in contents.items()]
    return newline.join(f"{indent}{line}" for line in lines)


def _add_section(
    text: str,
    tree: tuple[Section, ...],
    after: Section,
    path: KeyPath,
    contents: Mapping[str, object],
    *,
    item: bool = False,
) -> str:
    """Add a section behind ``after``, with a blank line before and behind it."""
    newline = newline_of(text)
    start = _start(after)
    indent = indent_at(text, start) if start is not None else ""
    new = _section_text(path, contents, indent, newline, item=item)
    if after is tree[-1]:
        end = len(text.rstrip(" \t\r\n"))
        before = f"{newline}{newline}" if end else ""
        rest = text[end:]
        if "\n" not in rest:
            rest = newline
        return f"{text[:end]}{before}{new}{rest}"
    at = _body_end(text, after)
    blank = text.startswith(("\n\n", "\r\n\r\n"), at)
    return splice(text, [Splice(start=at, end=at, new=f"{newline}{newline}{new}{'' if blank else newline}")])


def _add_section_before(text: str, before: Section, path: KeyPath, contents: Mapping[str, object]) -> str:
    newline = newline_of(text)
    assert before.header is not None
    at = _lead(text, before.header[0])
    new = _section_text(path, contents, indent_at(text, before.header[0]), newline, item=False)
    return splice(text, [Splice(start=at, end=at, new=f"{new}{newline}{newline}")])


def _remove_held(text: str, held: Held) -> str:
    if isinstance(held.holder, Value):
        sequence = Sequence(text, held.holder.extent, [each.extent for each in held.holder.entries or ()])
        return splice(text, sequence.remove(held.index))
    start = text.rfind("\n", 0, held.entry.extent[0]) + 1
    return splice(text, [_line_splice(text, start, _line_end(text, held.entry.value.end))])


def _line_splice(text: str, start: int, end: int) -> Splice:
    """Takes out the lines from ``start`` to ``end`` with one line break."""
    if end < len(text):
        return Splice(start=start, end=text.find("\n", end) + 1)
    return Splice(start=len(text[:start].removesuffix("\n").removesuffix("\r")), end=end)


def _remove_section(text: str, tree: tuple[Section, ...], header: tuple[int, int] | None) -> str:
    assert header is not None
    index = next(i for i, each in enumerate(tree) if each.header == header)
    start = _lead(text, header[0])
    end = _body_end(text, tree[index])
    if index + 1 == len(tree) and not text[end:].strip():
        # the last one: the blank lines above it go, the end of the file stays as it was
        head = text[:start].rstrip(" \t\r\n")
        return head + text[end:] if head else ""
    splice_of = _line_splice(text, start, end)
    blank = _BLANK_LINES.match(text, splice_of.end)
    return splice(text, [Splice(start=splice_of.start, end=blank.end() if blank else splice_of.end)])


def _line_end(text: str, at: int) -> int:
    """Where the line of ``at`` ends, before its line break."""
    end = text.find("\n", at)
    if end < 0:
        return len(text)
    return end - 1 if text[end - 1] == "\r" else end


def _body_end(text: str, section: Section) -> int:
    """The end of the last line of ``section``, with the comments directly below it unless a header follows them."""
    end = _line_end(text, section.end)
    at = text.find("\n", end) + 1
    if section.header is None and not section.entries:
        return 0
    while at:
        found = _COMMENT_LINE.match(text, at)
        if found is None:
            follows = text[at:].lstrip(" \t")
            return _line_end(text, section.end) if follows.startswith("[") else end
        end = _line_end(text, found.start())
        if found.end() >= len(text):
            return end
        at = found.end()
    return end


def _lead(text: str, header: int) -> int:
    """Where the comments directly above a header begin, or the line of the header."""
    start = text.rfind("\n", 0, header) + 1
    while start:
        previous = text.rfind("\n", 0, start - 1) + 1
        if not _COMMENT_LINE.match(text, previous):
            break
        start = previous
    return start
