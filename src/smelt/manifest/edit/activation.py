"""Activation scripts and variables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from smelt.errors import UnknownNameError
from smelt.manifest.edit.environment import environments_with
from smelt.manifest.edit.manifest import ManifestText
from smelt.manifest.edit.scope import Scope


def add_scripts(manifest: ManifestText, scope: Scope, scripts: Sequence[str], *, first: bool = False) -> ManifestText:
    """With ``scripts`` at the end, each once; with ``first`` before the others, moved there if need be."""
    manifest = scope.prepare(manifest)
    path = scope.path(manifest, "activation", "scripts")
    for position, script in enumerate(dict.fromkeys(scripts)):
        known = manifest.array(path)
        if first:
            if script in known:
                if known.index(script) == position:
                    continue
                manifest = manifest.pop(path, known.index(script))
            manifest = manifest.insert(path, script, position)
        elif script not in known:
            manifest = manifest.insert(path, script)
    return manifest


def remove_scripts(manifest: ManifestText, scope: Scope, scripts: Sequence[str]) -> ManifestText:
    """Without ``scripts``; tables that become empty go. Raises UnknownNameError (``unknown-script``)."""
    path = scope.path(manifest, "activation", "scripts")
    _check_scope(manifest, scope)
    for script in dict.fromkeys(scripts):
        if script not in manifest.array(path):
            raise UnknownNameError(
                f"the activation script '{script}' was not found for {_plain(scope)}", code="unknown-script"
            )
        manifest = manifest.pop(path, manifest.array(path).index(script))
    if manifest.get(path) == []:
        manifest = manifest.remove(path)
    return _tidy(manifest, scope)


def set_variables(manifest: ManifestText, scope: Scope, variables: Mapping[str, str]) -> ManifestText:
    """With ``variables`` set on activation."""
    manifest = scope.prepare(manifest)
    for name, value in variables.items():
        manifest = manifest.set(scope.path(manifest, "activation", "env", name), value)
    return manifest


def remove_variables(manifest: ManifestText, scope: Scope, names: Sequence[str]) -> ManifestText:
    """Without the variables ``names``; tables that become empty go. Raises UnknownNameError (``unknown-variable``)."""
    path = scope.path(manifest, "activation", "env")
    _check_scope(manifest, scope)
    if not manifest.table(path):
        raise UnknownNameError(
            f"no activation environment variables are defined for {_plain(scope)}; '{names[0]}' was not found",
            code="unknown-variable",
        )
    for name in dict.fromkeys(names):
        if name not in manifest.table(path):
            raise UnknownNameError(
                f"the activation environment variable '{name}' was not found for {_plain(scope)}",
                code="unknown-variable",
            )
        manifest = manifest.remove((*path, name))
    return _tidy(manifest.prune(path, len(path) - 1), scope)


def _check_scope(manifest: ManifestText, scope: Scope) -> None:
    if not scope.is_default and manifest.get(manifest.at(*scope.anchor)) is None:
        raise UnknownNameError(
            f"the {_plain(Scope(feature=scope.feature, environment=scope.environment))} does not exist",
            code="unknown-environment" if scope.environment is not None else "unknown-feature",
        )


def _plain(scope: Scope) -> str:
    return str(scope).replace("`", "'")


def _tidy(manifest: ManifestText, scope: Scope) -> ManifestText:
    """Without empty tables; a feature that environments name stays declared, an environment stays meaningful."""
    anchor = manifest.at(*scope.anchor)
    manifest = manifest.prune(scope.path(manifest, "activation"), len(anchor))
    if scope.is_default:
        return manifest
    if scope.environment is not None:
        return scope.settle(manifest, anchor, declared=True)
    if manifest.get(anchor) in (None, {}):
        if environments_with(manifest, str(scope.feature)):
            return manifest.declare(anchor)
        return manifest.prune(anchor, len(manifest.base))
    return manifest
