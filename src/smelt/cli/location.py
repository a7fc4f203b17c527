"""Which workspace a command is about: ``--manifest-path`` and ``--workspace``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from smelt.errors import ManifestError


class _Registered(argparse.Action):
    """Puts the path of a registered workspace where ``--manifest-path`` puts its own."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        from smelt.config.registry import WorkspaceRegistry  # what a command without the option need not pay

        namespace.manifest_path = WorkspaceRegistry().find(str(values))


def add_location(parser: argparse.ArgumentParser, *, default: Any = None, script: bool = False) -> None:
    """``--manifest-path`` and ``--workspace``, of which one at most may be given; both end in ``manifest_path``.

    ``script``: ``--script`` may stand in their place.
    """
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--manifest-path",
        "-m",
        type=Path,
        metavar="PATH",
        default=default,
        help="pixi.toml, pyproject.toml or the folder of the workspace (default: found upwards from here)",
    )
    group.add_argument(
        "--workspace",
        "-w",
        action=_Registered,
        metavar="NAME",
        default=argparse.SUPPRESS,
        help="a workspace by the name it is registered under (`smelt workspace register`)",
    )
    if script:
        group.add_argument(
            "--script", "-s", metavar="PATH", default=default, help="a Python script with its own metadata (PEP 723)"
        )


def refuse_for_script(arguments: argparse.Namespace, command: str, options: Sequence[str], more: str = "") -> None:
    """Raise ManifestError (``script-option``) for options that a script has no use for."""
    if getattr(arguments, "script", None) is None:
        return
    given = [option for option in options if getattr(arguments, option.strip("-").replace("-", "_"), None)]
    if given:
        raise ManifestError(
            f"`{command} --script` does not support {', '.join(given)}: a script has one implicit default run "
            f"environment{more}",
            code="script-option",
            help="leave them out, or make a workspace of it: `smelt init`",
        )
