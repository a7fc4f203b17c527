"""Platforms (conda subdirs) and the virtual packages that are assumed for them."""

from __future__ import annotations

import os
import platform as host
import sys
from dataclasses import dataclass

NOARCH = "noarch"

KNOWN_PLATFORMS: tuple[str, ...] = (
    "emscripten-wasm32",
    "freebsd-64",
    "linux-32",
    "linux-64",
    "linux-aarch64",
    "linux-armv6l",
    "linux-armv7l",
    "linux-loongarch64",
    "linux-ppc64",
    "linux-ppc64le",
    "linux-riscv32",
    "linux-riscv64",
    "linux-s390x",
    "noarch",
    "osx-64",
    "osx-arm64",
    "wasi-wasm32",
    "win-32",
    "win-64",
    "win-arm64",
    "zos-z",
)

_MACHINES = {
    "linux": {
        "x86_64": "64",
        "amd64": "64",
        "aarch64": "aarch64",
        "arm64": "aarch64",
        "ppc64le": "ppc64le",
        "s390x": "s390x",
        "riscv64": "riscv64",
        "armv7l": "armv7l",
        "armv6l": "armv6l",
        "i686": "32",
        "i386": "32",
    },
    "osx": {"x86_64": "64", "arm64": "arm64"},
    "win": {"amd64": "64", "x86_64": "64", "arm64": "arm64", "x86": "32"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualPackage:
    """A virtual package: what the solver may assume of a machine (``__glibc`` 2.28).

    ``build`` is ``0`` unless said otherwise. The text form, as in ``pixi.lock`` v7, is
    ``name=version`` or ``name=version=build``.
    """

    name: str
    version: str = "0"
    build: str = "0"

    def __str__(self) -> str:
        return (
            f"{self.name}={self.version}"
            if self.build == "0" and self.version != "0"
            else (f"{self.name}={self.version}={self.build}")
        )

    @classmethod
    def parse(cls, text: str) -> VirtualPackage:
        """The inverse of ``str``."""
        parts = text.split("=")
        return cls(
            name=parts[0],
            version=parts[1] if len(parts) > 1 else "0",
            build=parts[2] if len(parts) > 2 else "0",
        )


def platform_family(platform: str) -> str:
    """``linux``, ``osx``, ``win``, ``emscripten``… of a platform name."""
    return platform.partition("-")[0]


_FALLBACKS = {"win-64": ("win-32",), "osx-arm64": ("osx-64",), "linux-64": ("linux-32",), "win-arm64": ("win-64",)}


def runnable_subdirs(platform: str) -> tuple[str, ...]:
    """The platforms whose packages run on a machine of ``platform``: itself first, then what the system emulates."""
    return platform, *_FALLBACKS.get(platform, ())


def current_platform() -> str:
    """The platform of this machine, or what ``PIXI_OVERRIDE_PLATFORM`` says.

    Source: the reference's "Configurable Environment Variables".
    """
    override = os.environ.get("PIXI_OVERRIDE_PLATFORM")
    if override:
        return override
    family = {"darwin": "osx", "win32": "win"}.get(sys.platform, sys.platform)
    machine = host.machine().lower()
    return f"{family}-{_MACHINES.get(family, {}).get(machine, machine)}"


_ARCHSPEC = {
    "64": "x86_64",
    "32": "x86",
    "aarch64": "aarch64",
    "arm64": "aarch64",
    "ppc64le": "ppc64le",
    "s390x": "s390x",
    "riscv64": "riscv64",
    "armv7l": "armv7l",
    "armv6l": "armv6l",
}


def default_virtual_packages(platform: str) -> tuple[VirtualPackage, ...]:
    """What is assumed of a machine of ``platform`` when the workspace says nothing.

    Source: the reference's page "System requirements" (Linux 4.18 and glibc 2.28, macOS 13.0, Windows 10),
    in the order in which ``pixi.lock`` v7 lists them.
    """
    family, _, arch = platform.partition("-")
    packages: list[VirtualPackage] = []
    if family in ("linux", "osx", "emscripten", "freebsd"):
        packages.append(VirtualPackage(name="__unix"))
    if family == "linux":
        packages.append(VirtualPackage(name="__linux", version="4.18"))
        packages.append(VirtualPackage(name="__glibc", version="2.28"))
    elif family == "osx":
        packages.append(VirtualPackage(name="__osx", version="13.0"))
    elif family == "win":
        packages.append(VirtualPackage(name="__win", version="10.0"))
    spec = "m1" if platform == "osx-arm64" else _ARCHSPEC.get(arch)
    if spec is not None:
        packages.append(VirtualPackage(name="__archspec", build=spec))
    return tuple(packages)
