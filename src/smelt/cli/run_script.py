"""``smelt run --script``."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys
from contextlib import suppress

from smelt.cli.external import become, wait_for
from smelt.cli.location import refuse_for_script
from smelt.cli.options import check_script_lock, load, lock_mode
from smelt.cli.settings import settings_for
from smelt.cli.terminal import Terminal, program
from smelt.errors import LockError, TaskError


def run_script(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Run a Python script in the environment that it says it needs; its exit code is ours."""
    from smelt.api.installing import InstallOptions
    from smelt.api.script import is_transient, opened_script
    from smelt.config.network import network_of

    refuse_for_script(
        arguments,
        f"{program()} run",
        ["--environment", "--skip-deps", "--templated", "--executable"],
        " and no Pixi task graph",
    )
    given: str = arguments.script
    if is_transient(given):
        for option in ("locked", "frozen"):
            if getattr(arguments, option):
                raise LockError(
                    f"transient scripts cannot be run with `--{option}` because they do not have an adjacent lock file",
                    code="lock-missing",
                    help="save the script to a file",
                )
    settings = settings_for(arguments, None, terminal)
    with opened_script(given, network_of(settings)) as script:
        check_script_lock(arguments, script.source)
        workspace = load(arguments, terminal, script=script.source)
        words: list[str] = list(arguments.words)
        if terminal.verbosity > 0 or arguments.dry_run:
            terminal.note(" ".join(["python", script.shown, *map(shlex.quote, words)]))
        if arguments.dry_run:
            return 0
        if not (arguments.no_install or arguments.as_is):
            workspace.install(["default"], mode=lock_mode(arguments), options=InstallOptions(jobs=arguments.jobs))
        workspace.check_installed(["default"])
        outer = dict(os.environ)
        variables = dict(workspace.variables("default", outer, clean=arguments.clean_env))
        python = shutil.which("python", path=variables.get("PATH", variables.get("Path")))
        if python is None:
            raise TaskError("the environment of the script has no Python", help="add `requires-python` to its metadata")
        command = [python, *script.arguments, *words]
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        if os.name == "posix" and not script.source.transient:
            become(python, command, variables)
        return wait_for(command, variables, empty_stdin=given == "-")
