"""The environments of a frozen build, and requirements from which rattler-build makes what is locked, by itself.

rattler-build takes for a direct dependency what a recipe lists, and applies the run-exports of those. A frozen
recipe lists all that is locked: so only direct dependencies keep their run-exports in the pinned channels.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from smelt.build.metadata import folded, names_of, variant_spec
from smelt.build.model import BuildNode
from smelt.build.plain import mapping, sequence
from smelt.build.requirement import canonical, pin_of
from smelt.source.model import RenderedVariant, Staging
from smelt.types import CondaRecord, RunExports, spec_name

_Item = str | Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One environment: its packages, and the names of those that are required directly."""

    records: tuple[CondaRecord, ...]
    direct: frozenset[str]

    def exports(self, record: CondaRecord) -> bool:
        """Whether the run-exports of ``record`` count here."""
        return record.name in self.direct


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """The environments of a build, and those of the staging output that it inherits (empty where it does not)."""

    build: Side
    host: Side
    staged_build: Side
    staged_host: Side

    @property
    def every(self) -> tuple[Side, ...]:
        """All four."""
        return self.build, self.host, self.staged_build, self.staged_host


def sides_of(variant: RenderedVariant, build: Sequence[CondaRecord], host: Sequence[CondaRecord]) -> Sides:
    """The environments of ``variant`` out of the locked packages.

    An output and its staging output are solved together; each environment gets what its requirements reach. What
    neither reaches came with run-exports, and is in both.
    """
    staging = variant.staging
    if staging is None:
        nothing = Side(records=(), direct=frozenset())
        return Sides(
            build=Side(records=tuple(build), direct=names_of(variant.build_requirements)),
            host=Side(records=tuple(host), direct=names_of(variant.host_requirements)),
            staged_build=nothing,
            staged_host=nothing,
        )
    return Sides(
        build=_part(build, staging.own_build, staging.build),
        host=_part(host, staging.own_host, staging.host),
        staged_build=_part(build, staging.build, staging.own_build),
        staged_host=_part(host, staging.host, staging.own_host),
    )


def staged_alone(
    staging: Staging,
    build: Sequence[CondaRecord],
    host: Sequence[CondaRecord],
    exports: Callable[[CondaRecord], RunExports],
) -> Sides:
    """The environments of a staging output, whatever the output that inherits it needs beside them.

    ``exports``: the run-exports of a package. What build requirements export is part of the host environment.
    """
    nothing = Side(records=(), direct=frozenset())
    reached = _reached(build, staging.build)
    staged_build = tuple(record for record in build if record.name in reached)
    names = names_of(staging.build) - {*staging.ignored_from}
    strong = [
        spec
        for record in staged_build
        if record.name in names
        for spec in exports(record).strong
        if spec_name(spec) not in staging.ignored_by_name
    ]
    reached = _reached(host, (*staging.host, *strong))
    return Sides(
        build=nothing,
        host=nothing,
        staged_build=Side(records=staged_build, direct=names_of(staging.build)),
        staged_host=Side(
            records=tuple(record for record in host if record.name in reached), direct=names_of(staging.host)
        ),
    )


def exporting(sides: Sides) -> frozenset[str]:
    """The addresses of the packages whose run-exports count in any of the environments."""
    return frozenset(record.url for side in sides.every for record in side.records if side.exports(record))


def exact_requirements(side: Side, sides: Sides) -> list[str]:
    """Every package of an environment, exactly.

    Left out is what is required directly in another environment only: listed, its run-exports would count here too.
    It comes as a dependency, and there is only this one of its name to choose from.
    """
    elsewhere = exporting(sides)
    return [
        f"{record.name} =={record.version} {record.build}"
        for record in side.records
        if side.exports(record) or record.url not in elsewhere
    ]


def described_requirements(node: BuildNode, sides: Sides) -> dict[str, object]:
    """Run requirements, constraints and run-exports as the package has them, pins still to be applied."""
    variant = node.variant
    raw = mapping(variant.recipe.get("requirements"))
    exports = mapping(raw.get("run_exports"))
    own = [canonical(text) for text in node.metadata.constrains]
    return {
        "run": _items(variant.run_requirements, raw.get("run"), variant.name),
        "run_constraints": [
            *_items(variant.run_constraints, raw.get("run_constraints"), variant.name),
            *(text for text in _variant_constraints(variant, sides) if text in own),
        ],
        "run_exports": {
            key.replace("constrains", "constraints"): _items(
                items, exports.get(key.replace("constrains", "constraints"), exports.get(key)), variant.name
            )
            for key, items in variant.run_exports.items()
        },
    }


def _items(items: Sequence[_Item], raw: object, name: str) -> list[str]:
    """Requirements as texts. ``raw``: what rattler-build rendered, where pins on the package itself still are pins."""
    rendered = sequence(raw)
    found: list[str] = []
    for index, item in enumerate(items):
        before = rendered[index] if len(rendered) == len(items) else None
        pin = item
        if isinstance(before, Mapping) and "pin_subpackage" in before:
            before = cast("Mapping[str, object]", before)
            if str(pin_of(before)[1]["name"]).lower() == name:
                pin = before
        found.append(pin if isinstance(pin, str) else _template(pin))
    return found


def _template(pin: Mapping[str, object]) -> str:
    kind, arguments = pin_of(pin)
    words = [json.dumps(str(arguments["name"]))]
    if arguments.get("exact"):
        words.append("exact=True")
    else:
        # what is not said would mean the defaults, which rendering has put in already
        words += [
            f"{key}={json.dumps(arguments[key]) if arguments.get(key) is not None else 'None'}"
            for key in ("lower_bound", "upper_bound")
        ]
    if arguments.get("build") is not None:
        words.append(f"build={json.dumps(arguments['build'])}")
    return f"${{{{ {kind}({', '.join(words)}) }}}}"


def _variant_constraints(variant: RenderedVariant, sides: Sides) -> list[str]:
    """What smelt adds so that a build for one value of a variant is never put beside another."""
    keys = {folded(key): value for key, value in variant.variant.items()}
    names = {record.name for side in (sides.host, sides.staged_host) for record in side.records}
    return [variant_spec(name, keys[folded(name)]) for name in sorted(names) if folded(name) in keys]


def _part(records: Sequence[CondaRecord], mine: Iterable[_Item], others: Iterable[_Item]) -> Side:
    mine = tuple(mine)
    reached, elsewhere = _reached(records, mine), _reached(records, others)
    return Side(
        records=tuple(each for each in records if each.name in reached or each.name not in elsewhere),
        direct=names_of(mine),
    )


def _reached(records: Sequence[CondaRecord], requirements: Iterable[_Item]) -> Collection[str]:
    known = {record.name: record for record in records}
    waiting = list(names_of(requirements))
    found: set[str] = set()
    while waiting:
        record = known.get(waiting.pop())
        if record is not None and record.name not in found:
            found.add(record.name)
            waiting += [spec_name(spec) for spec in record.depends]
    return found
