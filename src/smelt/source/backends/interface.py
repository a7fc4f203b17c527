"""What a backend is.

A package on PyPI can bring a backend of its own under the entry-point group ``smelt.backends``: the name of the
entry point is what ``package.build.backend`` says, and it loads an object (not a class) with this interface.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from smelt.source.model import MANIFESTS, RenderRequest
from smelt.types import SourceLocation


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendRecipe:
    """A rattler-build recipe and what rendering it needs.

    ``recipe``: the recipe as plain data in the schema of ``recipe.yaml``, or the text of a ``recipe.yaml``.
    ``recipe_path``: the file that messages point at, and beside which Jinja functions find files.
    ``folder``: what relative paths in the recipe refer to; where it is a folder inside the checkout, only it and the
    recipe's path sources are inputs of the build. ``file_globs`` add and remove inputs (see ``smelt.source.tree``;
    relative to the checkout). ``variants``: the backend's defaults; ``variant_files``: files that override them
    (``variants.yaml``, ``conda_build_config.yaml``), in order; the workspace's values override both.
    ``source_requirements``: requirements that are source packages, with locations relative to the package's root.
    ``build_tree``: the folder, relative to the source, in which the build leaves what it may go on with.
    ``experimental``/``v3``: rattler-build's switches of these names. ``warnings``: for the user.
    """

    recipe: Mapping[str, object] | str = field(hash=False)
    recipe_path: Path
    folder: Path
    file_globs: tuple[str, ...] = MANIFESTS
    variants: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    variant_files: tuple[Path, ...] = ()
    source_requirements: Mapping[str, SourceLocation] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    build_tree: str | None = None
    experimental: bool = False
    v3: bool = False
    warnings: tuple[str, ...] = ()


class Backend(Protocol):
    """Turns a package into a recipe: a pure function of the request and of the files in its checkout.

    It runs no code of the project, and what it gives depends neither on the machine nor on its environment.
    """

    @property
    def name(self) -> str:
        """The name in ``package.build.backend``."""
        ...

    @property
    def version(self) -> str:
        """Changes whenever the same request may give another recipe; part of every build key."""
        ...

    def recipe(self, request: RenderRequest) -> BackendRecipe:
        """The recipe. Raises SourceError, NotSupportedError."""
        ...


def literal_pattern(path: str) -> str:
    """``path`` as a pattern that matches nothing else (see ``smelt.source.tree``)."""
    return re.sub(r"([\\*?\[\]!#{}& ])", r"\\\1", path)
