"""An interpreter of this machine as relocatable ``python`` and ``python_abi`` packages."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from smelt.channel import binaries
from smelt.channel.folder import Edit, Say, editing
from smelt.channel.interpreter import Interpreter, inspect
from smelt.channel.model import Addition, Package, PackageHead
from smelt.channel.stdlib import Parts, collect, fill
from smelt.errors import ChannelError
from smelt.types import NOARCH, RunExports, current_platform, digest_json, sha256_file

_REVISION = 1
"""Raise when what is made from an unchanged interpreter changes."""

_PLATFORMS = {
    "linux-x86_64": "linux-64",
    "linux-aarch64": "linux-aarch64",
    "linux-ppc64le": "linux-ppc64le",
    "linux-s390x": "linux-s390x",
    "linux-riscv64": "linux-riscv64",
    "win-amd64": "win-64",
    "win-arm64": "win-arm64",
    "win32": "win-32",
}


def add_python(
    folder: Path, executables: Iterable[Path | Interpreter] | None = None, *, waiting: Say | None = None
) -> tuple[Addition, ...]:
    """Add interpreters (the running one by default) and their ``python_abi`` to the channel ``folder``.

    The packages say of themselves what conda-forge's do (CEP 20: ``python_abi``; run-exports; CEP 17:
    ``python_site_packages_path``), hold headers and libraries to compile against, and work in any prefix. They use
    this machine's system libraries (OpenSSL, SQLite…), so they are for machines like this one.
    An unchanged interpreter is recognised by the digests of its files, without making the package anew.
    Raises ChannelError: no channel, no usable interpreter.
    """
    chosen = [Path(sys.executable)] if executables is None else list(executables)
    interpreters = [one if isinstance(one, Interpreter) else inspect(one) for one in chosen]
    with editing(folder, "adding Python", waiting) as edit:
        for interpreter in dict.fromkeys(interpreters):
            _add_abi(edit, interpreter)
            _add_interpreter(edit, interpreter)
        return tuple(edit.additions)


def subdir_of(interpreter: Interpreter) -> str:
    """The conda platform an interpreter runs on. Raises ChannelError for one that conda has no name for."""
    name = interpreter.sysconfig_platform
    if name.startswith("macosx-"):
        if name.endswith("universal2"):
            return current_platform()
        return "osx-arm64" if name.endswith("arm64") else "osx-64"
    if name not in _PLATFORMS:
        raise ChannelError(f"{interpreter.executable} is for `{name}`, which conda has no name for")
    return _PLATFORMS[name]


def _tag(interpreter: Interpreter) -> str:
    """How conda-forge ends the build strings: ``cpython`` up to 3.12, ``cp313``, ``cp313t`` from then on."""
    return "cpython" if interpreter.minor < (3, 13) else interpreter.abi


def _add_abi(edit: Edit, interpreter: Interpreter) -> None:
    head = PackageHead(
        name="python_abi",
        version=interpreter.short_version,
        build="",
        subdir=NOARCH,
        noarch="generic",
        constrains=(f"python {interpreter.short_version}.* *_{_tag(interpreter)}",),
        license="BSD-3-Clause",
        summary="Metapackage to select the binary interface of Python",
    )
    head = replace(head, build=f"0_{interpreter.abi}")
    edit.add(head, lambda _work: Package(head=head, entries=()))


def _add_interpreter(edit: Edit, interpreter: Interpreter) -> None:
    parts = collect(interpreter)
    digests = {target: sha256_file(source) for target, source in sorted(parts.files.items())}
    abi = f"python_abi {interpreter.short_version}.* *_{interpreter.abi}"
    head = PackageHead(
        name="python",
        version=interpreter.version,
        build="",
        subdir=subdir_of(interpreter),
        depends=(abi,),
        run_exports=RunExports(noarch=("python",), weak=(abi,)),
        license="Python-2.0",
        summary="General purpose programming language",
        home="https://www.python.org",
        python_site_packages_path=interpreter.site_packages,
        identity={
            "revision": _REVISION,
            "prefix": str(interpreter.prefix),
            "files": digest_json(digests),
            "tools": binaries.tool_versions(),
        },
    )
    head = edit.build_string(head, "h", f"_{_tag(interpreter)}")
    notes = _notes(parts)
    edit.add(head, lambda work: fill(head, interpreter, parts, work), notes)


_EXPECTED = re.compile(r"lib(c|m|dl|pthread|util|rt|gcc_s|python[\w.]*)\.so|ld-linux|libSystem|libpython")


def _notes(parts: Parts) -> tuple[str, ...]:
    """The libraries outside of the package that extension modules are linked with, but for the C library."""
    names: set[str] = set()
    for source in parts.files.values():
        if source.suffix == ".so" and source.parent.name == "lib-dynload":
            names.update(binaries.needed(source))
    used = sorted(name for name in names if name not in parts.bundled and not _EXPECTED.match(name))
    return (f"uses libraries of this system: {', '.join(used)}",) if used else ()
