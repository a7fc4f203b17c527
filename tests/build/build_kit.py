"""What the tests of the build room share: rendered variants, nodes, channels, all of them real."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from smelt.archive import read_conda
from smelt.build.execute import build_all
from smelt.build.key import build_key, content_key
from smelt.build.metadata import finalize
from smelt.build.model import Artifact, BuildInput, BuildNode, SourceInput
from smelt.build.store import Store
from smelt.errors import SmeltError
from smelt.lock.model import BuildSource
from smelt.solve.records import from_repodata
from smelt.source.model import Checkout, RenderedVariant
from smelt.source.tree import tree_digest
from smelt.types import CondaRecord, current_platform, sha256_file

SUBDIR = current_platform()


def render(recipe: str, folder: Path, variants: Mapping[str, Sequence[str]] | None = None) -> list[RenderedVariant]:
    """Every variant of a recipe, as rattler-build renders it."""
    from rattler_build import RenderConfig, Stage0Recipe, VariantConfig
    from rattler_build.tool_config import PlatformConfig

    stage0 = Stage0Recipe.from_yaml(recipe)
    rendered = stage0.render(
        VariantConfig({key: list(values) for key, values in (variants or {}).items()}),
        RenderConfig(platform=PlatformConfig(target_platform=SUBDIR)),
    )
    found = {item.recipe.build.string: item for item in rendered}
    return [_variant(item, folder) for item in found.values()]


def _variant(item: Any, folder: Path) -> RenderedVariant:
    data: dict[str, Any] = item.recipe.to_dict()
    requirements = data.get("requirements") or {}
    ignored = requirements.get("ignore_run_exports") or {}
    build = data["build"]
    exports = requirements.get("run_exports") or {}
    return RenderedVariant(
        name=data["package"]["name"],
        version=str(data["package"]["version"]),
        build=build["string"],
        build_number=build.get("number") or 0,
        subdir=item.variant["target_platform"],
        noarch=build.get("noarch"),
        variant={key: str(value) for key, value in item.variant.items()},
        build_requirements=tuple(requirements.get("build") or ()),
        host_requirements=tuple(requirements.get("host") or ()),
        run_requirements=tuple(requirements.get("run") or ()),
        run_constraints=tuple(requirements.get("run_constraints") or ()),
        run_exports={key: tuple(value) for key, value in exports.items()},
        ignore_run_exports_by_name=tuple(ignored.get("by_name") or ()),
        ignore_run_exports_from=tuple(ignored.get("from_package") or ()),
        recipe=data,
        recipe_folder=folder,
        backend="pixi-build-rattler-build",
        backend_version="0",
    )


def node(
    variant: RenderedVariant,
    folder: Path,
    *,
    build: Sequence[BuildInput] = (),
    host: Sequence[BuildInput] = (),
    records: Mapping[str, CondaRecord] | None = None,
    wanted_by: tuple[str, ...] = ("default",),
    configuration: Mapping[str, object] | None = None,
    variant_constraints: bool = True,
) -> BuildNode:
    """The build of a variant whose source is ``folder``; ``records``: for source inputs, by build key."""

    def record(item: BuildInput) -> CondaRecord:
        return (records or {})[item.key] if isinstance(item, SourceInput) else item

    metadata = finalize(
        variant,
        [record(item) for item in build],
        [record(item) for item in host],
        variant_constraints=variant_constraints,
    )
    checkout = Checkout(folder=folder, pinned=BuildSource(path="."))
    tree = tree_digest(folder)
    key, inputs = build_key(
        variant=variant,
        metadata=metadata,
        checkout=checkout,
        source_digest=tree.digest,
        build_inputs=build,
        host_inputs=host,
        subdir=SUBDIR,
        build_subdir=SUBDIR,
        configuration=configuration,
        files={file.path: file.sha256 for file in tree.files},
    )
    return BuildNode(
        key=key,
        identifier=f"{variant.name}[{key[:8]}] @ .",
        variant=variant,
        metadata=metadata,
        checkout=checkout,
        source_digest=tree.digest,
        build_inputs=tuple(build),
        host_inputs=tuple(host),
        channels=(),
        subdir=SUBDIR,
        build_subdir=SUBDIR,
        inputs=inputs,
        wanted_by=wanted_by,
        content=content_key(inputs, (*build, *host)),
    )


@dataclass
class Recorder:
    """A reporter that remembers."""

    events: list[tuple[str, str]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def cached(self, node: BuildNode, artifact: Artifact) -> None:
        self.events.append(("cached", node.variant.name))

    def waiting(self, node: BuildNode, message: str) -> None:
        self.events.append(("waiting", node.variant.name))

    def started(self, node: BuildNode) -> None:
        self.events.append(("started", node.variant.name))

    def line(self, node: BuildNode, text: str) -> None:
        self.lines.append(text)

    def finished(self, node: BuildNode, artifact: Artifact, seconds: float) -> None:
        self.events.append(("finished", node.variant.name))

    def failed(self, node: BuildNode, error: SmeltError, seconds: float) -> None:
        self.events.append(("failed", node.variant.name))

    def warning(self, message: str) -> None:
        self.warnings.append(message)


def build(nodes: Sequence[BuildNode], root: Path, reporter: Recorder | None = None, **options: Any):
    """Build with everything below ``root``: store, work folder and package cache."""
    recorder = reporter or Recorder()
    return build_all(
        nodes,
        **{
            "jobs": 2,
            "store": Store(root / "store", recorder.warning),
            "reporter": recorder,
            "work_root": root / "work",
            "package_cache": root / "cache",
            **options,
        },
    )


def write_source(folder: Path, files: Mapping[str, str]) -> Path:
    """A source tree."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def channel_records(*folders: Path) -> dict[str, CondaRecord]:
    """A record, with run-exports, of each ``.conda`` file directly in these folders."""
    found: dict[str, CondaRecord] = {}
    for folder in folders:
        for path in sorted(folder.glob("*.conda")):
            info = {member.name: json.loads(member.data) for member in read_conda(path).info if ".json" in member.name}
            data = {
                **info["info/index.json"],
                "sha256": sha256_file(path),
                "size": path.stat().st_size,
                "run_exports": info.get("info/run_exports.json", {}),
            }
            channel = f"{folder.parent.as_uri()}/"
            record = from_repodata(data, url=path.as_uri(), file_name=path.name, channel=channel)
            found[record.name] = record
    return found


def plain_build(recipe: str, output: Path, variants: Mapping[str, Sequence[str]] | None = None) -> dict[str, Any]:
    """What rattler-build alone makes of a recipe: the info files of the package by name. ``output`` is a channel."""
    from rattler_build import RenderConfig, Stage0Recipe, VariantConfig
    from rattler_build.tool_config import PlatformConfig

    rendered = Stage0Recipe.from_yaml(recipe).render(
        VariantConfig({key: list(values) for key, values in (variants or {}).items()}),
        RenderConfig(platform=PlatformConfig(target_platform=SUBDIR)),
    )
    result = rendered[0].run_build(output_dir=output, channels=[output.as_uri()])
    return {m.name: json.loads(m.data) for m in read_conda(result.packages[0]).info if m.name.endswith(".json")}


HELLO = """
package: {name: hello, version: 1.2.3}
source: {path: .}
build:
  script:
    - mkdir -p $PREFIX/bin $PREFIX/share
    - cp greeting.txt $PREFIX/share/
    - printf '#!/bin/sh\\ncat %s/share/greeting.txt\\n' "$PREFIX" > $PREFIX/bin/hello
    - chmod +x $PREFIX/bin/hello
"""


def hello(folder: Path, **options: object) -> BuildNode:
    source = write_source(folder, {"greeting.txt": "good morning\n"})
    return node(render(HELLO, source)[0], source, **options)  # pyright: ignore


def script(folder: Path, *lines: str, name: str = "hello", **options: object) -> BuildNode:
    """A package whose build script is these lines."""
    recipe = json.dumps({"package": {"name": name, "version": "1"}, "build": {"script": list(lines)}})
    write_source(folder, {"empty.txt": ""})
    return node(render(recipe, folder)[0], folder, **options)  # pyright: ignore


def left_in(root: Path) -> list[str]:
    """What is left of builds: everything but lock files."""
    return [str(path) for path in root.rglob("*") if not path.name.endswith((".lock", ".holder"))]
