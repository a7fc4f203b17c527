"""A compiler cache inside builds: ``ccache`` or ``sccache`` of this machine, declared by the user.

It makes builds faster and must not change them, so it is no input of the build key, and builds go without it where the
program is not there. Of C and C++ it takes what CMake compiles and what is compiled by ``$CC`` and ``$CXX``; of Rust
what cargo compiles (sccache). What it caches depends on the folder that a build runs in, as that may end up in objects.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smelt.build.job import scripted, with_scripted
from smelt.errors import ConfigError

PROGRAMS = ("ccache", "sccache")

_UNSUITED = frozenset(("CCACHE_COMPILER", "CCACHE_PREFIX", "CCACHE_PREFIX_CPP", "CCACHE_NOHASHDIR", "CCACHE_DISABLE"))
_FORCED = {
    # what is installed anew for each build may have other times
    "CCACHE_COMPILERCHECK": "content",
    # nothing that gives an object that another folder or time went into
    "CCACHE_HASHDIR": "1",
    "CCACHE_BASEDIR": "",
    "CCACHE_SLOPPINESS": "",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CompilerCache:
    """The program, and the folder that it keeps its files in. ``settings``: variables of it that hold for builds."""

    program: Path
    folder: Path
    settings: tuple[tuple[str, str], ...] = ()

    @property
    def kind(self) -> str:
        """``ccache`` or ``sccache``."""
        return "sccache" if self.program.name.lower().startswith("sccache") else "ccache"

    def to_dict(self) -> dict[str, Any]:
        """Plain data for the worker."""
        return {"program": str(self.program), "folder": str(self.folder), "settings": dict(self.settings)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> CompilerCache:
        """The inverse of ``to_dict``."""
        settings = tuple(sorted(data["settings"].items()))
        return cls(program=Path(data["program"]), folder=Path(data["folder"]), settings=settings)


def find_compiler_cache(name: str, environment: Mapping[str, str] | None = None) -> CompilerCache | None:
    """The compiler cache called ``name`` (or at that path); None where this machine does not have it.

    Its folder and its own settings (``CCACHE_*``, ``SCCACHE_*``) are those of ``environment``.
    Raises ConfigError for something that is neither ccache nor sccache.
    """
    environment = os.environ if environment is None else environment
    if not Path(name).name.lower().removesuffix(".exe").startswith(PROGRAMS):
        raise ConfigError(
            f"`{name}` is no compiler cache that smelt knows",
            code="config-value",
            help="write `ccache`, `sccache`, or the path of one of them",
        )
    found = shutil.which(name, path=environment.get("PATH"))
    if found is None:
        return None
    program = Path(found).absolute()
    kind = "SCCACHE" if program.name.lower().startswith("sccache") else "CCACHE"
    given = environment.get(f"{kind}_DIR")
    folder = Path(given).absolute() if given else _usual_folder(kind.lower(), environment)
    settings = {k: v for k, v in environment.items() if k.startswith(f"{kind}_") and k not in _UNSUITED}
    return CompilerCache(program=program, folder=folder, settings=tuple(sorted(settings.items())))


def _usual_folder(kind: str, environment: Mapping[str, str]) -> Path:
    """Where the program keeps its files if nothing is said; HOME is another one inside builds."""
    home = Path(environment.get("HOME") or Path.home())
    if sys.platform == "darwin":
        name = "Mozilla.sccache" if kind == "sccache" else "ccache"
        return home / "Library" / "Caches" / name
    if sys.platform == "win32":
        return Path(environment.get("LOCALAPPDATA") or home) / kind
    old = home / ".ccache"
    if kind == "ccache" and old.is_dir():
        return old
    return Path(environment.get("XDG_CACHE_HOME") or home / ".cache") / kind


def with_compiler_cache(recipe: dict[str, Any], cache: CompilerCache, tools: Path) -> dict[str, Any]:
    """``recipe`` (frozen) with a script that compiles through ``cache``. ``tools``: a folder on the script's PATH.

    Scripts for another interpreter than the usual shell, and those of Windows, get the variables for CMake and cargo
    only.
    """
    launcher = tools / cache.program.name
    write_launcher(launcher, cache)
    return with_scripted(recipe, [_launched(part, launcher, cache) for part in scripted(recipe)])


def _launched(part: dict[str, Any], launcher: Path, cache: CompilerCache) -> dict[str, Any]:
    build = dict(part["build"])
    script = dict(build["script"])
    variables = {f"CMAKE_{language}_COMPILER_LAUNCHER": str(launcher) for language in ("C", "CXX", "CUDA", "OBJC")}
    if cache.kind == "sccache":
        variables["RUSTC_WRAPPER"] = str(launcher)
    script["env"] = {**variables, **script.get("env", {})}
    if sys.platform != "win32" and script.get("interpreter") in (None, "bash", "sh"):
        _prepend(script, launcher)
    build["script"] = script
    return {**part, "build": build}


def _prepend(script: dict[str, Any], launcher: Path) -> None:
    """``$CC`` and ``$CXX`` are set by the compilers' packages just before the script begins."""
    name = shlex.quote(str(launcher))
    lines = [f'if [ -n "${{{each}:-}}" ]; then export {each}={name}" ${each}"; fi' for each in ("CC", "CXX")]
    content = script.get("content")
    if content is None:
        lines.append(f'. "$RECIPE_DIR"/{shlex.quote(str(script.pop("file")))}')
        script["content"] = lines
    else:
        script["content"] = [*lines, *(content if isinstance(content, list) else [content])]


def write_launcher(path: Path, cache: CompilerCache) -> None:
    """A script that calls the program with its folder and settings, which nothing else in the build sees."""
    if sys.platform == "win32":
        shutil.copyfile(cache.program, path)
        return
    kind = cache.kind.upper()
    settings = {**dict(cache.settings), f"{kind}_DIR": str(cache.folder), **(_FORCED if kind == "CCACHE" else {})}
    # CMake puts a launcher before a compiler that may have one already: it must not call itself
    lines = ["#!/bin/sh", 'if [ "$1" = "$0" ]; then shift; fi']
    lines += [f"export {key}={shlex.quote(value)}" for key, value in sorted(settings.items())]
    lines.append(f'exec {shlex.quote(str(cache.program))} "$@"')
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    path.chmod(0o755)
