"""What this machine is, as far as platforms of workspaces are concerned."""

from __future__ import annotations

from dataclasses import dataclass

from smelt.manifest.platform import customised
from smelt.manifest.version import compare_versions
from smelt.types import VirtualPackage, current_platform, default_virtual_packages, platform_family, runnable_subdirs
from smelt.workspace.model import WorkspacePlatform

_ENTRIES = {
    "cuda": ("__cuda", "__cuda_arch"),
    "archspec": ("__archspec",),
    "glibc": ("__glibc",),
    "linux": ("__linux",),
    "macos": ("__osx",),
    "windows": ("__win",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """``subdir``: its conda platform; ``packages``: its virtual packages, ``CONDA_OVERRIDE_*`` put in force."""

    subdir: str
    packages: tuple[VirtualPackage, ...]

    def covers(self, subdir: str) -> bool:
        """Whether packages of ``subdir`` run here."""
        return subdir in runnable_subdirs(self.subdir)

    def satisfies(self, wanted: VirtualPackage) -> bool:
        """Whether there is such a virtual package, at least as new."""
        return any(
            package.name == wanted.name and compare_versions(package.version, wanted.version) >= 0
            for package in self.packages
        )

    def satisfies_entry(self, platform: WorkspacePlatform, key: str) -> bool:
        """Whether what ``platform`` says under ``key`` (``cuda``, ``__name``) holds here."""
        names = _ENTRIES.get(key, (key,))
        special = customised(platform.subdir, platform.virtual_packages)
        return all(self.satisfies(package) for package in special if package.name in names)

    def supports(self, platform: WorkspacePlatform) -> bool:
        """Whether ``platform`` is what this machine can run: what is assumed of its conda platform is not asked for."""
        special = customised(platform.subdir, platform.virtual_packages)
        return self.covers(platform.subdir) and all(map(self.satisfies, special))


def detect_machine() -> Machine:
    """This machine; with ``PIXI_OVERRIDE_PLATFORM`` one of that platform, of which only the defaults are known."""
    import os

    from smelt.solve.machine import machine_virtual_packages

    subdir = current_platform()
    found = {package.name: package for package in machine_virtual_packages()}
    if os.environ.get("PIXI_OVERRIDE_PLATFORM"):
        family = platform_family(subdir)
        kept = {"__cuda", "__cuda_arch"} if family in ("linux", "win") else set[str]()
        defaults = {package.name: package for package in default_virtual_packages(subdir)}
        found = {**defaults, **{name: package for name, package in found.items() if name in kept}}
    if "__cuda" in found and (arch := os.environ.get("CONDA_OVERRIDE_CUDA_ARCH")):
        found["__cuda_arch"] = VirtualPackage(name="__cuda_arch", version=arch)
    archspec = found.get("__archspec")
    if archspec is not None:
        # Detection gives its version as 1, declarations have 0: only the microarchitecture counts.
        found["__archspec"] = VirtualPackage(name="__archspec", build=archspec.build)
    return Machine(subdir=subdir, packages=tuple(found.values()))
