"""What a locked ``python`` on a platform is to PyPI packages: environment markers and wheel tags.

Source: PEP 508 (markers), PEP 425, 600 and 656 (tags); the reference's ``pypi_modifiers`` for the values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from smelt.lock.model import LockedPackage
from smelt.types import CondaRecord, VirtualPackage, platform_family, spec_name

if TYPE_CHECKING:
    from packaging.markers import Marker
    from packaging.tags import Tag

_MACHINES = {
    "linux-32": "i386",
    "linux-64": "x86_64",
    "linux-aarch64": "aarch64",
    "linux-armv6l": "armv6l",
    "linux-armv7l": "armv7l",
    "linux-ppc64le": "ppc64le",
    "linux-ppc64": "ppc64",
    "linux-s390x": "s390x",
    "linux-riscv64": "riscv64",
    "linux-loongarch64": "loongarch64",
    "osx-64": "x86_64",
    "osx-arm64": "arm64",
    "win-32": "x86",
    "win-64": "AMD64",
    "win-arm64": "ARM64",
}
_SYSTEMS = {
    "linux": ("linux", "Linux", "posix"),
    "osx": ("darwin", "Darwin", "posix"),
    "win": ("win32", "Windows", "nt"),
}
_FREE_THREADED = re.compile(r"cp\d{3}t")
_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}


class Libc(NamedTuple):
    """``glibc`` or ``musl``, and its version."""

    family: str
    major: int
    minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PypiPlatform:
    """A Python (full version as locked) on a conda platform with its virtual packages."""

    python: str
    subdir: str
    virtual_packages: tuple[VirtualPackage, ...] = ()
    free_threaded: bool = False

    @property
    def is_supported(self) -> bool:
        """Whether wheels exist for such a platform at all (not for wasm)."""
        return platform_family(self.subdir) in _SYSTEMS and self.subdir in _MACHINES

    @property
    def python_minor(self) -> tuple[int, int]:
        """Major and minor version of Python."""
        major, _, rest = self.python.partition(".")
        minor = re.match(r"\d+", rest)
        return int(major), int(minor.group()) if minor is not None else 0

    @property
    def libc(self) -> Libc:
        """The libc that may be assumed; glibc 2.28 where nothing is said."""
        for package in self.virtual_packages:
            family = {"__glibc": "glibc", "__eglibc": "glibc", "__musl": "musl"}.get(package.name)
            if family is not None:
                return Libc(family, *_two(package.version))
        return Libc("glibc", 2, 28)

    @property
    def macos(self) -> tuple[int, int]:
        """The version of macOS that may be assumed; 13.0 where nothing is said."""
        found = next((package.version for package in self.virtual_packages if package.name == "__osx"), "13.0")
        return _two(found)

    def environment(self) -> dict[str, str]:
        """The values of markers, without ``extra``."""
        return dict(_environment(self))

    def holds(self, marker: Marker | None, extras: Sequence[str] = ()) -> bool:
        """Whether a marker is true here, for one of the extras or for none."""
        if marker is None:
            return True
        own = _environment(self)
        return any(marker.evaluate({**own, "extra": extra}) for extra in ("", *extras))

    def tags(self) -> dict[Tag, int]:
        """The tags that a wheel may have, each with its rank: lower is better."""
        return _tags(self)


def platform_of(
    conda: Mapping[str, LockedPackage], subdir: str, virtual_packages: tuple[VirtualPackage, ...]
) -> PypiPlatform | None:
    """The platform that locked conda packages make, by name; None without a ``python`` among them."""
    python = conda.get("python")
    if not isinstance(python, CondaRecord):
        return None
    return PypiPlatform(
        python=python.version,
        subdir=subdir,
        virtual_packages=virtual_packages,
        free_threaded=any(_FREE_THREADED.search(each) for each in python.depends if spec_name(each) == "python_abi"),
    )


def _two(version: str) -> tuple[int, int]:
    numbers = [int(part) for part in re.findall(r"\d+", version)[:2]]
    return (numbers[0] if numbers else 0), (numbers[1] if len(numbers) > 1 else 0)


@lru_cache(maxsize=64)
def _environment(platform: PypiPlatform) -> dict[str, str]:
    sys_platform, system, os_name = _SYSTEMS[platform_family(platform.subdir)]
    return {
        "implementation_name": "cpython",
        "implementation_version": platform.python,
        "os_name": os_name,
        "platform_machine": _MACHINES[platform.subdir],
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": system,
        "platform_version": "",
        "python_full_version": platform.python,
        "python_version": ".".join(map(str, platform.python_minor)),
        "sys_platform": sys_platform,
    }


@lru_cache(maxsize=64)
def _tags(platform: PypiPlatform) -> dict[Tag, int]:
    from packaging.tags import compatible_tags, cpython_tags

    python = platform.python_minor
    interpreter = f"cp{python[0]}{python[1]}"
    abi = interpreter + ("t" if platform.free_threaded else "")
    platforms = list(_platforms(platform))
    ordered = [
        *cpython_tags(python, [abi], platforms),
        *compatible_tags(python, interpreter, platforms),
    ]
    ranks: dict[Tag, int] = {}
    for rank, tag in enumerate(ordered):
        ranks.setdefault(tag, rank)
    return ranks


def _platforms(platform: PypiPlatform) -> Iterator[str]:
    family = platform_family(platform.subdir)
    machine = _MACHINES.get(platform.subdir, "")
    if family == "win":
        yield {"AMD64": "win_amd64", "ARM64": "win_arm64", "x86": "win32"}[machine]
    elif family == "osx":
        from packaging.tags import mac_platforms

        yield from mac_platforms(platform.macos, machine)
    elif family == "linux":
        arch = "i686" if machine == "i386" else machine
        libc = platform.libc
        if libc.family == "musl":
            yield from (f"musllinux_{libc.major}_{minor}_{arch}" for minor in range(libc.minor, -1, -1))
        else:
            lowest = 5 if arch in ("x86_64", "i686") else 17
            for minor in range(libc.minor, lowest - 1, -1):
                yield f"manylinux_{libc.major}_{minor}_{arch}"
                if minor in _LEGACY:
                    yield f"{_LEGACY[minor]}_{arch}"
        yield f"linux_{arch}"
