"""Source packages of which a lock does not say what they were rendered from: is what it says still true?

The reference writes such locks, and drops what smelt writes beside its own. It compares what the backend says today
with what is locked; so does this, as far as the lock tells: what the packages of a build environment export is often
not in it, and then a dependency that nobody asks for may be such an export.
Source: the reference's page "Lock file", satisfiability of source packages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from smelt.build.metadata import finalize
from smelt.build.requirement import canonical, pin_of
from smelt.errors import BuildError
from smelt.lock.model import Lock, LockedPackage, Reference, SourcePackage
from smelt.lock.satisfiability import Mismatch
from smelt.source.model import FinalMetadata, RenderedVariant
from smelt.types import CondaRecord, CondaSpec, RunExports, spec_name
from smelt.workspace.package import Package

Matches = Callable[[str, CondaRecord], bool]


def unrecorded(lock: Lock) -> tuple[Mismatch, ...]:
    """Where ``lock`` does not say what a source package was rendered from, also one of a build environment.

    A lock that the reference wrote may fit all the same; solving these again completes it.
    """
    found: list[Mismatch] = []
    for name, environment in lock.environments.items():
        for platform, references in environment.packages.items():
            waiting, seen = list(references), set[Reference]()
            while waiting:
                reference = waiting.pop()
                package = lock.packages[reference]
                if reference in seen or not isinstance(package, SourcePackage):
                    continue
                seen.add(reference)
                waiting += [*package.build_packages, *package.host_packages]
                if package.identifier not in lock.sources:
                    reason = f"the lock file does not say what the source package '{package.name}' was rendered from"
                    found.append(Mismatch(environment=name, platform=platform, reason=reason, code="source-unknown"))
                    break
    return tuple(found)


def difference(
    locked: SourcePackage,
    variant: RenderedVariant,
    packages: Mapping[Reference, LockedPackage],
    records: Mapping[str, CondaRecord],
    matches: Matches,
) -> str | None:
    """What ``variant``, as it is rendered today, has that ``locked`` has not, or the other way round; None: nothing.

    ``records``: identifier → record of the locked source packages that were rendered already.
    """
    build = _records(locked.build_packages, packages, records)
    host = _records(locked.host_packages, packages, records)
    for kind, items, held in (
        ("build", variant.build_requirements, build),
        ("host", variant.host_requirements, host),
    ):
        for item in items:
            problem = _unmet(item, kind, held, matches)
            if problem is not None:
                return problem
    if locked.license != variant.license:
        return f"its license is {variant.license or 'not named'}, not {locked.license or 'unknown'}"
    unsure = any(
        record is None or record.run_exports is None
        for held, items in ((build, variant.build_requirements), (host, variant.host_requirements))
        for name, record in held.items()
        if name in _names(items)
    )
    try:
        final = finalize(variant, _known(build), _known(host), variant_constraints=False)
    except BuildError as error:
        return error.message
    return _dependencies(locked, final, unsure=unsure)


def other_extras(locked: SourcePackage, package: Package) -> str | None:
    """What the extra dependency groups in the definition of ``package`` hold that is not locked; None: nothing.

    That is told without rendering. Groups under conditions are not looked at.
    """
    for group, requirements in package.base.extra.items():
        old = set(map(_plain, locked.extra_depends.get(group, ())))
        now = [spec.matchspec(name) for name, spec in requirements.items() if isinstance(spec, CondaSpec)]
        added = [text for text in map(_plain, now) if text not in old]
        if added:
            return f"its extra group '{group}' now requires `{added[0]}`"
    return None


def _dependencies(locked: SourcePackage, final: FinalMetadata, *, unsure: bool) -> str | None:
    for what, now, before in (
        ("requires", final.depends, locked.depends),
        ("constrains", final.constrains, locked.constrains),
    ):
        old = set(map(_plain, before))
        missing = [text for text in now if _plain(text) not in old]
        if missing:
            return f"it now {what} `{missing[0]}`"
        surplus = sorted(old.difference(map(_plain, now)))
        if surplus and what == "requires" and not unsure:
            return f"it no longer {what} `{surplus[0]}`"
    return None


def _plain(text: str) -> str:
    """A requirement as one text; ``name *`` and ``name`` are the same."""
    return canonical(text).removesuffix(" *").replace(" *[", "[")


def _records(
    references: Sequence[Reference], packages: Mapping[Reference, LockedPackage], records: Mapping[str, CondaRecord]
) -> dict[str, CondaRecord | None]:
    """The packages of a build or host environment by name; None for a source package of unknown version."""
    found: dict[str, CondaRecord | None] = {}
    for reference in references:
        package = packages[reference]
        if isinstance(package, CondaRecord):
            found[package.name] = package
        elif isinstance(package, SourcePackage):
            found[package.name] = records.get(package.identifier)
    return found


def _unmet(
    item: str | Mapping[str, object], kind: str, held: Mapping[str, CondaRecord | None], matches: Matches
) -> str | None:
    name = _name(item)
    if name not in held:
        return f"its {kind} environment has no `{name}`"
    record = held[name]
    if isinstance(item, str) and record is not None and not matches(canonical(item), record):
        return f"its {kind} environment has {record}, and `{item}` is asked for"
    return None


def _known(held: Mapping[str, CondaRecord | None]) -> list[CondaRecord]:
    """The records, taken to export nothing where that is not known."""
    known = [record for record in held.values() if record is not None]
    return [each if each.run_exports is not None else replace(each, run_exports=RunExports()) for each in known]


def _names(items: Iterable[str | Mapping[str, object]]) -> frozenset[str]:
    return frozenset(map(_name, items))


def _name(item: str | Mapping[str, object]) -> str:
    if isinstance(item, str):
        return spec_name(item)
    return str(pin_of(item)[1]["name"]).lower()
