"""Builds whose bytes the lock records (``smelt build --record``): what is built or taken from a store must be these."""

from __future__ import annotations

from smelt.build.model import BuildNode
from smelt.errors import BuildError


def is_recorded(node: BuildNode, sha256: str | None) -> bool:
    """Whether a package with that digest may stand for ``node``: it is the recorded one, or none is recorded."""
    return node.recorded is None or node.recorded == sha256


def check_recorded(node: BuildNode, sha256: str) -> None:
    """Raise BuildError (``artifact-mismatch``) for another package than the recorded one."""
    if is_recorded(node, sha256):
        return
    raise BuildError(
        f"{node.label} was built from the same inputs as the package that the lock records, and has other bytes",
        code="artifact-mismatch",
        notes=[f"recorded: sha256:{node.recorded}\nbuilt:    sha256:{sha256}"],
        help="`smelt build --verify` shows whether it is the same each time it is built here; `smelt build --record` "
        "records what is built here",
    )
