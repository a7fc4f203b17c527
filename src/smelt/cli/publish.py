"""``smelt publish``."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from smelt.cli.build import SANDBOX
from smelt.cli.options import add_jobs, positive
from smelt.cli.settings import (
    add_config_source,
    add_settings,
    given_settings,
    put_into_force,
    show_problems,
    source_of,
)
from smelt.cli.terminal import Terminal
from smelt.errors import NotSupportedError, UsageError
from smelt.types import current_platform, runnable_subdirs

if TYPE_CHECKING:
    from smelt.api.publish_target import Existing, Target
    from smelt.api.publishing import PublishPlan
    from smelt.api.workspace import Workspace
    from smelt.build.model import BuildNode


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--path", type=Path, metavar="PATH", help="publish this package alone: a folder, a manifest or a recipe"
    )
    target = parser.add_mutually_exclusive_group()
    target.add_argument(
        "--target-channel",
        "--to",
        metavar="CHANNEL",
        help="a channel: a path or file:// (indexed), s3://, quetz://, artifactory://, cloudsmith://, prefix.dev, "
        "anaconda.org",
    )
    target.add_argument(
        "--target-dir", type=Path, metavar="PATH", help="copy the packages there, without an index (default: here)"
    )
    parser.add_argument("--force", action="store_true", help="replace packages that are there already")
    parser.add_argument("--no-skip-existing", action="store_true", help="fail where a package is there already")
    parser.add_argument("--dry-run", action="store_true", help="say what would be published, and build nothing")
    parser.add_argument("--generate-attestation", action="store_true", help="a sigstore attestation (prefix.dev)")
    parser.add_argument("--environment", "-e", metavar="ENVIRONMENT", default="default", help=_ENVIRONMENT)
    parser.add_argument("--target-platform", "-t", metavar="PLATFORM", help="the platform that the packages are for")
    parser.add_argument(
        "--build-platform", metavar="PLATFORM", help="the platform to build on (default: this machine's)"
    )
    parser.add_argument(
        "--variant",
        action="append",
        type=variant_values,
        default=[],
        metavar="KEY=VALUES",
        help="build these values (with commas between them) of a variant key, not those of the workspace (again: more)",
    )
    parser.add_argument(
        "--variant-config",
        "-m",
        action="append",
        type=Path,
        default=[],
        metavar="FILE",
        help="one more file with build variants (again: more, the last wins)",
    )
    parser.add_argument("--build-string-prefix", metavar="TEXT", help="put this before the build strings")
    parser.add_argument("--build-number", type=_number, metavar="N", help="the build number, not the packages' own")
    parser.add_argument("--build-dir", "-b", type=Path, metavar="PATH", help="the folder to build in")
    parser.add_argument("--clean", "-c", action="store_true", help="forget what is stored of these builds first")
    parser.add_argument("--package-format", metavar="FORMAT", help="`conda`; there is no other")
    parser.add_argument("--keep-going", action="store_true", help="do not let a failed build stop the others")
    parser.add_argument("--sandbox", action="store_true", help=SANDBOX)
    parser.add_argument("--log-dir", type=Path, metavar="DIR", help="copy the logs there, of failed builds too")
    add_jobs(parser)
    add_config_source(parser)
    add_settings(parser)


_ENVIRONMENT = "whose channels, profile and build variants count (default: the default environment)"


def variant_values(text: str) -> tuple[str, tuple[str, ...]]:
    """``key=value,value``."""
    key, equals, rest = text.partition("=")
    values = tuple(value.strip() for value in rest.split(",") if value.strip())
    if not equals or not key.strip() or not values or "=" in rest:
        raise argparse.ArgumentTypeError(
            f"`{text}` is not `key=value` or `key=value,value`, such as `python=3.12,3.13`"
        )
    return key.strip(), values


def _number(text: str) -> int:
    return 0 if text == "0" else positive(text)


def execute(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Build the packages and publish them."""
    from smelt.api.build_options import BuildOptions
    from smelt.api.publishing import PublishOptions, build_publication, plan_publication

    _check(arguments)
    workspace = _workspace(arguments, terminal)
    target = _target(arguments, workspace)
    variants: dict[str, tuple[str, ...]] = {}
    for key, values in arguments.variant:
        variants[key] = (*variants.get(key, ()), *values)
    options = PublishOptions(
        path=arguments.path,
        platform=arguments.target_platform,
        build_platform=arguments.build_platform,
        environment=arguments.environment,
        variants=variants,
        variant_files=tuple(path.absolute() for path in arguments.variant_config),
        build_number=arguments.build_number,
        build_string_prefix=arguments.build_string_prefix,
    )
    if not arguments.dry_run:
        target.check()
    plan = plan_publication(
        workspace,
        options,
        lambda: terminal.note("no package sets `publish = true`; publishing the package at the current directory"),
    )
    _announce(plan, terminal, dry_run=arguments.dry_run, asked=frozenset(variants))
    if arguments.dry_run:
        terminal.note("Dry run: nothing was built or published")
        return 0
    artifacts = build_publication(
        workspace,
        plan,
        BuildOptions(
            jobs=arguments.jobs,
            keep_going=arguments.keep_going,
            clean=arguments.clean,
            log_dir=arguments.log_dir,
            work_root=arguments.build_dir,
            sandbox=arguments.sandbox,
        ),
    )
    existing: Existing = "replace" if arguments.force else "fail" if arguments.no_skip_existing else "skip"
    terminal.note(f"Publishing {len(artifacts)} package(s) to {target.kind} {target.label}")
    delivered = target.deliver(artifacts, existing, terminal.note)
    terminal.note(f"Successfully published {len(delivered)} package(s) to {target.kind} {target.label}")
    for each in delivered:
        there = " (was there already)" if each.skipped else ""
        terminal.note(f"  - {each.artifact.path.name}{there}  sha256:{(each.artifact.record.sha256 or '')[:16]}")
    return 0


def _check(arguments: argparse.Namespace) -> None:
    if arguments.build_platform is not None and arguments.build_platform not in runnable_subdirs(current_platform()):
        raise NotSupportedError(
            f"--build-platform {arguments.build_platform}: this machine ({current_platform()}) runs no programs of it",
            help="leave it out, or run `smelt publish` on a machine of that platform",
        )
    if arguments.package_format not in (None, "conda"):
        raise NotSupportedError(
            f"--package-format {arguments.package_format}: smelt writes `.conda` with one fixed compression, so that "
            "equal inputs give equal bytes",
            help="leave it out",
        )
    if arguments.force and arguments.no_skip_existing:
        raise UsageError("--force and --no-skip-existing contradict each other", help="give one of them")


def _workspace(arguments: argparse.Namespace, terminal: Terminal) -> Workspace:
    """The workspace that the package is in, or the one of the working folder."""
    from smelt.api.workspace import Workspace
    from smelt.cli.progress import reporters
    from smelt.workspace.discovery import find_workspace

    path: Path | None = arguments.path
    start = None if path is None else path if path.is_dir() else path.parent
    if path is not None and not path.exists():
        raise UsageError(f"there is no {path}", code="manifest-missing", help="`--path` names a package")
    manifest = find_workspace(start=start).path
    workspace = Workspace.load(
        manifest, reporters(terminal), source=source_of(arguments), given=given_settings(arguments)
    )
    if workspace.model.warnings:
        from smelt.cli.errors import render_warning

        for warning in workspace.model.warnings:
            terminal.note(render_warning(warning, terminal))
    show_problems(workspace.settings, terminal)
    put_into_force(workspace.settings, terminal)
    return workspace


def _target(arguments: argparse.Namespace, workspace: Workspace) -> Target:
    from smelt.api.publish_target import Folder, target_of

    if arguments.target_channel is not None:
        return target_of(arguments.target_channel, workspace.network, attestation=arguments.generate_attestation)
    folder: Path = arguments.target_dir if arguments.target_dir is not None else Path.cwd()
    return Folder(folder=folder.absolute(), label=os.fspath(folder))


def _announce(plan: PublishPlan, terminal: Terminal, *, dry_run: bool, asked: frozenset[str]) -> None:
    for each in plan.unused:
        if "=" in each:
            terminal.warn(f"variant value '{each}' was not used by any built package")
        else:
            terminal.warn(f"variant key '{each}' was not used by any built package; check for typos")
    if plan.circle:
        terminal.warn(
            f"dependency cycle among {', '.join(plan.circle)}: there is no order in which each comes after what it "
            "needs, so the target may be incomplete until all are published"
        )
    if plan.packages > 1:
        terminal.note(f"Publishing {plan.packages} workspace packages that set `publish = true`")
    nodes = plan.nodes
    terminal.note(f"{'Would build' if dry_run else 'Building'} {len(nodes)} package(s):")
    keys = _telling(nodes, asked)
    for node in nodes:
        variant = node.variant
        values = ", ".join(f"{key}: {variant.variant[key]}" for key in keys if key in variant.variant)
        more = f" ({values})" if values else ""
        terminal.note(f"  - {variant.name} v{variant.version} [{variant.build}] ({variant.subdir}){more}")


def _telling(nodes: tuple[BuildNode, ...], asked: frozenset[str]) -> list[str]:
    """The variant keys that tell the builds apart, and those that were asked for."""
    keys = {key for node in nodes for key in node.variant.variant if key != "target_platform"}
    folded = {key.replace("-", "_") for key in asked}
    return sorted(k for k in keys if k in folded or len({node.variant.variant.get(k) for node in nodes}) > 1)
