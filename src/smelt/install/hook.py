"""The activation of an environment as a script for the user's shell, or as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from smelt.install.activation import (
    ActivationRequest,
    activate,
    activation_plan,
    assign,
    package_scripts,
    package_variables,
    path_entries,
)
from smelt.install.shells import Shell


def shell_hook(
    request: ActivationRequest,
    outer: Mapping[str, str],
    shell: Shell,
    *,
    prompt: bool = True,
    completions: bool = True,
) -> str:
    """The script that activates the environment in ``shell`` when it is evaluated there.

    If ``outer`` has another environment active, that one is deactivated first: its variables are unset, its
    deactivation scripts run, its folders leave the search path. Raises InstallError.
    Source: the reference's ``shell-hook``.
    """
    plan = activation_plan(request, outer, shell)
    lines = [shell.opening] if shell.opening else []
    path = [entry for entry in outer.get("PATH", outer.get("Path", "")).split(os.pathsep) if entry]
    active = outer.get("CONDA_PREFIX")
    if active:
        old = Path(active)
        lines += [shell.unset(name) for name in package_variables(old)]
        lines += [shell.run(str(script)) for script in package_scripts(old, "deactivate.d", shell)]
        gone = set(path_entries(old, request.subdir))
        path = [entry for entry in path if entry not in gone]
    lines.append(shell.paths([*plan.paths, *path]))
    lines += [assign(shell, assignment) for assignment in plan.before]
    lines += [shell.run(str(script)) for script in plan.scripts]
    lines += [assign(shell, assignment) for assignment in plan.after]
    if completions and (more := shell.completions(request.prefix)):
        lines.append(more.rstrip("\n"))
    if shell.hook:
        lines.append(shell.hook)
    if prompt and (set_prompt := shell.prompt(request.display_name)):
        lines.append(set_prompt)
    return shell.newline.join("\n".join(lines).split("\n")) + shell.newline


def hook_json(request: ActivationRequest, outer: Mapping[str, str], *, cache_folder: Path | None = None) -> str:
    """What activation sets, and the workspace's scripts that took part, as one JSON object.

    Keys ``environment_variables`` and ``activation_scripts``, as the reference's ``shell-hook --json`` prints them.
    """
    variables = activate(request, outer, cache_folder=cache_folder)
    root = request.root
    scripts = [str(root / script) for script in request.activation.scripts] if root is not None else []
    return json.dumps(
        {
            "environment_variables": dict(variables),
            "activation_scripts": [script for script in scripts if Path(script).is_file()],
        }
    )
