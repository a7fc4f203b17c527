"""What changed between two lock files.

Source: the reference's ``pixi_diff`` (the JSON form of ``lock --json`` and ``update --json``, and the order and
layout of the text).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from smelt.lock.entry import short_entry
from smelt.lock.model import Lock, LockedPackage, PypiPackage, Reference
from smelt.types import CondaRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One package that was added (no ``before``), removed (no ``after``) or exchanged.

    ``before``/``after`` are the entries of the lock file; ``old``/``new`` what a person reads of them (version and
    build string, or the location of a source).
    """

    name: str
    kind: str
    before: Mapping[str, object] | None = field(hash=False)
    after: Mapping[str, object] | None = field(hash=False)
    old: str | None = None
    new: str | None = None

    @property
    def sign(self) -> str:
        """``+``, ``-`` or ``~``."""
        return "+" if self.before is None else "-" if self.after is None else "~"


@dataclass(frozen=True, slots=True, kw_only=True)
class LockDiff:
    """Changes by environment and platform, sorted by name; only where there are some."""

    changes: Mapping[str, Mapping[str, tuple[Change, ...]]]

    def __bool__(self) -> bool:
        return bool(self.changes)

    def to_json(self, explicit: Callable[[str, str], Collection[str]] | None = None) -> dict[str, object]:
        """The reference's JSON form. ``explicit``: the packages that an environment asks for by name."""
        environments: dict[str, object] = {}
        for environment, platforms in self.changes.items():
            environments[environment] = {
                platform: [
                    _json(change, explicit(environment, platform) if explicit is not None else ()) for change in changes
                ]
                for platform, changes in platforms.items()
            }
        return {"version": 1, "environment": environments}

    def to_text(self) -> str:
        """The diff to read: what changed on all platforms of an environment first; empty if nothing did."""
        blocks = [_block(name, platforms) for name, platforms in sorted(self.changes.items())]
        return "\n".join(blocks)


def diff(old: Lock | None, new: Lock) -> LockDiff:
    """The packages that differ between two locks, environment by environment and platform by platform.

    A package counts as exchanged when the lock names it otherwise: another address, another source, or another
    variant or build environment of the same source.
    """
    names = [*new.environments, *(name for name in (old.environments if old else ()) if name not in new.environments)]
    found: dict[str, Mapping[str, tuple[Change, ...]]] = {}
    pairs = _Pairs(old, new)
    for name in names:
        before = _platforms(old, name)
        after = _platforms(new, name)
        platforms: dict[str, tuple[Change, ...]] = {}
        for platform in [*after, *(platform for platform in before if platform not in after)]:
            changes = pairs.changes(before.get(platform, ()), after.get(platform, ()))
            if changes:
                platforms[platform] = changes
        if platforms:
            found[name] = MappingProxyType(platforms)
    return LockDiff(changes=MappingProxyType(found))


def _platforms(lock: Lock | None, environment: str) -> Mapping[str, tuple[Reference, ...]]:
    found = lock.environments.get(environment) if lock is not None else None
    return found.packages if found is not None else {}


def _key(package: LockedPackage) -> tuple[str, str]:
    return ("pypi" if isinstance(package, PypiPackage) else "conda", package.name.lower())


class _Entry(Mapping[str, object]):
    """What the file says of a package, made when it is looked at: the text of a diff does without."""

    __slots__ = ("_data", "_package", "_reference")

    def __init__(self, reference: Reference, package: LockedPackage) -> None:
        self._reference = reference
        self._package = package
        self._data: dict[str, object] | None = None

    def _made(self) -> dict[str, object]:
        if self._data is None:
            self._data = short_entry(self._reference, self._package)
        return self._data

    def __getitem__(self, key: str) -> object:
        return self._made()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._made())

    def __len__(self) -> int:
        return len(self._made())


class _Pairs:
    """What two locks say of packages; each pair is one change, in however many environments it is."""

    def __init__(self, old: Lock | None, new: Lock) -> None:
        self._old = old
        self._new = new
        self._entries: dict[tuple[int, Reference], _Entry] = {}
        self._changes: dict[tuple[Reference | None, Reference | None], Change] = {}

    def changes(self, before: tuple[Reference, ...], after: tuple[Reference, ...]) -> tuple[Change, ...]:
        """What is otherwise in one environment on one platform."""
        if before == after:
            return ()
        olds = {_key(self._old.packages[each]): each for each in before} if self._old is not None else {}
        found: list[Change] = []
        for reference in after:
            previous = olds.pop(_key(self._new.packages[reference]), None) if olds else None
            if previous != reference:
                found.append(self._change(previous, reference))
        found += [self._change(reference, None) for reference in olds.values()]
        return tuple(sorted(found, key=lambda change: (change.name, change.kind)))

    def _change(self, before: Reference | None, after: Reference | None) -> Change:
        change = self._changes.get((before, after))
        if change is None:
            was = self._old.packages[before] if self._old is not None and before is not None else None
            now = self._new.packages[after] if after is not None else None
            package = now if now is not None else was
            assert package is not None
            kind, name = _key(package)
            change = self._changes[before, after] = Change(
                name=name,
                kind=kind,
                before=self._entry(self._old, before),
                after=self._entry(self._new, after),
                old=_shown(self._old, was) if self._old is not None and was is not None else None,
                new=_shown(self._new, now) if now is not None else None,
            )
        return change

    def _entry(self, lock: Lock | None, reference: Reference | None) -> Mapping[str, object] | None:
        if lock is None or reference is None:
            return None
        key = (id(lock), reference)
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = _Entry(reference, lock.packages[reference])
        return entry


def _shown(lock: Lock, package: LockedPackage) -> str:
    if isinstance(package, CondaRecord):
        return f"{package.version} {package.build}"
    if isinstance(package, PypiPackage):
        return package.version or "(dynamic)"
    own = lock.sources.get(package.identifier)
    version = f"{own.version} {own.build} " if own is not None else f"{package.version} " if package.version else ""
    return f"{version}@ {package.location}"


def _json(change: Change, explicit: Collection[str]) -> dict[str, object]:
    before, after = change.before, change.after
    if before is not None and after is not None:
        # Equal fields say nothing; a field that went away is null in what came after.
        left = {key: value for key, value in before.items() if after.get(key) != value}
        right: dict[str, object] = {key: value for key, value in after.items() if before.get(key) != value}
        right.update((key, None) for key in left if key not in after)
        before, after = left, right
    entry: dict[str, object] = {
        "name": change.name,
        "before": dict(before) if before is not None else None,
        "after": dict(after) if after is not None else None,
        "type": change.kind,
    }
    return {**entry, "explicit": True} if change.name in explicit else entry


def _block(environment: str, platforms: Mapping[str, tuple[Change, ...]]) -> str:
    rows = {platform: [_row(change) for change in changes] for platform, changes in platforms.items()}
    everywhere = set[tuple[str, ...]].intersection(*map(set, rows.values()))
    common = [row for row in next(iter(rows.values())) if row in everywhere]
    lines: list[tuple[str, ...] | str] = [f"Environment: {environment}", *common]
    for platform, own in rows.items():
        special = [row for row in own if row not in everywhere]
        if special:
            lines += [f"Platform: {environment}:{platform}", *special]
    table = [line for line in lines if not isinstance(line, str)]
    widths = [max((len(row[column]) for row in table), default=0) for column in range(3)]
    shown: list[str] = []
    for line in lines:
        if isinstance(line, str):
            shown.append(line)
        else:
            sign, name, old, new = line[3], *line[:3]
            arrow = f"  ->  {new}" if new else ""
            shown.append(f"  {sign} {name:<{widths[0]}}  {old:<{widths[1] if new else 0}}{arrow}".rstrip())
    return "\n".join(shown) + "\n"


def _row(change: Change) -> tuple[str, ...]:
    name = f"{change.name} (PyPI)" if change.kind == "pypi" else change.name
    if change.sign == "~":
        return name, change.old or "", change.new or "", "~"
    return name, change.new or change.old or "", "", change.sign
