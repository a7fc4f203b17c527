"""A package as the protocol describes it: the project model, and requirements both ways.

Source: ``pixi_build_types`` of the reference, API version 7.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from smelt.errors import NotSupportedError, SourceError
from smelt.source.protocol.specs import condition_from_wire, condition_to_wire
from smelt.source.requirement import requirement_text, strict_version
from smelt.types import CondaSpec, GitReference, SourceLocation
from smelt.workspace.channel import channel_url
from smelt.workspace.package import Package, PackageRequirements, Pin, Requirement

Wire = dict[str, object]
Item = str | Mapping[str, object]

_KINDS = {
    "noarch": "noarch",
    "strong": "strong",
    "weak": "weak",
    "strong-constraints": "strongConstraints",
    "weak-constraints": "weakConstraints",
}


def project_model(package: Package) -> Wire:
    """``projectModel``: everything that the package table says.

    Raises SourceError (``backend-requirement``) for a condition that cannot be told, NotSupportedError.
    """
    conditional = {key: _target(package, tables) for key, tables in package.target_requirements.items()}
    model: Wire = {
        "name": package.name,
        "buildStringPrefix": package.build_string_prefix,
        "buildNumber": package.build_number,
        "version": package.version,
        "description": package.description,
        "authors": list(package.authors) or None,
        "license": package.license,
        "licenseFile": package.license_file,
        "readme": package.readme,
        "homepage": package.homepage,
        "repository": package.repository,
        "documentation": package.documentation,
        "targets": {
            "defaultTarget": _target(package, package.base),
            **({"conditional": conditional} if conditional else {}),
        },
    }
    if package.flags:
        model["buildFlags"] = list(package.flags)
    if package.secrets:
        model["secrets"] = sorted(package.secrets)
    return model


def _target(package: Package, tables: PackageRequirements) -> Wire:
    def named(table: Mapping[str, Requirement]) -> Wire:
        return {name: to_wire(requirement, package) for name, requirement in table.items()}

    target: Wire = {
        "hostDependencies": named(tables.host),
        "buildDependencies": named(tables.build),
        "runDependencies": named(tables.run),
        "runConstraints": named(tables.run_constraints),
    }
    if tables.extra:
        target["extraDependencies"] = {group: named(table) for group, table in tables.extra.items()}
    exports = {_KINDS[kind]: named(table) for kind, table in tables.run_exports.items() if table}
    if exports:
        target["runExports"] = exports
    return target


def to_wire(requirement: Requirement, package: Package) -> Wire:
    """One requirement of ``package`` in the protocol's form."""
    if isinstance(requirement, Pin):
        pin: Wire = {}
        for key, bound in (("lowerBound", requirement.lower_bound), ("upperBound", requirement.upper_bound)):
            if bound is not None and not requirement.exact:
                pin[key] = {"version" if set(bound) - {"x", "."} else "expression": bound}
        if requirement.exact:
            pin["exact"] = True
        if requirement.build is not None:
            pin["build"] = requirement.build
        return {"pinCompatible" if requirement.kind == "compatible" else "pinSubpackage": pin}
    spec = requirement
    common: Wire = {
        "version": strict_version(spec.version) or "*",
        "build": spec.build,
        "buildNumber": spec.build_number,
        "extras": list(spec.extras) or None,
        "flags": list(spec.flags) or None,
        "subdir": spec.subdir,
        "license": spec.license,
        "condition": condition_to_wire(spec.when) if spec.when is not None else None,
    }
    if spec.location is not None:
        return {"source": {**_location_to_wire(spec.location), **common}}
    binary: Wire = {
        **common,
        "fileName": spec.file_name,
        "channel": channel_url(spec.channel, package.root) if spec.channel is not None else None,
        "md5": spec.md5,
        "sha256": spec.sha256,
        "url": spec.url,
    }
    return {"binary": binary}


def _location_to_wire(location: SourceLocation) -> Wire:
    if location.path is not None:
        return {"path": {"path": location.path}}
    if location.git is not None:
        reference = location.reference or GitReference()
        rev: object = None
        for key in ("branch", "tag", "rev"):
            value = getattr(reference, key)
            if value is not None:
                rev = {key: value}
        git: Wire = {"git": location.git, "rev": rev, "subdirectory": location.subdirectory}
        return {"git": git if location.lfs is None else {**git, "lfs": location.lfs}}
    if location.url is not None:
        url = {
            "url": location.url,
            "md5": location.md5,
            "sha256": location.sha256,
            "subdirectory": location.subdirectory,
        }
        return {"url": url}
    raise NotSupportedError(
        f"a requirement from `{location}` cannot be told to a backend of its own",
        help="name the source by path, git or url",
    )


def read_requirement(entry: object, folder: Path) -> tuple[str, Item, SourceLocation | None]:
    """Name, requirement (a text, or a pin as recipes have it) and source of one ``NamedSpec``.

    ``folder``: the checkout; a path that leads into it becomes relative. Raises SourceError (``backend-output``),
    NotSupportedError.
    """
    table = mapping_of(entry, "a requirement")
    name = text_of(table, "name", "a requirement")
    for key, function in (("pinCompatible", "pin_compatible"), ("pinSubpackage", "pin_subpackage")):
        if key in table:
            return name.lower(), {function: {"name": name, **_pin(mapping_of(table[key], key))}}, None
    if "source" in table:
        source = mapping_of(table["source"], "a source requirement")
        location = _location(source, folder)
        text = requirement_text(name, _spec(source))
        return name.lower(), text, location
    if "binary" not in table:
        raise output_error(f"the requirement on `{name}` is neither binary, source nor pin: {sorted(table)}")
    return name.lower(), requirement_text(name, _spec(mapping_of(table["binary"], "a requirement"))), None


def _spec(table: Mapping[str, object]) -> CondaSpec:
    try:
        when = condition_from_wire(table["condition"]) if table.get("condition") is not None else None
    except ValueError as error:
        raise output_error(f"the `condition` of a requirement cannot be used: {error}") from error

    def text(key: str) -> str | None:
        value = table.get(key)
        if value is None:
            return None
        if not isinstance(value, str):
            raise output_error(f"`{key}` of a requirement must be text, it is {value!r}")
        return value

    def texts(key: str) -> tuple[str, ...]:
        value = table.get(key)
        if value is None:
            return ()
        if not isinstance(value, list):
            raise output_error(f"`{key}` of a requirement must be a list, it is {value!r}")
        return tuple(str(each) for each in cast("list[object]", value))

    return CondaSpec(
        version=text("version"),
        build=text("build"),
        build_number=text("buildNumber"),
        file_name=text("fileName"),
        channel=text("channel"),
        subdir=text("subdir"),
        license=text("license"),
        md5=text("md5"),
        sha256=text("sha256"),
        url=text("url"),
        extras=texts("extras"),
        flags=texts("flags"),
        when=when,
    )


def _pin(table: Mapping[str, object]) -> Wire:
    found: Wire = {}
    for key, ours in (("lowerBound", "lower_bound"), ("upperBound", "upper_bound")):
        bound = table.get(key)
        if bound is not None:
            values = mapping_of(bound, key)
            found[ours] = str(values.get("expression") or values.get("version"))
    if table.get("exact") is True:
        found["exact"] = True
    if isinstance(table.get("build"), str):
        found["build"] = table["build"]
    return found


def _location(table: Mapping[str, object], folder: Path) -> SourceLocation:
    if "path" in table:
        return SourceLocation(path=_relative(text_of(mapping_of(table["path"], "path"), "path", "a source"), folder))
    if "git" in table:
        git = mapping_of(table["git"], "git")
        rev = git.get("rev")
        reference = None
        if isinstance(rev, Mapping):
            values = cast("Mapping[str, str]", rev)
            reference = GitReference(**{key: values[key] for key in ("branch", "tag", "rev") if key in values})
        lfs, inner = git.get("lfs"), git.get("subdirectory")
        return SourceLocation(
            git=text_of(git, "git", "a source"),
            reference=reference,
            subdirectory=str(inner) if inner else None,
            lfs=lfs if isinstance(lfs, bool) else None,
        )
    if "url" in table:
        url = mapping_of(table["url"], "url")
        md5, sha256, inner = (str(url[key]) if url.get(key) else None for key in ("md5", "sha256", "subdirectory"))
        return SourceLocation(url=text_of(url, "url", "a source"), md5=md5, sha256=sha256, subdirectory=inner)
    raise output_error(f"a source requirement says no place: {sorted(table)}")


def _relative(text: str, folder: Path) -> str:
    path = Path(text)
    if not path.is_absolute():
        return path.as_posix()
    normal = Path(os.path.normpath(path))
    if not normal.is_relative_to(folder):
        raise output_error(f"a source requirement leads to {text}, outside of the package")
    return normal.relative_to(folder).as_posix()


def mapping_of(value: object, what: str) -> Mapping[str, object]:
    """``value``, which must be an object. Raises SourceError (``backend-output``)."""
    if not isinstance(value, Mapping):
        raise output_error(f"{what} must be an object, it is {value!r}")
    return cast("Mapping[str, object]", value)


def list_of(value: object, what: str) -> Sequence[object]:
    """``value``, which must be a list; an empty one for null. Raises SourceError (``backend-output``)."""
    if value is None:
        return ()
    if not isinstance(value, list):
        raise output_error(f"{what} must be a list, it is {value!r}")
    return cast("list[object]", value)


def text_of(table: Mapping[str, object], key: str, what: str) -> str:
    """The text ``key`` of ``table``. Raises SourceError (``backend-output``)."""
    value = table.get(key)
    if not isinstance(value, str) or not value:
        raise output_error(f"{what} has no `{key}`, which must be text")
    return value


def output_error(problem: str) -> SourceError:
    """That what a backend says of its outputs is not what the protocol says. The backend's name is added above."""
    return SourceError(problem, code="backend-output")
