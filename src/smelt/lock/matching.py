"""Locked packages against requirements, each question asked once."""

from __future__ import annotations

from collections.abc import Container, Mapping

from smelt.lock.matcher import Matcher
from smelt.lock.model import SourceLock, SourcePackage
from smelt.lock.requirement import Requirement, parse_requirement
from smelt.types import CondaRecord, VirtualPackage

LockedConda = CondaRecord | SourcePackage


class Matching:
    """The matcher with what it has answered before: one for all environments of a check."""

    def __init__(self, matcher: Matcher) -> None:
        self._matcher = matcher
        # Records and packages are frozen and kept alive here, so their identity can stand for them.
        self._answers: dict[tuple[str, int], tuple[bool, CondaRecord]] = {}
        self._fitting: dict[str, set[int]] = {}
        self._parsed: dict[str, Requirement] = {}
        self._depends: dict[int, tuple[LockedConda, tuple[Requirement, ...]]] = {}
        self._sources: dict[int, tuple[SourcePackage, CondaRecord | None]] = {}

    def parse(self, text: str) -> Requirement:
        """A requirement in MatchSpec text. Raises ValueError."""
        known = self._parsed.get(text)
        if known is None:
            known = self._parsed[text] = parse_requirement(text)
        return known

    def depends(self, package: LockedConda) -> tuple[Requirement, ...]:
        """The requirements of a package, without its extras. Raises ValueError."""
        known = self._depends.get(id(package))
        if known is None:
            known = self._depends[id(package)] = (package, tuple(map(self.parse, package.depends)))
        return known[1]

    @property
    def fitting(self) -> Mapping[str, Container[int]]:
        """MatchSpec text → the ``id`` of each binary of which ``matches`` has said that it satisfies it."""
        return self._fitting

    def matches(self, requirement: Requirement, record: CondaRecord) -> bool:
        """Whether a record satisfies a requirement."""
        key = (requirement.text, id(record))
        known = self._answers.get(key)
        if known is None:
            quick = requirement.quick.matches(record.version, record.build) if requirement.quick is not None else None
            if quick is None:
                quick = self._matcher.matches(requirement.text, record)
            known = self._answers[key] = (quick and record.name.lower() == requirement.name, record)
            if known[0]:
                self._fitting.setdefault(requirement.text, set()).add(id(record))
        return known[0]

    def matches_virtual(self, requirement: Requirement, package: VirtualPackage) -> bool:
        """Whether a virtual package satisfies a requirement."""
        if package.name != requirement.name:
            return False
        quick = requirement.quick.matches(package.version, package.build) if requirement.quick is not None else None
        return quick if quick is not None else self._matcher.matches_virtual(requirement.text, package)

    def source_record(
        self, package: SourcePackage, own: SourceLock | None, now: CondaRecord | None
    ) -> CondaRecord | None:
        """A source package as a record to match against; None where its version is not known."""
        known = self._sources.get(id(package))
        if known is None:
            known = self._sources[id(package)] = (package, now or _as_record(package, own))
        return known[1]


def _as_record(package: SourcePackage, own: SourceLock | None) -> CondaRecord | None:
    version, build, number, subdir, noarch = (
        (own.version, own.build, own.build_number, own.subdir, own.noarch)
        if own is not None
        else (package.version, package.build, package.build_number, package.subdir, package.noarch)
    )
    if version is None or subdir is None:
        return None
    return CondaRecord(
        name=package.name,
        version=version,
        build=build,
        build_number=number,
        subdir=subdir,
        noarch=noarch,
        url=f"source:{package.name}",
        file_name=f"{package.name}-{version}-{build}.conda",
        channel=None,
        depends=package.depends,
        constrains=package.constrains,
        flags=package.flags,
        track_features=package.track_features,
        features=package.features,
        license=package.license,
        purls=package.purls if package.purls is not None else (),
    )
