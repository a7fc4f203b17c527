"""Options that several commands take, declared once."""

from __future__ import annotations

import argparse
import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from smelt.cli.location import add_location
from smelt.cli.settings import add_config_source, given_settings, put_into_force, show_problems, source_of
from smelt.cli.terminal import Terminal
from smelt.errors import LockError, UsageError

if TYPE_CHECKING:
    from smelt.api.workspace import LockMode, Workspace
    from smelt.workspace.script import ScriptSource


def split_words(arguments: Sequence[str], with_value: Collection[str]) -> tuple[list[str], list[str]]:
    """A command's own options, and what it is about with all that follows (a ``--`` before that is the command's).

    ``with_value``: the options that take the next word.
    """
    index = 0
    while index < len(arguments) and arguments[index].startswith("-") and arguments[index] != "-":
        if arguments[index] == "--":
            return list(arguments[:index]), list(arguments[index + 1 :])
        index += 2 if arguments[index] in with_value else 1
    return list(arguments[:index]), list(arguments[index:])


def add_workspace(parser: argparse.ArgumentParser, *, script: bool = False) -> None:
    """``--manifest-path``, ``--workspace``, with ``script`` also ``--script``; where the configuration is read from."""
    add_location(parser, script=script)
    add_config_source(parser)


def add_environment(parser: argparse.ArgumentParser, what: str) -> None:
    """``--environment``, given once."""
    parser.add_argument("--environment", "-e", metavar="ENVIRONMENT", help=what)


def add_lock_usage(parser: argparse.ArgumentParser) -> None:
    """``--locked`` and ``--frozen``."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--locked", action="store_true", help="fail if pixi.lock does not fit (PIXI_LOCKED)")
    group.add_argument("--frozen", action="store_true", help="take pixi.lock as it is, without a look (PIXI_FROZEN)")
    parser.set_defaults(locked=_switched("PIXI_LOCKED"), frozen=_switched("PIXI_FROZEN"))


def _switched(variable: str) -> bool:
    """Whether an environment variable switches an option on."""
    return os.environ.get(variable, "").strip().lower() in ("1", "true", "t", "yes", "y", "on")


def add_no_install(parser: argparse.ArgumentParser, what: str = argparse.SUPPRESS) -> None:
    """``--no-install``."""
    parser.add_argument("--no-install", action="store_true", default=_switched("PIXI_NO_INSTALL"), help=what)


def add_jobs(parser: argparse.ArgumentParser, help: str = "builds at the same time (default: cores)") -> None:
    """``--jobs``."""
    parser.add_argument("--jobs", "-j", type=positive, metavar="N", help=help)


def positive(text: str) -> int:
    """A whole number from 1."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"`{text}` is not a whole number from 1")
    return number


def lock_mode(arguments: argparse.Namespace) -> LockMode:
    """What ``--locked`` and ``--frozen`` ask for."""
    if arguments.locked:
        return "locked"
    return "frozen" if arguments.frozen else "update"


def asked_environment(arguments: argparse.Namespace, workspace: Workspace) -> str:
    """The environment of ``--environment``, else the one that is active here, else the default one."""
    from smelt.api.platforms import active_environment
    from smelt.workspace.on_demand import on_demand_name

    asked = arguments.environment or active_environment(workspace.model, os.environ) or "default"
    return on_demand_name(asked)


def _script(arguments: argparse.Namespace) -> ScriptSource | None:
    """The script of ``--script``. Raises LockError where a lock is to be taken that it does not have."""
    given: str | None = getattr(arguments, "script", None)
    if given is None:
        return None
    from smelt.workspace.script import script_file

    found = script_file(Path(given))
    check_script_lock(arguments, found)
    return found


def check_script_lock(arguments: argparse.Namespace, script: ScriptSource) -> None:
    """Raise LockError where ``--locked`` or ``--frozen`` ask for the lock file of a script that has none."""
    asked = [option for option in ("locked", "frozen") if getattr(arguments, option, False)]
    if not asked:
        return
    if script.transient:
        raise LockError(
            f"transient scripts cannot be run with `--{asked[0]}` because they do not have an adjacent lock file",
            code="lock-missing",
        )
    if not script.lock_path.exists():
        raise LockError(
            f"no lock file exists for the script, but `--{asked[0]}` was requested",
            code="lock-missing",
            help="`smelt lock --script PATH` makes one",
        )


def load(
    arguments: argparse.Namespace,
    terminal: Terminal,
    *,
    script: ScriptSource | None = None,
    lock_script: bool = False,
) -> Workspace:
    """The workspace that the command is about, with its warnings shown.

    ``script`` and ``lock_script`` as ``Workspace.load`` takes them; ``--script`` counts too.
    """
    from smelt.api.workspace import Workspace
    from smelt.cli.progress import reporters

    path: Path | None = arguments.manifest_path
    if path is not None and not path.exists():
        raise UsageError(
            f"there is no {path}", code="manifest-missing", help="`--manifest-path` names a file or folder"
        )
    given: str | list[str] | None = getattr(arguments, "environment", None)
    workspace = Workspace.load(
        path,
        reporters(terminal),
        source=source_of(arguments),
        given=given_settings(arguments),
        on_demand=[given] if isinstance(given, str) else given or [],
        script=script or _script(arguments),
        lock_script=lock_script,
    )
    terminal.kept.append(workspace)
    show_warnings(workspace, terminal)
    put_into_force(workspace.settings, terminal)
    return workspace


def show_warnings(workspace: Workspace, terminal: Terminal) -> None:
    """What is wrong with the manifest and the settings without being an error."""
    if workspace.model.warnings:
        from smelt.cli.errors import render_warning

        for warning in workspace.model.warnings:
            terminal.note(render_warning(warning, terminal))
    show_problems(workspace.settings, terminal)
