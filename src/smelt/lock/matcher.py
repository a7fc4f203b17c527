"""What the room needs of rattler to check a lock, so that it need not know rattler."""

from __future__ import annotations

from typing import Protocol

from smelt.types import CondaRecord, VirtualPackage


class Matcher(Protocol):
    """MatchSpecs as rattler understands them; ``smelt.solve.matching`` has one."""

    def matches(self, spec: str, record: CondaRecord) -> bool:
        """Whether ``record`` satisfies ``spec``."""
        ...

    def matches_virtual(self, spec: str, package: VirtualPackage) -> bool:
        """Whether a virtual package satisfies ``spec``."""
        ...
