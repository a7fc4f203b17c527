"""``smelt why``."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from smelt.cli.location import refuse_for_script
from smelt.cli.options import add_environment, add_lock_usage, add_workspace, asked_environment, load, lock_mode
from smelt.cli.settings import add_settings
from smelt.cli.terminal import Terminal, program

if TYPE_CHECKING:
    from smelt.api.why import Chain, Explanation

_SHOWN = 5


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options. The command is smelt's own."""
    parser.add_argument("package", metavar="PACKAGE", help="a conda or PyPI package")
    add_workspace(parser, script=True)
    add_environment(parser, "the environment that it is in (default: default)")
    parser.add_argument("--platform", "-p", metavar="PLATFORM", help="the platform (default: this machine's)")
    parser.add_argument("--build", action="store_true", help="also look into what source packages are built with")
    parser.add_argument("--all", "-a", action="store_true", help=f"show all chains, not the {_SHOWN} shortest")
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_lock_usage(parser)
    add_settings(parser)


def execute(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Show which requirements of the manifest bring a package, and through which others."""
    from smelt.api.platforms import effective_for, environment_named
    from smelt.api.why import explain

    refuse_for_script(arguments, f"{program()} why", ["--environment"])
    workspace = load(arguments, terminal)
    name = environment_named(workspace.model, asked_environment(arguments, workspace))
    effective = effective_for(workspace.model, name, arguments.platform)
    lock = workspace.ensure_lock(lock_mode(arguments), arguments.platform)
    found = explain(workspace.model, lock, effective, arguments.package, builds=arguments.build)
    if arguments.json:
        terminal.print(json.dumps(_json(found), indent=2))
        return 0
    head = f"{terminal.style(found.name, 'bold')} {found.version}".rstrip()
    terminal.print(f"{head} ({found.kind}) is in environment {found.environment} on {found.platform}:")
    chains = found.chains if arguments.all else found.chains[:_SHOWN]
    for chain in chains:
        terminal.print("")
        for line in _lines(chain, terminal):
            terminal.print(line)
    if len(chains) < len(found.chains):
        terminal.print("")
        terminal.note(f"and {len(found.chains) - len(chains)} more: `--all` shows them")
    return 0


def _lines(chain: Chain, terminal: Terminal) -> list[str]:
    if chain.requirement is None:
        lines = ["nothing in the manifest asks for it"]
    else:
        place = f"  {terminal.style(str(chain.place), 'dim')}" if chain.place is not None else ""
        lines = [f"{chain.requirement}{place}"]
    for depth, step in enumerate(chain.steps):
        needs = f"  needs {step.spec}" if step.spec and depth < len(chain.steps) - 1 else ""
        if chain.scope is not None and depth == len(chain.steps) - 2:
            needs = f"  is built with it ({step.spec})"
        lines.append(f"{'  ' * depth}└─ {step.name} {step.version}".rstrip() + needs)
    return lines


def _json(found: Explanation) -> dict[str, object]:
    return {
        "name": found.name,
        "version": found.version,
        "kind": found.kind,
        "environment": found.environment,
        "platform": found.platform,
        "chains": [
            {
                "requirement": chain.requirement,
                "place": str(chain.place) if chain.place is not None else None,
                "scope": chain.scope,
                "packages": [{"name": s.name, "version": s.version, "needs": s.spec or None} for s in chain.steps],
            }
            for chain in found.chains
        ],
    }
