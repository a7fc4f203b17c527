"""``smelt shell-hook``."""

from __future__ import annotations

import argparse
import os

from smelt.cli.options import add_environment, add_lock_usage, add_no_install, add_workspace, load, lock_mode
from smelt.cli.settings import add_settings
from smelt.cli.terminal import Terminal
from smelt.errors import UsageError


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options. Source: the reference's page ``pixi shell-hook``."""
    add_workspace(parser)
    add_environment(parser, "the environment to activate")
    add_lock_usage(parser)
    add_no_install(parser, "do not install the environment first")
    parser.add_argument(
        "--shell", "-s", metavar="SHELL", help="bash, zsh, fish, xonsh, cmd, powershell or nushell (default: yours)"
    )
    parser.add_argument("--json", action="store_true", help="print the variables that activation sets as JSON")
    parser.add_argument("--no-completions", action="store_true", help="do not source the completions of packages")
    parser.add_argument("--change-ps1", choices=("true", "false"), help="whether to change the prompt")
    parser.add_argument("--force-activate", action="store_true", help="ask activation scripts again")
    add_settings(parser)


def execute(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Print the script that activates an environment, for ``eval "$(smelt shell-hook)"``."""
    from smelt.api.platforms import active_environment, effective_for, environment_named
    from smelt.install.activation import ActivationRequest, activation_plan
    from smelt.install.hook import hook_json, shell_hook
    from smelt.install.layout import activation_folder
    from smelt.install.shells import find_shell, guess_shell

    if arguments.json and arguments.shell is not None:
        raise UsageError("`--json` and `--shell` exclude each other", help="the variables are the same for every shell")
    shell = find_shell(arguments.shell) if arguments.shell is not None else guess_shell(os.environ)
    workspace = load(arguments, terminal)
    name = environment_named(
        workspace.model, arguments.environment or active_environment(workspace.model, os.environ) or "default"
    )
    if not arguments.no_install:
        workspace.install([name], mode=lock_mode(arguments))
    request = ActivationRequest.of(workspace.model, effective_for(workspace.model, name))
    for missing in activation_plan(request, os.environ, shell).missing:
        terminal.warn(f"there is no activation script {missing}")
    if arguments.json:
        folder = None if workspace.settings.force_activate else activation_folder(workspace.model.state_folder)
        terminal.print(hook_json(request, os.environ, cache_folder=folder))
        return 0
    settings = workspace.settings
    prompt = settings.change_ps1 if arguments.change_ps1 is None else arguments.change_ps1 == "true"
    completions = settings.source_completion_scripts and not arguments.no_completions
    script = shell_hook(request, os.environ, shell, prompt=prompt, completions=completions)
    terminal.out.write(script)
    return 0
