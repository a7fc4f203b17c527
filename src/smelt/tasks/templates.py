"""Templates in commands, variables, patterns and arguments of tasks.

The reference renders them with MiniJinja, strictly: an undefined name is an error. Jinja2 is that language's
origin; filters and tests that only MiniJinja has are added here. Source: the reference's page "Advanced tasks",
section "MiniJinja Templating", and the list of filters of MiniJinja.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

from smelt.errors import Label, TaskError
from smelt.text import Place

if TYPE_CHECKING:
    from jinja2.sandbox import SandboxedEnvironment

REFERENCE_VERSION = "0.77.0"
_MARKS = ("{{", "{%", "{#")


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateContext:
    """What templates may name: the task's arguments and the ``pixi`` object.

    ``platform``: the workspace platform's name, ``subdir`` its conda platform. ``pixi.version`` is the version of
    the reference that we follow, for manifests compare it.
    """

    environment: str
    platform: str
    subdir: str
    manifest_path: Path
    init_cwd: Path
    arguments: Mapping[str, str]

    def names(self) -> dict[str, object]:
        """The names of a template and their values."""
        windows = self.subdir.startswith("win-")
        family = self.subdir.partition("-")[0]
        pixi = {
            "platform": self.platform,
            "is_win": windows,
            "is_unix": family in ("linux", "osx", "freebsd", "emscripten"),
            "is_linux": family == "linux",
            "is_osx": family == "osx",
            "environment": {"name": self.environment},
            "manifest_path": str(self.manifest_path),
            "version": REFERENCE_VERSION,
            "init_cwd": str(self.init_cwd),
        }
        return {**self.arguments, "pixi": pixi}


def render(text: str, context: TemplateContext, *, what: str, place: Place | None = None) -> str:
    """``text`` with its templates replaced. ``what`` says in an error which text it is. Raises TaskError.

    Text without any template costs nothing.
    """
    if not any(mark in text for mark in _MARKS):
        return text
    from jinja2 import TemplateError

    try:
        return _environment().from_string(text).render(context.names())
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise TaskError(
            f"failed to replace argument placeholders in {what}",
            code="task-template",
            labels=[Label(place=place, message="in this task")] if place is not None else [],
            notes=[f"{text}\nthis part can't be replaced: {error}"],
            help="templates may name the task's own `args` and `pixi` (`pixi.platform`, `pixi.init_cwd`, …)",
        ) from error


@cache
def _environment() -> SandboxedEnvironment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
    filters: dict[str, Callable[..., object]] = {
        "bool": bool,
        "endswith": str.endswith,
        "lines": str.splitlines,
        "split": _split,
        "startswith": str.startswith,
        "title": _title,
    }
    tests: dict[str, Callable[..., object]] = {"startingwith": str.startswith, "endingwith": str.endswith}
    cast("dict[str, Callable[..., object]]", environment.filters).update(filters)
    cast("dict[str, Callable[..., object]]", environment.tests).update(tests)
    return environment


def _title(text: object) -> str:
    """MiniJinja's: a word begins after white space or any punctuation, quotes too; Jinja2's stops at fewer marks."""
    found: list[str] = []
    inside = False
    for character in str(text):
        found.append(character.lower() if inside else character.upper())
        inside = not (character.isspace() or (character.isascii() and not character.isalnum()))
    return "".join(found)


def _split(text: str, separator: str | None = None, most: int = -1) -> list[str]:
    return text.split(separator, most)
