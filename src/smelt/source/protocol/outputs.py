"""What a foreign backend says that it can build, as rendered variants.

The backend sees a copy of the package's files in a folder of its own, never the user's folder. What it said is kept
by content under ``<smelt cache>/outputs``: it is asked again only when it, the package or the variants changed.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from smelt.errors import Label, NotSupportedError, SourceError
from smelt.fs import smelt_cache, write_text
from smelt.source.model import ForeignBuild, ForeignContext, RenderedVariant, RenderRequest
from smelt.source.pins import subpackage_text
from smelt.source.profile import profile_lines
from smelt.source.protocol.client import INITIALIZE, OUTPUTS, BackendProcess, plain_environment
from smelt.source.protocol.model import (
    Item,
    list_of,
    mapping_of,
    output_error,
    project_model,
    read_requirement,
    text_of,
)
from smelt.source.protocol.profile import applied, check_marked, with_profile
from smelt.source.protocol.tool import API_VERSION, BackendTool, ToolRequest, override_of
from smelt.source.protocol.trace import Trace, deliver, trace_folder
from smelt.source.tree import export_tree, tree_digest
from smelt.source.variants import PROFILE_KEY, merge_variants
from smelt.types import NOARCH, SourceLocation, digest_json
from smelt.workspace.requirements import requirements_for

_SCHEMA = 1
MANIFEST = "pixi.toml"
_NOARCH = ("generic", "python")


def render_foreign(request: RenderRequest) -> tuple[RenderedVariant, ...]:
    """Every output that the package's backend offers, in its order.

    Raises SourceError (``backend-…``), NotSupportedError, and what providing the backend raises.
    """
    package = request.package
    if request.foreign is None:
        raise NotSupportedError(
            f"package `{_label(request)}` is built by `{package.backend.name}`, a program that is not started here",
            labels=_labels(request),
        )
    try:
        initial = _initial(request)
        tool = request.foreign.tools(tool_request(request, request.foreign))
    except SourceError as error:
        raise _placed(error, request) from error
    call = {
        "channels": list(request.channels),
        "hostPlatform": request.subdir,
        "buildPlatform": request.build_subdir,
        "variantConfiguration": {key: list(values) for key, values in merge_variants(request.variants).items()},
    }
    try:
        answer = _ask(request, tool, initial, call)
        outputs = [mapping_of(each, "an output") for each in list_of(answer.get("outputs"), "`outputs`")]
        if not outputs:
            raise output_error("it offers no output")
        identities = [_identity(output) for output in outputs]
        siblings = {name: (version, build) for name, version, build in identities}
        for name, _, build in identities:
            check_marked(request, name, build)
        variants = [_variant(output, siblings, request, tool, initial) for output in outputs]
        _check_distinct(variants)
    except SourceError as error:
        if error.kind != "backend-output":
            raise _placed(error, request) from error
        raise SourceError(
            f"the backend `{tool.name}` gives metadata of package `{_label(request)}` that cannot be used: "
            f"{error.message}",
            code="backend-output",
            labels=_labels(request),
            help="try another version of the backend, or tell whoever keeps it",
        ) from error
    return tuple(variants)


def _placed(error: SourceError, request: RenderRequest) -> SourceError:
    return SourceError(
        error.message, code=error.kind, labels=error.labels or _labels(request), notes=error.notes, help=error.help
    )


def tool_request(request: RenderRequest, foreign: ForeignContext) -> ToolRequest:
    """The backend that a package asks for, and with what. Raises UsageError (a bad override)."""
    backend = request.package.backend
    specs = [(backend.name, backend.spec), *backend.additional_dependencies.items()]
    known = foreign.trusted
    untrusted = () if known is None else tuple(channel for channel in backend.channels if channel not in known)
    return ToolRequest(
        name=backend.name,
        specs=tuple(spec.matchspec(name) for name, spec in specs),
        channels=backend.channels or foreign.channels or request.channels,
        locked=foreign.locked,
        exclude_newer=foreign.exclude_newer,
        command=override_of(backend.name),
        untrusted=untrusted,
        package=_label(request) if untrusted else "",
        origin=foreign.origin if untrusted else "",
    )


def _initial(request: RenderRequest) -> dict[str, object]:
    """What ``initialize`` is told but for folders of this machine."""
    package, profile = request.package, applied(request)
    if profile is not None:
        package = with_profile(package, profile)
    return {
        "projectModel": project_model(package),
        "configuration": _plain(package.config),
        "targetConfiguration": {key: _plain(config) for key, config in package.target_config.items()},
    }


def initialize_params(initial: Mapping[str, object], source: Path, cache: Path, scratch: Path) -> dict[str, object]:
    """``initialize`` for a copy of the source at ``source``; the manifest there says nothing, the model says it all."""
    return {
        "manifestPath": str(source / MANIFEST),
        "sourceDirectory": str(source),
        "workspaceDirectory": str(source),
        "cacheDirectory": str(cache),
        "workspaceScratchDirectory": str(scratch),
        **initial,
    }


def write_manifest(source: Path) -> None:
    """Put a manifest where the backend is told that there is one, unless the source has it."""
    path = source / MANIFEST
    if not path.exists():
        path.write_text("# what the package's manifest says is in the project model\n", encoding="utf-8")


def _ask(
    request: RenderRequest, tool: BackendTool, initial: Mapping[str, object], call: Mapping[str, object]
) -> Mapping[str, object]:
    """The answer to ``conda/outputs``, from the cache where nothing changed that it may depend on."""
    checkout = request.checkout
    tree = tree_digest(checkout.folder, file_globs()) if checkout.digest is None else None
    source = tree.digest if tree is not None else f"{checkout.digest}#{checkout.pinned.subdir or ''}"
    zipped = [list(group) for group in request.zip_keys]
    digest = digest_json([_SCHEMA, API_VERSION, tool.name, tool.version, initial, call, zipped, source])
    path = smelt_cache() / "outputs" / digest[:2] / f"{digest}.json"
    # a program of this machine may read anything: it is being worked on, most likely
    known = None if tool.override else _read(path)
    if known is not None:
        return known
    with tempfile.TemporaryDirectory(prefix="smelt-backend-") as name:
        folder = Path(name).resolve()
        copy = folder / "source"
        if tree is not None:
            copy.mkdir()
            export_tree(checkout.folder, tree, copy)
        else:
            shutil.copytree(checkout.folder, copy, symlinks=True)
        write_manifest(copy)
        for each in ("home", "cache", "scratch", "work"):
            (folder / each).mkdir()
        files: list[str] = []
        if zipped:
            # values are told in the request, but which go together only a file can say
            variants = folder / "variants.yaml"
            variants.write_text(
                json.dumps(
                    {**mapping_of(call["variantConfiguration"], "variants"), "zip_keys": zipped}, ensure_ascii=False
                ),
                encoding="utf-8",
            )
            files.append(str(variants))
        environment = plain_environment(tool, os.environ, folder / "home")
        trace = Trace(folder / "debug")
        try:
            with BackendProcess(tool, folder=copy, environment=environment, trace=trace) as process:
                process.negotiate()
                process.call(INITIALIZE, initialize_params(initial, copy, folder / "cache", folder / "scratch"))
                place = {"variantFiles": files, "workDirectory": str(folder / "work")}
                answer = process.call(OUTPUTS, {**call, **place})
        finally:
            if request.foreign is not None and request.foreign.traces is not None:
                profile = request.profile.name if request.profile is not None else None
                identity = ["outputs", request.subdir, request.build_subdir, profile]
                deliver(folder / "debug", trace_folder(request.foreign.traces, _label(request), identity))
        # paths into the copy mean the package's folder
        text = json.dumps(answer, ensure_ascii=False).replace(json.dumps(str(copy), ensure_ascii=False)[1:-1], _COPY)
    if not tool.override:
        write_text(path, text)
    return cast("Mapping[str, object]", json.loads(text))


_COPY = "/smelt/source"
"""What stands for the folder of the copy in what a backend said."""


def _read(path: Path) -> Mapping[str, object] | None:
    try:
        data: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None  # not there, or damaged: it is asked again
    return cast("Mapping[str, object]", data) if isinstance(data, dict) else None


def file_globs() -> tuple[str, ...]:
    """The files of a package that a foreign backend sees: all that are not ignored, but for what is told otherwise."""
    return ("!/pixi.toml", "!/pixi.lock")


def _identity(output: Mapping[str, object]) -> tuple[str, str, str]:
    metadata = mapping_of(output.get("metadata"), "`metadata` of an output")
    name = text_of(metadata, "name", "an output").lower()
    return name, text_of(metadata, "version", f"output `{name}`"), text_of(metadata, "build", f"output `{name}`")


def _variant(
    output: Mapping[str, object],
    siblings: Mapping[str, tuple[str, str]],
    request: RenderRequest,
    tool: BackendTool,
    initial: Mapping[str, object],
) -> RenderedVariant:
    metadata = mapping_of(output.get("metadata"), "`metadata` of an output")
    name, version, build = _identity(output)
    versions = {**siblings, name: (version, build)}
    sources: dict[str, SourceLocation] = {}

    def items(entries: object, what: str) -> tuple[Item, ...]:
        found: list[Item] = []
        for entry in list_of(entries, f"{what} of output `{name}`"):
            each, item, location = read_requirement(entry, Path(_COPY))
            if location is not None:
                sources[each] = location
            found.append(_resolved(item, versions, name))
        return tuple(found)

    def side(key: str) -> tuple[tuple[Item, ...], tuple[Item, ...]]:
        table = output.get(key)
        if table is None:
            return (), ()
        both = mapping_of(table, f"`{key}`")
        return items(both.get("depends"), key), items(both.get("constraints"), key)

    build_items, build_limits = side("buildDependencies")
    host_items, host_limits = side("hostDependencies")
    run_items, run_limits = side("runDependencies")
    if build_limits or host_limits:
        raise NotSupportedError(
            f"the backend `{tool.name}` constrains the build environments of `{name}`, which is not supported yet",
            labels=_labels(request),
        )
    if output.get("extraDependencies"):
        raise NotSupportedError(
            f"the output `{name}` has extra dependency groups, which are not supported yet",
            labels=_labels(request),
            help="put them into `[package.run-dependencies]`",
        )
    ignored = mapping_of(output.get("ignoreRunExports") or {}, "`ignoreRunExports`")
    exports = mapping_of(output.get("runExports") or {}, "`runExports`")
    tables = requirements_for(request.package, request.subdir, build_subdir=request.build_subdir, keep_conditions=True)
    noarch = metadata.get("noarch")
    if noarch is True:
        noarch = "generic"
    if noarch in (None, False):
        noarch = None
    elif noarch not in _NOARCH:
        raise output_error(f"`noarch` of output `{name}` is {noarch!r}")
    subdir = text_of(metadata, "subdir", f"output `{name}`")
    if subdir != (NOARCH if noarch is not None else request.subdir):
        raise output_error(f"output `{name}` is for {subdir}, {request.subdir} was asked for")
    number = metadata.get("buildNumber", 0)
    if type(number) is not int or number < 0:
        raise output_error(f"`buildNumber` of output `{name}` is {number!r}")
    raw = mapping_of(metadata.get("variant") or {}, "`variant`")
    run_exports = {
        theirs: items(exports.get(key), f"`runExports.{key}`")
        for key, theirs in (
            ("noarch", "noarch"),
            ("strong", "strong"),
            ("weak", "weak"),
            ("strongConstrains", "strong_constrains"),
            ("weakConstrains", "weak_constrains"),
        )
    }
    license_, family = metadata.get("license"), metadata.get("licenseFamily")
    every = (*build_items, *host_items, *run_items)
    for other in {_name_of(item) for item in every} & (set(siblings) - {name}):
        sources.setdefault(other, SourceLocation(path="."))
    profile = applied(request)
    activation = tuple(profile_lines(profile, request.build_subdir, name)) if profile is not None else ()
    foreign = ForeignBuild(
        tool=tool,
        initial=initial,
        channels=request.channels,
        output={"name": name, "version": version, "build": build, "subdir": subdir, "variant": dict(raw)},
        activation=activation,
    )
    return RenderedVariant(
        name=name,
        version=version,
        build=build,
        build_number=number,
        subdir=subdir,
        noarch=str(noarch) if noarch is not None else None,
        variant={
            **{key: _value(value) for key, value in raw.items()},
            **({PROFILE_KEY: profile.name} if profile is not None else {}),
        },
        build_requirements=build_items,
        host_requirements=host_items,
        run_requirements=run_items,
        run_constraints=run_limits,
        run_exports={key: found for key, found in run_exports.items() if found},
        ignore_run_exports_by_name=(
            *(str(each) for each in list_of(ignored.get("byName"), "`ignoreRunExports.byName`")),
            *tables.ignore_run_exports_by_name,
        ),
        ignore_run_exports_from=(
            *(str(each) for each in list_of(ignored.get("fromPackage"), "`ignoreRunExports.fromPackage`")),
            *tables.ignore_run_exports_from,
        ),
        license=str(license_) if license_ is not None else None,
        license_family=str(family) if family is not None else None,
        recipe={
            "protocol": API_VERSION,
            "initialize": initial,
            "output": foreign.output,
            **({"activation": list(activation)} if activation else {}),
        },
        recipe_folder=request.checkout.folder,
        backend=tool.name,
        backend_version=tool.version,
        source_requirements=dict(sorted(sources.items())),
        file_globs=file_globs(),
        foreign=foreign,
    )


def _resolved(item: Item, versions: Mapping[str, tuple[str, str]], name: str) -> Item:
    if isinstance(item, str) or "pin_subpackage" not in item:
        return item
    pin = mapping_of(item["pin_subpackage"], "a pin")
    found = versions.get(str(pin["name"]).lower())
    if found is None:
        raise output_error(f"output `{name}` pins `{pin['name']}`, which is no output")
    return subpackage_text(pin, *found)


def _name_of(item: Item) -> str:
    from smelt.source.requirement import requirement_name

    return requirement_name(item)


def _check_distinct(variants: list[RenderedVariant]) -> None:
    seen: set[str] = set()
    for variant in variants:
        key = json.dumps([variant.name, dict(variant.variant)], sort_keys=True)
        if key in seen:
            raise output_error(f"two outputs `{variant.name}` have the same variant {dict(variant.variant)}")
        seen.add(key)


def _value(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _plain(config: Mapping[str, object]) -> object:
    """A table of the manifest as what JSON can hold (dates become text)."""
    return json.loads(json.dumps(dict(config), default=str))


def _label(request: RenderRequest) -> str:
    return request.package.name or request.package.root.name


def _labels(request: RenderRequest) -> list[Label]:
    place = request.package.backend.place or request.package.place
    return [Label(place=place)] if place is not None else []
