"""What a running script knows: variables, the working folder, options, the last exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

WINDOWS = sys.platform == "win32"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Options of the shell, set by ``set`` and ``shopt``."""

    errexit: bool = False
    pipefail: bool = False
    failglob: bool = False
    globstar: bool = True
    nullglob: bool = False


@dataclass(slots=True, kw_only=True)
class State:
    """The state of one (sub)shell. Changed in place by the commands that run in it.

    ``environment`` is given to child processes, ``variables`` only to the script. On Windows names of
    variables are upper case. ``cwd`` is absolute and always equal to ``$PWD``. ``last``: the exit code that
    ``$?`` gives, None before the first command.
    """

    environment: dict[str, str]
    cwd: str
    variables: dict[str, str] = field(default_factory=dict)
    options: Options = field(default_factory=Options)
    last: int | None = None

    @classmethod
    def start(cls, environment: Mapping[str, str], cwd: str) -> State:
        """A fresh state. ``cwd`` must be absolute."""
        state = cls(environment={}, cwd=cwd)
        for name, value in environment.items():
            if _folded(name) != "PWD":
                state.environment[_folded(name)] = value
        state.change_folder(cwd)
        return state

    def copy(self) -> State:
        """A state of its own with the same content (for a subshell)."""
        return State(
            environment=dict(self.environment),
            cwd=self.cwd,
            variables=dict(self.variables),
            options=self.options,
            last=self.last,
        )

    def get(self, name: str) -> str | None:
        """The value of ``$name``."""
        if name == "?":
            return None if self.last is None else str(self.last)
        name = _folded(name)
        value = self.environment.get(name)
        return self.variables.get(name) if value is None else value

    def export(self, name: str, value: str) -> None:
        """Set a variable for this script and for child processes; ``PWD`` changes the folder."""
        name = _folded(name)
        if name == "PWD":
            if Path(value).is_absolute():
                self.change_folder(os.path.realpath(value))
            return
        self.variables.pop(name, None)
        self.environment[name] = value

    def assign(self, name: str, value: str) -> None:
        """``NAME=value`` alone: an exported variable keeps being exported, others stay in the script."""
        name = _folded(name)
        if name in self.environment:
            self.export(name, value)
        else:
            self.variables[name] = value

    def unset(self, name: str) -> None:
        """Forget a variable."""
        name = _folded(name)
        self.environment.pop(name, None)
        self.variables.pop(name, None)

    def change_folder(self, folder: str) -> None:
        """Make ``folder`` (absolute) the working folder."""
        self.cwd = folder
        self.environment["PWD"] = folder

    def set_option(self, name: str, enabled: bool) -> None:
        """Set one of ``Options`` by name."""
        self.options = replace(self.options, **{name: enabled})

    def path(self, name: str) -> str:
        """``name`` as seen from the working folder."""
        return os.path.join(self.cwd, name)  # noqa: PTH118 - text in, text out: `./x` must stay `./x`


def _folded(name: str) -> str:
    return name.upper() if WINDOWS else name
