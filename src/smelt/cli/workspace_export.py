"""``smelt workspace export``."""

from __future__ import annotations

import argparse
from pathlib import Path

from smelt.cli.editing import add_update, wants_lock
from smelt.cli.options import load
from smelt.cli.subcommands import Subcommands
from smelt.cli.terminal import Terminal


def add_commands(commands: Subcommands) -> None:
    """Declare the subcommands."""
    group = commands.group("export", "Write environments in formats of other tools", script=True)
    yaml = group.add("conda-environment", "As a conda environment.yml", _environment)
    yaml.add_argument("output", nargs="?", type=Path, metavar="FILE", help="the file (default: standard output)")
    yaml.add_argument("--platform", "-p", metavar="PLATFORM", help="the platform (default: this machine's)")
    yaml.add_argument("--environment", "-e", default="default", metavar="ENVIRONMENT", help="the environment")
    yaml.add_argument("--name", "-n", metavar="NAME", help="the name in the file (default: the environment's)")
    yaml.add_argument("--no-pypi", action="store_true", help="leave PyPI dependencies out")
    yaml.add_argument("--from-lock-file", action="store_true", help="exactly what is locked")
    explicit = group.add("conda-explicit-spec", "As conda explicit specs", _explicit)
    explicit.add_argument("output", type=Path, metavar="DIR", help="the folder of the files")
    explicit.add_argument(
        "--environment", "-e", action="append", metavar="ENVIRONMENT", help="only this environment (again: more)"
    )
    explicit.add_argument("--platform", "-p", action="append", metavar="PLATFORM", help="only this one (again: more)")
    explicit.add_argument("--ignore-pypi-errors", action="store_true", help="leave PyPI packages out")
    explicit.add_argument("--ignore-source-errors", action="store_true", help="leave source packages out")
    add_update(explicit)


def _environment(arguments: argparse.Namespace, terminal: Terminal) -> int:
    from smelt.api.export import environment_yaml
    from smelt.api.platforms import effective_for, environment_named
    from smelt.fs import write_text

    workspace = load(arguments, terminal)
    name = environment_named(workspace.model, arguments.environment)
    effective = effective_for(workspace.model, name, arguments.platform)
    lock = workspace.ensure_lock("frozen") if arguments.from_lock_file else None
    text, left_out = environment_yaml(effective, arguments.name or name, lock=lock, pypi=not arguments.no_pypi)
    for package in left_out:
        terminal.warn(f"left out: `{package}` is built from source, which a conda environment file cannot say")
    if arguments.output is None:
        terminal.out.write(text)
    else:
        write_text(arguments.output, text)
    return 0


def _explicit(arguments: argparse.Namespace, terminal: Terminal) -> int:
    from smelt.api.export import explicit_spec
    from smelt.api.platforms import environment_named
    from smelt.fs import write_text

    workspace = load(arguments, terminal)
    model = workspace.model
    mode = "locked" if arguments.locked else "update" if wants_lock(arguments) else "frozen"
    lock = workspace.ensure_lock(mode)
    for each in arguments.environment or model.environments:
        name = environment_named(model, each)
        platforms = model.platforms_of(name)
        wanted = [p for p in platforms if not arguments.platform or {p.name, p.subdir} & set(arguments.platform)]
        for asked in arguments.platform or ():
            if not any(asked in (p.name, p.subdir) for p in platforms):
                terminal.warn(f"platform {asked} is not available for environment {name}")
        for platform in wanted:
            text, left_out = explicit_spec(
                model.effective[name, platform.name],
                lock,
                ignore_pypi=arguments.ignore_pypi_errors,
                ignore_source=arguments.ignore_source_errors,
            )
            for package in left_out:
                terminal.warn(f"left out: `{package}`")
            path: Path = arguments.output / f"{name}_{platform.name}_conda_spec.txt"
            if "://" in text:
                write_text(path, text)
    return 0
