"""Adding and removing conda dependencies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, cast

from smelt.errors import UnknownNameError
from smelt.manifest.edit.manifest import ManifestText
from smelt.manifest.edit.scope import Scope
from smelt.types import CondaSpec, normalize_name

Table = Literal["dependencies", "host-dependencies", "build-dependencies"]
Outcome = Literal["added", "exists", "inherited"]


def spec_value(spec: CondaSpec) -> str | dict[str, object]:
    """``spec`` as an entry of a dependency table: a version where nothing else is said."""
    location = spec.location
    found: dict[str, object] = {
        "version": spec.version,
        "build": spec.build,
        "build-number": spec.build_number,
        "file-name": spec.file_name,
        "extras": list(spec.extras),
        "flags": list(spec.flags),
        "channel": spec.channel,
        "subdir": spec.subdir,
        "license": spec.license,
        "license-family": spec.license_family,
        "when": spec.when,
        "track-features": list(spec.track_features),
        "url": spec.url,
        "md5": spec.md5,
        "sha256": spec.sha256,
    }
    if location is not None:
        reference = location.reference
        found |= {
            "path": location.path,
            "git": location.git,
            "branch": reference.branch if reference is not None else None,
            "tag": reference.tag if reference is not None else None,
            "rev": reference.rev if reference is not None else None,
            "url": location.url,
            "md5": location.md5,
            "sha256": location.sha256,
            "subdirectory": location.subdirectory,
            "lfs": location.lfs,
            "pypi": location.pypi,
        }
    found = {key: value for key, value in found.items() if value not in (None, [])}
    if found.keys() <= {"version"}:
        return spec.version or "*"
    return found


def existing_key(table: Mapping[str, object], name: str) -> str | None:
    """How ``table`` spells the package ``name``, if it has it."""
    return next((key for key in table if normalize_name(key) == normalize_name(name)), None)


def add_dependency(
    manifest: ManifestText, scope: Scope, table: Table, name: str, spec: CondaSpec, *, overwrite: bool = False
) -> tuple[ManifestText, Outcome]:
    """With ``spec`` as the entry of ``name``.

    An entry that is there stays if ``spec`` asks for no version (unless ``overwrite``), as does one that is
    inherited (``workspace = true``) unless ``spec`` names a source.
    """
    manifest = scope.prepare(manifest)
    path = scope.path(manifest, table)
    entries = manifest.table(path)
    key = existing_key(entries, name)
    if key is not None:
        bare = spec.version in (None, "*")
        entry = entries[key]
        if bare and not spec.is_source and isinstance(entry, dict) and "workspace" in cast("dict[str, object]", entry):
            return manifest, "inherited"
        if bare and not spec.is_source and not overwrite and spec.url is None:
            return manifest, "exists"
    return manifest.set((*path, key or normalize_name(name)), spec_value(spec)), "added"


def remove_dependency(manifest: ManifestText, scopes: Iterable[Scope], table: Table, name: str) -> ManifestText:
    """Without the entries of ``name``. Raises UnknownNameError (``unknown-dependency``) if there is none."""
    removed = False
    for scope in scopes:
        path = scope.path(manifest, table)
        key = existing_key(manifest.table(path), name)
        if key is not None:
            manifest = scope.settle(manifest.remove((*path, key)), path)
            removed = True
    if not removed:
        raise UnknownNameError(f"`{name}` is not among the {table}", code="unknown-dependency")
    return manifest


def dependency_scopes(manifest: ManifestText, tables: Iterable[str], name: str) -> list[tuple[Scope, str]]:
    """Every scope and table that has an entry of ``name``."""
    found: list[tuple[Scope, str]] = []
    for scope in all_scopes(manifest):
        for table in tables:
            entries = manifest.get(scope.path(manifest, table))
            if isinstance(entries, dict) and existing_key(cast("dict[str, object]", entries), name) is not None:
                found.append((scope, table))
    return found


def all_scopes(manifest: ManifestText) -> list[Scope]:
    """The workspace, its features and its environments, each without and with its targets."""
    found = [Scope()]
    for kind in ("feature", "environments"):
        for each, value in manifest.table(manifest.at(kind)).items():
            if isinstance(value, dict):
                found.append(Scope(feature=each) if kind == "feature" else Scope(environment=each))
    with_targets: list[Scope] = []
    for scope in found:
        with_targets.append(scope)
        targets = manifest.get(manifest.at(*scope.anchor, "target"))
        if isinstance(targets, dict):
            with_targets += [
                Scope(feature=scope.feature, environment=scope.environment, selector=selector)
                for selector in cast("dict[str, object]", targets)
            ]
    return with_targets
