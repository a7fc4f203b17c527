"""Profiles: the flags and environment that are added to a package's own build.

The toolchain sets ``CFLAGS`` and the like when the build environment is activated, so flags can only be appended
inside the build script; other variables are set there too, so that they win over the toolchain's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import cast

from smelt.errors import NotSupportedError, SourceError
from smelt.types import platform_family
from smelt.workspace.model import Profile

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SHELLS = {"bash": ".sh", "sh": ".sh", "cmd": ".bat"}


def with_profile(recipe: Mapping[str, object], profile: Profile, build_subdir: str, package: str) -> dict[str, object]:
    """A rendered recipe whose build script puts the profile's environment into force first.

    Raises NotSupportedError for scripts in other languages than the shell's, and for steps and staging outputs;
    SourceError for names that no variable can have.
    """
    if not profile.env:
        return dict(recipe)
    where = f"profile `{profile.name}` cannot be applied to package `{package}`"
    build = dict(cast("Mapping[str, object]", recipe.get("build", {})))
    if "steps" in build or recipe.get("staging_caches"):
        raise NotSupportedError(
            f"{where}: its recipe has {'steps' if 'steps' in build else 'staging outputs'}",
            help="use a build script, or leave the package out with `packages` of the profile",
        )
    windows = platform_family(build_subdir) == "win"
    raw = build.get("script")
    script = _as_table(raw)
    interpreter = _interpreter(script, windows)
    if interpreter is None:
        raise NotSupportedError(
            f"{where}: its build script is not a script of the shell",
            help="leave the package out with `packages` of the profile",
        )
    for name, value in profile.env.items():
        if _NAME.fullmatch(name) is None:
            raise SourceError(f"`{name}` in the environment of profile `{profile.name}` is no name of a variable")
        if "\n" in value or "\r" in value:
            raise SourceError(f"`{name}` in the environment of profile `{profile.name}` has more than one line")
    lines = [line for name, value in profile.env.items() for line in (_batch if windows else _bash)(name, value)]
    build["script"] = {
        **{key: value for key, value in script.items() if key not in ("content", "file", "maybe")},
        "content": "\n".join([*lines, *_rest(script, windows)]),
    }
    return {**recipe, "build": build}


def _as_table(raw: object) -> dict[str, object]:
    """A rendered script in its long form; ``maybe`` for a line that may be a command or name a file."""
    if raw is None:
        return {"maybe": "build", "default": True}
    if isinstance(raw, str):
        return {"content": raw} if "\n" in raw else {"maybe": raw}
    if isinstance(raw, list):
        return {"content": raw}
    table = dict(cast("Mapping[str, object]", raw))
    if "content" not in table and "file" not in table:
        return {**table, "maybe": "build", "default": True}
    return table


def _interpreter(script: Mapping[str, object], windows: bool) -> str | None:
    """The shell that runs the script, None if it is another language."""
    shell = "cmd" if windows else "bash"
    named = script.get("interpreter")
    if named is not None:
        return str(named) if _SHELLS.get(str(named)) == _SHELLS[shell] else None
    suffix = PurePosixPath(str(script.get("file") or script.get("maybe") or "")).suffix
    looks_like_file = "file" in script or re.fullmatch(r"[\w./-]+", str(script.get("maybe", "")))
    if looks_like_file and suffix in (".py", ".pl", ".r", ".R", ".nu", ".rb", ".ps1", ".js"):
        return None
    return shell


def _rest(script: Mapping[str, object], windows: bool) -> list[str]:
    """The lines that run what the script ran before."""
    if "content" in script:
        content = script["content"]
        return [str(line) for line in cast("list[object]", content)] if isinstance(content, list) else [str(content)]
    name = str(script.get("file") or script.get("maybe"))
    if PurePosixPath(name).suffix == "":
        name += ".bat" if windows else ".sh"
    if "file" in script:
        return _run_file(name, windows)
    if script.get("default"):
        return _run_if_there(name, windows, None)
    # One line: a file beside the recipe if there is one, else a command.
    line = str(script["maybe"])
    if re.fullmatch(r"[\w./-]+", line) is None:
        return [line]
    return _run_if_there(name, windows, line)


def _run_file(name: str, windows: bool) -> list[str]:
    if windows:
        return [f'call "%RECIPE_DIR%\\{name.replace("/", chr(92))}"', "if errorlevel 1 exit 1"]
    return [f'. "$RECIPE_DIR/{name}"']


def _run_if_there(name: str, windows: bool, command: str | None) -> list[str]:
    if windows:
        path = f"%RECIPE_DIR%\\{name.replace('/', chr(92))}"
        run = [f'if exist "{path}" call "{path}"']
        if command is not None:
            run.append(f'if not exist "{path}" {command}')
        return [*run, "if errorlevel 1 exit 1"]
    path = f'"$RECIPE_DIR/{name}"'
    return [f"if [ -f {path} ]; then . {path}; {f'else {command}; ' if command is not None else ''}fi"]


def _bash(name: str, value: str) -> list[str]:
    """One variable in bash: references such as ``$PREFIX`` in ``value`` are expanded, all else is literal."""
    quoted = re.sub(r'(["\\`])', r"\\\1", value)
    quoted = re.sub(r"\$(?=\()", r"\\$", quoted)
    if name.endswith("FLAGS"):
        return [f'export {name}="${{{name}:+${name} }}{quoted}"']
    return [f'export {name}="{quoted}"']


def _batch(name: str, value: str) -> list[str]:
    """One variable in cmd: references such as ``%PREFIX%`` in ``value`` are expanded, all else is literal."""
    if name.endswith("FLAGS"):
        # Not in one parenthesised block: a value may hold parentheses.
        return [f'if defined {name} set "{name}=%{name}% {value}"', f'if not defined {name} set "{name}={value}"']
    return [f'set "{name}={value}"']
