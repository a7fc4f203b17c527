"""Merging PyPI options. Source: ``pixi_manifest`` (``pypi/pypi_options.rs``) for the rules."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from smelt.errors import ManifestError
from smelt.manifest.pypi import PypiOptions, Selection

if TYPE_CHECKING:
    from smelt.workspace.model import Workspace

_SINGLE = (
    ("index_url", "index-url"),
    ("index_strategy", "index-strategy"),
    ("prerelease_mode", "prerelease-mode"),
    ("skip_wheel_filename_check", "skip-wheel-filename-check"),
)


def options_conflict(options: Sequence[PypiOptions]) -> str | None:
    """Why features with these options cannot be in one environment, or None."""
    for attribute, key in _SINGLE:
        values = list(dict.fromkeys(each for one in options if (each := getattr(one, attribute)) is not None))
        if len(values) > 1:
            return f"these features want different `{key}`: `{values[0]}` and `{values[1]}`"
    return None


def merge_options(features: Sequence[PypiOptions], base: PypiOptions | None) -> PypiOptions:
    """The options of an environment: those of its features (no ``options_conflict``), laid over the workspace's.

    Of overrides for one package the first feature's wins.
    """
    merged = base or PypiOptions()
    if not features:
        return merged
    ordered = [merged, *features] if base is not None else list(features)
    overrides = dict(merged.dependency_overrides)
    for feature in reversed(features):
        overrides.update(feature.dependency_overrides)

    def single(attribute: str) -> object:
        own = (value for one in features if (value := getattr(one, attribute)) is not None)
        return next(own, getattr(merged, attribute))

    return PypiOptions(
        **{attribute: single(attribute) for attribute, _ in _SINGLE},  # pyright: ignore[reportArgumentType]
        extra_index_urls=tuple(dict.fromkeys(url for one in ordered for url in one.extra_index_urls)),
        find_links=tuple(dict.fromkeys(link for one in ordered for link in one.find_links)),
        no_build_isolation=_union([one.no_build_isolation for one in ordered]),
        no_build=_union([one.no_build for one in ordered]),
        no_binary=_union([one.no_binary for one in ordered]),
        dependency_overrides=MappingProxyType(overrides),
    )


def _union(selections: Sequence[Selection]) -> Selection:
    if "all" in selections:
        return "all"
    return tuple(dict.fromkeys(name for selection in selections for name in selection))


def group_options(workspace: Workspace, environment: str) -> PypiOptions:
    """The options that ``environment`` is solved with: those of all environments of its solve group.

    Raises ManifestError (``pypi-options``) where they contradict each other.
    """
    group = workspace.environments[environment].solve_group
    members = workspace.solve_groups[group] if group is not None else (environment,)
    found: dict[str, PypiOptions] = {}
    for (name, _), effective in workspace.effective.items():
        if name in members:
            found.setdefault(name, effective.pypi_options)
    options = list(found.values())
    if len(options) < 2 or all(each == options[0] for each in options):
        return options[0] if options else PypiOptions()
    conflict = options_conflict(options)
    if conflict is not None:
        raise ManifestError(
            f"the environments of solve group `{group}` cannot be solved together: {conflict}", code="pypi-options"
        )
    return merge_options(options, None)
