"""Settings as TOML, as ``config list`` prints them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from smelt.config.keys import KEYS
from smelt.manifest.edit.values import toml_key, toml_value


def ordered(data: Mapping[str, object], path: tuple[str, ...] = ()) -> dict[str, object]:
    """``data`` in the order of ``smelt.config.keys``; other names after them as they come."""
    names = dict.fromkeys(key.path[len(path)] for key in KEYS if len(key.path) > len(path) and _under(key.path, path))
    order = [*(name for name in names if name in data), *(name for name in data if name not in names)]
    found: dict[str, object] = {}
    for name in order:
        value = data[name]
        inner = cast("Mapping[str, object]", value) if isinstance(value, Mapping) else None
        found[name] = ordered(inner, (*path, name)) if inner is not None else value
    return found


def _under(pattern: Sequence[str], path: Sequence[str]) -> bool:
    return all(part in (given, "*") for part, given in zip(pattern, path, strict=False))


def to_toml(data: Mapping[str, object]) -> str:
    """``data`` as TOML: values before tables, arrays of more than one value on lines of their own."""
    blocks: list[str] = []
    _write((), data, blocks)
    return "\n".join(blocks)


def _write(path: tuple[str, ...], data: Mapping[str, object], blocks: list[str]) -> None:
    values = {name: value for name, value in data.items() if not isinstance(value, Mapping)}
    tables = {name: cast("Mapping[str, object]", value) for name, value in data.items() if isinstance(value, Mapping)}
    lines = [f"{toml_key(name)} = {_value(value)}\n" for name, value in values.items()]
    if lines:
        header = f"[{'.'.join(toml_key(part) for part in path)}]\n" if path else ""
        blocks.append(header + "".join(lines))
    for name, table in tables.items():
        _write((*path, name), table, blocks)


def _value(value: object) -> str:
    items = cast("list[object]", value) if isinstance(value, list) else []
    if len(items) > 1:
        lines = "".join(f"    {toml_value(item)},\n" for item in items)
        return f"[\n{lines}]"
    return toml_value(cast("object", value))
