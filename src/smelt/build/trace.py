"""What was asked of a backend by a build, and what it gave, for people (see ``smelt.source.protocol.trace``).

Nothing is said to smelt's own backends; for their builds it is what would be, with the recipe that was built.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from smelt.build.job import JobSpec, Placement
from smelt.build.model import BuildNode
from smelt.build.run import BuiltPackage, WorkerFailure
from smelt.errors import SmeltError
from smelt.source.protocol.trace import Trace, deliver, trace_folder
from smelt.types import CondaRecord


def trace_build(
    traces: Path,
    node: BuildNode,
    inputs: Mapping[str, CondaRecord],
    spec: JobSpec,
    placement: Placement,
    result: BuiltPackage | WorkerFailure,
) -> None:
    """Put what was said in a build into ``traces``. It is only a help: what cannot be written is left out.

    ``inputs``: the records of source packages among its inputs, by build key.
    """
    folder = placement.folder / "debug"
    if spec.foreign is None:
        with suppress(OSError, SmeltError):
            _native(folder, node, inputs, spec, placement, result)
    variant = node.variant
    identity = [node.subdir, node.build_subdir, dict(variant.variant)]
    deliver(folder, trace_folder(traces, variant.name, identity))


def _native(
    folder: Path,
    node: BuildNode,
    inputs: Mapping[str, CondaRecord],
    spec: JobSpec,
    placement: Placement,
    result: BuiltPackage | WorkerFailure,
) -> None:
    from smelt.build.foreign import build_params, build_request
    from smelt.source.protocol.client import BUILD

    build, host = (
        [item if isinstance(item, CondaRecord) else inputs[item.key] for item in side]
        for side in (node.build_inputs, node.host_inputs)
    )
    trace = Trace(folder)
    trace.write("recipe", spec.recipe)
    params = build_params(
        build_request(node, build, host), spec.name, (spec.build_subdir, spec.host_subdir), placement.output
    )
    trace.params(BUILD, params)
    if isinstance(result, WorkerFailure):
        trace.error(BUILD, {"message": result.message, "data": {"causes": list(result.notes), "help": result.help}})
        return
    output = {key: getattr(spec, key) for key in ("name", "version", "build", "subdir")}
    trace.response(BUILD, {"output_file": str(result.archive), "input_globs": list(node.variant.file_globs), **output})
