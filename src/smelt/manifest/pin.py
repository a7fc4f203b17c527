"""Pins: ``{ pin-compatible = … }`` and ``{ pin-subpackage = … }``.

Source: the reference's manifest page, "pin-subpackage and pin-compatible".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from smelt.manifest.reading import Table
from smelt.manifest.version import version_problem

_PIN_EXPRESSION = re.compile(r"x(?:\.x)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class TomlPin:
    """``{ pin-compatible = … }`` or ``{ pin-subpackage = … }``."""

    kind: Literal["compatible", "subpackage"]
    lower_bound: str | None = "x.x.x.x.x.x"
    upper_bound: str | None = "x"
    exact: bool = False
    build: str | None = None


def read_pin(table: Table) -> TomlPin | None:
    """The pin that ``table`` describes, or None after a mistake."""
    problems = table.problems
    key = "pin-compatible" if "pin-compatible" in table else "pin-subpackage"
    others = [other for other in table.data if other != key]
    if others:
        problems.error("pin", f"`{key}` cannot be combined with `{others[0]}`", problems.key(table.at(others[0])))
        return None
    kind: Literal["compatible", "subpackage"] = "compatible" if key == "pin-compatible" else "subpackage"
    value = table.data[key]
    if value is True:
        return TomlPin(kind=kind)
    if value is False:
        problems.error(
            "pin",
            f"`{key} = false` means nothing",
            problems.value(table.at(key)),
            help="remove it, or give a table (`lower-bound`, `upper-bound`, `build`, `exact`)",
        )
        return None
    pin = table.table(key, "`true` or a table")
    if pin is None:
        return None
    before = len(problems.errors)
    lower = pin.parsed("lower-bound", _bound_problem)
    upper = pin.parsed("upper-bound", _bound_problem)
    build = pin.string("build")
    exact = pin.boolean("exact") or False
    pin.finish()
    if exact and len(pin.data) > 1:
        other = next(each for each in pin.data if each != "exact")
        problems.error("pin", f"`exact` cannot be combined with `{other}`", problems.key(pin.at(other)))
    if len(problems.errors) > before:
        return None
    default = TomlPin(kind=kind)
    return TomlPin(
        kind=kind,
        lower_bound=lower if lower is not None else default.lower_bound,
        upper_bound=upper if upper is not None else default.upper_bound,
        exact=exact,
        build=build,
    )


def _bound_problem(text: str) -> str | None:
    if _PIN_EXPRESSION.fullmatch(text) or version_problem(text) is None:
        return None
    return f"`{text}` is neither a pin (`x.x`) nor a version"
