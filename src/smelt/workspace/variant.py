"""Build variants: those of the manifest, those that the platform implies, and those of variant files.

Source: the reference's page "Build Variants", its manifest page ("build-variants", "build-variants-files"), and
rattler-build's page "Variant configuration".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import cast

from smelt.errors import ManifestError, NotSupportedError
from smelt.manifest.document import shown_path
from smelt.manifest.platform import selects
from smelt.manifest.workspace import TomlWorkspace, Variants
from smelt.types import platform_family
from smelt.workspace.condition import PlatformContext, decide
from smelt.workspace.model import WorkspacePlatform


def variants_of(
    workspace: TomlWorkspace,
    platform: WorkspacePlatform,
    channels: Iterable[str],
    files: Sequence[Mapping[str, tuple[str, ...]]],
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
    for variants in files:
        for key, values in variants.items():
            found.setdefault(key, values)
    return found


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


def read_variant_file(path: Path, subdir: str) -> dict[str, tuple[str, ...]]:
    """What a variant file says for conda platform ``subdir``.

    Raises ManifestError (missing, not YAML, not a table of lists) and NotSupportedError (``zip_keys``, which tie
    keys together).
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
        return {}
    if not isinstance(data, dict):
        raise ManifestError(f"the variant file {shown} is not a table", code="manifest-variants")
    found: dict[str, tuple[str, ...]] = {}
    for key, value in cast("dict[object, object]", data).items():
        if key == "zip_keys":
            if value:
                raise NotSupportedError(
                    f"the variant file {shown} has `zip_keys`, which smelt does not support yet",
                    help="list the combinations that are wanted in `workspace.build-variants`",
                )
            continue
        if key in ("pin_run_as_build", "extend_keys", "ignore_version", "ignore_build_only_deps"):
            continue
        values = _values(value, PlatformContext(host=subdir, build=subdir), shown, str(key))
        if values:
            found[str(key)] = values
    return found


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
