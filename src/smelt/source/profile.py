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


def with_profile(recipe: Mapping[str, object], profile: Profile, build_subdir: str, package: str) -> dict[str, object]:
    """A rendered recipe (see ``smelt.source.script``) whose script puts the profile's environment into force first.

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
    lines = profile_lines(profile, build_subdir, package)
    script = cast("Mapping[str, object]", build.get("script") or {})
    if not _is_shell(script, windows):
        raise NotSupportedError(
            f"{where}: its build script is not a script of the shell",
            help="leave the package out with `packages` of the profile",
        )
    build["script"] = {
        **{key: value for key, value in script.items() if key not in ("content", "file")},
        "content": "\n".join([*lines, *_rest(script, windows)]),
    }
    return {**recipe, "build": build}


def profile_lines(profile: Profile, build_subdir: str, package: str) -> list[str]:
    """The lines of a shell script that put the profile's environment into force. Raises as ``with_profile``."""
    windows = platform_family(build_subdir) == "win"
    if windows and profile.built_in:
        raise NotSupportedError(
            f"profile `{profile.name}` cannot be applied to package `{package}`: it is for compilers that take the "
            "options of GCC and Clang",
            help=f"declare `[tool.smelt.profile.{profile.name}]` with the options of your compiler",
        )
    for name, value in profile.env.items():
        if _NAME.fullmatch(name) is None:
            raise SourceError(f"`{name}` in the environment of profile `{profile.name}` is no name of a variable")
        if "\n" in value or "\r" in value:
            raise SourceError(f"`{name}` in the environment of profile `{profile.name}` has more than one line")
    return [line for name, value in profile.env.items() for line in (_batch if windows else _bash)(name, value)]


def _is_shell(script: Mapping[str, object], windows: bool) -> bool:
    named = script.get("interpreter")
    if named is not None:
        return named in (("cmd",) if windows else ("bash", "sh"))
    suffix = PurePosixPath(str(script.get("file", ""))).suffix.lower()
    return suffix in ("", ".bat" if windows else ".sh")


def _rest(script: Mapping[str, object], windows: bool) -> list[str]:
    """The lines that run what the script ran before."""
    if "file" in script:
        name = str(script["file"])
        if windows:
            return [f'call "%RECIPE_DIR%\\{name.replace("/", chr(92))}"', "if errorlevel 1 exit 1"]
        return [f'. "$RECIPE_DIR/{name}"']
    content = script.get("content", "")
    return [str(line) for line in cast("list[object]", content)] if isinstance(content, list) else [str(content)]


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
