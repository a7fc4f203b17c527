"""Whether a built package is what was locked of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smelt.build.failure import metadata_error
from smelt.build.model import BuildNode
from smelt.build.requirement import canonical


def compare_described(node: BuildNode, index: Mapping[str, Any], run_exports: Mapping[str, Any]) -> None:
    """What the package says of itself must be what was locked. Raises BuildError (``metadata-mismatch``)."""
    exports = node.metadata.run_exports.to_dict()
    differences: list[str] = []
    for key, wanted, found in (
        ("depends", node.metadata.depends, index.get("depends")),
        ("constrains", node.metadata.constrains, index.get("constrains")),
        *((f"run_exports.{kind}", exports.get(kind, ()), run_exports.get(kind)) for kind in _EXPORTS),
    ):
        locked = {canonical(text) for text in wanted}
        actual = {canonical(text) for text in found or ()}
        differences += [f"{key}: {text} is locked, the package does not have it" for text in sorted(locked - actual)]
        differences += [f"{key}: the package has {text}, it is not locked" for text in sorted(actual - locked)]
    for key, value in (("name", node.variant.name), ("version", node.variant.version), ("build", node.variant.build)):
        if str(index.get(key)) != value:
            differences.append(f"{key}: {value} is locked, the package has {index.get(key)}")
    if differences:
        raise metadata_error(node, differences)


_EXPORTS = ("weak", "strong", "noarch", "weak_constrains", "strong_constrains")
