"""The virtual packages of the machine that smelt runs on."""

from __future__ import annotations

from smelt.types import VirtualPackage


def machine_virtual_packages() -> tuple[VirtualPackage, ...]:
    """What rattler finds here, with ``CONDA_OVERRIDE_*`` put in force for those that this system can have."""
    from rattler import VirtualPackage as Detected
    from rattler import VirtualPackageOverrides

    found: list[VirtualPackage] = []
    for package in Detected.detect(overrides=VirtualPackageOverrides.from_env()):
        generic = package.into_generic()
        found.append(
            VirtualPackage(name=generic.name.normalized, version=str(generic.version), build=str(generic.build_string))
        )
    return tuple(found)
