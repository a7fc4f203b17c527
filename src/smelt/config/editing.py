"""Changes of one ``config.toml``: a text becomes another text, what is not meant stays as it is.

The reference writes all settings in force into the file that it changes; here only the key that is asked for changes.
Source: the reference's pages ``pixi config set``, ``unset``, ``append`` and ``prepend``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from smelt.config.keys import KEYS, MOVED, Key, complaint, expand, is_table, key_at, parse_dotted, suggestion
from smelt.config.reading import Layer, parse_layer
from smelt.errors import ConfigError
from smelt.manifest.edit.document import remove_key, set_value
from smelt.manifest.edit.values import toml_value


def set_setting(text: str, path: Path, name: str, value: str | None) -> str:
    """The text of the file ``path`` with ``name`` set to what ``value`` says; without it if ``value`` is None.

    Arrays and tables are given as JSON. Raises ConfigError (``config-unknown-key``, ``config-value``), and what
    ``parse_layer`` raises where the file is broken.
    """
    at = path_of(name)
    written = _written(parse_layer(text, path), at)
    if value is None:
        if not _holds(parse_layer(text, path), at):
            return text
        rest = remove_key(text, written)
        rest = rest if text.startswith("\n") else rest.lstrip("\n")
        return rest if rest.endswith("\n") or not rest else rest + "\n"
    key = key_at(at)
    return _set(text, path, written, _table_of(name, value) if key is None else _value_of(key, name, value))


def extend_setting(
    text: str, path: Path, name: str, value: str, *, front: bool, inherited: Sequence[object] = ()
) -> str:
    """The text of the file ``path`` with ``value`` added to the array ``name``, at its ``front`` or its end.

    ``inherited``: what is in force if the file itself says nothing; it stays in force. Raises as ``set_setting``,
    and ConfigError where ``name`` is no array.
    """
    at = path_of(name)
    key = key_at(at)
    if key is None or not key.array:
        names = ", ".join(each.name for each in KEYS if each.array)
        raise ConfigError(
            f"`{name}` holds no list", code="config-value", help=f"append and prepend are for lists: {names}"
        )
    problem = complaint(key, value)
    if problem is not None:
        raise ConfigError(f"`{name}`: {problem}", code="config-value")
    layer = parse_layer(text, path)
    own: object = layer.data
    for part in at:
        own = own.get(part) if isinstance(own, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    before = cast("list[object]", own) if isinstance(own, list) else [] if key.extends else list(inherited)
    return _set(text, path, _written(layer, at), [value, *before] if front else [*before, value])


def _set(text: str, path: Path, at: tuple[str, ...], value: object) -> str:
    new = set_value(text, at, value)
    if not new.endswith("\n"):
        new += "\n"
    parse_layer(new, path)  # what does not read back is not written
    return new


def path_of(name: str) -> tuple[str, ...]:
    """The path of a setting or table; raises ConfigError (``config-unknown-key``) if there is none."""
    found = parse_dotted(name)
    if found is not None:
        return found
    moved = MOVED.get((name,))
    if moved is not None:
        raise ConfigError(
            f"`{name}` is deprecated", code="config-unknown-key", help=f"the key is called `{'.'.join(moved)}` now"
        )
    guess = suggestion(name)
    known = ", ".join(key.name for key in KEYS)
    raise ConfigError(
        f"there is no setting `{name}`",
        code="config-unknown-key",
        help=f"did you mean `{guess}`?" if guess else f"known are {known}",
    )


def _written(layer: Layer, at: tuple[str, ...]) -> tuple[str, ...]:
    """Where ``at`` stands in the file, or is to stand."""
    for length in range(len(at), 0, -1):
        found = layer.written.get(at[:length])
        if found is not None:
            return (*found, *at[length:])
    return at


def _holds(layer: Layer, at: tuple[str, ...]) -> bool:
    return at in layer.written


def _value_of(key: Key, name: str, text: str) -> object:
    value: object = text
    if key.array:
        value = _json(name, text, list, 'a JSON array, for example `["a", "b"]`')
        for item in cast("list[object]", value):
            _check(key, name, item)
        return value
    if key.kind in ("boolean", "detached") and text in ("true", "false"):
        value = text == "true"
    elif key.kind == "count" and text.isdigit():
        value = int(text)
    _check(key, name, value)
    return str(expand(text)) if (key.absolute or key.kind == "detached") and isinstance(value, str) else value


def _check(key: Key, name: str, value: object) -> None:
    problem = complaint(key, value)
    if problem is not None:
        found = f", found `{value}`" if problem.startswith("expected") else ""
        raise ConfigError(f"`{name}`: {problem}{found}", code="config-value")


def _table_of(name: str, text: str) -> object:
    assert is_table(path_of(name))
    return _json(name, text, dict, 'a JSON object, for example `{"key": "value"}`')


def _json(name: str, text: str, kind: type, expected: str) -> object:
    try:
        found: object = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, kind):
        raise ConfigError(f"`{name}`: expected {expected}, found `{text}`", code="config-value")
    return found


def plain(value: object) -> str:
    """A value as ``config get`` prints it: strings bare, everything else as TOML."""
    return value if isinstance(value, str) else toml_value(value)
