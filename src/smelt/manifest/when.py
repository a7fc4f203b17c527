"""The condition of a dependency (``when``), as the text that MatchSpec takes.

Source: the reference's manifest page, "The dependencies table(s)"; CEP 29 and the CEP on conditional dependencies.
"""

from __future__ import annotations

import re
from typing import cast

from smelt.manifest.location import LOCATION_KEYS, conflict
from smelt.manifest.positions import KeyPath
from smelt.manifest.reading import Problems, Table, type_name
from smelt.manifest.version import version_spec_problem

_BUILD_NUMBER = re.compile(r"(?:==|!=|<=|>=|<|>|=)?\s*\d+")
_WHEN_TEXT = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.-]*)\s*((?:[=!<>~]|\s\*|\s\d|\s\().*)?", re.DOTALL)


def read_when(value: object, path: KeyPath, problems: Problems) -> str | None:
    """The condition of a dependency as the text that MatchSpec's ``when`` takes."""
    if isinstance(value, str):
        if "[" in value or "]" in value:
            complaint = "a condition in text form takes no brackets"
        elif "::" in value:
            complaint = "a condition takes no channel"
        elif not _WHEN_TEXT.fullmatch(value.strip()):
            complaint = f"`{value}` is not the name of a package, with or without a version"
        else:
            return value.strip()
        problems.error(
            "when",
            complaint,
            problems.value(path),
            help='write a table: `when = { package = "python", version = ">=3.10", build = "*_cpython" }`',
        )
        return None
    if not isinstance(value, dict):
        problems.error("type", f"expected a string or a table, found {type_name(value)}", problems.value(path))
        return None
    table = Table(cast("dict[str, object]", value), path, problems)
    kinds = [key for key in ("all", "any", "package") if key in table]
    if len(kinds) != 1:
        problems.error("when", "a condition has exactly one of `all`, `any` and `package`", table.place)
        return None
    if kinds[0] != "package":
        return _combine(table, kinds[0])
    name = table.string("package")
    version = table.parsed("version", version_spec_problem)
    texts = {key: table.string(key) for key in ("build", "file-name", "subdir", "license", "license-family")}
    number = build_number(table)
    lists = {key: table.strings(key) for key in ("extras", "flags", "track-features")}
    nested = read_when(table.take("when"), table.at("when"), problems) if "when" in table else None
    for key in (*LOCATION_KEYS, "channel"):
        if key in table:
            conflict(table, key, f"`{key}` cannot be part of a condition")
            table.asked[key] = None
    table.finish(hidden=(*LOCATION_KEYS, "channel"))
    if name is None:
        return None
    properties = {"version": version, "build_number": number}
    for key, text in texts.items():
        properties["fn" if key == "file-name" else key.replace("-", "_")] = text
    parts = [f"{key}='{text}'" for key, text in properties.items() if text is not None]
    parts += [f"{key.replace('-', '_')}=[{','.join(items)}]" for key, items in lists.items() if items]
    own = f"{name}[{', '.join(parts)}]" if parts else name
    return f"({own} and {nested})" if nested else own


def _combine(table: Table, key: str) -> str | None:
    items = table.array(key)
    table.finish()
    if items is None:
        return None
    if not items:
        table.problems.error("when", f"`{key}` needs at least one condition", table.problems.value(table.at(key)))
        return None
    parts = [read_when(item, (*table.path, key, index), table.problems) for index, item in enumerate(items)]
    texts = [part for part in parts if part is not None]
    return texts[0] if len(texts) == 1 else f"({(' and ' if key == 'all' else ' or ').join(texts)})"


def build_number(table: Table) -> str | None:
    """``build-number`` of ``table``: a number, or a comparison with one."""
    value = table.take("build-number")
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return str(value)
    return table.parsed(
        "build-number",
        lambda text: None if _BUILD_NUMBER.fullmatch(text.strip()) else f"`{text}` is not a build number (`>=1`)",
    )
