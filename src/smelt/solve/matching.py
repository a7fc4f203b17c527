"""Whether a record satisfies a requirement, as rattler sees it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from smelt.types import CondaRecord, VirtualPackage


class RattlerMatcher:
    """Matches MatchSpec texts against records; specs and records are converted once."""

    def __init__(self) -> None:
        self._records: dict[int, tuple[CondaRecord, Any]] = {}
        self._spec = lru_cache(maxsize=None)(_parsed)

    def matches(self, spec: str, record: CondaRecord) -> bool:
        """Whether ``record`` satisfies ``spec``. Raises SolveError (``invalid-spec``)."""
        from smelt.solve.records import to_rattler

        held = self._records.get(id(record))
        if held is None:
            held = (record, to_rattler(record))
            self._records[id(record)] = held
        return bool(self._spec(spec).matches(held[1]))

    def matches_virtual(self, spec: str, package: VirtualPackage) -> bool:
        """Whether a virtual package satisfies ``spec``. Raises SolveError (``invalid-spec``)."""
        from smelt.solve.conda import to_generic
        from smelt.solve.records import to_rattler

        generic = to_generic(package)
        record = CondaRecord(
            name=package.name,
            version=str(generic.version),
            build=package.build,
            build_number=0,
            subdir="noarch",
            url=f"virtual:{package.name}",
            file_name=f"{package.name}-{package.version}-{package.build}.conda",
            channel=None,
        )
        return bool(self._spec(spec).matches(to_rattler(record)))


def _parsed(text: str) -> Any:
    from smelt.solve.conda import match_spec  # most locks are checked without rattler

    return match_spec(text)
