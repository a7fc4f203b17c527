"""Raising the requirements of a manifest to what can be had now."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from smelt.api.editing import EditOptions, ManifestEditor, affected_pairs, locked_versions
from smelt.errors import UnknownNameError
from smelt.manifest.edit.dependency import all_scopes
from smelt.manifest.edit.manifest import ManifestText
from smelt.manifest.edit.requirement import TABLE, requirement_text
from smelt.manifest.edit.scope import Scope
from smelt.manifest.positions import KeyPath
from smelt.manifest.pypi import PypiRequirement, normalize_pypi_name, parse_requirement
from smelt.solve.pinning import Strategy, pin
from smelt.text import closest
from smelt.types import normalize_name

if TYPE_CHECKING:
    from smelt.lock.model import Lock

_EXACT = ("build-number", "md5", "sha256")


@dataclass(frozen=True, slots=True, kw_only=True)
class UpgradeRequest:
    """What to raise: of ``scopes`` (all: None) the packages ``names`` (all: None) but ``exclude``."""

    scopes: tuple[Scope, ...] | None = None
    names: Collection[str] | None = None
    exclude: Collection[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """One requirement that is raised: where it stands, what it becomes without its version, and its name."""

    path: KeyPath
    scope: Scope
    name: str
    value: object
    pypi: PypiRequirement | None = None
    is_pypi: bool = False

    def pinned(self, version: str) -> object:
        """What is written for ``version``."""
        if self.pypi is not None:
            return requirement_text(replace(self.pypi, version=version))
        text = ", ".join(version.split(",")) if self.is_pypi else version
        if isinstance(self.value, dict):
            return {"version": text, **cast("dict[str, object]", self.value)}
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class UpgradePlan:
    """``loosened``: the manifest to solve; ``options``: how; ``inherited``: names that were left to the workspace."""

    loosened: ManifestText
    options: EditOptions
    inherited: tuple[str, ...] = ()


def plan_upgrade(editor: ManifestEditor, request: UpgradeRequest, strategy: Strategy | None) -> UpgradePlan:
    """What to solve for an upgrade. Raises UnknownNameError (``unknown-package``) for a name that is nowhere."""
    manifest = editor.manifest
    scopes = request.scopes if request.scopes is not None else tuple(all_scopes(manifest))
    _check_names(manifest, scopes, request.names or ())
    model = editor.workspace.model
    entries: list[_Entry] = []
    inherited: dict[str, None] = {}
    for scope in scopes:
        if affected_pairs(model, [scope]):  # what is never solved has no version to be raised to
            entries += _conda(manifest, scope, request, inherited)
            entries += _pypi(manifest, scope, request)
    loosened = manifest
    for entry in entries:
        loosened = _put(loosened, entry.path, entry.pinned("*") if entry.pypi is None else requirement_text(entry.pypi))
    pairs = affected_pairs(model, [entry.scope for entry in entries])

    def write(lock: Lock, manifest: ManifestText) -> ManifestText:
        for entry in entries:
            own = affected_pairs(model, [entry.scope])
            versions = locked_versions(lock, own, entry.name, pypi=entry.is_pypi)
            version = pin("" if entry.is_pypi else entry.name, versions, strategy)
            if version is not None and not (entry.pypi is not None and version == "*"):
                manifest = _put(manifest, entry.path, entry.pinned(version))
        return manifest

    options = EditOptions(unlock=[entry.name for entry in entries], only=pairs, pin=write)
    return UpgradePlan(loosened=loosened, options=options, inherited=tuple(inherited))


def _put(manifest: ManifestText, path: KeyPath, value: object) -> ManifestText:
    last = path[-1]
    return manifest.replace(path[:-1], last, value) if isinstance(last, int) else manifest.set(path, value)


def _wanted(name: str, request: UpgradeRequest) -> bool:
    return name not in request.exclude and (request.names is None or name in request.names)


def _own(manifest: ManifestText, scope: Scope, table: str) -> Mapping[str, object]:
    """The entries of a scope; a target leaves those that the scope has for all platforms to these."""
    entries = manifest.table(scope.path(manifest, table))
    if scope.selector is None:
        return entries
    fold = normalize_pypi_name if table == TABLE else normalize_name
    general = {fold(key) for key in manifest.table(replace(scope, selector=None).path(manifest, table))}
    return {key: value for key, value in entries.items() if fold(key) not in general}


def _conda(
    manifest: ManifestText, scope: Scope, request: UpgradeRequest, inherited: dict[str, None]
) -> Iterable[_Entry]:
    for key, value in _own(manifest, scope, "dependencies").items():
        name = normalize_name(key)
        if not _wanted(name, request):
            continue
        path = (*scope.path(manifest, "dependencies"), key)
        if isinstance(value, str):
            yield _Entry(path=path, scope=scope, name=name, value="*")
            continue
        fields = dict(cast("dict[str, object]", value))
        if "workspace" in fields:
            inherited[name] = None
        elif not {"path", "git", "url", "pypi"} & fields.keys():
            fields.pop("version", None)
            if request.names is not None:
                if not any(mark in str(fields.get("build", "")) for mark in "*^"):
                    fields.pop("build", None)
                for exact in _EXACT:
                    fields.pop(exact, None)
            yield _Entry(path=path, scope=scope, name=name, value=fields or "*")


def _pypi(manifest: ManifestText, scope: Scope, request: UpgradeRequest) -> Iterable[_Entry]:
    for key, value in _own(manifest, scope, TABLE).items():
        name = normalize_pypi_name(key)
        if not _wanted(name, request):
            continue
        path = (*scope.path(manifest, TABLE), key)
        if isinstance(value, str):
            yield _Entry(path=path, scope=scope, name=name, value="*", is_pypi=True)
            continue
        fields = dict(cast("dict[str, object]", value))
        if not {"path", "git", "url"} & fields.keys():
            fields.pop("version", None)
            yield _Entry(path=path, scope=scope, name=name, value=fields or "*", is_pypi=True)
    if manifest.kind != "pyproject" or scope.selector is not None or scope.environment is not None:
        return
    arrays: list[KeyPath] = [("project", "dependencies")]
    if not scope.is_default:
        feature = str(scope.feature)
        arrays = [("project", "optional-dependencies", feature), ("dependency-groups", feature)]
    for array in arrays:
        for index, text in enumerate(manifest.array(array)):
            parsed = parse_requirement(text, ()) if isinstance(text, str) else ""
            if isinstance(parsed, PypiRequirement) and not parsed.is_source and _wanted(parsed.name, request):
                bare = replace(parsed, version=None)
                yield _Entry(path=(*array, index), scope=scope, name=parsed.name, value=None, pypi=bare, is_pypi=True)


def _check_names(manifest: ManifestText, scopes: Iterable[Scope], names: Collection[str]) -> None:
    known: set[str] = set()
    for scope in scopes:
        known |= {normalize_name(key) for key in manifest.table(scope.path(manifest, "dependencies"))}
        known |= {entry.name for entry in _pypi(manifest, scope, UpgradeRequest())}
    for name in names:
        if name not in known:
            guess = closest(name, known) or next((each for each in sorted(known) if name.startswith(each)), None)
            raise UnknownNameError(
                f"could not find a package named '{name}'",
                code="unknown-package",
                help=f"did you mean '{guess}'?" if guess else None,
            )
