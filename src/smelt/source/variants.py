"""Variant values that nobody spelt out: what the platform and its channels imply.

Source: the reference's page "Variants", "Variants Pixi Sets for You", and the backends' "Default Variants".
"""

from __future__ import annotations

from collections.abc import Mapping

from smelt.types import platform_family

PROFILE_KEY = "smelt_profile"
"""The variant key that tells builds of one package with different profiles apart."""


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


def merge_variants(*layers: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Layers of variants, later ones win key by key (``-`` and ``_`` name the same key)."""
    merged: dict[str, tuple[str, ...]] = {}
    for layer in layers:
        for key, values in layer.items():
            merged[key.replace("-", "_").replace(".", "_")] = tuple(values)
    return merged
