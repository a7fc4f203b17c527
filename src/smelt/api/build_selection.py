"""Which builds of a plan are asked for, and who needs them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from smelt.api.build_options import BuildOptions
from smelt.build.model import BuildNode
from smelt.errors import UnknownNameError
from smelt.resolve.plan import BuildPlan


def selected(plan: BuildPlan, options: BuildOptions) -> tuple[BuildNode, ...]:
    """The builds of ``plan`` that the options ask for, and what they need.

    Raises UnknownNameError (``unknown-variant``) where nothing has the values that are asked for.
    """
    nodes = plan.nodes
    if not options.variants:
        return needed(nodes, options.packages)
    asked = {_folded(key): value for key, value in options.variants.items()}
    values = [{_folded(key): value for key, value in node.variant.variant.items()} for node in nodes]
    chosen = [
        node
        for node, variant in zip(nodes, values, strict=True)
        if all(variant.get(key) == value for key, value in asked.items())
        and (options.packages is None or node.variant.name in options.packages)
    ]
    if not chosen:
        said = ", ".join(f"{key}={value}" for key, value in options.variants.items())
        there = sorted({f"{key}={variant[key]}" for variant in values for key in asked if key in variant})
        raise UnknownNameError(
            f"there is no build with the variant {said} in what is to be built",
            code="unknown-variant",
            help=f"there are {', '.join(there)}" if there else "`smelt build --matrix-json` lists the variants",
        )
    return needed_by(nodes, [node.key for node in chosen])


def _folded(key: str) -> str:
    return key.replace("-", "_").replace(".", "_")


def needed(nodes: Sequence[BuildNode], packages: Collection[str] | None) -> tuple[BuildNode, ...]:
    """The builds of ``packages`` and what they need, in the same order; all of them for None."""
    if packages is None:
        return tuple(nodes)
    return needed_by(nodes, [node.key for node in nodes if node.variant.name in packages])


def needed_by(nodes: Sequence[BuildNode], keys: Sequence[str]) -> tuple[BuildNode, ...]:
    """The builds ``keys`` and what they need, in the same order."""
    by_key = {node.key: node for node in nodes}
    wanted: set[str] = set()
    waiting = list(keys)
    while waiting:
        key = waiting.pop()
        if key not in wanted:
            wanted.add(key)
            waiting += by_key[key].needs
    return tuple(node for node in nodes if node.key in wanted)


def users_of(nodes: Sequence[BuildNode]) -> dict[str, list[str]]:
    """The build keys that each environment needs, its build environments included."""
    by_key = {node.key: node for node in nodes}
    found: dict[str, list[str]] = {}
    for name in dict.fromkeys(name for node in nodes for name in node.wanted_by):
        keys = [node.key for node in nodes if name in node.wanted_by]
        for key in keys:
            keys += [need for need in by_key[key].needs if need not in keys]
        found[name] = keys
    return found
