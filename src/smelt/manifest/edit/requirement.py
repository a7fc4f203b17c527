"""Adding and removing PyPI dependencies.

Source: the reference's command page ``add``: in a ``pyproject.toml`` they go to ``project.dependencies`` or
``dependency-groups`` where these can say what is meant.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from smelt.errors import UnknownNameError
from smelt.manifest.edit.manifest import ManifestText
from smelt.manifest.edit.scope import Scope
from smelt.manifest.positions import KeyPath
from smelt.manifest.pypi import PypiRequirement, normalize_pypi_name, parse_requirement

TABLE = "pypi-dependencies"


def requirement_value(requirement: PypiRequirement) -> str | dict[str, object]:
    """``requirement`` as an entry of ``pypi-dependencies``."""
    version = _version_text(requirement.version) if requirement.version is not None else "*"
    reference = requirement.reference
    found: dict[str, object] = {
        "version": version if not requirement.is_source else None,
        "git": requirement.git,
        "branch": reference.branch if reference is not None else None,
        "tag": reference.tag if reference is not None else None,
        "rev": reference.rev if reference is not None else None,
        "path": requirement.path,
        "editable": requirement.editable or None,
        "url": requirement.url,
        "subdirectory": requirement.subdirectory,
        "lfs": requirement.lfs,
        "extras": list(requirement.extras),
        "index": requirement.index,
        "env-markers": requirement.markers,
    }
    found = {key: value for key, value in found.items() if value not in (None, [])}
    return version if found.keys() == {"version"} else found


def requirement_text(requirement: PypiRequirement) -> str:
    """``requirement`` as PEP 508 says it."""
    text = requirement.name
    if requirement.extras:
        text += f"[{','.join(requirement.extras)}]"
    folder = f"#subdirectory={requirement.subdirectory}" if requirement.subdirectory else ""
    if requirement.git is not None:
        reference = requirement.reference
        revision = (reference.rev or reference.tag or reference.branch) if reference is not None else None
        text += f" @ git+{requirement.git}{f'@{revision}' if revision else ''}{folder}"
    elif requirement.url is not None:
        text += f" @ {requirement.url}{folder}"
    elif requirement.path is not None:
        path = requirement.path
        text += f" @ file://{path}" if path.startswith("/") else f" @ file:{path}"
    elif requirement.version is not None:
        text += ",".join(part.strip() for part in requirement.version.split(","))
    return text + (f" ; {requirement.markers}" if requirement.markers else "")


def _version_text(version: str) -> str:
    return ", ".join(part.strip() for part in version.split(","))


def existing_requirement(table: Mapping[str, object], name: str) -> str | None:
    """How ``table`` spells the package ``name``, if it has it."""
    return next((key for key in table if normalize_pypi_name(key) == normalize_pypi_name(name)), None)


def add_requirement(
    manifest: ManifestText, scope: Scope, requirement: PypiRequirement, *, overwrite: bool = False
) -> tuple[ManifestText, bool]:
    """With ``requirement``; whether anything was changed: one that is there stays if a bare name is added."""
    manifest = scope.prepare(manifest)
    explicit = requirement.version is not None or requirement.is_source
    tables = scope.path(manifest, TABLE)
    key = existing_requirement(manifest.table(tables), requirement.name)
    native = _native_array(manifest, scope)
    index = _position(manifest, native, requirement.name) if native is not None else None
    if (key is not None or index is not None) and not explicit and not overwrite:
        return manifest, False
    for_table = bool(requirement.editable) or requirement.index is not None or _git_kind_counts(requirement)
    named_feature = not scope.is_default and manifest.get(tables) is not None
    if native is None or for_table or key is not None or named_feature:
        manifest = manifest.set((*tables, key or requirement.name), requirement_value(requirement))
        if index is not None and native is not None:
            manifest = manifest.pop(native, index)
        return manifest, True
    text = requirement_text(requirement)
    if index is not None:
        return manifest.replace(native, index, text), True
    return manifest.insert(native, text), True


def _git_kind_counts(requirement: PypiRequirement) -> bool:
    """Whether PEP 508 would lose what kind of revision is meant."""
    reference = requirement.reference
    return reference is not None and (reference.branch is not None or reference.tag is not None)


def _native_array(manifest: ManifestText, scope: Scope) -> KeyPath | None:
    """The array of a ``pyproject.toml`` for the scope, where there can be one."""
    if manifest.kind != "pyproject" or scope.selector is not None or scope.environment is not None:
        return None
    if scope.is_default:
        return ("project", "dependencies") if manifest.get(("project",)) is not None else None
    name = str(scope.feature)
    optional: KeyPath = ("project", "optional-dependencies", name)
    return optional if manifest.get(optional) is not None else ("dependency-groups", name)


def _position(manifest: ManifestText, path: KeyPath, name: str) -> int | None:
    for index, text in enumerate(manifest.array(path)):
        parsed = parse_requirement(text, ()) if isinstance(text, str) else ""
        if isinstance(parsed, PypiRequirement) and parsed.name == normalize_pypi_name(name):
            return index
    return None


def remove_requirement(manifest: ManifestText, scopes: Iterable[Scope], name: str) -> ManifestText:
    """Without the entries of ``name``. Raises UnknownNameError (``unknown-dependency``) if there is none."""
    removed = False
    for scope in scopes:
        tables = scope.path(manifest, TABLE)
        key = existing_requirement(manifest.table(tables), name)
        if key is not None:
            manifest, removed = scope.settle(manifest.remove((*tables, key)), tables), True
        for native in _arrays(manifest, replace(scope, selector=None)):
            while (index := _position(manifest, native, name)) is not None:
                manifest, removed = manifest.pop(native, index), True
    if not removed:
        raise UnknownNameError(f"`{name}` is not among the {TABLE}", code="unknown-dependency")
    return manifest


def _arrays(manifest: ManifestText, scope: Scope) -> list[KeyPath]:
    if manifest.kind != "pyproject" or scope.environment is not None:
        return []
    if scope.is_default:
        return [("project", "dependencies")]
    name = str(scope.feature)
    return [("project", "optional-dependencies", name), ("dependency-groups", name)]


def requirement_scopes(manifest: ManifestText, scopes: Iterable[Scope], name: str) -> list[Scope]:
    """Those of ``scopes`` that require ``name`` from PyPI."""
    found: list[Scope] = []
    for scope in scopes:
        entries = manifest.get(scope.path(manifest, TABLE))
        in_table = isinstance(entries, dict) and existing_requirement(manifest.table(scope.path(manifest, TABLE)), name)
        arrays = _arrays(manifest, scope) if scope.selector is None else []
        if in_table or any(_position(manifest, path, name) is not None for path in arrays):
            found.append(scope)
    return found
