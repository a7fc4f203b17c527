"""The files of an interpreter: which ones go into its package, and what has to be changed in them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import cast

from smelt.channel import binaries, debian, sysdata
from smelt.channel.interpreter import Interpreter
from smelt.channel.model import PLACEHOLDER, Package, PackageFile, PackageHead, PackageLink
from smelt.errors import ChannelError

_TESTS = frozenset({"test", "tests", "idle_test"})
_KEPT_TESTS = ("test/__init__.py", "test/support/")
_UNWANTED = re.compile(
    r"(^|/)__pycache__/|\.py[co]$|(^|/)EXTERNALLY-MANAGED$|/config-[^/]*/[^/]*\.[ao]$"
    r"|/lib-dynload/(_test|_xx|xx|_ctypes_test)[^/]*$"
)
_SHARED_PREFIXES = (Path("/"), Path("/usr"), Path("/usr/local"), Path("/opt"), Path("/opt/homebrew"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What an interpreter's package is made of: target path → file of this machine, and links.

    ``bundled``: file names of the libraries among them.
    """

    files: Mapping[str, Path] = field(repr=False)
    links: Mapping[str, str]
    bundled: frozenset[str]


def collect(interpreter: Interpreter) -> Parts:
    """The files to package: the executable, its library, the standard library without its tests, the headers.

    What users installed (``site-packages``) is left out. Raises ChannelError where the headers or the standard
    library are missing.
    """
    parts = _collect_windows(interpreter) if sys.platform == "win32" else _collect_posix(interpreter)
    header = f"{interpreter.include}/Python.h"
    if header not in parts.files:
        raise ChannelError(
            f"{interpreter.executable} has no headers, so nothing could be compiled for it: "
            f"{interpreter.prefix / header} is missing",
            code="missing-headers",
            help=f"install the development files of Python {interpreter.short_version}",
        )
    if f"{interpreter.stdlib}/os.py" not in parts.files:
        raise ChannelError(f"the standard library of {interpreter.executable} is not there as files")
    return parts


def _collect_posix(interpreter: Interpreter) -> Parts:
    prefix, name = interpreter.prefix, _name(interpreter)
    files = {f"bin/{name}": interpreter.executable}
    links = {"bin/python3": name, "bin/python": "python3"}
    if interpreter.abi_suffix:
        links[f"bin/python{interpreter.short_version}"] = name
    for script in ("pydoc", "idle", "2to3-", f"{name}-config"):
        target = script if script.endswith("config") else f"{script}{interpreter.short_version}"
        source = interpreter.executable.parent / target
        # `python3-config` of a system answers with the system's folders
        if source.is_file() and not (target.endswith("config") and prefix in _SHARED_PREFIXES):
            files[f"bin/{target}"] = source.resolve()
            short = target.replace(interpreter.short_version, "3", 1).replace("2to3-3", "2to3")
            links.setdefault(f"bin/{short}", target)
    for folder in (interpreter.stdlib, interpreter.include):
        files.update(_walk(prefix, folder))
    if interpreter.debian:
        files = {target: path for target, path in files.items() if not debian.is_unwanted(target)}
        files.update(debian.extra_files(interpreter))
    bundled: set[str] = set()
    if interpreter.library_folder is not None:
        for library in interpreter.libraries:
            _add_library(interpreter.library_folder / library, files, links, bundled)
    _add_own_libraries(prefix, files, links, bundled)
    for config in (f"python-{interpreter.short_version}", f"python-{interpreter.short_version}-embed"):
        source = prefix / "lib" / "pkgconfig" / f"{config}.pc"
        if source.is_file() and prefix not in _SHARED_PREFIXES:
            files[f"lib/pkgconfig/{source.name}"] = source
            short = source.name.replace(interpreter.short_version, "3", 1)
            links[f"lib/pkgconfig/{short}"] = source.name
    return Parts(files=files, links=links, bundled=frozenset(bundled))


def _name(interpreter: Interpreter) -> str:
    """The name of the executable: ``python3.12``, ``python3.13t``."""
    return f"python{interpreter.short_version}{interpreter.abi_suffix}"


def _add_library(path: Path, files: dict[str, Path], links: dict[str, str], bundled: set[str]) -> None:
    """A library with the chain of links that leads to it."""
    while path.is_symlink():
        target = path.readlink()
        bundled.add(path.name)
        links[f"lib/{path.name}"] = target.name
        path = path.parent / target
    if path.is_file():
        bundled.add(path.name)
        files[f"lib/{path.name}"] = path


def _add_own_libraries(prefix: Path, files: dict[str, Path], links: dict[str, str], bundled: set[str]) -> None:
    """Libraries that the interpreter brought along in its prefix (standalone builds: Tcl, Tk, OpenSSL…)."""
    if prefix in _SHARED_PREFIXES:
        return
    queue = [path for path in files.values() if _may_be_binary(path) and binaries.is_binary(path)]
    while queue:
        for library in binaries.needed(queue.pop()):
            source = prefix / "lib" / library
            if library not in bundled and source.is_file():
                _add_library(source, files, links, bundled)
                queue.append(source.resolve())
    if any(name.startswith("libtcl") for name in bundled):
        for folder in sorted((prefix / "lib").iterdir()):
            if folder.is_dir() and re.fullmatch(r"(tcl|tk|itcl|thread)[\d.]+", folder.name):
                files.update(_walk(prefix, f"lib/{folder.name}"))


def _may_be_binary(path: Path) -> bool:
    return path.suffix in (".so", ".dylib") or ".so." in path.name or path.suffix not in (".py", ".h", ".txt", ".pyi")


def _collect_windows(interpreter: Interpreter) -> Parts:
    prefix = interpreter.prefix
    files: dict[str, Path] = {
        path.name: path for path in sorted(prefix.iterdir()) if path.suffix.lower() in (".exe", ".dll", ".pdb")
    }
    for folder in (interpreter.stdlib, interpreter.include, "DLLs", "libs", "tcl"):
        if (prefix / folder).is_dir():
            files.update(_walk(prefix, folder))
    return Parts(files=files, links={}, bundled=frozenset(p.name for p in files.values() if p.suffix == ".dll"))


def _walk(prefix: Path, folder: str) -> Iterator[tuple[str, Path]]:
    for parent, folders, names in os.walk(prefix / folder, followlinks=False):
        where = Path(parent).relative_to(prefix).as_posix()
        folders[:] = sorted(f for f in folders if f not in ("__pycache__", "site-packages", "dist-packages"))
        for name in sorted(names):
            path = f"{where}/{name}"
            if _is_wanted(path, folder):
                yield path, (Path(parent) / name).resolve()


def _is_wanted(path: str, folder: str) -> bool:
    inner = PurePosixPath(path).relative_to(folder)
    if _UNWANTED.search(path):
        return False
    if inner.as_posix().startswith(_KEPT_TESTS):
        return True
    return not any(part in _TESTS for part in inner.parts[:-1])


def fill(head: PackageHead, interpreter: Interpreter, parts: Parts, work: Path) -> Package:
    """Make the package in the empty folder ``work``: copy, relocate, compile.

    Raises ChannelError where a tool fails.
    """
    for target, source in parts.files.items():
        place = work / target
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, place)
        place.chmod(0o755 if os.access(source, os.X_OK) else 0o644)
    if sys.platform != "win32":
        machine = [work / target for target in parts.files if binaries.is_binary(work / target)]
        binaries.strip(machine)
        binaries.relocate(work, machine, interpreter.prefix)
    if interpreter.debian:
        debian.undo(work, interpreter)
    sysdata.rewrite(work, interpreter)
    if interpreter.prefix not in _SHARED_PREFIXES:
        _put_placeholder(work, parts, str(interpreter.prefix))
    marked = set(_marked(work, parts))
    _compile(interpreter, work, marked)
    _check(interpreter, work)
    entries: list[PackageFile | PackageLink] = [PackageLink(path=path, target=to) for path, to in parts.links.items()]
    for path in sorted(work.rglob("*")):
        if path.is_file():
            name = path.relative_to(work).as_posix()
            entries.append(
                PackageFile(path=name, content=path, executable=os.access(path, os.X_OK), placeholder=name in marked)
            )
    license_file = work / interpreter.stdlib / "LICENSE.txt"
    licenses = {"LICENSE.txt": license_file.read_bytes()} if license_file.is_file() else {}
    return Package(head=head, entries=tuple(entries), licenses=licenses)


def _put_placeholder(work: Path, parts: Parts, prefix: str) -> None:
    """Put the placeholder in the place of the old prefix in text files."""
    old = prefix.encode()
    for target in parts.files:
        path = work / target
        data = path.read_bytes()
        if old in data and b"\0" not in data[:4096] and not binaries.is_binary(path):
            path.write_bytes(re.sub(re.escape(old) + rb"(?![\w.-])", PLACEHOLDER.encode(), data))


def _marked(work: Path, parts: Parts) -> Iterator[str]:
    """The files that hold the placeholder."""
    for target in parts.files:
        if PLACEHOLDER.encode() in (work / target).read_bytes():
            yield target


_CHECK = """
import json, os, sys, sysconfig
import encodings, site, zlib
paths = [sys.prefix, sysconfig.get_path("purelib"), os.__file__] + site.getsitepackages() + sys.path
print("smelt:" + json.dumps(paths))
"""


def _check(interpreter: Interpreter, work: Path) -> None:
    """Run the copy where it is: it must live on nothing but its own files. Raises ChannelError."""
    name = "python.exe" if sys.platform == "win32" else "bin/" + _name(interpreter)
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "LD_", "DYLD_"))}
    done = subprocess.run(
        [str(work / name), "-I", "-B", "-c", _CHECK],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
        stdin=subprocess.DEVNULL,
        env=environment,
    )
    line = next((line for line in done.stdout.splitlines() if line.startswith("smelt:")), "smelt:[]")
    said = cast("list[str]", json.loads(line.removeprefix("smelt:")))
    packages = work / interpreter.site_packages
    good = (
        len(said) > 3
        and Path(said[0]).resolve() == work.resolve()
        and Path(said[1]).resolve() == packages.resolve()
        and Path(said[2]).resolve().is_relative_to(work.resolve())
        and packages.resolve() in [Path(path).resolve() for path in said[3:]]
    )
    if done.returncode != 0 or not good:
        raise ChannelError(
            f"a copy of {interpreter.executable} does not work in another prefix",
            code="not-relocatable",
            notes=[(done.stderr or "\n".join(said)).strip()[-2000:]],
            help="use an interpreter of pyenv or uv, or one built from python.org's source",
        )


def _compile(interpreter: Interpreter, work: Path, marked: set[str]) -> None:
    """Byte-compile the standard library, never checked against its source.

    Equal sources give equal bytes: one process, fixed order, relative paths, a fixed hash seed (before Python 3.11,
    the order of set constants depends on it) and next to no environment. Files with a placeholder are left out: their
    text changes at installation, and an unchecked ``.pyc`` would keep the old one.
    """
    command = [
        str(interpreter.executable),
        *("-s", "-S", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"),
        *("-x", r"(^|[/\\])(bad_coding|badsyntax|site-packages)"),
        interpreter.stdlib,
    ]
    kept = {name: os.environ[name] for name in ("SYSTEMROOT", "LD_LIBRARY_PATH") if name in os.environ}
    done = subprocess.run(
        command,
        cwd=work,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
        stdin=subprocess.DEVNULL,
        env={**kept, "PYTHONHASHSEED": "0", "LC_ALL": "C"},
    )
    if done.returncode != 0:
        raise ChannelError(
            f"the standard library of {interpreter.executable} cannot be compiled",
            notes=[(done.stdout + done.stderr).strip()[-2000:]],
        )
    for name in marked:
        if name.endswith(".py"):
            path = work / name
            for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
                compiled.unlink()
