"""zig's C and C++ compiler, from PyPI, as packages: for machines without a compiler."""

from __future__ import annotations

import platform as host
from collections.abc import Mapping
from pathlib import Path

from smelt.channel.activation import add_scripts
from smelt.channel.folder import Edit
from smelt.channel.model import Package, PackageFile, PackageHead
from smelt.channel.resolution import fetch, resolve
from smelt.channel.settings import base_settings, cxx_settings
from smelt.channel.targets import Target, check_platform
from smelt.channel.wheelfile import Wheel, read_files, read_wheel
from smelt.errors import ChannelError, NotSupportedError

_REVISION = 1
"""Raise when what is made from an unchanged wheel changes."""

_TARGETS: Mapping[str, str] = {
    # glibc 2.28 is what the reference assumes of Linux, so what is compiled runs where its packages run
    "linux-64": "x86_64-linux-gnu.2.28",
    "linux-aarch64": "aarch64-linux-gnu.2.28",
    "osx-64": "x86_64-macos",
    "osx-arm64": "aarch64-macos",
}
_COMMANDS: Mapping[str, str] = {"zig-cc": "cc", "zig-c++": "c++", "zig-ar": "ar", "zig-ranlib": "ranlib"}


def add_zig(edit: Edit, platform: str) -> None:
    """Add ``zig`` (the compiler itself) and ``zig_<platform>``, ``zigxx_<platform>`` (which activate it).

    ``c_compiler: [zig]`` and ``cxx_compiler: [zigxx]`` in the build variants choose it.
    Raises ChannelError where it cannot be fetched, NotSupportedError for platforms that are not in the table.
    """
    if platform not in _TARGETS:
        raise NotSupportedError(f"zig packages cannot be made for {platform} yet")
    check_platform(platform)
    target = Target(python=host.python_version().rstrip("+"), platform=platform)
    found = [one for one in resolve(["ziglang"], target, dependencies=False) if one.name == "ziglang"]
    if not found:
        raise ChannelError("the index has no `ziglang` for this platform")
    wheel = read_wheel(fetch(found[0]))
    head = PackageHead(
        name="zig",
        version=str(wheel.metadata.version),
        build="",
        subdir=platform,
        license=wheel.metadata.license or "MIT",
        summary=wheel.metadata.summary,
        home=wheel.metadata.home,
        identity={"revision": _REVISION, "wheel": wheel.path.name, "sha256": wheel.sha256},
    )
    head = edit.build_string(head, "h")
    edit.add(head, lambda work: _package(wheel, head, platform, work))
    _add_activation(edit, head, platform)


def _package(wheel: Wheel, head: PackageHead, platform: str, work: Path) -> Package:
    entries: list[PackageFile] = []
    licenses: dict[str, bytes] = {}
    for number, (name, content, runnable) in enumerate(read_files(wheel)):
        inner = name.removeprefix("ziglang/")
        if inner.upper().startswith("LICENSE") and inner != name:
            licenses[inner] = content
        if name == "ziglang/zig":
            path, runnable = "bin/zig", True
        elif name.startswith("ziglang/lib/"):
            path = f"lib/zig/{inner.removeprefix('lib/')}"
        else:
            continue
        stored: bytes | Path = content
        if len(content) > 1 << 16:
            stored = work / str(number)
            stored.write_bytes(content)
        entries.append(PackageFile(path=path, content=stored, executable=runnable))
    if not any(entry.path == "bin/zig" for entry in entries):
        raise ChannelError(f"{wheel.path.name} does not hold `zig` where it was expected")
    for command, action in _COMMANDS.items():
        script = _wrapper(action, _TARGETS[platform])
        entries.append(PackageFile(path=f"bin/{command}", content=script.encode(), executable=True))
    return Package(head=head, entries=tuple(entries), licenses=licenses)


def _wrapper(action: str, target: str) -> str:
    """A command that calls zig beside it. Without HOME, as in some builds, zig has to be told where to cache."""
    flags = f" -target {target}" if action in ("cc", "c++") else ""
    return (
        "#!/bin/sh\n"
        'if [ -z "${HOME:-}" ] && [ -z "${ZIG_GLOBAL_CACHE_DIR:-}" ]; then\n'
        '  export ZIG_GLOBAL_CACHE_DIR="${SRC_DIR:-$PWD}/.zig-cache"\n'
        "fi\n"
        f'exec "$(dirname "$0")/zig" {action}{flags} "$@"\n'
    )


def _add_activation(edit: Edit, zig: PackageHead, platform: str) -> None:
    tools = "$_smelt_tools/bin"
    target = _TARGETS[platform]
    identity: dict[str, object] = {"revision": _REVISION, "zig": dict(zig.identity), "target": target}
    variables = {
        "CC": f"{tools}/zig-cc",
        "CPP": f"{tools}/zig-cc -E",
        "AR": f"{tools}/zig-ar",
        "RANLIB": f"{tools}/zig-ranlib",
    }
    settings = base_settings(variables, target.removesuffix(".2.28"), platform)
    depends = (f"zig =={zig.version} {zig.build}",)
    add_scripts(edit, f"zig_{platform}", zig.version, platform, depends, settings, identity)
    settings = cxx_settings(f"{tools}/zig-c++")
    add_scripts(
        edit, f"zigxx_{platform}", zig.version, platform, (f"zig_{platform} =={zig.version}",), settings, identity
    )
