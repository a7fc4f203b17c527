"""``smelt build``."""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from smelt.cli.options import add_jobs, add_lock_usage, add_workspace, load, lock_mode
from smelt.cli.terminal import Terminal
from smelt.errors import UnknownNameError
from smelt.text import closest, counted, shown_path

if TYPE_CHECKING:
    from smelt.api.building import Explanation, Verification
    from smelt.api.workspace import Workspace
    from smelt.build.model import Artifact
    from smelt.resolve.plan import BuildPlan


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
    parser.add_argument(
        "--platform",
        metavar="PLATFORM",
        help="build for this platform of the workspace (default: this machine's)",
    )
    parser.add_argument(
        "--variant",
        action="append",
        type=variant_value,
        default=[],
        metavar="KEY=VALUE",
        help="build only what has this value of a variant key, and what that needs (again: all of the values)",
    )
    parser.add_argument("--rebuild", action="append", default=[], metavar="NAME", help="build it although it is built")
    parser.add_argument("--clean", action="store_true", help="forget what is stored of these builds, and build them")
    told = parser.add_mutually_exclusive_group()
    told.add_argument("--why", action="store_true", help="build nothing; say what would be built, and why")
    told.add_argument(
        "--matrix-json", action="store_true", help="build nothing; print a job for each build, as JSON for a CI matrix"
    )
    told.add_argument(
        "--verify",
        action="store_true",
        help="build everything once more, from nothing and in another folder; exit code 1 and the files if they differ",
    )
    parser.add_argument(
        "--record",
        action="store_true",
        help="write the sha256 of what is built into the lock file; equal inputs must give equal bytes then",
    )
    parser.add_argument("--keep-going", action="store_true", help="do not let a failed build stop the others")
    parser.add_argument("--sandbox", action="store_true", help=SANDBOX)
    parser.add_argument("--log-dir", type=Path, metavar="DIR", help="copy the logs there, of failed builds too")
    parser.add_argument("--output-dir", "-o", type=Path, metavar="DIR", help="copy the packages there")
    add_lock_usage(parser)
    add_jobs(parser)


SANDBOX = "builds reach no network and see nothing of the home folder (Linux; SMELT_SANDBOX)"


def variant_value(text: str) -> tuple[str, str]:
    """``key=value``."""
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"`{text}` is not `key=value`, such as `python=3.12.*`")
    return key, value


def execute(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Build the source packages of the workspace."""
    from smelt.api.build_options import BuildOptions, for_workspace
    from smelt.api.building import explain_builds, matrix, run_builds, verify_builds
    from smelt.api.platforms import environment_named

    workspace = load(arguments, terminal)
    environments = None
    if arguments.environment:
        environments = [environment_named(workspace.model, name) for name in arguments.environment]
    plan = workspace.plan(environments, mode=lock_mode(arguments), platform=arguments.platform)
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
    asked = BuildOptions(
        packages=arguments.package,
        rebuild=arguments.rebuild,
        jobs=arguments.jobs,
        keep_going=arguments.keep_going,
        variants=dict(arguments.variant),
        clean=arguments.clean,
        log_dir=arguments.log_dir,
        workspace=workspace.model.manifest_path,
        sandbox=arguments.sandbox,
        record=arguments.record,
    )
    options = for_workspace(asked, workspace)
    if arguments.why:
        return _why(explain_builds(plan, options=options), terminal)
    if arguments.matrix_json:
        terminal.print(json.dumps({"include": matrix(plan, options)}, indent=2))
        return 0
    artifacts = run_builds(plan, options, workspace.reporters)
    for artifact in artifacts.values():
        word = terminal.style("built ", "green") if artifact.built else terminal.style("cached", "dim")
        if artifact.repacked:
            word = terminal.style("repacked", "green")
        elif artifact.fetched:
            word = terminal.style("fetched", "green")
        terminal.print(f"{word} {artifact.record}  sha256:{(artifact.record.sha256 or '')[:16]}")
        if arguments.output_dir is not None:
            folder: Path = arguments.output_dir / artifact.record.subdir
            folder.mkdir(parents=True, exist_ok=True)
            target = folder / artifact.path.name
            shutil.copyfile(artifact.path, target)
            terminal.print(f"       {target}")
    if arguments.verify:
        code = _verified(verify_builds(plan, options, workspace.reporters, artifacts), terminal)
        if code != 0:
            return code
    if arguments.record:
        _record(workspace, plan, artifacts, terminal)
    return 0


def _record(workspace: Workspace, plan: BuildPlan, artifacts: Mapping[str, Artifact], terminal: Terminal) -> None:
    recorded = workspace.record(plan, artifacts)
    terminal.note(f"recorded {counted(len(recorded), 'build')} in {shown_path(workspace.model.lock_path)}")
    left = sorted(name for name, key in plan.keys.items() if key in artifacts and name not in recorded)
    if left:
        terminal.warn(f"not recorded, as the lock says nothing of them but what Pixi wrote: {', '.join(left)}")


def _verified(verifications: Sequence[Verification], terminal: Terminal) -> int:
    for each in verifications:
        if each.differences:
            terminal.print(f"{terminal.style('differs', 'red')} {each.label}")
            for line in each.differences:
                terminal.print(f"  {line}")
        else:
            terminal.print(f"{terminal.style('verified', 'green')} {each.label}: built again, the same bytes")
    return 1 if any(each.differences for each in verifications) else 0


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
