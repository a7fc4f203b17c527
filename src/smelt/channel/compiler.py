"""The C and C++ compilers of this machine: what they are, and whether they work."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from smelt.errors import ChannelError
from smelt.types import sha256_file

_LAUNCHERS = frozenset({"ccache", "sccache", "distcc", "icecc", "colorgcc"})
_PROGRAM = """#include <stdio.h>
int main(void) { printf("%d", 42); return 0; }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of compiler: its name in packages (``gcc``), its executable, and the language it is for.

    ``base``: the kind that brings the tools which all languages share (archiver, linker flags).
    """

    name: str
    executable: str
    variable: str
    language: str
    base: str | None = None


KINDS: tuple[Kind, ...] = (
    Kind(name="gcc", executable="gcc", variable="CC", language="c"),
    Kind(name="gxx", executable="g++", variable="CXX", language="c++", base="gcc"),
    Kind(name="gfortran", executable="gfortran", variable="FC", language="f95", base="gcc"),
    Kind(name="clang", executable="clang", variable="CC", language="c"),
    Kind(name="clangxx", executable="clang++", variable="CXX", language="c++", base="clang"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiler:
    """A working compiler. ``target``: its own name of what it compiles for (``x86_64-linux-gnu``).

    ``tools``: variable → path of the binary utilities that go with it; ``digests``: name → sha256 of the files
    that do the work (driver, compiler proper, assembler, linker).
    """

    kind: Kind
    path: Path
    version: str
    target: str
    tools: Mapping[str, Path] = field(hash=False)
    digests: Mapping[str, str] = field(hash=False)


def find_compiler(kind: Kind, prefix: str = "") -> Compiler | None:
    """The compiler of that kind on PATH, None where there is none (``gcc`` on macOS is clang, so none).

    ``prefix``: what the names of a cross compiler and of its tools begin with (``aarch64-linux-gnu-``).
    Launchers such as ccache are passed over: what runs must be what is identified.
    Raises ChannelError where it is there but cannot compile a program.
    """
    path = _which(prefix + kind.executable)
    if path is None:
        return None
    macros = _macros(path, kind)
    if ("__clang__" in macros) != kind.name.startswith("clang"):
        return None
    version = _version(macros)
    if version is None:
        raise ChannelError(f"{path} does not tell its version", code="broken-compiler")
    _try(path, kind)
    tools = _tools(kind, prefix)
    parts = {kind.executable: path.resolve(), **{name: tool.resolve() for name, tool in tools.items()}}
    for name in ("cc1", "cc1plus", "f951", "as", "ld"):
        part = _program(path, name)
        if part is not None:
            parts.setdefault(name, part)
    return Compiler(
        kind=kind,
        path=path,
        version=version,
        target=_output([str(path), "-dumpmachine"]).strip(),
        tools=tools,
        digests={name: sha256_file(part) for name, part in sorted(parts.items())},
    )


def _which(name: str) -> Path | None:
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        found = shutil.which(name, path=folder) if folder and Path(folder).is_absolute() else None
        if found and Path(found).resolve().name not in _LAUNCHERS:
            return Path(found)
    return None


def _macros(path: Path, kind: Kind) -> dict[str, str]:
    language = "c++" if kind.language == "c++" else "c"
    done = _run([str(path), "-dM", "-E", "-x", language, os.devnull])
    if done.returncode != 0:
        raise ChannelError(
            f"{path} is broken: it cannot preprocess an empty file",
            code="broken-compiler",
            notes=[done.stderr.strip()[-2000:]],
        )
    pairs = (line.split(None, 2) for line in done.stdout.splitlines())
    return {parts[1]: parts[2] if len(parts) > 2 else "" for parts in pairs if len(parts) > 1}


def _version(macros: Mapping[str, str]) -> str | None:
    names = (
        ("__clang_major__", "__clang_minor__", "__clang_patchlevel__")
        if "__clang__" in macros
        else ("__GNUC__", "__GNUC_MINOR__", "__GNUC_PATCHLEVEL__")
    )
    numbers = [macros.get(name, "") for name in names]
    return ".".join(numbers) if all(re.fullmatch(r"\d+", number) for number in numbers) else None


def _try(path: Path, kind: Kind) -> None:
    """Compile and link a program: a compiler without the C library's headers is of no use."""
    if kind.language not in ("c", "c++"):
        return
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / ("main.c" if kind.language == "c" else "main.cpp")
        source.write_text(_PROGRAM, encoding="utf-8")
        done = _run([str(path), str(source), "-o", str(Path(name) / "main")])
    if done.returncode != 0:
        raise ChannelError(
            f"{path} is there, but cannot compile a program",
            code="broken-compiler",
            notes=[done.stderr.strip()[-2000:]],
            help="install the development files of the C library (libc6-dev, glibc-devel, the Xcode tools)",
        )


_TOOLS: Mapping[str, tuple[str, ...]] = {
    "AR": ("gcc-ar", "ar"),
    "NM": ("gcc-nm", "nm"),
    "RANLIB": ("gcc-ranlib", "ranlib"),
    "LD": ("ld",),
    "AS": ("as",),
    "STRIP": ("strip",),
    "OBJCOPY": ("objcopy",),
    "READELF": ("readelf",),
}


def _tools(kind: Kind, prefix: str) -> dict[str, Path]:
    """The binary utilities beside the compiler, else on PATH; those that exist."""
    if kind.base is not None:
        return {}
    found: dict[str, Path] = {}
    for variable, names in _TOOLS.items():
        clang = [f"llvm-{names[-1]}"] if kind.name == "clang" and sys.platform != "darwin" else []
        plain = [name for name in names if kind.name == "gcc" or not name.startswith("gcc-")]
        for name in (*clang, *plain):
            tool = _which(prefix + name)
            if tool is not None:
                found[variable] = tool
                break
    return found


def _program(path: Path, name: str) -> Path | None:
    """Where the driver finds one of its programs; None where it has none of that name."""
    said = _output([str(path), f"-print-prog-name={name}"]).strip()
    found = Path(said) if Path(said).is_absolute() else _which(said or name)
    return found.resolve() if found is not None and found.is_file() else None


def _output(command: list[str]) -> str:
    done = _run(command)
    return done.stdout if done.returncode == 0 else ""


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C"},
            timeout=60,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ChannelError(f"{command[0]} cannot be run ({error})", code="broken-compiler") from error
