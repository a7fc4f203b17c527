"""Which packages of a workspace are published together, and in which order.

A package takes part by ``publish = true`` in its ``[package]`` table. What is published is closed: whatever source
package one of them needs takes part, too, so that a channel never gets a package that nobody can install.
Source: the reference's page ``pixi publish``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from smelt.errors import ManifestError, SourceError
from smelt.manifest.document import read_document
from smelt.resolve.model import Context, SourceRequirement
from smelt.resolve.packages import LoadedPackage, PackageLoader
from smelt.source.listing import list_tree
from smelt.source.model import RenderedVariant
from smelt.text import shown_path
from smelt.types import CondaSpec, SourceLocation, spec_name
from smelt.workspace.discovery import MANIFESTS
from smelt.workspace.requirements import requirements_for


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A package that is published: where it is, and all that it builds."""

    requirement: SourceRequirement
    loaded: LoadedPackage
    outputs: tuple[RenderedVariant, ...]

    @property
    def label(self) -> str:
        """How messages call it: its folder relative to the workspace."""
        return self.loaded.location


def opted_in(root: Path) -> tuple[Path, ...]:
    """The manifests below ``root`` whose package says ``publish = true``, by path.

    Ignored files, hidden folders and other workspaces do not count. Raises ManifestError.
    """
    chosen: dict[Path, Path] = {}
    names = [path for path in list_tree(root.resolve()).files if path.rpartition("/")[2] in MANIFESTS]
    for name in sorted(names, key=lambda path: MANIFESTS.index(path.rpartition("/")[2])):
        path = root / name
        if not any(part.startswith(".") for part in path.relative_to(root).parts):
            chosen.setdefault(path.parent, path)
    tables = {path: _tables(path) for path in chosen.values()}
    foreign = [
        p.parent for p, table in tables.items() if p.parent != root and ("workspace" in table or "project" in table)
    ]
    return tuple(
        path
        for path in sorted(tables)
        if _publishes(path, tables[path]) and not any(path.is_relative_to(folder) for folder in foreign)
    )


def _tables(path: Path) -> Mapping[str, object]:
    data: object = read_document(path).data
    for key in ("tool", "pixi") if path.name == "pyproject.toml" else ():
        data = cast("Mapping[str, object]", data).get(key) if isinstance(data, Mapping) else None
    return cast("Mapping[str, object]", data) if isinstance(data, Mapping) else {}


def _publishes(path: Path, tables: Mapping[str, object]) -> bool:
    package = tables.get("package")
    value = cast("Mapping[str, object]", package).get("publish") if isinstance(package, Mapping) else None
    if value is None or isinstance(value, bool):
        return value is True
    raise ManifestError(
        f"the `publish` key of the package in {shown_path(path)} must be a boolean", code="manifest-type"
    )


def member(path: Path, loader: PackageLoader, context: Context) -> Member:
    """The package at ``path`` (a manifest, a recipe or a folder). Raises what loading and rendering raise."""
    # The name is not known before the package is read; it stands in messages only.
    requirement = SourceRequirement(name=_name(path), location=SourceLocation(path=str(path)), base=path.parent)
    return Member(
        requirement=requirement,
        loaded=loader.load(requirement),
        outputs=loader.outputs(requirement, context),
    )


def _name(path: Path) -> str:
    return (path if path.is_dir() else path.parent).resolve().name.lower()


def check_closed(members: Sequence[Member], loader: PackageLoader, context: Context) -> None:
    """Raise SourceError (``publish-set``) where a source package is needed that is not published, or built twice."""
    owners: dict[str, Member] = {}
    for each in members:
        for name in dict.fromkeys(output.name for output in each.outputs):
            other = owners.setdefault(name, each)
            if other is not each:
                raise SourceError(
                    f"packages '{other.label}' and '{each.label}' both build a package '{name}'",
                    code="publish-set",
                    help="take `publish = true` out of one of them: a channel can hold one package of a name",
                )
    folders = {each.loaded.package.root.resolve() for each in members}
    root = loader.workspace.root.resolve()
    violations: dict[str, None] = {}
    for each in members:
        for need in _needs(each, loader, context):
            folder = _folder(need)
            if folder is None or not folder.is_relative_to(root):
                where = need.location if folder is None else folder
                violations[f"package '{each.label}' depends on '{where}', which lives outside the workspace"] = None
            elif folder not in folders:
                shown = folder.relative_to(root).as_posix()
                violations[f"package '{each.label}' depends on '{shown}', which is not part of the publish set"] = None
    if violations:
        raise SourceError(
            "the packages cannot be published as a self-contained set",
            code="publish-set",
            notes=["\n".join(violations)],
            help="set `publish = true` in the `[package]` table of the missing packages, or depend on them as binary "
            "packages of a channel",
        )


def check_alone(each: Member, loader: PackageLoader) -> None:
    """Raise SourceError (``publish-set``) where a package that is published alone needs a source package to run."""
    names = {output.name for output in each.outputs}
    missing = sorted(
        {
            name
            for output in each.outputs
            for name in output.source_requirements
            if name in _run_names(output) and name not in names
        }
    )
    if missing:
        raise SourceError(
            f"package '{', '.join(sorted(names))}' has source run dependencies ({', '.join(missing)}) and cannot be "
            "published on its own",
            code="publish-set",
            help="set `publish = true` in its `[package]` table and in those of its source dependencies, and publish "
            "them together: `smelt publish` without `--path`",
        )


def _needs(each: Member, loader: PackageLoader, context: Context) -> list[SourceRequirement]:
    """The source packages that a package needs, those among its run-exports included."""
    found: dict[tuple[str, str], SourceRequirement] = {}
    own = {output.name for output in each.outputs}
    for output in each.outputs:
        for need in loader.requirements_of(each.requirement, output):
            if need.name not in own:
                found[need.name, need.identity] = need
    package = each.loaded.package
    for table in requirements_for(package, context.subdir, keep_conditions=True).run_exports.values():
        for name, spec in table.items():
            if isinstance(spec, CondaSpec) and spec.location is not None:
                need = SourceRequirement(name=name, location=spec.location, base=package.root)
                found[name, need.identity] = need
    return list(found.values())


def _folder(need: SourceRequirement) -> Path | None:
    folder = need.folder
    return folder.parent if folder is not None and folder.is_file() else folder


def in_order(members: Sequence[Member]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of all that is built, each after those it needs, and the names that need each other in a circle."""
    needs: dict[str, set[str]] = {}
    for each in members:
        for output in each.outputs:
            needs.setdefault(output.name, set()).update(_names(output))
        for table in (each.loaded.package.base.run_exports or {}).values():
            for output in each.outputs:
                needs[output.name].update(table)
    for name, wanted in needs.items():
        wanted.intersection_update(needs)
        wanted.discard(name)
    order: list[str] = []
    waiting = dict(sorted(needs.items()))
    while waiting:
        ready = [name for name, wanted in waiting.items() if not wanted.intersection(waiting)]
        if not ready:
            circle = tuple(waiting)
            return (*order, *circle), circle
        order += ready
        for name in ready:
            del waiting[name]
    return tuple(order), ()


def _names(output: RenderedVariant) -> set[str]:
    """The names of all that an output requires and hands on."""
    exported = [item for items in output.run_exports.values() for item in items]
    return _item_names([*output.build_requirements, *output.host_requirements, *exported]) | _run_names(output)


def _run_names(output: RenderedVariant) -> set[str]:
    return _item_names(output.run_requirements)


def _item_names(items: Iterable[str | Mapping[str, object]]) -> set[str]:
    return {spec_name(item) for item in items if isinstance(item, str)}
