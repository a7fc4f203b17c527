"""Adding and removing environments and features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from smelt.errors import ManifestError, UnknownNameError
from smelt.manifest.edit.manifest import ManifestText
from smelt.manifest.positions import KeyPath
from smelt.manifest.task import environment_name_problem
from smelt.text import closest


def add_environment(
    manifest: ManifestText,
    name: str,
    *,
    features: Sequence[str] = (),
    solve_group: str | None = None,
    no_default_feature: bool = False,
    replace: bool = False,
) -> ManifestText:
    """With the environment ``name`` of ``features``.

    Raises ManifestError (``manifest-duplicate`` unless ``replace``, ``manifest-environment-name``), UnknownNameError
    (``unknown-feature``).
    """
    complaint = environment_name_problem(name)
    if complaint is not None:
        raise ManifestError(complaint, code="manifest-environment-name")
    path = manifest.at("environments", name)
    if manifest.get(path) is not None and not replace:
        raise ManifestError(
            f"the environment `{name}` already exists",
            code="manifest-duplicate",
            help="`--force` replaces it",
        )
    known = feature_names(manifest)
    for feature in features:
        if feature not in known:
            guess = closest(feature, known)
            raise UnknownNameError(
                f"the feature `{feature}` is not defined in the manifest",
                code="unknown-feature",
                help=f"did you mean `{guess}`?" if guess else f"there are {', '.join(known)}",
            )
    if solve_group is None and not no_default_feature:
        return _replace(manifest, path, list(features))
    value: dict[str, object] = {"features": list(features)} if features else {}
    if solve_group is not None:
        value["solve-group"] = solve_group
    if no_default_feature:
        value["no-default-feature"] = True
    if not features and solve_group is None:
        value = {"features": [], **value}
    return _replace(manifest, path, value)


def _replace(manifest: ManifestText, path: KeyPath, value: list[str] | dict[str, object]) -> ManifestText:
    if isinstance(manifest.get(path), dict) and isinstance(value, list):
        manifest = manifest.remove(path)
    return manifest.set(path, value)


def feature_names(manifest: ManifestText) -> list[str]:
    """The features that can be named: those of the manifest, and the groups of a ``pyproject.toml``."""
    found = ["default", *manifest.table(manifest.at("feature"))]
    if manifest.kind == "pyproject":
        found += [*manifest.table(("project", "optional-dependencies")), *manifest.table(("dependency-groups",))]
    return list(dict.fromkeys(found))


def remove_environment(manifest: ManifestText, name: str) -> ManifestText:
    """Without the environment ``name``. Raises UnknownNameError (``unknown-environment``) if there is none."""
    path = manifest.at("environments", name)
    if manifest.get(path) is None:
        guess = closest(name, manifest.table(manifest.at("environments")))
        raise UnknownNameError(
            f"there is no environment `{name}` in the manifest",
            code="unknown-environment",
            help=f"did you mean `{guess}`?" if guess else None,
        )
    return manifest.remove(path)


def environments_with(manifest: ManifestText, feature: str) -> list[str]:
    """The environments that name ``feature``."""
    return [name for name in manifest.table(manifest.at("environments")) if feature in _features(manifest, name)[1]]


def _features(manifest: ManifestText, environment: str) -> tuple[KeyPath, list[object]]:
    path = manifest.at("environments", environment)
    if isinstance(manifest.get(path), dict):
        path = (*path, "features")
    return path, manifest.array(path)


def add_feature_to_environment(manifest: ManifestText, environment: str, feature: str) -> ManifestText:
    """With ``feature`` among those of ``environment``, which is there."""
    path, features = _features(manifest, environment)
    return manifest if feature in features else manifest.insert(path, feature)


def remove_feature(manifest: ManifestText, name: str) -> ManifestText:
    """Without the feature ``name``, and without it in every environment. Raises UnknownNameError, ManifestError."""
    if name == "default":
        raise ManifestError("the feature `default` cannot be removed", code="manifest-feature")
    if manifest.get(manifest.at("feature", name)) is None:
        known = list(manifest.table(manifest.at("feature")))
        guess = closest(name, known)
        raise UnknownNameError(
            f"there is no feature `{name}` in the manifest",
            code="unknown-feature",
            help=f"did you mean `{guess}`?" if guess else None,
        )
    for environment in environments_with(manifest, name):
        path, features = _features(manifest, environment)
        for index in reversed([index for index, each in enumerate(features) if each == name]):
            manifest = manifest.pop(path, index)
        entry = manifest.get(manifest.at("environments", environment))
        if isinstance(entry, dict) and cast("dict[str, object]", entry).get("features") == [] and len(entry) > 1:  # pyright: ignore[reportUnknownArgumentType]
            rest = set(cast("dict[str, object]", entry)) - {"features", "no-default-feature"}
            manifest = manifest.remove(path) if rest else manifest
    return manifest.remove(manifest.at("feature", name))
