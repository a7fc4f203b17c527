"""What packages may inherit from their workspace (``workspace = true``).

Source: the reference's pages "Workspace Dependencies" and "The package section".
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from smelt.types import CondaSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceProperties:
    """The fields of ``[workspace]`` that a package can take over, and ``[workspace.dependencies]``.

    ``license_file`` and ``readme`` are absolute; paths in ``dependencies`` are relative to ``root``.
    """

    root: Path = field(default_factory=Path)
    name: str | None = None
    version: str | None = None
    description: str | None = None
    authors: tuple[str, ...] | None = None
    license: str | None = None
    license_file: Path | None = None
    readme: Path | None = None
    homepage: str | None = None
    repository: str | None = None
    documentation: str | None = None
    dependencies: Mapping[str, CondaSpec] = field(default_factory=lambda: MappingProxyType({}), hash=False)

    def dependency(self, name: str, folder: Path) -> CondaSpec | None:
        """The entry ``name`` of ``[workspace.dependencies]`` as it reads in a manifest in ``folder``, or None."""
        spec = self.dependencies.get(name)
        location = spec.location if spec is not None else None
        if spec is None or location is None or location.path is None:
            return spec
        return replace(spec, location=replace(location, path=rebase(location.path, self.root, folder)))


def rebase(path: str, origin: Path, folder: Path) -> str:
    """``path``, relative to ``origin``, as it reads from ``folder``; absolute and ``~`` paths stay."""
    if PurePosixPath(path).is_absolute() or Path(path).is_absolute() or path.startswith("~") or origin == folder:
        return path
    try:
        return Path(os.path.relpath(origin / path, folder)).as_posix()
    except ValueError:  # another drive: there is no relative path
        return (origin / path).as_posix()
