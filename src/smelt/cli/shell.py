"""``smelt shell``."""

from __future__ import annotations

import argparse
import os

from smelt.cli.options import (
    add_environment,
    add_lock_usage,
    add_no_install,
    add_workspace,
    asked_environment,
    load,
    lock_mode,
)
from smelt.cli.settings import add_settings
from smelt.cli.terminal import Terminal


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options. Source: the reference's page ``pixi shell``."""
    add_workspace(parser)
    add_environment(parser, "the environment to activate")
    add_lock_usage(parser)
    add_no_install(parser, "do not install the environment first")
    parser.add_argument("--as-is", action="store_true", help="--no-install and --frozen")
    parser.add_argument(
        "--shell", "-s", metavar="SHELL", help="bash, zsh, fish, xonsh, cmd, powershell or nushell (default: yours)"
    )
    parser.add_argument("--no-completions", action="store_true", help="do not source the completions of packages")
    parser.add_argument("--change-ps1", choices=("true", "false"), help="whether to change the prompt")
    parser.add_argument("--force-activate", action="store_true", help="ask activation scripts again")
    add_settings(parser)


def execute(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Start an interactive shell in an environment; ``exit`` leaves it, and its exit code is ours."""
    from smelt.api.platforms import effective_for, environment_named
    from smelt.install.activation import ActivationRequest
    from smelt.install.interactive import activation_script, run_shell
    from smelt.install.shells import find_shell, guess_shell

    outer = dict(os.environ)
    shell = find_shell(arguments.shell) if arguments.shell is not None else guess_shell(outer)
    workspace = load(arguments, terminal)
    name = environment_named(workspace.model, asked_environment(arguments, workspace))
    if not (arguments.no_install or arguments.as_is):
        workspace.install([name], mode=lock_mode(arguments))
    workspace.check_installed([name])
    variables = workspace.variables(name, outer)
    changed = {key: value for key, value in variables.items() if outer.get(key) != value}
    request = ActivationRequest.of(workspace.model, effective_for(workspace.model, name))
    if outer.get("PIXI_IN_SHELL") and (inside := outer.get("CONDA_DEFAULT_ENV")):
        terminal.note(f"this shell is inside of one for {inside}: leaving it with `exit` leads back there")
    settings = workspace.settings
    prompt = settings.change_ps1 if arguments.change_ps1 is None else arguments.change_ps1 == "true"
    script = activation_script(
        shell,
        request.prefix,
        changed,
        prompt=request.display_name if prompt else None,
        completions=settings.source_completion_scripts and not arguments.no_completions,
    )
    return run_shell(shell, script, variables)
