"""What rattler-build made of recipes, kept by what it was made from."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, cast

from smelt.fs import smelt_cache, write_text
from smelt.source.engine import RecipeInput, RecipeOutput, engine_version, render_recipe
from smelt.types import digest_json

_SCHEMA = 2
_READS_MORE = re.compile(r"\b(load_from_file|include|file_name)\s*\(|\b(git|env)\.")
"""Jinja functions that read other files, repositories or the environment."""
_KINDS = {"name": str, "version": str, "build": str, "build_number": int, "variant": dict, "recipe": dict}


def recipe_digest(engine: RecipeInput) -> str | None:
    """What the result of rendering depends on; None where it may depend on more than can be told."""
    text = engine.recipe if isinstance(engine.recipe, str) else json.dumps(engine.recipe)
    if _READS_MORE.search(text):
        return None
    return digest_json(
        [
            _SCHEMA,
            engine_version(),
            engine.recipe,
            engine.subdir,
            engine.build_subdir,
            {key: list(values) for key, values in engine.defaults.items()},
            [[path.name, path.read_text(encoding="utf-8", errors="surrogateescape")] for path in engine.files],
            {key: list(values) for key, values in engine.variants.items()},
            [list(group) for group in engine.zip_keys],
            list(engine.use_keys),
            engine.experimental,
            engine.v3,
        ]
    )


def cached_outputs(engine: RecipeInput, digest: str | None) -> tuple[RecipeOutput, ...]:
    if digest is None:
        return render_recipe(engine)
    path = smelt_cache() / "render" / digest[:2] / f"{digest}.json"
    found = _read(path)
    if found is not None:
        return found
    outputs = render_recipe(engine)
    data = [
        {
            "name": output.name,
            "version": output.version,
            "build": output.build,
            "build_number": output.build_number,
            "noarch": output.noarch,
            "variant": dict(output.variant),
            "recipe": output.recipe,
            "subpackages": {name: list(found) for name, found in output.subpackages.items()},
            "skip": output.skip,
            "staged": None if output.staged is None else list(output.staged),
        }
        for output in outputs
    ]
    write_text(path, json.dumps(data, ensure_ascii=False), durable=False)
    return outputs


def _read(path: Path) -> tuple[RecipeOutput, ...] | None:
    """A cached rendering; None where there is none, or a damaged one (then it is made again)."""
    try:
        data = cast("list[dict[str, Any]]", json.loads(path.read_text(encoding="utf-8")))
        if not isinstance(data, list) or not data:  # pyright: ignore[reportUnnecessaryIsInstance]
            return None
        for item in data:
            if not all(isinstance(item[key], kind) for key, kind in _KINDS.items()):
                return None
            item["subpackages"] = {name: (found[0], found[1]) for name, found in item["subpackages"].items()}
            item["staged"] = None if item["staged"] is None else tuple(item["staged"])
        return tuple(RecipeOutput(**item) for item in data)
    except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError):
        return None
