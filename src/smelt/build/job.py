"""A build job: plain data that any machine can carry out, and the folder in which it is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, cast

from smelt.types import NOARCH

JOB_SCHEMA = 1
STAGED = "s"
"""What rattler-build is told to call a staging output that is built alone: short, as the padded paths of the outputs
that inherit it must not be shorter.
"""
SOURCE_DATE_EPOCH = 1_577_836_800
"""The time that builds see and that artifacts carry: 2020-01-01. The same for all, as nothing may depend on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """One file that the build may read (``kind`` as in ``smelt.source.tree.TreeFile``)."""

    path: str
    kind: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """What a build needs to know; nothing in it depends on the machine but the addresses of packages.

    ``recipe``: the frozen recipe, in which ``@source@`` stands for the folder of the source code and ``@output@`` for
    the folder of the build. ``revision3``: it uses what only the third revision of repodata knows.
    ``recipe_folder``: the folder of the recipe's own files relative to the source, None if it has none.
    ``variant``: the used keys. ``channels``: pinned channels, each subdir → ``repodata.json``.
    ``source``: the files, or None for all that the checkout holds. ``timestamp``: seconds since the epoch.
    ``compiles_python``: whether modules are compiled to bytecode (a package for one version of Python), but those
    that match ``uncompiled`` (globs). ``foreign``: a program builds it, see ``smelt.build.foreign``; then ``recipe``
    and ``channels`` are empty. ``build_tree``: the folder, relative to the source, that can be kept (see
    ``smelt.build.tree``). ``depends``, ``constrains``, ``run_exports``: what is locked of the package's description.
    ``stages``: what comes out is no package but a staging output (see ``smelt.build.staged``).
    """

    key: str
    label: str
    name: str
    version: str
    build: str
    subdir: str
    build_subdir: str
    recipe: Mapping[str, Any]
    revision3: bool
    recipe_folder: str | None
    variant: Mapping[str, str]
    channels: tuple[Mapping[str, Any], ...]
    source: tuple[SourceFile, ...] | None
    timestamp: int = SOURCE_DATE_EPOCH
    compiles_python: bool = False
    uncompiled: tuple[str, ...] = ()
    foreign: Mapping[str, Any] | None = None
    build_tree: str | None = None
    depends: tuple[str, ...] = ()
    constrains: tuple[str, ...] = ()
    run_exports: Mapping[str, Sequence[str]] = field(default_factory=dict[str, "Sequence[str]"])
    stages: bool = False

    @property
    def host_subdir(self) -> str:
        """The platform of the host environment: what is noarch is built for where it is built."""
        return self.build_subdir if self.subdir == NOARCH else self.subdir

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        data = {each.name: getattr(self, each.name) for each in fields(self)}
        source = None if self.source is None else [asdict(file) for file in self.source]
        return {"schema": JOB_SCHEMA, **data, "source": source}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> JobSpec:
        """The inverse of ``to_dict``. Raises ValueError for another schema."""
        if data.get("schema") != JOB_SCHEMA:
            raise ValueError(f"a build job of schema {data.get('schema')}, this is {JOB_SCHEMA}")
        given = {key: value for key, value in data.items() if key != "schema"}
        source = given["source"]
        given["source"] = None if source is None else tuple(SourceFile(**file) for file in source)
        given["channels"] = tuple(given["channels"])
        for key in ("uncompiled", "depends", "constrains"):
            given[key] = tuple(given[key])
        return cls(**given)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where a job runs on this machine.

    ``folder``: the work folder, owned by the job alone. ``output``: the folder in it below which all is that the
    build script may see (its path is padded, see ``smelt.build.environment.output_folder``).
    ``checkout``: the source code. ``package_cache``: rattler's cache. ``tool``: the program that builds it, as data
    (``smelt.source.protocol.tool.BackendTool``); None for rattler-build. ``home``: the user's home folder, of which
    nothing may end up in the package. ``sandboxed``: no network, and nothing of that folder to be seen but ``visible``.
    ``compiler_cache``: as data (``smelt.build.compiler_cache``).
    ``kept``: where the build tree is kept, and ``kept_key`` what it has to be for; ``resume``: go on with it.
    ``staged``: the staging output that the package inherits, built already.
    """

    folder: Path
    output: Path
    checkout: Path
    package_cache: Path
    tool: Mapping[str, Any] | None = None
    home: Path | None = None
    sandboxed: bool = False
    visible: tuple[Path, ...] = ()
    compiler_cache: Mapping[str, Any] | None = None
    kept: Path | None = None
    kept_key: str = ""
    resume: bool = False
    staged: Path | None = None

    @property
    def job_file(self) -> Path:
        """The job and its placement as JSON, what the worker is called with."""
        return self.folder / "job.json"

    @property
    def log(self) -> Path:
        """The whole log."""
        return self.folder / "build.log"


def scripted(recipe: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The parts of a frozen recipe that have sources and scripts: its outputs where it has some, else the recipe."""
    outputs: list[dict[str, Any]] | None = recipe.get("outputs")
    return [dict(recipe)] if outputs is None else outputs


def with_scripted(recipe: Mapping[str, Any], parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """``recipe`` with other ``parts`` in the place of those that ``scripted`` gives, in their order."""
    return {**recipe, "outputs": list(parts)} if "outputs" in recipe else parts[0]


def write_job(spec: JobSpec, placement: Placement) -> None:
    """Write the file that the worker reads. Raises OSError."""
    data = {
        "spec": spec.to_dict(),
        "placement": {
            "folder": str(placement.folder),
            "output": str(placement.output),
            "checkout": str(placement.checkout),
            "package_cache": str(placement.package_cache),
            "kept": str(placement.kept) if placement.kept is not None else None,
            "kept_key": placement.kept_key,
            "resume": placement.resume,
            "staged": str(placement.staged) if placement.staged is not None else None,
        },
        "tool": placement.tool,
        "surroundings": {
            "home": None if placement.home is None else str(placement.home),
            "sandboxed": placement.sandboxed,
            "visible": [str(path) for path in placement.visible],
            "compiler_cache": placement.compiler_cache,
        },
    }
    placement.job_file.write_text(json.dumps(data), encoding="utf-8")


def read_job(path: Path) -> tuple[JobSpec, Placement]:
    """The inverse of ``write_job``. Raises OSError, ValueError."""
    data = cast("dict[str, dict[str, Any]]", json.loads(path.read_text(encoding="utf-8")))
    placement, more = data["placement"], data["surroundings"]
    folders = {key: Path(placement[key]) for key in ("folder", "output", "checkout", "package_cache")}
    kept, staged = placement["kept"], placement["staged"]
    return JobSpec.from_dict(data["spec"]), Placement(
        **folders,
        tool=data["tool"],
        home=None if more["home"] is None else Path(more["home"]),
        sandboxed=more["sandboxed"],
        visible=tuple(Path(path) for path in more["visible"]),
        compiler_cache=more["compiler_cache"],
        kept=None if kept is None else Path(kept),
        kept_key=placement["kept_key"],
        resume=placement["resume"],
        staged=None if staged is None else Path(staged),
    )
