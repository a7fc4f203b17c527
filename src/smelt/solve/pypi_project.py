"""What a local Python project says of itself without being built.

Source: the ``[project]`` table (PyPA specification "pyproject.toml"); Core metadata 2.2 for what must be static.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from smelt.lock.pypi import LocalMetadata
from smelt.manifest.pypi import normalize_pypi_name


def read_project(folder: Path) -> LocalMetadata | None:
    """The metadata in ``folder/pyproject.toml``; None where requirements are only found by building (or not at all).

    A version that is only found by building is None in the answer.
    """
    import tomli

    try:
        data = tomli.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    project = data.get("project")
    if not isinstance(project, dict):
        return None
    table = cast("Mapping[str, object]", project)
    dynamic = table.get("dynamic", [])
    if not isinstance(table.get("name"), str) or not isinstance(dynamic, list):
        return None
    if any(key in dynamic for key in ("dependencies", "optional-dependencies", "requires-python")):
        return None
    required = _texts(table.get("dependencies", []))
    groups = table.get("optional-dependencies", {})
    if required is None or not isinstance(groups, dict):
        return None
    found = list(required)
    for extra, value in cast("Mapping[str, object]", groups).items():
        texts = _texts(value)
        if texts is None:
            return None
        found += [_with_extra(text, normalize_pypi_name(extra)) for text in texts]
    version, python = table.get("version"), table.get("requires-python")
    return LocalMetadata(
        version=version if isinstance(version, str) else None,
        requires_dist=tuple(found),
        requires_python=python if isinstance(python, str) else None,
    )


def project_files(folder: Path) -> tuple[Path, ...]:
    """The files that tell whether a local project has to be built again (as uv looks at them)."""
    return tuple(folder / name for name in ("pyproject.toml", "setup.py", "setup.cfg"))


def _texts(value: object) -> list[str] | None:
    if not isinstance(value, list):
        return None
    items = cast("Sequence[object]", value)
    return [item for item in items if isinstance(item, str)] if all(isinstance(item, str) for item in items) else None


def _with_extra(text: str, extra: str) -> str:
    head, mark, marker = text.partition(";")
    marker = marker.strip()
    if " or " in marker:
        marker = f"({marker})"
    own = f"extra == '{extra}'"
    return f"{head.strip()} ; {marker} and {own}" if mark and marker else f"{head.strip()} ; {own}"
