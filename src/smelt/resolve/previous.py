"""What source packages were locked to be built with: they stay with it where they can."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from smelt.lock.model import Lock, Reference, SourcePackage
from smelt.types import CondaRecord

_Variant = tuple[str, tuple[tuple[str, str], ...]]
_Inputs = tuple[tuple[CondaRecord, ...], tuple[CondaRecord, ...]]


@dataclass(frozen=True, slots=True)
class LockedInputs:
    """The binary packages of locked build and host environments, by package and variant."""

    _inputs: Mapping[_Variant, _Inputs] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def from_lock(cls, lock: Lock | None, unlock: Collection[str] | None) -> LockedInputs:
        """From an older lock, without the packages called ``unlock`` (None: nothing stays)."""
        if lock is None or unlock is None:
            return cls()
        found: dict[_Variant, _Inputs] = {}
        for package in lock.packages.values():
            if isinstance(package, SourcePackage):
                build = _records(lock, package.build_packages, unlock)
                host = _records(lock, package.host_packages, unlock)
                found.setdefault(_variant(package.name, package.variants), (build, host))
        return cls(found)

    def of(self, name: str, variant: Mapping[str, object]) -> _Inputs:
        """What the build and the host environment of ``variant`` were locked to; empty where it was not locked."""
        return self._inputs.get(_variant(name, variant), ((), ()))


def _variant(name: str, variant: Mapping[str, object]) -> _Variant:
    return name, tuple(sorted((key, str(value)) for key, value in variant.items()))


def _records(lock: Lock, references: tuple[Reference, ...], unlock: Collection[str]) -> tuple[CondaRecord, ...]:
    packages = [lock.packages[reference] for reference in references]
    return tuple(p for p in packages if isinstance(p, CondaRecord) and p.name not in unlock)
