"""The adapter to rattler-build's renderer: the only module of this room that imports it.

Traps it hides: rendering gives duplicates for noarch outputs, does not tell of ``build.skip`` where the recipe has
one output only (of several, it leaves out what is skipped), and writes recipes that are data into a folder.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from smelt.errors import Label, SourceError
from smelt.source.variants import PROFILE_KEY
from smelt.text import Place, SourceText

_SKIP = "smelt_skip"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeInput:
    """What is rendered. ``recipe``: data, or the text of the file at ``path``. ``use_keys``: keys that always count.

    ``defaults`` < ``files`` < ``variants``: where variant values come from, the last wins.
    """

    recipe: Mapping[str, object] | str = field(hash=False)
    path: Path
    subdir: str
    build_subdir: str
    defaults: Mapping[str, tuple[str, ...]] = field(hash=False)
    files: tuple[Path, ...]
    variants: Mapping[str, tuple[str, ...]] = field(hash=False)
    zip_keys: tuple[tuple[str, ...], ...] = ()
    use_keys: tuple[str, ...] = ()
    experimental: bool = False
    v3: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeOutput:
    """One output for one variant. ``recipe`` is rattler-build's rendered recipe as plain data.

    ``subpackages``: version and build string of the outputs that it pins. ``variant`` holds the used keys; ``staged``
    those of them that the staging output uses which it inherits (None: it inherits none, or that cannot be told).
    """

    name: str
    version: str
    build: str
    build_number: int
    noarch: str | None
    variant: Mapping[str, str | int | bool] = field(hash=False)
    recipe: dict[str, Any] = field(hash=False)
    subpackages: Mapping[str, tuple[str, str]] = field(hash=False)
    skip: bool
    staged: tuple[str, ...] | None = None


@cache
def engine_version() -> str:
    """The version of rattler-build, without importing it (nor ``importlib.metadata``, half as slow)."""
    found = find_spec("rattler_build")
    if found is not None and found.origin is not None:
        for entry in os.scandir(Path(found.origin).parent.parent):
            name = entry.name
            if name.startswith("py_rattler_build-") and name.endswith(".dist-info"):
                return name.removeprefix("py_rattler_build-").removesuffix(".dist-info")
    from importlib.metadata import version

    return version("py-rattler-build")


def render_recipe(request: RecipeInput) -> tuple[RecipeOutput, ...]:
    """Every output for every combination of the variant values that it uses, without duplicates.

    Raises SourceError for what rattler-build does not accept, with the place where it tells one.
    """
    engine = _engine()
    try:
        with tempfile.TemporaryDirectory(prefix="smelt-render-") as scratch:
            return _Renderer(engine, request, Path(scratch)).outputs()
    except (engine.RattlerBuildError, engine.RecipeParseError, engine.VariantError, engine.JsonError) as error:
        raise _explained(error, request) from error


def condition_problem(condition: str) -> str | None:
    """What is wrong with a selector's expression; None where it can be read."""
    engine = _engine()
    requirements = {"run": [{"if": condition, "then": "a"}]}
    try:
        engine.Stage0Recipe.from_dict({"package": {"name": "a", "version": "1"}, "requirements": requirements})
    except (engine.RattlerBuildError, engine.RecipeParseError) as error:
        return str(error).rpartition("expression: ")[2].partition(" (in <")[0]
    return None


def _engine() -> Any:
    """rattler-build's Python package, whose compiled part has no types."""
    import rattler_build

    return rattler_build


class _Renderer:
    def __init__(self, engine: Any, request: RecipeInput, scratch: Path) -> None:
        self.engine = engine
        self.request = request
        self.scratch = scratch
        self.revision: Any = engine.RepodataRevision.V3 if request.v3 else engine.RepodataRevision.LEGACY
        self.platform: Any = engine.PlatformConfig(
            target_platform=request.subdir,
            build_platform=request.build_subdir,
            host_platform=request.subdir,
            experimental=request.experimental,
        )

    def outputs(self) -> tuple[RecipeOutput, ...]:
        request = self.request
        if isinstance(request.recipe, str):
            plain = self.engine.Stage0Recipe.from_file(request.path, repodata_revision=self.revision)
            data = cast("dict[str, Any]", plain.to_dict())
        else:
            data = json.loads(json.dumps(request.recipe))
            plain = None
        skips = _add_skip(data)
        _add_use_keys(data, request.use_keys)
        if plain is not None and not skips and not request.use_keys:
            return _distinct(self._with_staged(self._outputs(plain), data))
        changed = self.engine.Stage0Recipe.from_dict(data, recipe_dir=self.scratch, repodata_revision=self.revision)
        # Jinja functions look for files beside the recipe that was meant, not beside its copy.
        changed._recipe_path = request.path
        outputs = self._outputs(changed)
        if plain is not None:
            outputs = _with_scripts(outputs, self._outputs(plain))
        return _distinct(self._with_staged(outputs, data))

    def _with_staged(self, outputs: list[RecipeOutput], data: dict[str, Any]) -> list[RecipeOutput]:
        """What of their variants the staging outputs use, which rattler-build does not tell.

        An output that inherits a staging output and has nothing of its own uses just that.
        """
        names = sorted({name for output in outputs if (name := _inherited(output)) is not None})
        if not names:
            return outputs
        probes = {f"smelt-staged-{index}": name for index, name in enumerate(names)}
        more = [{"package": {"name": probe}, "inherit": name} for probe, name in probes.items()]
        try:
            recipe = self.engine.Stage0Recipe.from_dict(
                {**data, "outputs": [*data["outputs"], *more]},
                recipe_dir=self.scratch,
                repodata_revision=self.revision,
            )
            recipe._recipe_path = self.request.path
            found = self._outputs(recipe)
        except (self.engine.RattlerBuildError, self.engine.RecipeParseError):
            # some recipes are another one as data: then all keys of an output count for what it inherits
            return outputs
        used: dict[str, set[str]] = {}
        for each in found:
            if each.name in probes:
                used.setdefault(probes[each.name], set()).update(each.variant)
        return [
            output if name is None or name not in used else replace(output, staged=tuple(sorted(used[name])))
            for output, name in ((output, _inherited(output)) for output in outputs)
        ]

    def _outputs(self, recipe: Any) -> list[RecipeOutput]:
        config = self.engine.RenderConfig(platform=self.platform, repodata_revision=self.revision)
        return [_output(rendered) for rendered in recipe.render(self._variants(), config)]

    def _variants(self) -> Any:
        request = self.request
        values: dict[str, list[Any]] = {_key(key): list(found) for key, found in request.defaults.items()}
        zip_keys: list[list[str]] = []
        for path in request.files:
            loaded = self._variant_file(path)
            values |= {_key(key): found for key, found in loaded.to_dict().items()}
            # Of several files, the last that says what goes together counts.
            groups = cast("list[list[str]]", loaded.zip_keys or [])
            zip_keys = [[_key(key) for key in group] for group in groups] or zip_keys
        given = {_key(key): list(found) for key, found in request.variants.items()}
        values |= given
        own = [[_key(key) for key in group] for group in request.zip_keys]
        zip_keys = [*own, *(group for group in zip_keys if not any(key in other for key in group for other in own))]
        # The workspace may override one of several keys that go together with another number of values.
        zip_keys = [
            group
            for group in zip_keys
            if all(key in values for key in group) and len({len(values[key]) for key in group}) == 1
        ]
        return self.engine.VariantConfig(values, zip_keys=zip_keys or None)

    def _variant_file(self, path: Path) -> Any:
        try:
            return self.engine.VariantConfig.from_files_with_context(
                [path], self.engine.JinjaConfig(platform=self.platform)
            )
        except (self.engine.VariantError, self.engine.RattlerBuildError) as error:
            text = str(error)
            found = _MESSAGE.search(text)
            message = found[1] if found is not None else text
            place = _YAML_PLACE.search(message)
            labels: list[Label] = []
            if place is not None:
                source = SourceText(path=str(path), text=path.read_text(encoding="utf-8", errors="replace"))
                labels = [Label(place=Place(source=source, line=int(place[1]), column=int(place[2])))]
            raise SourceError(f"`{path}` cannot be read: {message}", code="variants", labels=labels) from error


def _inherited(output: RecipeOutput) -> str | None:
    """The staging output that ``output`` inherits."""
    inherits = cast("dict[str, Any]", output.recipe.get("inherits_from") or {})
    name = inherits.get("cache_name")
    return name if isinstance(name, str) else None


def _key(name: str) -> str:
    return re.sub(r"[-.]", "_", name)


def _output(rendered: Any) -> RecipeOutput:
    recipe = cast("dict[str, Any]", json.loads(json.dumps(rendered.recipe.to_dict())))
    context = cast("dict[str, Any]", rendered.recipe.context)
    name = str(rendered.recipe.package.name)
    build = cast("dict[str, Any]", recipe.get("build", {}))
    recipe.get("context", {}).pop(_SKIP, None)
    return RecipeOutput(
        name=name.lower(),
        version=str(rendered.recipe.package.version),
        build=str(build["string"]),
        build_number=int(build.get("number", 0)),
        noarch=build.get("noarch"),
        variant=dict(rendered.variant),
        recipe=recipe,
        subpackages={
            key: (info.version, info.build_string)
            for key, info in rendered.pin_subpackages.items()
            if info.build_string
        },
        skip=context.get(_SKIP) in (True, "true"),
    )


def _add_skip(recipe: dict[str, Any]) -> bool:
    """Make the skip conditions of a recipe with one output visible in its context; whether there are any."""
    if "outputs" in recipe:
        return False
    build = cast("dict[str, Any]", recipe.get("build") or {})
    conditions = _conditions(build.get("skip"))
    if not conditions:
        return False
    recipe["context"] = {**(recipe.get("context") or {}), _SKIP: f"${{{{ {' or '.join(conditions)} }}}}"}
    return True


def _conditions(item: object) -> list[str]:
    """Jinja expressions of which one must hold: text, a boolean, a list, or ``if``/``then``/``else``."""
    if item is None:
        return []
    if isinstance(item, bool):
        return ["(true)" if item else "(false)"]
    if isinstance(item, str):
        return [f"({item})"]
    if isinstance(item, list):
        return [each for part in cast("list[object]", item) for each in _conditions(part)]
    if isinstance(item, dict):
        table = cast("dict[str, object]", item)
        if "if" in table:
            condition = str(table["if"])
            then = [f"(({condition}) and {each})" for each in _conditions(table.get("then"))]
            return then + [f"((not ({condition})) and {each})" for each in _conditions(table.get("else"))]
    raise SourceError(f"`skip` holds something that is no condition: {item!r}", code="recipe")


def _add_use_keys(recipe: dict[str, Any], keys: Sequence[str]) -> None:
    """Make ``keys`` count for every output, whether or not the recipe mentions them."""
    if not keys:
        return
    for part in [recipe, *cast("list[dict[str, Any]]", recipe.get("outputs") or [])]:
        build = cast("dict[str, Any]", part.get("build") or {})
        variant = cast("dict[str, Any]", build.get("variant") or {})
        part["build"] = {
            **build,
            "variant": {**variant, "use_keys": [*(variant.get("use_keys") or []), *keys]},
        }


def _distinct(outputs: Sequence[RecipeOutput]) -> tuple[RecipeOutput, ...]:
    """Without duplicates, which differ only in variant keys that do not count; skipped only if all of them are."""
    kept: dict[tuple[str, str, str | None], RecipeOutput] = {}
    for output in outputs:
        key = (output.name, output.build, output.noarch)
        if key not in kept or (kept[key].skip and not output.skip):
            kept[key] = output
    return tuple(kept.values())


def _with_scripts(outputs: Sequence[RecipeOutput], plain: Sequence[RecipeOutput]) -> list[RecipeOutput]:
    """``outputs`` with the scripts of ``plain``, the same recipe before it was data.

    As data, a script that is one line no longer tells whether it is a command or the name of a file.
    """
    scripts = {_identity(output, plain): output for output in reversed(plain)}
    for output in outputs:
        original = scripts.get(_identity(output, outputs))
        if original is None:
            raise SourceError(
                f"rattler-build renders another set of variants for `{output.name}` once its skip conditions "
                "or profile are added",
                code="recipe",
                help="this is a defect of smelt; please report it with the recipe",
            )
        for key in ("script", "steps"):
            if key in original.recipe["build"]:
                output.recipe["build"][key] = original.recipe["build"][key]
            else:
                output.recipe["build"].pop(key, None)
        for key in ("tests", "staging_caches"):
            if key in original.recipe:
                output.recipe[key] = original.recipe[key]
    return list(outputs)


def _identity(output: RecipeOutput, siblings: Sequence[RecipeOutput]) -> str:
    """Name and variant, without what added keys change: themselves, and build strings of pinned outputs."""
    names = {_key(each.name) for each in siblings}
    kept = {
        key: value for key, value in sorted(output.variant.items()) if _key(key) not in names and key != PROFILE_KEY
    }
    return json.dumps([output.name, kept])


_MARKER = re.compile(r"line: (\d+), column: (\d+)")
_YAML_PLACE = re.compile(r"\b(\d+):(\d+): ")
_MESSAGE = re.compile(r'message: "((?:[^"\\]|\\.)*)"')


def _explained(error: Exception, request: RecipeInput) -> SourceError:
    """rattler-build's complaint with the place that it tells, which only a recipe that is a file has."""
    text = str(error)
    found = _MESSAGE.search(text)
    message = text
    if found is not None:
        message = str(json.loads(f'"{found[1]}"')) if _is_json(found[1]) else found[1]
    labels: list[Label] = []
    if isinstance(request.recipe, str):
        place = _MARKER.search(text) or _YAML_PLACE.search(text)
        source = SourceText(path=str(request.path), text=request.recipe)
        if place is not None:
            labels = [Label(place=Place(source=source, line=int(place[1]), column=max(int(place[2]), 1)))]
    variant = ", ".join(f"{key} {'/'.join(values)}" for key, values in sorted(request.variants.items()))
    notes = [f"build variants: {variant}"] if variant else []
    return SourceError(
        f"`{request.path}` cannot be rendered for {request.subdir}: {message}",
        code="recipe",
        labels=labels,
        notes=notes,
        help="add the missing key to `[workspace.build-variants]`" if "variant config" in text else None,
    )


def _is_json(text: str) -> bool:
    try:
        json.loads(f'"{text}"')
    except json.JSONDecodeError:
        return False
    return True
