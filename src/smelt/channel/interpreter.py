"""Python interpreters of this machine: what they say of themselves, and where to find them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from smelt.errors import ChannelError

OLDEST = (3, 9)
_TIMEOUT = 30

# Runs inside the foreign interpreter, which may be older than ours: nothing newer than Python 3.6 here.
_QUESTION = """
import json, os, platform, sys, sysconfig
names = "LDLIBRARY INSTSONAME LIBDIR Py_ENABLE_SHARED Py_GIL_DISABLED PYTHONFRAMEWORK Py_DEBUG".split()
paths = sysconfig.get_paths()
print("smelt:" + json.dumps({
    "implementation": sys.implementation.name,
    "version": platform.python_version(),
    "executable": os.path.realpath(sys.executable),
    "base_executable": getattr(sys, "_base_executable", None) or sys.executable,
    "virtual": sys.prefix != sys.base_prefix,
    "prefix": sys.base_prefix,
    "exec_prefix": sys.base_exec_prefix,
    "abiflags": getattr(sys, "abiflags", ""),
    "platform": sysconfig.get_platform(),
    "variables": {name: sysconfig.get_config_var(name) for name in names},
    "paths": {name: paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib", "include")},
    "data_name": getattr(sysconfig, "_get_sysconfigdata_name", lambda: "")(),
}))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """A CPython on this machine.

    ``version``: as ``platform.python_version()`` gives it (``3.14.0rc1``). ``executable``: the real file, never a
    link or a shim. ``prefix``: what it was installed under. ``stdlib``, ``include``, ``site_packages``: POSIX
    paths relative to ``prefix``. ``libraries``: file names of its own shared library, in ``library_folder``;
    empty where it is linked into the executable. ``abi_suffix``: ``t`` for free threading, ``d`` for debug.
    ``data_module``: the module that holds what ``sysconfig`` knows. ``sysconfig_platform``: ``linux-x86_64``…
    ``debian``: changed by Debian (see ``debian``).
    """

    version: str
    executable: Path
    prefix: Path
    stdlib: str
    include: str
    site_packages: str
    libraries: tuple[str, ...]
    library_folder: Path | None
    abi_suffix: str
    data_module: str
    sysconfig_platform: str
    debian: bool = False

    @property
    def short_version(self) -> str:
        """``3.12``."""
        return ".".join(self.version.split(".")[:2])

    @property
    def minor(self) -> tuple[int, int]:
        """``(3, 12)``."""
        major, minor = self.short_version.split(".")
        return int(major), int(minor)

    @property
    def abi(self) -> str:
        """The tag of its binary interface: ``cp312``, ``cp313t``."""
        return f"cp{self.short_version.replace('.', '')}{self.abi_suffix}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovery:
    """The interpreters found, and why others that were seen cannot be used (path → reason)."""

    interpreters: tuple[Interpreter, ...]
    skipped: tuple[tuple[str, str], ...]


def inspect(executable: Path) -> Interpreter:
    """What the interpreter says of itself; for one of a virtual environment, of the one behind it.

    Raises ChannelError where it cannot be run, is no CPython, is too old, or cannot be moved to another prefix.
    """
    answer = _ask(executable)
    if answer["virtual"]:
        base = Path(cast("str", answer["base_executable"]))
        if base.resolve() != executable.resolve() or base != executable:
            answer = _ask(base)
        if answer["virtual"]:
            raise ChannelError(f"the interpreter behind the virtual environment of {executable} was not found")
    return _understand(executable, answer)


def _ask(executable: Path) -> dict[str, object]:
    try:
        done = subprocess.run(
            [str(executable), "-I", "-S", "-c", _QUESTION],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_TIMEOUT,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError as error:
        raise ChannelError(
            f"there is no Python interpreter {executable}", help="name the path of an executable"
        ) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ChannelError(f"{executable} cannot be run ({error})") from error
    line = next((line for line in done.stdout.splitlines() if line.startswith("smelt:")), None)
    if done.returncode != 0 or line is None:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise ChannelError(
            f"{executable} is no working Python interpreter", notes=["\n".join(said[-5:])] if said else ()
        )
    return cast("dict[str, object]", json.loads(line.removeprefix("smelt:")))


def _understand(asked: Path, answer: dict[str, object]) -> Interpreter:
    version = str(answer["version"]).rstrip("+")
    variables = cast("dict[str, object]", answer["variables"])
    paths = cast("dict[str, str]", answer["paths"])
    if answer["implementation"] != "cpython":
        raise ChannelError(f"{asked} is not CPython but {answer['implementation']}")
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if numbers is None or (int(numbers[1]), int(numbers[2])) < OLDEST:
        raise ChannelError(f"{asked} is Python {version}; the oldest that can be packaged is 3.9")
    if variables.get("Py_DEBUG"):
        raise ChannelError(f"{asked} is a debug build of Python, which cannot be packaged")
    if variables.get("PYTHONFRAMEWORK"):
        raise ChannelError(
            f"{asked} is a framework build of Python, which cannot be moved to another prefix",
            help="use an interpreter of pyenv or uv",
        )
    prefix = Path(str(answer["prefix"])).resolve()
    if Path(str(answer["exec_prefix"])).resolve() != prefix:
        raise ChannelError(f"{asked} keeps its platform files in another prefix, which cannot be packaged")
    short = f"{numbers[1]}.{numbers[2]}"
    suffix = "t" if variables.get("Py_GIL_DISABLED") in (1, "1") else ""
    found = {name: _inside(Path(path), prefix) for name, path in paths.items()}
    expected = "Lib/site-packages" if sys.platform == "win32" else f"lib/python{short}{suffix}/site-packages"
    debian = prefix == Path("/usr") and found["purelib"] == f"local/lib/python{short}/dist-packages"
    for name in ("stdlib", "platstdlib", "purelib", "include"):
        if found[name] is None or (name == "purelib" and found[name] != expected and not debian):
            raise ChannelError(
                f"{asked} was changed by its distributor: its {name} is {paths[name]}",
                code="patched-python",
                help="use an interpreter of pyenv or uv, or one built from python.org's source",
            )
    libraries, folder = _libraries(variables)
    return Interpreter(
        version=version,
        executable=Path(str(answer["executable"])),
        prefix=prefix,
        stdlib=found["stdlib"] or "",
        include=found["include"] or "",
        site_packages=expected,
        libraries=libraries,
        library_folder=folder,
        abi_suffix=suffix,
        data_module=str(answer["data_name"]),
        sysconfig_platform=str(answer["platform"]),
        debian=debian,
    )


def _inside(path: Path, prefix: Path) -> str | None:
    resolved = path.resolve()
    return resolved.relative_to(prefix).as_posix() if resolved.is_relative_to(prefix) else None


def _libraries(variables: dict[str, object]) -> tuple[tuple[str, ...], Path | None]:
    if variables.get("Py_ENABLE_SHARED") not in (1, "1") or not variables.get("LIBDIR"):
        return (), None
    folder = Path(str(variables["LIBDIR"]))
    names = {str(variables.get(name)) for name in ("LDLIBRARY", "INSTSONAME") if variables.get(name)}
    names = {n for n in names if not n.endswith(".a") and (folder / n).exists()}
    return tuple(sorted(names)), folder


def discover() -> Discovery:
    """Every CPython from 3.9 on that can be packaged: one per version, the running one's first.

    Looked at in this order, the first of equal versions wins: the running interpreter, pyenv's, uv's, ``PATH``, the
    system's folders. Broken shims and other things that do not run are told in ``skipped``.
    """
    candidates = list(dict.fromkeys(_candidates()))
    with ThreadPoolExecutor(max_workers=4) as pool:
        outcomes = list(pool.map(_try, candidates))
    found: dict[tuple[str, str], Interpreter] = {}
    skipped: list[tuple[str, str]] = []
    seen: set[Path] = set()
    for candidate, outcome in zip(candidates, outcomes, strict=True):
        if isinstance(outcome, ChannelError):
            skipped.append((str(candidate), outcome.message))
        elif outcome.executable not in seen:
            seen.add(outcome.executable)
            found.setdefault((outcome.version, outcome.abi_suffix), outcome)
    ordered = sorted(found.values(), key=lambda one: (one.minor, one.abi_suffix, one.version))
    return Discovery(interpreters=tuple(ordered), skipped=tuple(skipped))


def _try(executable: Path) -> Interpreter | ChannelError:
    try:
        return inspect(executable)
    except ChannelError as error:
        return error


def _candidates() -> Iterable[Path]:
    yield Path(sys.executable)
    home = Path.home()
    windows = sys.platform == "win32"
    pyenv = Path(os.environ.get("PYENV_ROOT") or home / ".pyenv")
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    if windows and os.environ.get("APPDATA"):
        data = Path(os.environ["APPDATA"])
    uv = Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or (data / "uv" / ("data/python" if windows else "python")))
    for root in (pyenv / "versions", uv):
        for version in sorted(root.iterdir()) if root.is_dir() else ():
            yield from _executables(version if windows else version / "bin")
    for entry in os.environ.get("PATH", "").split(os.pathsep):
        # shims only lead to the versions above, and fail for those that are not chosen
        if entry and Path(entry).is_absolute() and Path(entry) != pyenv / "shims":
            yield from _executables(Path(entry).resolve())
    if windows:
        local = os.environ.get("LOCALAPPDATA")
        root = Path(local) / "Programs" / "Python" if local else None
        for version in sorted(root.iterdir()) if root and root.is_dir() else ():
            yield from _executables(version)
    else:
        for name in ("/usr/local/bin", "/usr/bin", "/opt/homebrew/bin"):
            yield from _executables(Path(name).resolve())


_NAME = re.compile(r"python(3(\.\d+t?)?)?(\.exe)?")


def _executables(folder: Path) -> list[Path]:
    """The Pythons in a folder, each real file once; Python 2 is passed over by its name."""
    try:
        names = sorted((p for p in folder.iterdir() if _NAME.fullmatch(p.name)), key=lambda p: -len(p.name))
    except OSError:
        return []
    found: dict[Path, Path] = {}
    for path in names:
        if path.is_file() and os.access(path, os.X_OK):
            found.setdefault(path.resolve(), path)
    # `python` alone may be Python 2; where a `python3` is beside it, it says nothing new
    numbered = [p for p in found.values() if p.stem != "python"]
    return sorted(numbered or found.values())


def find(name: str) -> Interpreter:
    """The interpreter that a user names: the path of an executable, a command on PATH, or a version (``3.12``).

    Raises ChannelError where there is none.
    """
    if re.fullmatch(r"3\.\d+(\.\d+\w*)?t?", name):
        number = name.removesuffix("t")
        found = discover()
        for one in reversed(found.interpreters):
            wanted = number in (one.version, one.short_version)
            if wanted and one.abi_suffix == ("t" if name.endswith("t") else ""):
                return one
        have = ", ".join(one.version for one in found.interpreters) or "none"
        raise ChannelError(f"Python {name} was not found on this machine", help=f"found: {have}")
    on_path = shutil.which(name) if os.sep not in name and not Path(name).exists() else None
    return inspect(Path(on_path or name).absolute())
