"""Builds by a program that speaks the pixi-build protocol.

The environments are installed here, from the locked packages; the backend is given their paths, the final dependencies
and a copy of the source, and gives a package, which is then normalised and stored like any other.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from smelt.build.environment import build_prefix, host_prefix
from smelt.build.job import JobSpec, Placement
from smelt.build.model import BuildNode
from smelt.build.plain import mapping, texts
from smelt.errors import BuildError
from smelt.solve.records import from_repodata, to_rattler, to_repodata
from smelt.source.model import ForeignBuild
from smelt.source.protocol.client import BUILD, INITIALIZE, BackendProcess
from smelt.source.protocol.outputs import initialize_params, write_manifest
from smelt.source.protocol.specs import match_spec
from smelt.source.protocol.tool import BackendTool
from smelt.source.protocol.trace import Trace
from smelt.types import CondaRecord, platform_family

_PACKAGES = "pkgs"


def foreign_request(
    node: BuildNode, foreign: ForeignBuild, build: Sequence[CondaRecord], host: Sequence[CondaRecord]
) -> dict[str, Any]:
    """What the worker has to know for such a build, as plain data; nothing in it depends on the machine."""
    told = build_request(node, build, host)
    return {
        **told,
        "initial": dict(foreign.initial),
        "output": dict(foreign.output),
        "channels": list(foreign.channels),
        "activation": list(foreign.activation),
    }


def build_request(node: BuildNode, build: Sequence[CondaRecord], host: Sequence[CondaRecord]) -> dict[str, Any]:
    """What the protocol says of any build, but for folders."""
    variant, metadata = node.variant, node.metadata
    return {
        "output": {
            "name": variant.name,
            "version": variant.version,
            "build": variant.build,
            "subdir": variant.subdir,
            "variant": dict(variant.variant),
        },
        "channels": list(node.channels),
        "build": _side(variant.build_requirements, build),
        "host": _side(variant.host_requirements, host),
        "run": list(metadata.depends),
        "constrains": list(metadata.constrains),
        "run_exports": metadata.run_exports.to_dict(),
    }


def _side(requirements: Iterable[object], records: Iterable[CondaRecord]) -> dict[str, Any]:
    return {
        "specs": [item for item in requirements if isinstance(item, str)],
        "records": [
            {**to_repodata(record), "fn": record.file_name, "url": record.url, "channel": record.channel}
            for record in records
        ],
    }


def tool_data(foreign: ForeignBuild) -> dict[str, Any]:
    """The program as plain data for the worker."""
    tool = foreign.tool
    return {
        "name": tool.name,
        "version": tool.version,
        "command": tool.command,
        "environment": dict(tool.environment),
        "override": tool.override,
    }


def build_by_backend(spec: JobSpec, placement: Placement, source: Path, line: Callable[[str], None]) -> Path:
    """Build ``spec`` from the copy of the source at ``source``; gives the package file.

    Raises SourceError (``backend-…``), BuildError (``backend-output``) and what rattler raises for packages that
    cannot be linked.
    """
    assert spec.foreign is not None
    assert placement.tool is not None
    request, output = spec.foreign, placement.output
    params = build_params(request, spec.name, (spec.build_subdir, spec.host_subdir), output)
    tool = BackendTool(**placement.tool)
    build, host = build_prefix(output, spec.name), host_prefix(output, spec.name)
    for key, prefix, subdir in (("build", build, spec.build_subdir), ("host", host, spec.host_subdir)):
        _install(request[key]["records"], prefix, subdir, placement.package_cache)
    mark = _activate(request["activation"], build, output / "activated", spec.build_subdir)
    write_manifest(source)
    work = build.parent
    folders = {name: output / name for name in ("cache", "scratch", "packages")}
    for folder in (work, *folders.values()):
        folder.mkdir(parents=True, exist_ok=True)
    environment, trace = _environment(tool, spec, output), Trace(placement.folder / "debug")
    with BackendProcess(tool, folder=source, environment=environment, line=line, trace=trace) as process:
        process.negotiate()
        initial = cast("Mapping[str, object]", request["initial"])
        process.call(INITIALIZE, initialize_params(initial, source, folders["cache"], folders["scratch"]))
        result = process.call(BUILD, params)
    if mark is not None and not mark.exists():
        raise BuildError(
            f"the backend `{tool.name}` did not build {spec.name} with the profile: it does not activate the build "
            "environment, which is how the profile's variables get into a build",
            code="backend-output",
            help="leave the package out with `packages` of the profile",
        )
    return _package(result, spec, tool, folders["packages"])


def _activate(lines: Sequence[str], prefix: Path, mark: Path, build_subdir: str) -> Path | None:
    """Have activating the environment ``prefix`` end with ``lines``, and leave ``mark``; None without lines.

    The build environment is activated last, its scripts in the order of their names: the toolchain has spoken then.
    """
    if not lines:
        return None
    windows = platform_family(build_subdir) == "win"
    script = prefix / "etc" / "conda" / "activate.d" / f"~~smelt-profile.{'bat' if windows else 'sh'}"
    script.parent.mkdir(parents=True, exist_ok=True)
    last = f'type nul > "{mark}"' if windows else f': > "{mark}"'
    script.write_text("\n".join([*lines, last, ""]), encoding="utf-8", newline="\r\n" if windows else "\n")
    return mark


def build_params(request: Mapping[str, Any], name: str, subdirs: tuple[str, str], output: Path) -> dict[str, object]:
    """The parameters of ``conda/build_v1``. ``subdirs``: the platforms of the build and of the host environment.

    Raises BuildError for a dependency that cannot be told.
    """
    build, host = build_prefix(output, name), host_prefix(output, name)
    return {
        "channels": list(request["channels"]),
        "buildPrefix": _prefix(build, subdirs[0], request["build"]),
        "hostPrefix": _prefix(host, subdirs[1], request["host"]),
        "runDependencies": _dependencies(request["run"]),
        "runConstraints": _dependencies(request["constrains"]),
        "runExports": {
            key: _dependencies(texts(mapping(request["run_exports"]).get(ours)))
            for key, ours in (
                ("weak", "weak"),
                ("strong", "strong"),
                ("noarch", "noarch"),
                ("weakConstrains", "weak_constrains"),
                ("strongConstrains", "strong_constrains"),
            )
        },
        "extraDependencies": {},
        "output": request["output"],
        "workDirectory": str(build.parent),
        "outputDirectory": str(output / "packages"),
        "editable": False,
        "packageFormat": {"archiveType": "conda", "compressionLevel": "lowest"},
    }


def _environment(tool: BackendTool, spec: JobSpec, output: Path) -> dict[str, str]:
    """The worker's own variables, the backend's, and what makes builds the same on every machine."""
    own = dict(os.environ)
    path = tool.environment.get("PATH")
    if path is not None:
        own["PATH"] = os.pathsep.join([str(output / "tools"), path])
    return {
        **own,
        **{key: value for key, value in tool.environment.items() if key != "PATH"},
        "SOURCE_DATE_EPOCH": str(spec.timestamp),
        "PYTHONHASHSEED": "0",
        "PIP_NO_COMPILE": "1",
        "ZERO_AR_DATE": "1",
    }


def _install(records: Sequence[Mapping[str, Any]], prefix: Path, subdir: str, cache: Path) -> None:
    """Link locked packages, which the cache has already, into an environment of the build."""
    prefix.mkdir(parents=True, exist_ok=True)
    if not records:
        return
    import rattler

    wanted = [to_rattler(_record(record)) for record in records]

    async def work() -> None:
        await rattler.install(
            records=wanted,
            target_prefix=prefix,
            cache_dir=cache / _PACKAGES,
            platform=rattler.Subdir(subdir),  # pyright: ignore[reportArgumentType]
            execute_link_scripts=False,
            show_progress=False,
        )

    asyncio.run(work())


def _record(data: Mapping[str, Any]) -> CondaRecord:
    return from_repodata(dict(data), url=data["url"], file_name=data["fn"], channel=data.get("channel"))


def _prefix(prefix: Path, subdir: str, side: Mapping[str, Any]) -> dict[str, Any]:
    packages = [{key: value for key, value in record.items() if key != "run_exports"} for record in side["records"]]
    return {
        "prefix": str(prefix),
        "platform": subdir,
        "dependencies": _dependencies(side["specs"]),
        "constraints": [],
        "packages": packages,
    }


def _dependencies(specs: Iterable[str]) -> list[dict[str, Any]]:
    return [{"spec": match_spec(text), "source": None} for text in specs]


def _package(result: Mapping[str, object], spec: JobSpec, tool: BackendTool, folder: Path) -> Path:
    wanted = {"name": spec.name, "version": spec.version, "build": spec.build, "subdir": spec.subdir}
    differences = [
        f"{key}: {value} was asked for, it built {result.get(key)}"
        for key, value in wanted.items()
        if result.get(key) != value
    ]
    if differences:
        raise BuildError(
            f"the backend `{tool.name}` built another package than it was asked for",
            code="backend-output",
            notes=["\n".join(differences)],
            help="try another version of the backend, or tell whoever keeps it",
        )
    path = Path(str(result.get("output_file") or ""))
    if not path.is_absolute():
        path = folder / path
    if not path.is_file() or path.suffix != ".conda":
        raise BuildError(
            f"the backend `{tool.name}` says that the package is {path}, which is no `.conda` file",
            code="backend-output",
            help="try another version of the backend, or tell whoever keeps it",
        )
    return path
