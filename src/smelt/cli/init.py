"""``smelt init``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from smelt.cli.editing import done
from smelt.cli.settings import add_config_source, show_problems, source_of
from smelt.cli.terminal import Terminal
from smelt.errors import UsageError
from smelt.text import shown_path

if TYPE_CHECKING:
    from smelt.api.creation import Format


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options. Source: the reference's page ``pixi init``."""
    parser.add_argument("path", nargs="?", type=Path, default=Path(), metavar="DIR", help="where (default: here)")
    parser.add_argument("--channel", "-c", action="append", metavar="CHANNEL", help="a channel (again: more)")
    parser.add_argument("--platform", "-p", action="append", metavar="PLATFORM", help="a platform (again: more)")
    parser.add_argument("--import", "-i", type=Path, dest="environment_file", metavar="FILE", help="an environment.yml")
    parser.add_argument("--format", type=str.lower, choices=("pixi", "pyproject", "mojoproject"), help="the manifest")
    parser.add_argument("--pyproject", "--pyproject-toml", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--scm", type=str.lower, choices=("github", "gitlab", "codeberg"), help="where it is hosted")
    parser.add_argument(
        "--conda-pypi-map", metavar="MAP", help="`false`, or CHANNEL=LOCATION[,CHANNEL=LOCATION]: names on PyPI"
    )
    parser.add_argument(
        "--script",
        "-s",
        type=Path,
        metavar="PATH",
        help="give this script metadata of its own (PEP 723)",
    )
    add_config_source(parser)


def execute(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Make a workspace."""
    from smelt.api.creation import CreationRequest, create_workspace
    from smelt.config.settings import load_settings

    if arguments.script is not None:
        from smelt.api.script import initialize_script

        path = initialize_script(arguments.script, arguments.channel or ())
        done(terminal, f"Initialized {shown_path(path)} as a script")
        return 0
    if arguments.environment_file is not None:
        for option in ("channel", "format"):
            if getattr(arguments, option) is not None:
                raise UsageError(f"`--{option}` does not go with `--import`")
    wanted: Format | None = arguments.format
    if arguments.pyproject:
        terminal.warn("`--pyproject` is deprecated: write `--format pyproject`")
        wanted = wanted or "pyproject"
    if wanted is None and arguments.environment_file is None:
        wanted = _ask(arguments.path, terminal)
    settings = load_settings(arguments.path, source=source_of(arguments))
    show_problems(settings, terminal)
    created = create_workspace(
        CreationRequest(
            folder=arguments.path,
            format=wanted or "pixi",
            channels=arguments.channel or (),
            platforms=arguments.platform or (),
            environment_file=arguments.environment_file,
            scm=arguments.scm or "github",
            pypi_map=_map(arguments.conda_pypi_map),
            default_channels=settings.default_channels,
            index_url=settings.pypi_index_url,
            extra_index_urls=settings.pypi_extra_index_urls,
        )
    )
    for note in created.notes:
        terminal.note(note)
    if not created.extended:
        done(terminal, f"Created {created.manifest_path}")
    elif created.changed:
        done(terminal, f"Extended {created.manifest_path}")
    return 0


def _ask(folder: Path, terminal: Terminal) -> Format:
    """A Python project may be extended, if its owner wants that."""
    if not (folder / "pyproject.toml").is_file() or (folder / "pixi.toml").is_file():
        return "pixi"
    if not sys.stdin.isatty():
        raise UsageError(
            f"{folder / 'pyproject.toml'} is there already",
            help="`--format pyproject` extends it with `[tool.pixi]`, `--format pixi` makes a pixi.toml beside it",
        )
    terminal.err.write("Extend the pyproject.toml that is here with `[tool.pixi]`? [Y/n] ")
    terminal.err.flush()
    return "pixi" if sys.stdin.readline().strip().lower() in ("n", "no") else "pyproject"


def _map(text: str | None) -> bool | dict[str, object] | None:
    if text is None:
        return None
    if text.strip() == "false":
        return False
    found: dict[str, object] = {}
    for entry in text.split(","):
        channel, mark, location = entry.partition("=")
        if not mark or not channel.strip():
            raise UsageError(f"`--conda-pypi-map {text}`: expected `false` or CHANNEL=LOCATION")
        found[channel.strip()] = False if location.strip() == "false" else location.strip()
    return found
