"""Build variants: those of the manifest, those that the platform implies, and those of variant files.

Source: the reference's page "Build Variants", its manifest page ("build-variants", "build-variants-files"), and
rattler-build's page "Variant configuration".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from smelt.errors import ManifestError
from smelt.manifest.platform import selects
from smelt.manifest.workspace import TomlWorkspace, Variants
from smelt.text import shown_path
from smelt.types import platform_family
from smelt.workspace.condition import PlatformContext, decide
from smelt.workspace.model import WorkspacePlatform


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantFile:
    """What a variant file says. ``zip_keys``: groups of keys whose values go together, the first with the first."""

    values: Mapping[str, tuple[str, ...]]
    zip_keys: tuple[tuple[str, ...], ...] = ()


def variants_of(
    workspace: TomlWorkspace,
    platform: WorkspacePlatform,
    channels: Iterable[str],
    files: Sequence[VariantFile],
) -> Variants:
    """The build variants on ``platform``.

    ``channels``: base URLs of all channels of the workspace; ``files``: what the variant files say, first wins.
    """
    found: dict[str, tuple[str, ...]] = {}
    targets = [
        variants
        for selector, variants in workspace.target_variants.items()
        if selects(selector, platform.name, platform.subdir)
    ]
    for variants in (*reversed(targets), workspace.build_variants):
        for key, values in variants.items():
            found.setdefault(key, values)
    for key, value in _stdlib(platform, channels):
        found.setdefault(key, (value,))
    for file in files:
        for key, values in file.values.items():
            found.setdefault(key, values)
    return found


def zip_keys_of(variants: Variants, files: Sequence[VariantFile]) -> tuple[tuple[str, ...], ...]:
    """The groups of keys that go together, of all variant files; a key is in one group, the first that names it.

    A group of which the workspace replaces one key by another number of values no longer goes together.
    """
    found: list[tuple[str, ...]] = []
    for group in (group for file in files for group in file.zip_keys):
        taken = any(key in other for key in group for other in found)
        lengths = {len(variants[key]) if key in variants else 0 for key in group}
        if not taken and len(lengths) == 1 and 0 not in lengths:
            found.append(group)
    return tuple(found)


def _stdlib(platform: WorkspacePlatform, channels: Iterable[str]) -> list[tuple[str, str]]:
    """``c_stdlib`` as the virtual packages of the platform imply it; the providers are conda-forge's."""
    if not any(channel.rstrip("/").rpartition("/")[2] == "conda-forge" for channel in channels):
        return []
    family = platform_family(platform.subdir)
    if family not in ("linux", "osx"):
        return []
    wanted, provider = ("__osx", "macosx_deployment_target") if family == "osx" else ("__glibc", "sysroot")
    for package in platform.virtual_packages:
        if package.name == wanted:
            version = ".".join(package.version.split(".")[:2])
            return [("c_stdlib", provider), ("c_stdlib_version", version)]
    return []


def read_variant_file(path: Path, subdir: str) -> VariantFile:
    """What a variant file says for conda platform ``subdir``.

    Raises ManifestError: missing, not YAML, not a table of lists, ``zip_keys`` whose keys have different numbers of
    values. Of a group, keys without values on this platform are left out.
    """
    shown = shown_path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ManifestError(f"could not find the variant file {shown}", code="manifest-missing-file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"could not read the variant file {shown}: {error}", code="manifest-unreadable") from error
    if path.name == "conda_build_config.yaml":
        text = _select_lines(text, subdir)
    data = _load_yaml(text, shown)
    if data is None:
        return VariantFile(values={})
    if not isinstance(data, dict):
        raise ManifestError(f"the variant file {shown} is not a table", code="manifest-variants")
    found: dict[str, tuple[str, ...]] = {}
    groups: list[tuple[str, ...]] = []
    for key, value in cast("dict[object, object]", data).items():
        if key == "zip_keys":
            groups = _groups(value, shown)
            continue
        if key in ("pin_run_as_build", "extend_keys", "ignore_version", "ignore_build_only_deps"):
            continue
        values = _values(value, PlatformContext(host=subdir, build=subdir), shown, str(key))
        if values:
            found[str(key)] = values
    return VariantFile(values=found, zip_keys=_zipped(groups, found, shown))


def _groups(value: object, shown: str) -> list[tuple[str, ...]]:
    groups: list[tuple[str, ...]] = []
    for group in cast("list[object]", value) if isinstance(value, list) else [value]:
        if group is None:
            continue
        keys = cast("list[object]", group) if isinstance(group, list) else None
        if keys is None or not all(isinstance(key, str) for key in keys):
            raise ManifestError(
                f"`zip_keys` of the variant file {shown} is no list of lists of keys",
                code="manifest-variants",
                help="write `zip_keys: [[python, numpy]]`",
            )
        groups.append(tuple(str(key) for key in keys))
    return groups


def _zipped(
    groups: Sequence[tuple[str, ...]], values: Mapping[str, tuple[str, ...]], shown: str
) -> tuple[tuple[str, ...], ...]:
    found: list[tuple[str, ...]] = []
    for group in groups:
        present = tuple(key for key in group if key in values)
        if len({len(values[key]) for key in present}) > 1:
            counts = ", ".join(f"`{key}` has {len(values[key])}" for key in present)
            raise ManifestError(
                f"the variant file {shown} ties keys together that have different numbers of values: {counts}",
                code="manifest-variants",
                help="give each of them as many values, or take the group out of `zip_keys`",
            )
        if len(present) > 1:
            found.append(present)
    return tuple(found)


def _load_yaml(text: str, shown: str) -> object:
    import ryaml

    try:
        return cast("object", ryaml.loads(text))  # pyright: ignore[reportPrivateImportUsage]
    except ValueError as error:
        raise ManifestError(f"the variant file {shown} is not valid YAML: {error}", code="manifest-variants") from None


def _values(value: object, context: PlatformContext, shown: str, key: str) -> tuple[str, ...]:
    items = cast("list[object]", value) if isinstance(value, list) else [value]
    found: list[str] = []
    for item in items:
        if isinstance(item, dict):
            entry = cast("dict[object, object]", item)
            condition = entry.get("if")
            holds = decide(str(condition), context) if condition is not None else None
            if holds is None:
                raise ManifestError(
                    f"the variant file {shown} has an entry of `{key}` that cannot be decided", code="manifest-variants"
                )
            branch = entry.get("then" if holds else "else")
            if branch is not None:
                found += _values(branch, context, shown, key)
        elif item is not None:
            found.append(_text(item))
    return tuple(found)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


_SELECTOR = re.compile(r"#\s*\[(.+)\]\s*$")


def _select_lines(text: str, subdir: str) -> str:
    """conda-build's line selectors: a line that ends in ``# [linux]`` stays where that holds."""
    architecture = subdir.partition("-")[2]
    names = {
        "linux64": subdir == "linux-64",
        "win64": subdir == "win-64",
        "osx64": subdir == "osx-64",
        "x86_64": architecture == "64",
        "x86": architecture in ("64", "32"),
        "arm64": architecture == "arm64",
        "aarch64": architecture == "aarch64",
        "ppc64le": architecture == "ppc64le",
    }
    lines: list[str] = []
    for line in text.split("\n"):
        found = _SELECTOR.search(line)
        if found is None:
            lines.append(line)
            continue
        condition = re.sub(r"[A-Za-z_]\w*", lambda name: str(names.get(name.group(), name.group())), found.group(1))
        if decide(condition, PlatformContext(host=subdir, build=subdir)) is not False:
            lines.append(line)
    return "\n".join(lines)
