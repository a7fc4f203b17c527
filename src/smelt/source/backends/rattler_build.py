"""``pixi-build-rattler-build``: packages that bring their own ``recipe.yaml``.

Source: the reference's page "pixi-build-rattler-build".
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from smelt.errors import Label, NotSupportedError, SourceError
from smelt.manifest.document import LazyPlace
from smelt.source.backends.configuration import Configuration, configuration_of
from smelt.source.backends.interface import BackendRecipe, literal_pattern
from smelt.source.model import MANIFESTS, RenderRequest
from smelt.source.requirement import needs_v3
from smelt.types import SourceLocation
from smelt.workspace.package import PackageRequirements, Pin, Requirement
from smelt.workspace.requirements import requirements_for

NAME = "pixi-build-rattler-build"
VERSION = "1"

_KEYS = ("debug-dir", "extra-input-globs", "experimental", "recipe")
_RECIPES = ("recipe.yaml", "recipe.yml", "recipe/recipe.yaml", "recipe/recipe.yml")
_VARIANTS = "variants.yaml"


class RattlerBuildBackend:
    """The backend for recipes."""

    name = NAME
    version = VERSION

    def recipe(self, request: RenderRequest) -> BackendRecipe:
        """The recipe as it is in the package's folder.

        Raises SourceError: no recipe, requirements in the package table that belong into the recipe, bad
        configuration; NotSupportedError for a recipe outside the package.
        """
        configuration = configuration_of(request, NAME, _KEYS)
        path = _recipe_path(request, configuration)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SourceError(f"cannot read `{path}`: {error}", code="recipe") from error
        folder = path.parent
        beside = [folder / _VARIANTS]
        if folder != request.checkout.folder:
            beside.append(request.checkout.folder / _VARIANTS)
        return BackendRecipe(
            recipe=text,
            recipe_path=path,
            folder=folder,
            file_globs=(
                *MANIFESTS,
                *_definitions(request.checkout.folder, (path, *beside)),
                *(configuration.texts("extra-input-globs") or ()),
            ),
            variant_files=tuple(each for each in beside if each.is_file()),
            source_requirements=_source_requirements(request),
            experimental=configuration.boolean("experimental") or False,
            v3=needs_v3(text) or _says_flags(text),
            warnings=("`debug-dir` has no effect and may be removed",) if "debug-dir" in configuration.values else (),
        )


def _definitions(folder: Path, paths: Iterable[Path]) -> Iterator[str]:
    """Globs that keep the recipe and its variants away from the build: they are read here, what they say counts.

    A build that does read its recipe names it in ``extra-input-globs``.
    """
    for path in dict.fromkeys(paths):
        if path.is_relative_to(folder):
            yield f"!/{literal_pattern(path.relative_to(folder).as_posix())}"


def _recipe_path(request: RenderRequest, configuration: Configuration) -> Path:
    package = request.package
    said = configuration.text("recipe")
    if said is not None:
        path = Path(os.path.normpath(request.checkout.folder / said))
        if not path.is_file():
            raise configuration.error("recipe", f"names a file that is not there: {path}")
        return path
    if package.manifest_path.name in ("recipe.yaml", "recipe.yml"):
        return package.manifest_path
    for name in _RECIPES:
        if (package.manifest_path.parent / name).is_file():
            return package.manifest_path.parent / name
    raise SourceError(
        f"package `{package.name or package.root.name}` has no recipe",
        code="recipe-missing",
        labels=_labels(request),
        help=f"write one of {', '.join(_RECIPES)} in {package.manifest_path.parent}, "
        "or name it with `recipe` in `[package.build.config]`",
    )


def _source_requirements(request: RenderRequest) -> dict[str, SourceLocation]:
    """The package table may only say where source packages are; everything else is the recipe's."""
    tables = requirements_for(request.package, request.subdir, build_subdir=request.build_subdir, keep_conditions=True)
    found: dict[str, SourceLocation] = {}
    for each in (tables, *tables.conditional.values()):
        found |= _source_requirements_in(each, request)
    return found


def _place_of(name: str, request: RenderRequest) -> list[Label]:
    """Where the package table has the requirement ``name``."""
    place = request.package.backend.place
    if not isinstance(place, LazyPlace):
        return _labels(request)
    tables = ("host-dependencies", "build-dependencies", "run-dependencies")
    conditions = [(), *((f"if({condition})",) for condition in request.package.target_requirements)]
    return [Label(place=place.nearby(*((table, *c, name) for table in tables for c in conditions), up=2))]


def _source_requirements_in(tables: PackageRequirements, request: RenderRequest) -> dict[str, SourceLocation]:
    if tables.run_exports:
        raise _misplaced(request, "`[package.run-exports]`", "`requirements.run_exports` of the recipe")
    if tables.extra:
        raise NotSupportedError(
            f"package `{request.package.name}` has extra dependency groups, which are not supported yet",
            labels=_labels(request),
            help="remove `[package.extra-dependencies]`",
        )
    found: dict[str, SourceLocation] = {}
    kinds: tuple[Mapping[str, Requirement], ...] = (tables.build, tables.host, tables.run)
    for table in kinds:
        for name, spec in table.items():
            if isinstance(spec, Pin):
                raise _misplaced(request, f"the pin on `{name}`", "the recipe, as a Jinja function")
            if spec.location is None:
                raise SourceError(
                    f"package `{request.package.name or request.package.root.name}` has the requirement `{name}` in "
                    "its manifest, and a recipe",
                    code="requirement-misplaced",
                    labels=_place_of(name, request),
                    help="Please specify all binary dependencies in the recipe: the manifest only says where the "
                    "sources of source packages are",
                )
            found[name.lower()] = spec.location
    return found


def _misplaced(request: RenderRequest, what: str, where: str) -> SourceError:
    return SourceError(
        f"{what} of package `{request.package.name or request.package.root.name}` does not belong into its manifest",
        code="requirement-misplaced",
        labels=_labels(request),
        help=f"move it into {where}",
    )


def _labels(request: RenderRequest) -> list[Label]:
    place = request.package.backend.place or request.package.place
    return [Label(place=place)] if place is not None else []


def _says_flags(text: str) -> bool:
    """Whether a recipe may use ``build.flags`` or ``requirements.extras``, which only version 3 has."""
    return any(line.strip().startswith(("flags:", "extras:")) for line in text.splitlines())
