"""``[tool.smelt.matrix.<name>]``: one environment for each combination of one feature per axis."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import product

from smelt.manifest.smelt import TomlMatrix


def combinations(matrix: TomlMatrix) -> Iterator[Mapping[str, str]]:
    """Axis → feature for each combination that is not excluded, in the order of the axes, the last one fastest."""
    for features in product(*matrix.axes.values()):
        chosen = dict(zip(matrix.axes, features, strict=True))
        if not any(all(chosen[axis] == each for axis, each in out.items()) for out in matrix.exclude):
            yield chosen


def environment_name(features: Collection[str]) -> str:
    """What the environment of a combination is called."""
    return "-".join(features).lower().replace("_", "-").replace(".", "-")
