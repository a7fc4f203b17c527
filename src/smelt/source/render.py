"""From a package to its rendered variants: the backend's recipe, rendered for every combination of variant values.

What was rendered once is kept by content under ``<smelt cache>/render``, so that an unchanged workspace is checked
without rattler-build.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import cast

from smelt.errors import Label, NotSupportedError, SmeltError, SourceError
from smelt.manifest.document import LazyPlace
from smelt.source.backends.interface import Backend, BackendRecipe, literal_pattern
from smelt.source.backends.registry import NATIVE, backend_of
from smelt.source.engine import RecipeInput, RecipeOutput, condition_problem
from smelt.source.model import RenderedVariant, RenderRequest, Staging
from smelt.source.pins import subpackage_text
from smelt.source.profile import with_profile
from smelt.source.rendered import cached_outputs, recipe_digest
from smelt.source.requirement import apply_variant, is_template, requirement_name
from smelt.source.script import with_explicit_script
from smelt.source.variants import PROFILE_KEY, merge_variants
from smelt.types import NOARCH, SourceLocation
from smelt.workspace.package import Package

_Item = str | Mapping[str, object]


def render(request: RenderRequest) -> tuple[RenderedVariant, ...]:
    """Every output of the package for every combination of the variant values that it uses.

    In the order of ``request.variants``: combinations of values that are listed first come first. Variants that the
    recipe skips are there with ``skip``. Raises SourceError and NotSupportedError.
    """
    backend = backend_of(request.package)
    if backend is None:
        from smelt.source.protocol.outputs import render_foreign

        return render_foreign(request)
    recipe = _recipe(backend, request)
    profile = request.profile.name if request.profile is not None else None
    engine = RecipeInput(
        recipe=recipe.recipe,
        path=recipe.recipe_path,
        subdir=request.subdir,
        build_subdir=request.build_subdir,
        defaults=merge_variants(recipe.variants),
        files=recipe.variant_files,
        variants=merge_variants(request.variants, {PROFILE_KEY: (profile,)} if profile is not None else {}),
        zip_keys=request.zip_keys,
        use_keys=(PROFILE_KEY,) if profile is not None else (),
        experimental=recipe.experimental,
        v3=recipe.v3,
    )
    try:
        outputs = cached_outputs(engine, recipe_digest(engine))
    except SourceError as error:
        raise _condition_error(request.package) or error from error
    outputs = _numbered(outputs, request)
    variants = [_variant(output, outputs, request, backend, recipe) for output in outputs]
    return tuple(sorted(variants, key=lambda variant: _rank(variant, engine.variants)))


def _recipe(backend: Backend, request: RenderRequest) -> BackendRecipe:
    """What ``backend`` makes of the package. One that an installed package brings may give anything, or raise it."""
    try:
        recipe = cast("object", backend.recipe(request))
    except SmeltError:
        raise
    except Exception as error:
        if backend.name in NATIVE:
            raise
        raise _misbehaves(backend, request, f"failed: {type(error).__name__}: {error}") from error
    if not isinstance(recipe, BackendRecipe):
        raise _misbehaves(backend, request, f"gave a {type(recipe).__name__}, no BackendRecipe")
    return recipe


def _condition_error(package: Package) -> SourceError | None:
    """That a condition in the package's table cannot be read; None where all of them can."""
    for condition in package.target_requirements:
        problem = condition_problem(condition)
        if problem is not None:
            place = package.backend.place
            if isinstance(place, LazyPlace):
                tables = ("run-dependencies", "host-dependencies", "build-dependencies", "run-constraints")
                place = place.nearby(*((table, f"if({condition})") for table in tables), up=2)
            return SourceError(
                f"invalid selector expression `{condition}`: {problem}",
                code="package-condition",
                labels=[Label(place=place)] if place is not None else [],
                help="conditions may use linux, osx, win, unix, host_platform, build_platform and build variants, "
                "and, or, not, == and !=",
            )
    return None


def _misbehaves(backend: Backend, request: RenderRequest, problem: str) -> SourceError:
    place = request.package.backend.place
    return SourceError(
        f"the backend `{backend.name}` {backend.version} {problem}",
        code="backend-plugin",
        labels=[Label(place=place)] if place is not None else [],
        help="tell whoever keeps the Python package that brings it",
    )


def _rank(variant: RenderedVariant, values: Mapping[str, tuple[str, ...]]) -> list[int]:
    """Where a variant stands among those of one package: by the position of its values, key by key."""
    return [values[key].index(variant.variant[key]) if variant.variant.get(key) in values[key] else 0 for key in values]


# --- the cache ---------------------------------------------------------------------------------------------------


# --- from an output to a variant ---------------------------------------------------------------------------------


def _numbered(outputs: Sequence[RecipeOutput], request: RenderRequest) -> tuple[RecipeOutput, ...]:
    """Outputs with the package table's build number and prefix in their build strings.

    Like the reference, only where the recipe leaves the build string to rattler-build.
    """
    from dataclasses import replace

    number, prefix = request.package.build_number, request.package.build_string_prefix
    if number is None and prefix is None:
        return tuple(outputs)
    renamed: dict[tuple[str, str], str] = {}
    changed: list[RecipeOutput] = []
    for output in outputs:
        build, own = output.build, output.build_number
        if build.endswith(f"_{own}"):
            own = own if number is None else number
            build = f"{prefix + '_' if prefix else ''}{build.rpartition('_')[0]}_{own}"
        renamed[output.name, output.build] = build
        recipe = {**output.recipe, "build": {**output.recipe["build"], "number": own, "string": build}}
        changed.append(replace(output, build=build, build_number=own, recipe=recipe))
    return tuple(
        replace(
            output,
            subpackages={
                name: (version, renamed.get((name, build), build))
                for name, (version, build) in output.subpackages.items()
            },
        )
        for output in changed
    )


def _variant(
    output: RecipeOutput,
    outputs: Sequence[RecipeOutput],
    request: RenderRequest,
    backend: Backend,
    recipe: BackendRecipe,
) -> RenderedVariant:
    rendered = with_explicit_script(output.recipe, recipe.folder, request.build_subdir)
    if request.package.secrets:
        rendered = _with_secrets(rendered, request.package.secrets)
    if request.profile is not None:
        rendered = with_profile(rendered, request.profile, request.build_subdir, output.name)
    requirements = _table(rendered, "requirements")
    variant = {key: _value(value) for key, value in output.variant.items()}
    siblings = {each.name for each in outputs if each.name != output.name}
    versions = {each.name: (each.version, each.build) for each in outputs}
    versions |= {name.lower(): found for name, found in output.subpackages.items()}
    versions[output.name] = (output.version, output.build)
    written = _written(recipe)

    def items(kind: str, *, build_time: bool) -> tuple[_Item, ...]:
        found = cast("list[_Item]", requirements.get(kind) or [])
        texts = written.get(kind, ())
        if len(texts) == len(found):
            # rattler-build's own text of a requirement loses where its channel is.
            found = [mine if mine is not None else theirs for mine, theirs in zip(texts, found, strict=True)]
        resolved = [_resolved(item, versions, output) for item in found]
        if build_time:
            resolved = [apply_variant(item, variant) for item in resolved]
        return tuple(_without_star(item, sources) for item in resolved)

    staged = _staged(rendered, output)

    def staged_items(kind: str) -> tuple[_Item, ...]:
        found = cast("list[_Item]", _table(staged, "requirements").get(kind) or [])
        resolved = [apply_variant(_resolved(item, versions, output), variant) for item in found]
        return tuple(_without_star(item, sources) for item in resolved)

    sources = dict(recipe.source_requirements)
    every = [item for kind in ("build", "host", "run") for item in cast("list[_Item]", requirements.get(kind) or [])]
    every += [
        i for kind in ("build", "host") for i in cast("list[_Item]", _table(staged, "requirements").get(kind) or [])
    ]
    for name in sorted({requirement_name(item) for item in every} & siblings):
        sources.setdefault(name, SourceLocation(path="."))
    ignored = _table(requirements, "ignore_run_exports")
    exports = _table(requirements, "run_exports")
    about = _table(rendered, "about")
    license_, family = about.get("license"), about.get("license_family")
    build, host = items("build", build_time=True), items("host", build_time=True)
    staging = None
    if staged:
        filtered = _table(_table(staged, "requirements"), "ignore_run_exports")
        staging = Staging(
            name=str(staged["name"]),
            build=staged_items("build"),
            host=staged_items("host"),
            own_build=build,
            own_host=host,
            ignored_by_name=tuple(name.lower() for name in cast("list[str]", filtered.get("by_name") or [])),
            ignored_from=tuple(name.lower() for name in cast("list[str]", filtered.get("from_package") or [])),
            inherits_exports=_table(rendered, "inherits_from").get("inherit_run_exports") is not False,
            variant={key: value for key, value in variant.items() if output.staged is None or key in output.staged},
        )
        build, host = _united(build, staging.build), _united(host, staging.host)
    return RenderedVariant(
        name=output.name,
        version=output.version,
        build=output.build,
        build_number=output.build_number,
        subdir=NOARCH if output.noarch is not None else request.subdir,
        noarch=output.noarch,
        variant=variant,
        build_requirements=build,
        host_requirements=host,
        run_requirements=items("run", build_time=False),
        run_constraints=items("run_constraints", build_time=False),
        run_exports={
            key.replace("constraints", "constrains"): tuple(_resolved(item, versions, output) for item in found)
            for key, found in cast("Mapping[str, list[_Item]]", exports).items()
            if found
        },
        ignore_run_exports_by_name=tuple(cast("list[str]", ignored.get("by_name") or [])),
        ignore_run_exports_from=tuple(cast("list[str]", ignored.get("from_package") or [])),
        license=str(license_) if license_ is not None else None,
        license_family=str(family) if family is not None else None,
        recipe=rendered,
        recipe_folder=recipe.folder,
        backend=backend.name,
        backend_version=backend.version,
        source_requirements={
            name: location
            for name, location in sorted(sources.items())
            if any(requirement_name(item) == name for item in every)
        },
        script_env=_script_env(rendered),
        file_globs=_file_globs(recipe, rendered, request, output.name),
        skip=output.skip,
        staging=staging,
        build_tree=recipe.build_tree,
    )


def _staged(rendered: Mapping[str, object], output: RecipeOutput) -> Mapping[str, object]:
    """The staging output that ``rendered`` inherits; empty where there is none."""
    caches = cast("list[Mapping[str, object]]", rendered.get("staging_caches") or [])
    wanted = _table(rendered, "inherits_from").get("cache_name")
    found = [cache for cache in caches if cache.get("name") == wanted]
    if len(caches) != len(found):
        raise NotSupportedError(
            f"`{output.name}` inherits from several staging outputs, which is not supported yet",
            help="let it inherit from one",
        )
    return found[0] if found else {}


def _united(own: tuple[_Item, ...], more: tuple[_Item, ...]) -> tuple[_Item, ...]:
    return (*own, *(item for item in more if item not in own))


def _with_secrets(recipe: Mapping[str, object], names: Sequence[str]) -> dict[str, object]:
    """A recipe whose scripts see these variables of the user; their values are no part of it."""
    found = dict(recipe)
    caches = cast("list[Mapping[str, object]]", recipe.get("staging_caches") or [])
    if caches:
        found["staging_caches"] = [_with_secrets(cache, names) for cache in caches]
    build = dict(_table(recipe, "build"))
    if "steps" not in build:
        script = dict(_table(build, "script"))
        own = cast("list[str]", script.get("secrets") or [])
        found["build"] = {**build, "script": {**script, "secrets": list(dict.fromkeys([*own, *names]))}}
    return found


def _written(recipe: BackendRecipe) -> dict[str, tuple[str | None, ...]]:
    """The requirements as a generated recipe writes them, None for templates; nothing for a recipe of the user's."""
    if isinstance(recipe.recipe, str):
        return {}
    requirements = _table(recipe.recipe, "requirements")
    return {
        kind: tuple(
            item if isinstance(item, str) and not is_template(item) else None
            for item in cast("list[object]", requirements.get(kind) or [])
        )
        for kind in ("build", "host", "run", "run_constraints")
    }


def _resolved(item: _Item, versions: Mapping[str, tuple[str, str]], output: RecipeOutput) -> _Item:
    """A requirement with a pin on an output of the same recipe applied."""
    if isinstance(item, str):
        return item
    pin = item.get("pin_subpackage")
    if not isinstance(pin, Mapping):
        return item
    pin = cast("Mapping[str, object]", pin)
    name = str(pin.get("name", "")).lower()
    found = versions.get(name)
    if found is None:
        raise SourceError(
            f"`{output.name}` pins the subpackage `{name}`, which is no output of its recipe",
            code="invalid-pin",
            help="use `pin_compatible` for a package that is a host requirement",
        )
    return subpackage_text(pin, *found)


def _without_star(item: _Item, sources: Mapping[str, SourceLocation]) -> _Item:
    """``name *`` of a source package, which only keeps variants away, as the bare name."""
    if isinstance(item, str) and item.endswith(" *") and item[:-2].lower() in sources:
        return item[:-2]
    return item


def _file_globs(
    recipe: BackendRecipe, rendered: Mapping[str, object], request: RenderRequest, name: str
) -> tuple[str, ...]:
    """What the backend says; of a recipe in a folder of its own, only that folder and its path sources count."""
    folders = [recipe.folder]
    for part in (rendered, *cast("list[Mapping[str, object]]", rendered.get("staging_caches") or [])):
        for source in cast("list[Mapping[str, object]]", part.get("source") or []):
            path = source.get("path")
            if not isinstance(path, str):
                continue
            if PurePosixPath(path).is_absolute() or Path(path).is_absolute():
                raise SourceError(
                    f"the recipe of `{name}` has a source with the absolute path `{path}`",
                    code="recipe",
                    help="make it relative to the recipe: a build must not depend on where things are",
                )
            folders.append(Path(os.path.normpath(recipe.folder / path)))
    checkout = request.checkout.folder
    inside = [folder for folder in dict.fromkeys(folders) if folder.is_relative_to(checkout)]
    if checkout in inside or recipe.folder not in inside:
        return recipe.file_globs
    places = [literal_pattern(folder.relative_to(checkout).as_posix()) for folder in inside]
    return ("!*", *(f"&/{place}" for place in places), *recipe.file_globs)


def _script_env(rendered: Mapping[str, object]) -> dict[str, str]:
    script = _table(rendered, "build").get("script")
    if not isinstance(script, Mapping):
        return {}
    env = _table(cast("Mapping[str, object]", script), "env")
    return {key: str(value) for key, value in env.items()}


def _table(data: Mapping[str, object], key: str) -> Mapping[str, object]:
    return cast("Mapping[str, object]", data.get(key) or {})


def _value(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
