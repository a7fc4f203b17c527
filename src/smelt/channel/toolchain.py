"""Compilers as packages: ``gcc_linux-64`` and the like hold activation scripts and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from smelt.channel.activation import Settings, add_scripts
from smelt.channel.compiler import KINDS, Compiler, Kind, find_compiler
from smelt.channel.folder import Edit, Say, editing
from smelt.channel.model import Addition
from smelt.channel.settings import PREFIX_MAPS, base_settings, cxx_settings
from smelt.errors import ChannelError, NotSupportedError, UsageError
from smelt.text import closest
from smelt.types import current_platform, platform_family

_REVISION = 1
"""Raise when what is made from an unchanged compiler changes."""


def add_toolchain(
    folder: Path,
    names: Iterable[str] | None = None,
    *,
    zig: bool = False,
    target: str | None = None,
    waiting: Say | None = None,
) -> tuple[Addition, ...]:
    """Add the compilers of this machine to the channel ``folder``: those called, or all that are found.

    ``target``: the platform that they compile for, where that is not this machine's (GCC, for Linux): packages for this
    machine, called after the other.

    ``names`` are ``gcc``, ``gxx``, ``gfortran``, ``clang``, ``clangxx``; a package is called
    ``<name>_<platform>``, as ``${{ compiler('c') }}`` asks for. Its build string depends on the digests of the
    compiler's files. With ``zig``, the compiler of the ``ziglang`` distribution is added (as ``zig``, a package
    that holds it, and ``zig_<platform>``, ``zigxx_<platform>``), and system compilers only if they are named.
    Raises ChannelError where one that was named, or every one, is missing; NotSupportedError on Windows.
    """
    platform = current_platform()
    if platform_family(platform) == "win":
        raise NotSupportedError(
            "toolchain packages cannot be made on Windows yet",
            help="build there with the compiler of a conda channel",
        )
    if target is not None and target != platform:
        return _add_cross(folder, names, target, zig=zig, waiting=waiting)
    chosen = [] if zig and names is None else _kinds(names)
    with editing(folder, "adding a toolchain", waiting) as edit:
        found = [compiler for kind in chosen if (compiler := find_compiler(kind)) is not None]
        _check_found(chosen, found, named=names is not None)
        for compiler in found:
            _add(edit, compiler, platform)
        if zig:
            from smelt.channel.zig import add_zig

            add_zig(edit, platform)
        return tuple(edit.additions)


_TRIPLES = {
    "linux-32": "i686-linux-gnu",
    "linux-64": "x86_64-linux-gnu",
    "linux-aarch64": "aarch64-linux-gnu",
    "linux-armv7l": "arm-linux-gnueabihf",
    "linux-ppc64le": "powerpc64le-linux-gnu",
    "linux-riscv64": "riscv64-linux-gnu",
    "linux-s390x": "s390x-linux-gnu",
}
"""Platforms, and what the names of distributions' cross compilers for them begin with."""


def _add_cross(
    folder: Path, names: Iterable[str] | None, target: str, *, zig: bool, waiting: Say | None
) -> tuple[Addition, ...]:
    platform = current_platform()
    triple = _TRIPLES.get(target)
    if triple is None or platform_family(platform) != "linux" or zig:
        raise NotSupportedError(
            f"a cross compiler for {target} cannot be added as a package on {platform}"
            + (" with zig" if zig else "")
            + " yet",
            help=f"there can be GCC on Linux, for {', '.join(_TRIPLES)}; others are packages of conda channels",
        )
    kinds = [kind for kind in KINDS if kind.name.startswith("g")]
    chosen = kinds if names is None else [kind for kind in _kinds(names) if kind in kinds]
    found = [compiler for kind in chosen if (compiler := find_compiler(kind, f"{triple}-")) is not None]
    if not any(compiler.kind.language == "c" for compiler in found):
        raise ChannelError(
            f"no compiler for {target} was found: looked for `{triple}-gcc` on PATH",
            code="missing-compiler",
            help=f"install one (`apt install gcc-{triple}`, `dnf install gcc-{triple}`)",
        )
    with editing(folder, "adding a toolchain", waiting) as edit:
        for compiler in found:
            _add(edit, compiler, platform, target)
        return tuple(edit.additions)


def _kinds(names: Iterable[str] | None) -> list[Kind]:
    known = {kind.name: kind for kind in KINDS}
    if names is None:
        return list(KINDS)
    chosen: list[Kind] = []
    for name in dict.fromkeys(names):
        if name not in known:
            guess = closest(name, known)
            raise UsageError(
                f"there is no toolchain `{name}`",
                help=f"did you mean `{guess}`?" if guess else f"the names are {', '.join(known)}",
            )
        base = known[name].base
        chosen += [known[base]] if base and known[base] not in chosen else []
        if known[name] not in chosen:
            chosen.append(known[name])
    return chosen


def _check_found(chosen: list[Kind], found: list[Compiler], *, named: bool) -> None:
    have = {compiler.kind.name for compiler in found}
    missing = [kind for kind in chosen if kind.name not in have]
    if missing and (named or not any(compiler.kind.language == "c" for compiler in found)):
        looked = ", ".join(f"`{kind.executable}`" for kind in missing)
        raise ChannelError(
            f"no compiler was found: looked for {looked} on PATH" if not named else f"not found on PATH: {looked}",
            code="missing-compiler",
            help="install one (`apt install gcc g++`, `dnf install gcc-c++`, `xcode-select --install`), "
            "or use `--zig`, which gets one from PyPI",
        )


def _add(edit: Edit, compiler: Compiler, platform: str, target: str | None = None) -> None:
    kind = compiler.kind
    name = f"{kind.name}_{target or platform}"
    settings = _settings(compiler, target or platform, None if target is None else _TRIPLES.get(platform, platform))
    identity: dict[str, object] = {
        "revision": _REVISION,
        "compiler": str(compiler.path),
        "version": compiler.version,
        "target": compiler.target,
        "tools": {variable: str(path) for variable, path in sorted(compiler.tools.items())},
        "digests": dict(compiler.digests),
    }
    depends = (f"{kind.base}_{target or platform} =={compiler.version}",) if kind.base else ()
    add_scripts(edit, name, compiler.version, platform, depends, settings, identity)


def _settings(compiler: Compiler, platform: str, build: str | None) -> Settings:
    kind = compiler.kind
    path = str(compiler.path)
    if kind.language == "c++":
        return cxx_settings(path)
    if kind.language == "f95":
        return Settings(
            variables={"FC": path, "F77": path, "F90": path, "F95": path},
            flags={"FFLAGS": ("-O2", "-fPIC"), "FORTRANFLAGS": ("-O2", "-fPIC")},
            build_flags={"FFLAGS": PREFIX_MAPS, "FORTRANFLAGS": PREFIX_MAPS},
        )
    tools = {variable: str(tool) for variable, tool in compiler.tools.items()}
    return base_settings({"CC": path, "CPP": f"{path} -E", **tools}, compiler.target, platform, build)
