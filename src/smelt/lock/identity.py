"""How packages of a lock are named, and which of them are used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from smelt.lock.location import to_location
from smelt.lock.model import Lock, LockedEnvironment, LockedPackage, PypiPackage, Reference, SourcePackage
from smelt.types import CondaRecord, digest_json


def reference_of(package: LockedPackage) -> Reference:
    """How a lock names ``package``. Files are named by path (``file:///a/b-1-0.conda`` is ``/a/b-1-0.conda``)."""
    if isinstance(package, CondaRecord):
        return Reference(kind="conda", value=to_location(package.url))
    return package.reference


def identity_hash(
    variants: Mapping[str, str | int | bool],
    build_packages: Iterable[Reference],
    host_packages: Iterable[Reference],
) -> str:
    """The eight hex digits of ``name[hash] @ location``.

    They tell the packages of one location apart, so they come from what differs between those: the variant
    and what it is built with (for a source package among them: its own identifier). Order counts for nothing.
    """
    return digest_json(
        [
            sorted([key, value] for key, value in variants.items()),
            sorted([reference.kind, reference.value] for reference in build_packages),
            sorted([reference.kind, reference.value] for reference in host_packages),
        ]
    )[:8]


def referenced(lock: Lock) -> frozenset[Reference]:
    """The packages that some environment has, and those that they are built with."""
    used: set[Reference] = set()
    waiting = [r for e in lock.environments.values() for references in e.packages.values() for r in references]
    while waiting:
        reference = waiting.pop()
        if reference not in used:
            used.add(reference)
            package = lock.packages.get(reference)
            if isinstance(package, SourcePackage):
                waiting += [*package.build_packages, *package.host_packages]
    return frozenset(used)


def canonical(lock: Lock) -> Lock:
    """``lock`` as it is after writing and reading: version 7, sorted, without what nothing uses."""
    used = referenced(lock)
    named = {reference: _by_path(reference) for reference in used}
    packages = {named[r]: _sorted_package(lock.packages[r]) for r in sorted(used)}
    environments = {
        name: replace(
            environment,
            packages=MappingProxyType(
                {
                    platform: tuple(sorted({named[r] for r in environment.packages[platform]}))
                    for platform in sorted(environment.packages)
                }
            ),
        )
        for name, environment in sorted(lock.environments.items())
    }
    return Lock(
        version=7,
        platforms=tuple(sorted(lock.platforms, key=lambda platform: platform.name)),
        environments=MappingProxyType(dict[str, LockedEnvironment](environments)),
        packages=MappingProxyType(packages),
        sources=MappingProxyType(
            {i: lock.sources[i] for i in sorted(lock.sources) if Reference(kind="conda_source", value=i) in used}
        ),
        partial=lock.partial,
    )


def _sorted_references(references: Iterable[Reference]) -> tuple[Reference, ...]:
    # The kinds happen to sort as rattler orders them: conda, conda_source, pypi.
    return tuple(sorted({_by_path(reference) for reference in references}))


def _by_path(reference: Reference) -> Reference:
    if reference.kind == "conda" and reference.value.startswith("file:"):
        return Reference(kind="conda", value=to_location(reference.value))
    return reference


def _sorted_package(package: LockedPackage) -> LockedPackage:
    if isinstance(package, PypiPackage):
        return package
    purls = tuple(sorted(set(package.purls))) if package.purls is not None else None
    if isinstance(package, SourcePackage):
        return replace(
            package,
            purls=purls,
            build_packages=_sorted_references(package.build_packages),
            host_packages=_sorted_references(package.host_packages),
        )
    return package if purls == package.purls else replace(package, purls=purls)
