"""Workspaces that can be named from anywhere: ``workspaces.toml`` in ``PIXI_HOME``.

Source: the reference's pages ``pixi workspace register`` and ``--workspace``.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import tomli

from smelt.config.files import pixi_home
from smelt.errors import UnknownNameError, UsageError
from smelt.fs import hold, write_text
from smelt.text import closest, toml_basic

FILE = "workspaces.toml"
_TABLE = "named-workspaces"


class WorkspaceRegistry:
    """The names in one file. Every method reads it anew; changes replace it as a whole, one process at a time."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or pixi_home(os.environ) / FILE

    def workspaces(self) -> dict[str, Path]:
        """Folder (or manifest) by name, sorted. Raises UsageError (``registry-damaged``) for a file that is none."""
        return {name: Path(where) for name, where in sorted(self._read().items())}

    def find(self, name: str) -> Path:
        """Where the workspace ``name`` is. Raises UnknownNameError for one that is not registered, or not there."""
        known = self.workspaces()
        if name not in known:
            guess = closest(name, known)
            listed = ", ".join(known)
            raise UnknownNameError(
                f"no workspace `{name}` is registered",
                code="workspace-not-registered",
                help=f"did you mean `{guess}`?"
                if guess
                else (
                    f"registered are {listed}" if known else "`smelt workspace register` registers the one you are in"
                ),
            )
        if not known[name].exists():
            raise UnknownNameError(
                f"the registered workspace `{name}` is gone: there is no {known[name]}",
                code="workspace-not-registered",
                help="`smelt workspace register prune` forgets all that are gone",
            )
        return known[name]

    def add(self, name: str, path: Path, *, replace: bool = False) -> None:
        """Register ``path``. Raises UsageError (``already-there``) where the name is taken, unless ``replace``."""
        with self._changing() as names:
            if name in names and not replace and names[name] != str(path):
                raise UsageError(
                    f"a workspace `{name}` is registered already: {names[name]}",
                    code="workspace-registered",
                    help="`--force` replaces it; `--name` registers this one under another name",
                )
            names[name] = str(path)

    def remove(self, name: str) -> None:
        """Forget ``name``. Raises UnknownNameError where it is not registered."""
        with self._changing() as names:
            if name not in names:
                raise _unknown(name, names)
            del names[name]

    def prune(self) -> tuple[str, ...]:
        """Forget what is no longer there; the names of it."""
        with self._changing() as names:
            gone = tuple(sorted(name for name, path in names.items() if not Path(path).exists()))
            for name in gone:
                del names[name]
        return gone

    @contextmanager
    def _changing(self) -> Generator[dict[str, str]]:
        with hold(self.path.with_name(f".{FILE}.lock"), "registering a workspace"):
            names = self._read()
            yield names
            write_text(self.path, _text(names))

    def _read(self) -> dict[str, str]:
        try:
            text = self.path.read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            return {}
        try:
            data = tomli.loads(text)
        except tomli.TOMLDecodeError as error:
            raise self._damaged(str(error)) from None
        names: object = data.get(_TABLE, {})
        if not isinstance(names, dict):
            raise self._damaged(f"`{_TABLE}` is no table")
        entries = cast("dict[str, object]", names)
        if not all(isinstance(value, str) for value in entries.values()):
            raise self._damaged("a name stands for something that is no path")
        return cast("dict[str, str]", dict(entries))

    def _damaged(self, what: str) -> UsageError:
        return UsageError(
            f"{self.path} cannot be read: {what}",
            code="registry-damaged",
            help="correct or remove the file; `smelt workspace register` makes it anew",
        )


def _unknown(name: str, known: Iterable[str]) -> UnknownNameError:
    listed = sorted(known)
    guess = closest(name, listed)
    hint = (
        f"registered are {', '.join(listed)}" if listed else "`smelt workspace register` registers the one you are in"
    )
    return UnknownNameError(
        f"no workspace `{name}` is registered",
        code="workspace-not-registered",
        help=f"did you mean `{guess}`?" if guess else hint,
    )


def _text(names: Mapping[str, str]) -> str:
    lines = [f"{toml_basic(name)} = {toml_basic(path)}" for name, path in sorted(names.items())]
    return "\n".join([f"[{_TABLE}]", *lines, ""]) if lines else ""
