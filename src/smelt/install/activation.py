"""What activating an environment sets.

The order is the reference's: search path and ``CONDA_*``; variables of packages (``etc/conda/env_vars.d``), of
``conda-meta/state``, and ``PIXI_*``; activation scripts of packages, then those of the workspace; then the
profile's variables and ``activation.env``. So ``activation.env`` wins over scripts, and scripts of the workspace
win over those of packages.
Source: the reference's page "Environment variables" and its ``pixi_core``, ``rattler_shell``.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from smelt.errors import InstallError
from smelt.fs import write_text
from smelt.install.package_activation import package_scripts, package_variables
from smelt.install.shells import SHELLS, Shell
from smelt.install.state import read_state
from smelt.types import digest_json, platform_family
from smelt.workspace.model import DEFAULT, Activation, EffectiveEnvironment, Workspace

# What differs from one call to the next and is no business of activation scripts.
_VOLATILE = frozenset({"_", "SHLVL", "PWD", "OLDPWD", "COLUMNS", "LINES"})
_CLEAN = frozenset({"DISPLAY", "LC_ALL", "LC_TIME", "LC_NUMERIC", "LC_MEASUREMENT", "SHELL"}) | frozenset(
    {"USER", "USERNAME", "LOGNAME", "HOME", "HOSTNAME"}
)
_CLEAN_MACOS = frozenset({"TMPDIR", "XPC_SERVICE_NAME", "XPC_FLAGS"})
_REFERENCE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")
_REFERENCE_WINDOWS = re.compile(r"%([^%\n]+)%")


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivationRequest:
    """An installed environment and what its workspace says about activating it.

    ``root`` and ``manifest_path`` None: an environment of no workspace, for which no ``PIXI_*`` is set.
    ``platforms`` are the names of the platforms that the environment supports; ``executable`` is what calls
    smelt again (``PIXI_EXE``), empty if unknown; ``clean`` leaves the outer search path out.
    """

    prefix: Path
    root: Path | None
    manifest_path: Path | None
    workspace_name: str
    workspace_version: str | None
    environment: str
    platforms: tuple[str, ...]
    subdir: str
    activation: Activation = field(default_factory=Activation)
    profile_env: Mapping[str, str] = field(default_factory=dict[str, str])
    executable: str = ""
    clean: bool = False

    @classmethod
    def of(cls, workspace: Workspace, effective: EffectiveEnvironment, *, clean: bool = False) -> ActivationRequest:
        """The request for one environment of ``workspace`` on one platform."""
        name = effective.environment.name
        return cls(
            prefix=workspace.prefix(name),
            root=workspace.root,
            manifest_path=workspace.manifest_path,
            workspace_name=workspace.name,
            workspace_version=workspace.version,
            environment=name,
            platforms=tuple(platform.name for platform in workspace.platforms_of(name)),
            subdir=effective.platform.subdir,
            activation=effective.activation,
            profile_env=effective.profile.activation_env if effective.profile is not None else {},
            executable=current_executable(),
            clean=clean,
        )

    @property
    def display_name(self) -> str:
        """``workspace`` or ``workspace:environment``: what a prompt shows."""
        return self.workspace_name if self.environment == DEFAULT else f"{self.workspace_name}:{self.environment}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A variable to be set. ``expand``: references to other variables in the value count."""

    name: str
    value: str
    expand: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivationPlan:
    """What activation does, in this order: ``paths`` in front of the search path, ``before``, ``scripts``,
    ``after``. ``missing`` are scripts that the manifest names and that are not there.
    """

    paths: tuple[str, ...]
    before: tuple[Assignment, ...]
    scripts: tuple[Path, ...]
    after: tuple[Assignment, ...]
    missing: tuple[Path, ...] = ()


def current_executable() -> str:
    """The program that was called, as an absolute path; empty where that is no file (``python -m``, ``-c``)."""
    program = Path(sys.argv[0]) if sys.argv and sys.argv[0] else None
    if program is None or program.suffix == ".py" or not program.is_file():
        return ""
    return str(program.absolute())


def clean_environment(outer: Mapping[str, str]) -> dict[str, str]:
    """The few variables of ``outer`` that a clean environment keeps. Source: the reference's ``--clean-env``."""
    kept = _CLEAN | _CLEAN_MACOS if sys.platform == "darwin" else _CLEAN
    return {name: value for name, value in outer.items() if name.upper() in kept}


def activate(
    request: ActivationRequest, outer: Mapping[str, str], *, cache_folder: Path | None = None
) -> Mapping[str, str]:
    """The variables that activation sets on top of ``outer``, as they are afterwards.

    Without activation scripts they are computed here. With scripts a shell runs them (``bash``; ``cmd`` on
    Windows), and its answer is kept in ``cache_folder`` for as long as the environment's contents, the request, the
    scripts of the workspace and ``outer`` (but for a few volatile variables) are the same.
    Raises InstallError (``activation-failed``) with what the scripts wrote, or where there is no shell.
    """
    plan = activation_plan(request, outer, native_shell())
    if not plan.scripts:
        computed = _compute(request, plan, outer)
        if computed is not None:
            return computed
    key = _cache_key(request, plan, outer) if cache_folder is not None else None
    cached = cache_folder / f"{request.environment}.json" if cache_folder is not None and key is not None else None
    if cached is not None:
        known = _read_cache(cached, cast(str, key))
        if known is not None:
            return known
    result = _run(request, plan, outer)
    if cached is not None:
        write_text(cached, json.dumps({"key": key, "variables": result}) + "\n", durable=False)
    return result


def native_shell() -> Shell:
    """The shell that runs activation scripts on this system."""
    return SHELLS["cmd"] if os.name == "nt" else SHELLS["bash"]


def activation_plan(request: ActivationRequest, outer: Mapping[str, str], shell: Shell) -> ActivationPlan:
    """What ``shell`` has to do. Raises InstallError where a package's variables cannot be read."""
    level = _level(outer) + 1
    prefix = request.prefix
    before = [Assignment(name="CONDA_SHLVL", value=str(level), expand=False)]
    if "CONDA_PREFIX" in outer:
        saved = f"CONDA_ENV_SHLVL_{level}_CONDA_PREFIX"
        before.append(Assignment(name=saved, value=outer["CONDA_PREFIX"], expand=False))
    before.append(Assignment(name="CONDA_PREFIX", value=str(prefix), expand=False))
    fixed = _workspace_variables(request)
    packages = {name: value for name, value in package_variables(prefix).items() if name not in fixed}
    before += _with_backup(packages, outer, level, expand=True)
    before += _with_backup(fixed, outer, level, expand=False)
    scripts = package_scripts(prefix, "activate.d", shell)
    named = [request.root / script for script in request.activation.scripts] if request.root is not None else []
    after = {**request.profile_env, **request.activation.env}
    return ActivationPlan(
        paths=path_entries(prefix, request.subdir),
        before=tuple(before),
        scripts=(*scripts, *(script for script in named if script.is_file())),
        after=tuple(_with_backup(after, outer, level, expand=True)),
        missing=tuple(script for script in named if not script.is_file()),
    )


def path_entries(prefix: Path, subdir: str) -> tuple[str, ...]:
    """The folders of ``prefix`` that belong in front of the search path."""
    if platform_family(subdir) == "win":
        inner = ("", "Library/mingw-w64/bin", "Library/usr/bin", "Library/bin", "Scripts", "bin")
        return tuple(str(prefix / part) for part in inner)
    return (str(prefix / "bin"),)


def _workspace_variables(request: ActivationRequest) -> dict[str, str]:
    if request.root is None:
        return {}
    variables = {
        "PIXI_PROJECT_ROOT": str(request.root),
        "PIXI_PROJECT_NAME": request.workspace_name,
        "PIXI_PROJECT_MANIFEST": str(request.manifest_path),
        "PIXI_PROJECT_VERSION": request.workspace_version or "NO_VERSION_SPECIFIED",
        "PIXI_IN_SHELL": "1",
    }
    if request.executable:
        variables["PIXI_EXE"] = request.executable
    return variables | {
        "CONDA_DEFAULT_ENV": request.display_name,
        "PIXI_ENVIRONMENT_NAME": request.environment,
        "PIXI_ENVIRONMENT_PLATFORMS": ",".join(request.platforms),
        "PIXI_PROMPT": f"({request.display_name}) ",
    }


def _with_backup(
    variables: Mapping[str, str], outer: Mapping[str, str], level: int, *, expand: bool
) -> list[Assignment]:
    found: list[Assignment] = []
    for name, value in variables.items():
        _check_name(name)
        if name in outer:
            found.append(Assignment(name=f"CONDA_ENV_SHLVL_{level}_{name}", value=outer[name], expand=False))
        found.append(Assignment(name=name, value=value, expand=expand))
    return found


def _check_name(name: str) -> None:
    """A name is written into a script: it must not be able to be anything else there."""
    if not name or any(c in "=\"'`$;&|<>() \t" or ord(c) < 32 or ord(c) == 127 for c in name):
        raise InstallError(
            f"{name!r} is no name of an environment variable",
            code="activation-failed",
            help="see `activation.env` in the manifest, and what the environment's packages set",
        )


def _level(outer: Mapping[str, str]) -> int:
    try:
        return int(outer.get("CONDA_SHLVL", "0"))
    except ValueError:
        return 0


def _path_name(outer: Mapping[str, str]) -> str:
    return "Path" if os.name == "nt" and "PATH" not in outer else "PATH"


def _compute(request: ActivationRequest, plan: ActivationPlan, outer: Mapping[str, str]) -> dict[str, str] | None:
    """What the shell would answer, or None where only a shell can tell (``$(…)``, ``${x:-y}``)."""
    now = dict(outer)
    path = _path_name(outer)
    entries = [*plan.paths, outer[path]] if outer.get(path) and not request.clean else plan.paths
    changed = {path: os.pathsep.join(entries)}
    now |= changed
    for assignment in (*plan.before, *plan.after):
        value = _expand(assignment.value, now) if assignment.expand else assignment.value
        if value is None:
            return None
        now[assignment.name] = changed[assignment.name] = value
    return {name: value for name, value in changed.items() if outer.get(name) != value}


def _expand(value: str, variables: Mapping[str, str]) -> str | None:
    if os.name == "nt":
        return _REFERENCE_WINDOWS.sub(lambda match: variables.get(match[1], ""), value)
    if "$" not in value:
        return value
    rest = _REFERENCE.sub("", value)
    if any(c in rest for c in '$`\\"'):
        return None
    return _REFERENCE.sub(lambda match: variables.get(match[1] or match[2], ""), value)


def _script(request: ActivationRequest, plan: ActivationPlan, shell: Shell) -> list[str]:
    lines = [_path_line(request, plan, shell)]
    lines += [assign(shell, assignment) for assignment in plan.before]
    lines += [shell.run(str(script)) for script in plan.scripts]
    lines += [assign(shell, assignment) for assignment in plan.after]
    return lines


def _path_line(request: ActivationRequest, plan: ActivationPlan, shell: Shell) -> str:
    if request.clean:
        return shell.paths(plan.paths)
    return shell.paths((*plan.paths, shell.inherited))


def assign(shell: Shell, assignment: Assignment) -> str:
    """The line that sets a variable."""
    return (shell.set if assignment.expand else shell.keep)(assignment.name, assignment.value)


def _run(request: ActivationRequest, plan: ActivationPlan, outer: Mapping[str, str]) -> dict[str, str]:
    shell = native_shell()
    lines = _script(request, plan, shell)
    with tempfile.TemporaryDirectory(prefix="smelt-activation-") as folder:
        before, after = Path(folder) / "before", Path(folder) / "after"
        if shell.name == "cmd":
            text = [shell.opening, f'@SET > "{before}"', *lines, f'@SET > "{after}"']
            program = ["cmd.exe", "/D", "/C"]
        else:
            text = [f"/usr/bin/env -0 > '{before}'", *lines, f"/usr/bin/env -0 > '{after}'"]
            program = [shutil.which("bash", path=outer.get("PATH")) or shutil.which("bash") or ""]
            if not program[0]:
                raise InstallError(
                    "there is no `bash` to run the activation scripts with",
                    code="activation-failed",
                    notes=[str(script) for script in plan.scripts],
                    help="install bash",
                )
        script = Path(folder) / f"activation.{shell.extensions[0]}"
        script.write_text(shell.newline.join([*text, ""]), encoding="utf-8", errors="surrogateescape", newline="")
        done = subprocess.run(
            [*program, str(script)],
            env=dict(outer),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if done.returncode != 0 or not after.is_file():
            output = done.stdout.decode("utf-8", "replace").strip()
            raise InstallError(
                f"an activation script of environment `{request.environment}` failed (exit code {done.returncode})",
                code="activation-failed",
                notes=["\n".join(str(script) for script in plan.scripts), *([output] if output else [])],
                help="a script that calls `exit` ends the activation; run it by hand to see what it does",
            )
        was, now = _parse(before, shell), _parse(after, shell)
    return {name: value for name, value in now.items() if was.get(name) != value and name not in ("", "_")}


def _parse(path: Path, shell: Shell) -> dict[str, str]:
    text = path.read_bytes().decode("utf-8", "surrogateescape")
    records = text.split("\0") if shell.name != "cmd" else text.splitlines()
    pairs = (record.partition("=") for record in records if "=" in record)
    return {name: value for name, _, value in pairs}


def _cache_key(request: ActivationRequest, plan: ActivationPlan, outer: Mapping[str, str]) -> str | None:
    """The identity of a scripts' run; None where the environment does not say what it holds."""
    state = read_state(request.prefix)
    if state is None or state.status != "installed":
        return None
    stats: list[list[object]] = []
    for script in plan.scripts:
        found = script.stat()
        stats.append([str(script), found.st_mtime_ns, found.st_size, found.st_ino])
    return digest_json(
        {
            "contents": state.digest,
            "paths": plan.paths,
            "before": [[a.name, a.value, a.expand] for a in plan.before],
            "after": [[a.name, a.value, a.expand] for a in plan.after],
            "scripts": stats,
            "clean": request.clean,
            "outer": {name: value for name, value in outer.items() if name not in _VOLATILE},
        }
    )


def _read_cache(path: Path, key: str) -> dict[str, str] | None:
    try:
        data: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(data, dict):
        return None
    values = cast("dict[str, object]", data)
    return cast("dict[str, str]", values["variables"]) if values.get("key") == key else None
