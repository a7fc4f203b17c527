"""``smelt build``."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from smelt.cli.options import add_jobs, add_lock_usage, add_workspace, load, lock_mode
from smelt.cli.terminal import Terminal
from smelt.errors import UnknownNameError
from smelt.text import closest

if TYPE_CHECKING:
    from smelt.api.building import Explanation


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_workspace(parser)
    parser.add_argument(
        "--environment",
        "-e",
        action="append",
        metavar="ENVIRONMENT",
        help="build what this environment needs (may be given again; default: every environment)",
    )
    parser.add_argument(
        "--package",
        "-p",
        action="append",
        metavar="NAME",
        help="build this package and what it needs (again: more)",
    )
    parser.add_argument("--rebuild", action="append", default=[], metavar="NAME", help="build it although it is built")
    parser.add_argument("--why", action="store_true", help="build nothing; say what would be built, and why")
    parser.add_argument("--keep-going", action="store_true", help="do not let a failed build stop the others")
    parser.add_argument("--output-dir", "-o", type=Path, metavar="DIR", help="copy the packages there")
    add_lock_usage(parser)
    add_jobs(parser)


def execute(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Build the source packages of the workspace."""
    from smelt.api.building import BuildOptions, explain_builds, run_builds
    from smelt.api.platforms import environment_named

    workspace = load(arguments, terminal)
    environments = None
    if arguments.environment:
        environments = [environment_named(workspace.model, name) for name in arguments.environment]
    plan = workspace.plan(environments, mode=lock_mode(arguments))
    names = {node.variant.name for node in plan.nodes}
    for name in [*(arguments.package or ()), *arguments.rebuild]:
        if name not in names:
            guess = closest(name, names)
            listed = ", ".join(sorted(names)) or "none"
            raise UnknownNameError(
                f"there is no source package `{name}` in what is to be built",
                code="unknown-package",
                help=f"did you mean `{guess}`?" if guess else f"there are {listed}",
            )
    if arguments.why:
        return _why(explain_builds(plan, arguments.package), terminal)
    options = BuildOptions(
        packages=arguments.package,
        rebuild=arguments.rebuild,
        jobs=arguments.jobs,
        keep_going=arguments.keep_going,
    )
    artifacts = run_builds(plan, options, workspace.reporters)
    for artifact in artifacts.values():
        word = terminal.style("built ", "green") if artifact.built else terminal.style("cached", "dim")
        if artifact.repacked:
            word = terminal.style("repacked", "green")
        terminal.print(f"{word} {artifact.record}  sha256:{(artifact.record.sha256 or '')[:16]}")
        if arguments.output_dir is not None:
            folder: Path = arguments.output_dir / artifact.record.subdir
            folder.mkdir(parents=True, exist_ok=True)
            target = folder / artifact.path.name
            shutil.copyfile(artifact.path, target)
            terminal.print(f"       {target}")
    return 0


def _why(explanations: Sequence[Explanation], terminal: Terminal) -> int:
    for each in explanations:
        if each.stored:
            terminal.print(f"{each.label}: in the store, nothing to build")
            continue
        how = "to be repacked, not compiled: only its description changes" if each.repacks else "to be built"
        terminal.print(f"{each.label}: {how}")
        for reason in each.reasons:
            terminal.print(f"  {reason}")
    if not explanations:
        terminal.print("there are no source packages to build")
    return 0
