"""The identity of a build, and the words for what changed between two of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache

from smelt.build.model import BuildInput, SourceInput
from smelt.build.plain import mapping, sequence, texts
from smelt.errors import BuildError
from smelt.source.model import Checkout, FinalMetadata, RenderedVariant
from smelt.types import CondaRecord, digest_json

SCHEMA = 3
"""Raised whenever the same inputs give another artifact than before: freezing, environment, normalising."""

_SHOWN = 60


def build_key(
    *,
    variant: RenderedVariant,
    metadata: FinalMetadata,
    checkout: Checkout,
    source_digest: str,
    build_inputs: Sequence[BuildInput],
    host_inputs: Sequence[BuildInput],
    subdir: str,
    build_subdir: str,
    configuration: Mapping[str, object] | None = None,
    files: Mapping[str, str] | None = None,
) -> tuple[str, Mapping[str, object]]:
    """The build key (64 hex digits) and the inputs that it is the digest of.

    Equal keys mean equal artifacts, on any machine. The key of a source package among the inputs stands for the
    package. ``configuration`` is the backend's (with the profile laid over it); ``files`` (path → digest) is kept
    for ``explain`` and not hashed, ``source_digest`` covers it. Raises BuildError (``no-digest``) for a locked
    package without sha256. Source: the design's section on identity.
    """
    inputs: dict[str, object] = {
        "schema": SCHEMA,
        "tools": dict(_tools()),
        "name": variant.name,
        "version": variant.version,
        "build": variant.build,
        "subdir": subdir,
        "build_subdir": build_subdir,
        "variant": dict(variant.variant),
        "backend": {"name": variant.backend, "version": variant.backend_version},
        "configuration": dict(configuration or {}),
        "recipe": portable_recipe(variant, checkout),
        "script_env": dict(variant.script_env),
        "metadata": {
            "depends": list(metadata.depends),
            "constrains": list(metadata.constrains),
            "run_exports": metadata.run_exports.to_dict(),
        },
        "source": source_digest,
        "build_packages": _packages(build_inputs),
        "host_packages": _packages(host_inputs),
    }
    if variant.staging is not None:
        inputs["staging"] = dict(variant.staging.variant)
    key = digest_json(inputs)
    if files is not None:
        inputs["files"] = dict(files)
    return key, inputs


def staging_key(
    recipe: Mapping[str, object],
    packages: Mapping[str, object],
    *,
    source_digest: str,
    recipe_folder: str | None,
    subdir: str,
    build_subdir: str,
    length: int,
) -> str:
    """What identifies a built staging output: the digest of all that decides about its files.

    ``recipe``: the frozen one, of the staging output alone. ``packages``: those of its environments with their digests.
    ``length``: of the paths that its files hold.
    """
    return digest_json(
        {
            "schema": SCHEMA,
            "tools": dict(_tools()),
            "recipe": recipe,
            "packages": packages,
            "source": source_digest,
            "recipe_folder": recipe_folder,
            "subdir": subdir,
            "build_subdir": build_subdir,
            "length": length,
        }
    )


_DESCRIBES = frozenset({"run", "run_constraints", "run_exports", "ignore_run_exports", "extras"})
"""Requirements that are written into the description of a package, and that no build script sees."""


def content_key(inputs: Mapping[str, object], packages: Iterable[BuildInput]) -> str:
    """The digest of what decides about the built files, out of the ``inputs`` of a build key.

    Builds with equal content keys differ only in what the package says of itself: its run requirements, constraints,
    run-exports, licence and summary. The configuration counts as far as the backend made something of it.
    ``packages``: the build and host inputs; a source package stands there by its own
    content key (without one, by its build key), as a build sees the files of its dependencies.

    What a recipe says that checks the built files against the dependencies (``dynamic_linking``) makes them part of it.
    """
    recipe = dict(mapping(inputs.get("recipe")))
    requirements = mapping(recipe.get("requirements"))
    checked = "dynamic_linking" in mapping(recipe.get("build"))
    about = mapping(recipe.get("about"))
    recipe.pop("extra", None)
    # licence files are copied into the package
    recipe["about"] = {key: value for key, value in about.items() if key == "license_file"}
    if not checked:
        recipe["requirements"] = {key: value for key, value in requirements.items() if key not in _DESCRIBES}
    contents = {item.key: item.content or item.key for item in packages if isinstance(item, SourceInput)}
    left_out = {"files", "configuration"} if checked else {"files", "configuration", "metadata"}
    kept: dict[str, object] = {**{key: inputs[key] for key in inputs if key not in left_out}, "recipe": recipe}
    for key in ("build_packages", "host_packages"):
        kept[key] = {name: _by_content(mapping(each), contents) for name, each in mapping(inputs.get(key)).items()}
    return digest_json(kept)


def _by_content(package: Mapping[str, object], contents: Mapping[str, str]) -> Mapping[str, object]:
    key = package.get("key")
    return {"content": contents.get(key, key)} if isinstance(key, str) else package


@cache
def _tools() -> tuple[tuple[str, str], ...]:
    """The versions of what shapes an artifact; read without importing them."""
    from importlib.metadata import version

    return (("rattler-build", version("py-rattler-build")), ("zstandard", version("zstandard")))


def _packages(inputs: Iterable[BuildInput]) -> dict[str, object]:
    return {item.name: _package(item) for item in sorted(inputs, key=lambda item: item.name)}


def _package(item: BuildInput) -> dict[str, str]:
    if isinstance(item, SourceInput):
        return {"key": item.key}
    return {"version": item.version, "build": item.build, "sha256": _sha256(item)}


def _sha256(record: CondaRecord) -> str:
    if record.sha256 is None:
        raise BuildError(
            f"the channel gives no sha256 for {record}, so a build with it has no identity",
            code="no-digest",
            notes=[record.url],
            help="index the channel again (`smelt channel index`), or use one with hashes",
        )
    return record.sha256


def portable_recipe(variant: RenderedVariant, checkout: Checkout, *, source: str = "@source@") -> Mapping[str, object]:
    """The rendered recipe without paths of this machine and without what cannot change the artifact.

    The folders of the source code and of the recipe become ``@source@`` and ``@recipe@``. Package tests
    do not go in: changing one builds nothing anew, and they are not packed.
    """
    recipe = dict(variant.recipe)
    for key in ("schema_version", "tests"):
        recipe.pop(key, None)
    folders: dict[str, str] = {}
    for folder, token in ((checkout.folder, "@source@"), (variant.recipe_folder, "@recipe@")):
        text = str(folder)
        # the current folder (".") and the root are no paths that can be told apart in a text
        if len(text) > 2:
            folders.setdefault(text, token)
    ordered = sorted(folders.items(), key=lambda item: -len(item[0]))
    return mapping(_replaced(recipe, ordered))


def _replaced(value: object, folders: Sequence[tuple[str, str]]) -> object:
    if isinstance(value, str):
        for folder, token in folders:
            value = value.replace(folder, token)
        return value
    if isinstance(value, Mapping):
        return {key: _replaced(item, folders) for key, item in mapping(value).items()}  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(value, list | tuple):
        return [_replaced(item, folders) for item in sequence(value)]  # pyright: ignore[reportUnknownArgumentType]
    return value


def explain(old: Mapping[str, object], new: Mapping[str, object]) -> list[str]:
    """What changed from the inputs of one build to those of another, one line each; empty if nothing did."""
    lines: list[str] = []
    if old.get("schema") != new.get("schema"):
        lines.append("smelt: builds differently since this version")
    for tool, before, after in _changes(old.get("tools"), new.get("tools")):
        lines.append(f"{tool} {_show(before)} → {_show(after)}")
    for key, word in (
        ("name", "name"),
        ("version", "version"),
        ("build", "build string"),
        ("subdir", "platform"),
        ("build_subdir", "build platform"),
    ):
        if old.get(key) != new.get(key):
            lines.append(f"{word} {_show(old.get(key))} → {_show(new.get(key))}")
    for key, word in (
        ("backend", "backend"),
        ("variant", "variant"),
        ("staging", "variant of the staging output"),
        ("configuration", "configuration"),
    ):
        lines += [_said(word, *change) for change in _changes(old.get(key), new.get(key))]
    lines += _source(old, new)
    for key, word in (("build_packages", "build package"), ("host_packages", "host package")):
        lines += [_package_line(word, *change) for change in _changes(old.get(key), new.get(key))]
    lines += [_said("script environment", *change) for change in _changes(old.get("script_env"), new.get("script_env"))]
    # the script is made from the configuration: saying that it changed too would tell nothing
    told = any(old.get(key) != new.get(key) for key in ("backend", "configuration"))
    lines += _recipe(_untold(old.get("recipe"), told), _untold(new.get("recipe"), told))
    for name, before, after in _changes(old.get("metadata"), new.get("metadata")):
        gone = [item for item in _listed(before) if item not in _listed(after)]
        come = [item for item in _listed(after) if item not in _listed(before)]
        lines += [f"{name}: {item} is gone" for item in gone] + [f"{name}: {item} is new" for item in come]
        if not gone and not come:
            lines.append(f"{name}: another order")
    return lines


def _changes(old: object, new: object) -> list[tuple[str, object, object]]:
    before, after = mapping(old), mapping(new)
    names = [*after, *(name for name in before if name not in after)]
    return [(name, before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)]


def _said(word: str, name: str, before: object, after: object) -> str:
    if before is None:
        return f"{word}: {name} is new: {_show(after)}"
    if after is None:
        return f"{word}: {name} is gone (was {_show(before)})"
    return f"{word}: {name} changed from {_show(before)} to {_show(after)}"


def _package_line(word: str, name: str, before: object, after: object) -> str:
    if before is None:
        return f"{word} {name} is new"
    if after is None:
        return f"{word} {name} is gone"
    was, now = mapping(before), mapping(after)
    if was.get("version") != now.get("version") and "version" in was and "version" in now:
        return f"{word} {name} {was['version']} → {now['version']}"
    if was.get("build") != now.get("build") and "build" in was and "build" in now:
        return f"{word} {name} {was['version']}: build {was['build']} → {now['build']}"
    if "key" in was and "key" in now:
        return f"{word} {name} is built anew"
    return f"{word} {name} has another content"


def _source(old: Mapping[str, object], new: Mapping[str, object]) -> list[str]:
    if old.get("source") == new.get("source"):
        return []
    if "files" not in old or "files" not in new:
        return ["source: changed"]
    changes = _changes(old["files"], new["files"])
    words = [
        ("changed", [name for name, before, after in changes if before is not None and after is not None]),
        ("added", [name for name, before, _ in changes if before is None]),
        ("removed", [name for name, _, after in changes if after is None]),
    ]
    return [
        f"source: {len(names)} {'file' if len(names) == 1 else 'files'} {word}: "
        + ", ".join(names[:5])
        + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        for word, names in words
        if names
    ] or ["source: changed"]


def _recipe(old: object, new: object, path: str = "recipe") -> list[str]:
    if old == new:
        return []
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        changes = _changes(old, new)  # pyright: ignore[reportUnknownArgumentType]
        return [line for name, before, after in changes for line in _recipe(before, after, f"{path}.{name}")]
    if isinstance(old, list) and isinstance(new, list):
        gone = [item for item in sequence(old) if item not in sequence(new)]  # pyright: ignore[reportUnknownArgumentType]
        come = [item for item in sequence(new) if item not in sequence(old)]  # pyright: ignore[reportUnknownArgumentType]
        if not gone and not come:
            return [f"{path}: another order"]
        if len(gone) == len(come):
            return [f"{path}: changed from {_show(a)} to {_show(b)}" for a, b in zip(gone, come, strict=True)]
        return [f"{path}: {_show(item)} is gone" for item in gone] + [f"{path}: {_show(item)} is new" for item in come]
    where, _, name = path.rpartition(".")
    return [_said(where or "recipe", name, old, new)]  # pyright: ignore[reportUnknownArgumentType]


def _untold(recipe: object, script_is_told: bool) -> dict[str, object]:
    """The recipe without what has lines of its own already."""
    left = {key: value for key, value in mapping(recipe).items() if key != "package"}
    build = {key: value for key, value in mapping(left.get("build")).items() if key not in ("string", "number")}
    script = build.get("script")
    if script_is_told:
        build.pop("script", None)
    elif isinstance(script, Mapping):
        build["script"] = {key: value for key, value in mapping(script).items() if key != "env"}  # pyright: ignore[reportUnknownArgumentType]
    return {**left, "build": build}


def _listed(value: object) -> list[str]:
    if isinstance(value, Mapping):
        return [f"{kind} {item}" for kind, items in mapping(value).items() for item in sequence(items)]  # pyright: ignore[reportUnknownArgumentType]
    return list(texts(value))


def _show(value: object) -> str:
    if isinstance(value, str):
        text = value
    else:
        from smelt.types import canonical_json

        text = canonical_json(value)
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
