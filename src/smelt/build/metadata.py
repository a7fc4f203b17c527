"""What a package will say of itself once its build and host environments are solved.

Pure: the same variant and records give the same answer. rattler-build, given the same environments, writes the
same ``index.json`` but for the order of what packages export (it has none; here it is by package name).
Source: rattler-build's page "Run exports", CEP 12, CEP 20.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from smelt.build.plain import mapping
from smelt.build.requirement import apply_pin, canonical, pin_of
from smelt.errors import BuildError
from smelt.source.model import FinalMetadata, RenderedVariant
from smelt.types import NOARCH, CondaRecord, RunExports, spec_name

_Item = str | Mapping[str, object]


def finalize(
    variant: RenderedVariant,
    build: Sequence[CondaRecord],
    host: Sequence[CondaRecord],
    *,
    variant_constraints: bool = True,
) -> FinalMetadata:
    """Dependencies, constraints and run-exports of ``variant`` built with these environments.

    - exports of direct dependencies only; ``strong`` of the build environment, ``strong`` and ``weak`` of the
      host environment go to run, ``*_constrains`` likewise to the constraints; a noarch package takes only the
      ``noarch`` exports of its host environment;
    - pins are applied to the host record of that name, else the build record;
    - ``ignore_run_exports`` by exported name and by exporting package; a package that is independent of the version
      of Python (CEP 20) ignores what python itself exports;
    - with ``variant_constraints``, a variant key that names a package of the host environment which exports
      nothing and is no run dependency becomes a constraint on the key's value: a build for one value must
      never be put beside another.

    Raises BuildError: ``pin-without-package`` (a pin on what is in neither environment), ``run-exports-unknown``,
    ``invalid-spec``, ``invalid-pin``.
    """
    merged = _flag(variant.recipe, "build", "merge_build_and_host_envs")
    available = {record.name: record for record in build}
    available.update({record.name: record for record in host})

    def texts(items: Iterable[_Item]) -> list[str]:
        return [_resolve(item, variant, available) for item in items]

    depends = texts(variant.run_requirements)
    constrains = texts(variant.run_constraints)
    staging = variant.staging
    own_build = staging.own_build if staging is not None else variant.build_requirements
    own_host = staging.own_host if staging is not None else variant.host_requirements
    from_build = {} if merged else _exports(build, names_of(own_build), variant)
    from_host = _exports(host, names_of(own_host), variant)
    by_name, from_packages = _ignored(variant)

    def exported(exports: Mapping[str, RunExports], kind: str) -> list[str]:
        found = [
            canonical(spec)
            for name, of_package in sorted(exports.items())
            if name not in from_packages
            for spec in cast("tuple[str, ...]", getattr(of_package, kind))
        ]
        return [spec for spec in found if spec_name(spec) not in by_name]

    if staging is not None and staging.inherits_exports:
        # of what a staging output is built with, only the dependencies reach those that inherit it
        staged_build = _exports(build, names_of(staging.build) - {*staging.ignored_from}, variant)
        staged_host = _exports(host, names_of(staging.host) - {*staging.ignored_from}, variant)
        inherited = exported(staged_host, "noarch")
        if variant.subdir != NOARCH:
            inherited = [
                *exported(staged_build, "strong"),
                *exported(staged_host, "strong"),
                *exported(staged_host, "weak"),
            ]
        depends += [spec for spec in inherited if spec_name(spec) not in staging.ignored_by_name]
    if variant.subdir == NOARCH:
        depends += exported(from_host, "noarch")
    else:
        depends += exported(from_build, "strong")
        depends += exported(from_host, "strong")
        depends += exported(from_host, "weak")
        constrains += exported(from_build, "strong_constrains")
        constrains += exported(from_host, "strong_constrains")
        constrains += exported(from_host, "weak_constrains")
    if variant_constraints:
        constrains += _variant_constraints(variant, host, depends, constrains)
    return FinalMetadata(
        depends=tuple(dict.fromkeys(depends)),
        constrains=tuple(dict.fromkeys(constrains)),
        run_exports=RunExports(**{key: tuple(texts(items)) for key, items in _own_exports(variant).items()}),
    )


def exports_to_host(variant: RenderedVariant, build: Sequence[CondaRecord]) -> tuple[str, ...]:
    """What the build environment of ``variant`` requires of its host environment: its ``strong`` exports.

    Raises as ``finalize``.
    """
    if _flag(variant.recipe, "build", "merge_build_and_host_envs"):
        return ()
    staging = variant.staging
    by_name, from_packages = _ignored(variant)
    own = staging.own_build if staging is not None else variant.build_requirements
    sides = [(own, by_name, from_packages)]
    if staging is not None:
        sides.append((staging.build, frozenset(staging.ignored_by_name), frozenset(staging.ignored_from)))
    found = [
        canonical(spec)
        for items, names, packages in sides
        for _, exports in sorted(_exports(build, names_of(items) - packages, variant).items())
        for spec in exports.strong
        if spec_name(spec) not in names
    ]
    return tuple(dict.fromkeys(found))


def _resolve(item: _Item, variant: RenderedVariant, available: Mapping[str, CondaRecord]) -> str:
    if isinstance(item, str):
        return canonical(item)
    kind, arguments = pin_of(item)
    name = str(arguments["name"]).lower()
    if kind == "pin_subpackage":
        if name != variant.name:
            raise BuildError(
                f"{variant.name} pins the subpackage {name}, which is no output of the same recipe",
                code="pin-without-package",
                help="use `pin_compatible` for a package that is a host dependency",
            )
        return apply_pin(arguments, variant.version, variant.build)
    record = available.get(name)
    if record is None:
        raise BuildError(
            f"{variant.name} pins {name}, which is in neither its build nor its host environment",
            code="pin-without-package",
            help=f"add {name} to the host dependencies of {variant.name}",
        )
    return apply_pin(arguments, record.version, record.build)


def names_of(requirements: Iterable[_Item]) -> frozenset[str]:
    """The names of the packages that are required."""
    return frozenset(
        spec_name(item) if isinstance(item, str) else str(pin_of(item)[1]["name"]).lower() for item in requirements
    )


def _exports(records: Iterable[CondaRecord], direct: frozenset[str], variant: RenderedVariant) -> dict[str, RunExports]:
    found: dict[str, RunExports] = {}
    for record in records:
        if record.name not in direct:
            continue
        if record.run_exports is None:
            raise BuildError(
                f"the run-exports of {record} are not known, {variant.name} depends on it to be built",
                code="run-exports-unknown",
                notes=[record.url],
            )
        found[record.name] = record.run_exports
    return found


def _ignored(variant: RenderedVariant) -> tuple[frozenset[str], frozenset[str]]:
    by_name = {name.lower() for name in variant.ignore_run_exports_by_name}
    from_packages = {name.lower() for name in variant.ignore_run_exports_from}
    if _flag(variant.recipe, "build", "python", "version_independent"):
        by_name.add("python")
        from_packages.add("python")
    return frozenset(by_name), frozenset(from_packages)


def _own_exports(variant: RenderedVariant) -> dict[str, tuple[_Item, ...]]:
    """The variant's own run-exports under the names of ``run_exports.json`` (recipes say ``constraints``)."""
    return {key.replace("constraints", "constrains"): items for key, items in variant.run_exports.items()}


def _variant_constraints(
    variant: RenderedVariant, host: Iterable[CondaRecord], depends: Sequence[str], constrains: Sequence[str]
) -> list[str]:
    said = {spec_name(spec) for spec in (*depends, *constrains)}
    keys = {folded(key): value for key, value in variant.variant.items()}
    found: list[str] = []
    for record in sorted(host, key=lambda record: record.name):
        value = keys.get(folded(record.name))
        exports = record.run_exports.to_dict() if record.run_exports is not None else {}
        if value is None or exports or record.name in said:
            continue
        found.append(variant_spec(record.name, value))
    return found


def variant_spec(name: str, value: str) -> str:
    """The requirement that a variant's value makes of the package that its key names.

    A plain version means "starts with", as where rattler-build applies a variant to a bare requirement.
    Raises BuildError (``invalid-spec``).
    """
    plain = all(character.isalnum() or character == "." for character in value)
    return canonical(f"{name} ={value}" if plain else f"{name} {value}")


def folded(name: str) -> str:
    """A name as keys of variants and names of packages are compared."""
    return name.lower().replace("-", "_").replace(".", "_")


def _flag(recipe: Mapping[str, object], *path: str) -> bool:
    value: object = recipe
    for key in path:
        value = mapping(value).get(key)
    return value is True
