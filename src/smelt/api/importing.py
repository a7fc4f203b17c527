"""Files of other tools: conda's ``environment.yml`` and pip's ``requirements.txt``."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import cast

from smelt.errors import SmeltError, UsageError
from smelt.manifest.pypi import PypiRequirement, parse_requirement
from smelt.solve.specification import parse_spec
from smelt.text import shown_path
from smelt.types import CondaSpec


class ImportingError(SmeltError):
    """A file that cannot be imported."""

    code = "import"


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What a file asks for.

    ``channels`` may be empty: then it relies on the defaults. ``warnings``: what of it was left out.
    """

    name: str | None = None
    channels: tuple[str, ...] = ()
    dependencies: tuple[tuple[str, CondaSpec], ...] = ()
    requirements: tuple[PypiRequirement, ...] = ()
    variables: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    warnings: tuple[str, ...] = ()


def read_environment_file(path: Path) -> Imported:
    """An ``environment.yml``. The channel ``defaults`` stands for ``main``, ``r`` and ``msys2``.

    Raises ImportingError (``import``), UsageError (``invalid-spec``).
    """
    import ryaml

    warnings: list[str] = []
    lines: list[str] = []
    for line in _read(path).splitlines():
        if "- sel(" in line:
            warnings.append(f"left out, because smelt has no `sel(…)`: {line.strip()}")
        else:
            lines.append(line)
    try:
        data = cast("object", ryaml.loads("\n".join(lines)))  # pyright: ignore[reportPrivateImportUsage]
    except ryaml.InvalidYamlError as error:  # pyright: ignore[reportPrivateImportUsage]
        raise ImportingError(f"{shown_path(path)} is not a conda environment file: {error}") from None
    if not isinstance(data, dict):
        raise ImportingError(f"{shown_path(path)} is not a conda environment file: it is not a mapping")
    entries = cast("dict[str, object]", data)
    listed = entries.get("dependencies")
    if not isinstance(listed, list):
        raise ImportingError(f"{shown_path(path)} is not a conda environment file: it has no list `dependencies`")
    dependencies: list[tuple[str, CondaSpec]] = []
    requirements: list[PypiRequirement] = []
    channels = _channels(entries.get("channels"), path)
    for item in cast("list[object]", listed):
        if isinstance(item, str):
            name, spec = parse_spec(item)
            if spec.channel is not None:
                channels.append(spec.channel)
            dependencies.append((name, spec))
        elif isinstance(item, dict) and set(cast("dict[str, object]", item)) == {"pip"}:
            for text in cast("dict[str, list[object] | None]", item)["pip"] or ():
                requirements.append(_requirement(str(text), path))
        else:
            raise ImportingError(f"{shown_path(path)}: `{item}` is neither a requirement nor `pip: […]`")
    name = entries.get("name")
    variables = entries.get("variables")
    return Imported(
        name=str(name) if name is not None else None,
        channels=tuple(dict.fromkeys(channels)),
        dependencies=tuple(dependencies),
        requirements=tuple(requirements),
        variables=MappingProxyType(
            {str(key): str(value) for key, value in cast("dict[object, object]", variables).items()}
            if isinstance(variables, dict)
            else {}
        ),
        warnings=tuple(warnings),
    )


def _channels(value: object, path: Path) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise ImportingError(f"{shown_path(path)}: `channels` is not a list")
    found: list[str] = []
    for channel in cast("list[object]", value):
        found += ["main", "r", "msys2"] if channel == "defaults" else [str(channel)]
    return found


def read_requirements_file(path: Path) -> Imported:
    """A ``requirements.txt`` with those that it includes (``-r``). Raises ImportingError (``import``)."""
    requirements: list[PypiRequirement] = []
    warnings: list[str] = []
    _read_requirements(path, requirements, warnings, ())
    return Imported(requirements=tuple(requirements), warnings=tuple(dict.fromkeys(warnings)))


def _read_requirements(
    path: Path, requirements: list[PypiRequirement], warnings: list[str], on_the_way: tuple[Path, ...]
) -> None:
    if path.resolve() in on_the_way:
        raise ImportingError(f"{shown_path(path)} includes itself")
    for line in _read(path).replace("\\\r\n", "").replace("\\\n", "").splitlines():
        text = line.partition(" #")[0].strip()
        if not text or text.startswith("#"):
            continue
        if not text.startswith("-"):
            requirements.append(_requirement(text.partition(" --")[0], path))
            continue
        words = shlex.split(text)
        option, value = words[0], words[1] if len(words) > 1 else ""
        if "=" in option:
            option, _, value = option.partition("=")
        if len(option) > 2 and not option.startswith("--"):
            option, value = option[:2], option[2:]
        if option in ("-r", "--requirement"):
            _read_requirements(path.parent / value, requirements, warnings, (*on_the_way, path.resolve()))
        elif option in ("-c", "--constraint"):
            warnings.append("Constraints detected: they are not supported and were left out")
        elif option in ("-e", "--editable"):
            raise ImportingError(f"{shown_path(path)}: `{text}` has no name", help="write `name @ path` instead")
        else:
            warnings.append(f"left out: the option `{option}`")


def _requirement(text: str, path: Path) -> PypiRequirement:
    parsed = parse_requirement(text, ())
    if not isinstance(parsed, PypiRequirement):
        raise ImportingError(f"{shown_path(path)}: {parsed}")
    return parsed


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UsageError(f"there is no file {shown_path(path)}", code="import") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ImportingError(f"{shown_path(path)} cannot be read: {error}") from error
