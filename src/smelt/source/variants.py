"""Variant values that nobody spelt out: what the platform and its channels imply.

Source: the reference's page "Variants", "Variants Pixi Sets for You", and the backends' "Default Variants".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from smelt.types import VirtualPackage, platform_family

PROFILE_KEY = "smelt_profile"
"""The variant key that tells builds of one package with different profiles apart."""

_STDLIB = {"linux": ("__glibc", "sysroot"), "osx": ("__osx", "macosx_deployment_target")}


def compiler_variants(subdir: str) -> dict[str, tuple[str, ...]]:
    """What compilers a native backend asks for where the workspace says nothing."""
    variants: dict[str, tuple[str, ...]] = {}
    family = platform_family(subdir)
    if family == "win":
        variants["c_compiler"] = ("vs2022",)
        variants["cxx_compiler"] = ("vs2022",)
    if family in ("linux", "win"):
        variants["cuda_compiler"] = ("cuda-nvcc",)
    return variants


def platform_variants(
    subdir: str, virtual_packages: Iterable[VirtualPackage], channels: Iterable[str]
) -> dict[str, tuple[str, ...]]:
    """``c_stdlib`` and ``c_stdlib_version`` as the platform's system requirements imply them.

    Only where one of ``channels`` (URLs) is conda-forge, because it is what provides them. Lay the workspace's
    own ``build-variants`` over the result.
    """
    if not any(channel.rstrip("/").rpartition("/")[2] == "conda-forge" for channel in channels):
        return {}
    found = _STDLIB.get(platform_family(subdir))
    if found is None:
        return {}
    virtual_package, provider = found
    for package in virtual_packages:
        if package.name == virtual_package:
            # The providers exist for major.minor only.
            version = ".".join(package.version.split(".")[:2])
            return {"c_stdlib": (provider,), "c_stdlib_version": (version,)}
    return {}


def merge_variants(*layers: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Layers of variants, later ones win key by key (``-`` and ``_`` name the same key)."""
    merged: dict[str, tuple[str, ...]] = {}
    for layer in layers:
        for key, values in layer.items():
            merged[key.replace("-", "_").replace(".", "_")] = tuple(values)
    return merged
