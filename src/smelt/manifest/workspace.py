"""The ``[workspace]`` table (and ``[project]``, its old name). Source: the reference's manifest page."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from smelt.manifest.feature import CHANNEL_PRIORITIES, SOLVE_STRATEGIES, TomlChannel, read_channels
from smelt.manifest.location import channel_problem, url_problem
from smelt.manifest.package import license_problem
from smelt.manifest.platform import TomlPlatform, read_platforms, selector_problem
from smelt.manifest.positions import KeyPath
from smelt.manifest.pypi import PypiOptions, read_pypi_options
from smelt.manifest.reading import Table
from smelt.manifest.requirement import NO_REQUIREMENTS, Requirements, read_requirements
from smelt.manifest.version import exclude_newer_problem, version_problem, version_spec_problem

PREVIEWS = ("pixi-build",)
Variants = Mapping[str, tuple[str, ...]]
MappingEntry = Literal[False] | Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class TomlWorkspace:
    """``[workspace]``.

    ``preview`` True means every preview; ``preview_paths`` where each flag stands. ``conda_pypi_map``: False if
    disabled, else by channel: False, or ``location``, ``mapping``, ``mapping-mode``, ``same-name-heuristic``.
    ``dependencies``: what ``workspace = true`` inherits.
    """

    path: KeyPath
    name: str | None = None
    version: str | None = None
    description: str | None = None
    authors: tuple[str, ...] | None = None
    channels: tuple[TomlChannel, ...] = ()
    channel_priority: str | None = None
    solve_strategy: str | None = None
    platforms: tuple[TomlPlatform, ...] = ()
    license: str | None = None
    license_file: str | None = None
    readme: str | None = None
    homepage: str | None = None
    repository: str | None = None
    documentation: str | None = None
    conda_pypi_map: Literal[False] | Mapping[str, MappingEntry] | None = field(default=None, hash=False)
    pypi_options: PypiOptions | None = None
    s3_options: Mapping[str, Mapping[str, object]] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    preview: bool | tuple[str, ...] = ()
    preview_paths: Mapping[str, KeyPath] = field(default_factory=lambda: MappingProxyType({}))
    build_variants: Variants = field(default_factory=lambda: MappingProxyType({}))
    target_variants: Mapping[str, Variants] = field(default_factory=lambda: MappingProxyType({}))
    build_variants_files: tuple[str, ...] = ()
    requires_pixi: str | None = None
    exclude_newer: str | None = None
    dependencies: Requirements = field(default_factory=lambda: NO_REQUIREMENTS)

    def at(self, key: str) -> KeyPath:
        """The path of one of its keys."""
        return (*self.path, key)

    def is_enabled(self, flag: str) -> bool:
        """Whether a preview is enabled."""
        # The reference takes any boolean for "all are enabled".
        return isinstance(self.preview, bool) or flag in self.preview


def read_workspace(table: Table) -> TomlWorkspace:
    """The workspace that ``table`` describes."""
    channels = read_channels(table)
    if "channels" not in table:
        table.missing("channels", help='for example `channels = ["conda-forge"]`')
    preview, preview_paths = _read_preview(table)
    variants = _read_variants(table)
    workspace = TomlWorkspace(
        path=table.path,
        name=table.string("name"),
        version=table.parsed("version", version_problem),
        description=table.string("description"),
        authors=table.strings("authors"),
        channels=channels or (),
        channel_priority=table.choice("channel-priority", CHANNEL_PRIORITIES),
        solve_strategy=table.choice("solve-strategy", SOLVE_STRATEGIES),
        platforms=read_platforms(table),
        license=table.parsed("license", license_problem),
        license_file=table.string("license-file"),
        readme=table.string("readme"),
        homepage=table.parsed("homepage", url_problem),
        repository=table.parsed("repository", url_problem),
        documentation=table.parsed("documentation", url_problem),
        conda_pypi_map=_read_conda_pypi_map(table),
        pypi_options=read_pypi_options(table),
        s3_options=_read_s3_options(table),
        preview=preview,
        preview_paths=preview_paths,
        build_variants=variants,
        target_variants=_read_target_variants(table),
        build_variants_files=table.strings("build-variants-files") or (),
        requires_pixi=table.parsed("requires-pixi", version_spec_problem),
        exclude_newer=table.parsed("exclude-newer", exclude_newer_problem),
        dependencies=read_requirements(table, "dependencies", inheritance=False) or NO_REQUIREMENTS,
    )
    table.finish()
    return workspace


def _read_preview(table: Table) -> tuple[bool | tuple[str, ...], Mapping[str, KeyPath]]:
    value = table.take("preview")
    path = table.at("preview")
    if value is None:
        return (), MappingProxyType({})
    if isinstance(value, bool):
        return value, MappingProxyType(dict.fromkeys(PREVIEWS, path))
    if not isinstance(value, list):
        table.wrong_type(path, "a boolean or an array of previews", value)
        return (), MappingProxyType({})
    flags = table.strings("preview") or ()
    for index, flag in enumerate(flags):
        if flag not in PREVIEWS:
            table.problems.warn(
                "preview",
                f"there is no preview `{flag}`",
                table.problems.value((*path, index)),
                "this has no effect",
            )
    return flags, MappingProxyType({flag: (*path, index) for index, flag in enumerate(flags)})


def _read_variants(table: Table) -> Variants:
    variants = table.table("build-variants")
    if variants is None:
        return MappingProxyType({})
    return MappingProxyType({key: variants.strings(key) or () for key in variants.data})


def _read_target_variants(table: Table) -> Mapping[str, Variants]:
    targets = table.table("target")
    found: dict[str, Variants] = {}
    for selector in targets.data if targets is not None else ():
        assert targets is not None
        inner = targets.table(selector)
        complaint = selector_problem(selector)
        if complaint is not None:
            table.problems.error("selector", complaint, table.problems.key(targets.at(selector)))
        elif inner is not None:
            found[selector] = _read_variants(inner)
            inner.finish()
    return MappingProxyType(found)


def _read_s3_options(table: Table) -> Mapping[str, Mapping[str, object]]:
    buckets = table.table("s3-options")
    found: dict[str, Mapping[str, object]] = {}
    for name in buckets.data if buckets is not None else ():
        assert buckets is not None
        bucket = buckets.table(name)
        if bucket is None:
            continue
        options = {
            "endpoint-url": bucket.parsed("endpoint-url", url_problem),
            "region": bucket.string("region"),
            "force-path-style": bucket.boolean("force-path-style"),
        }
        bucket.finish()
        for key in options:
            if key not in bucket:
                bucket.missing(key)
        found[name] = MappingProxyType(options)
    return MappingProxyType(found)


def _read_conda_pypi_map(table: Table) -> Literal[False] | Mapping[str, MappingEntry] | None:
    value = table.take("conda-pypi-map")
    path = table.at("conda-pypi-map")
    problems = table.problems
    if value is None:
        return None
    if value is False:
        return False
    if value is True:
        problems.error(
            "value",
            "`conda-pypi-map` cannot be `true`",
            problems.value(path),
            help="`false` disables the mapping, a table configures it",
        )
        return None
    outer = table.table("conda-pypi-map", "a table or `false`")
    if outer is None:
        return None
    if not outer.data:
        problems.warn(
            "deprecated",
            "`conda-pypi-map = {}` is deprecated",
            problems.value(path),
            help='write `false` to disable all mapping, or `{ conda-forge = { mapping-mode = "replace" } }`',
        )
    found: dict[str, MappingEntry] = {}
    for channel in outer.data:
        complaint = channel_problem(channel)
        if complaint is not None:
            problems.error("channel", complaint, problems.key(outer.at(channel)))
        entry = _read_map_entry(outer, channel)
        if entry is not None:
            found[channel] = entry
    return MappingProxyType(found)


def _read_map_entry(outer: Table, channel: str) -> MappingEntry | None:
    value = outer.take(channel)
    problems = outer.problems
    if value is False:
        return False
    if isinstance(value, str):
        return MappingProxyType({"location": value})
    if value is True:
        problems.error(
            "value",
            "the mapping of a channel cannot be `true`",
            problems.value(outer.at(channel)),
            help="`false` disables it, a string or a table says where it is",
        )
        return None
    table = outer.table(channel, "a string, a table or `false`")
    if table is None:
        return None
    location = table.string("location")
    mapping = _read_mapping(table)
    mode = table.choice("mapping-mode", ("overlay", "replace"))
    heuristic = table.boolean("same-name-heuristic")
    table.finish()
    if not table.data:
        problems.error(
            "value",
            "an empty table says nothing of the mapping",
            table.place,
            help="give `location`, `mapping`, `mapping-mode` or `same-name-heuristic`; `false` disables the mapping",
        )
        return None
    options = {"location": location, "mapping": mapping, "mapping-mode": mode, "same-name-heuristic": heuristic}
    return MappingProxyType({key: each for key, each in options.items() if each is not None})


def _read_mapping(outer: Table) -> Mapping[str, tuple[str, ...]] | None:
    table = outer.table("mapping")
    if table is None:
        return None
    found: dict[str, tuple[str, ...]] = {}
    for name in table.data:
        value = table.take(name)
        if value is False:
            found[name] = ()
        elif isinstance(value, str):
            found[name] = (value,)
        elif isinstance(value, list):
            found[name] = table.strings(name) or ()
        elif value is True:
            table.problems.error(
                "value",
                "the mapping of a package cannot be `true`",
                table.problems.value(table.at(name)),
                help="give the name on PyPI, several names, or `false` if it is not there",
            )
        else:
            table.wrong_type(table.at(name), "a string, an array of strings or `false`", value)
    return MappingProxyType(found)


def read_cutoffs(table: Table, key: str, name: re.Pattern[str]) -> Mapping[str, str]:
    """``exclude-newer`` and ``pypi-exclude-newer`` at the root: cut-offs by name of package."""
    cutoffs = table.table(key)
    if cutoffs is None:
        return MappingProxyType({})
    found: dict[str, str] = {}
    for written in cutoffs.data:
        value = cutoffs.parsed(written, exclude_newer_problem)
        if not name.fullmatch(written):
            cutoffs.problems.error(
                "package-name",
                f"`{written}` is not the name of a package",
                cutoffs.problems.key(cutoffs.at(written)),
            )
        elif value is not None:
            found[written.lower()] = value
    return MappingProxyType(found)
