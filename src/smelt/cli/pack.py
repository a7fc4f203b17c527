"""``smelt pack``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

from smelt.cli.options import add_jobs, add_lock_usage, load, lock_mode
from smelt.cli.settings import add_settings
from smelt.cli.terminal import Terminal, human_size
from smelt.errors import UsageError
from smelt.text import counted

if TYPE_CHECKING:
    from smelt.api.workspace import Workspace
    from smelt.pack.image import ImageOptions


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options. Source: ``pixi-pack --help``; ``--format``, ``--locked`` and ``--jobs`` are ours."""
    parser.add_argument(
        "manifest",
        nargs="?",
        type=Path,
        metavar="MANIFEST",
        help="pixi.toml, pyproject.toml or the folder of the workspace (default: found upwards from here)",
    )
    parser.add_argument("--manifest-path", "-m", type=Path, metavar="PATH", help=argparse.SUPPRESS)
    parser.add_argument("--environment", "-e", metavar="ENVIRONMENT", help="the environment to pack (default: default)")
    parser.add_argument("--platform", "-p", metavar="PLATFORM", help="the platform to pack (default: this machine's)")
    parser.add_argument(
        "--output-file",
        "-o",
        metavar="PATH",
        help="where to write the pack; `-` is the standard output, `oci:FOLDER` a layout (default: environment.tar)",
    )
    parser.add_argument(
        "--format",
        "-f",
        metavar="FORMAT",
        help="tar, tar.zst, directory, sh, oci or oci-archive (default: as PATH says)",
    )
    parser.add_argument("--directory-only", action="store_true", help="write a folder; the same as --format directory")
    parser.add_argument(
        "--create-executable", action="store_true", help="write a script that unpacks itself; the extension is set"
    )
    parser.add_argument(
        "--pixi-unpack-source",
        metavar="PATH|URL",
        help="put this `pixi-unpack` into the script, as pixi-pack does (needed for Windows)",
    )
    parser.add_argument(
        "--inject",
        "-i",
        nargs="*",
        action="extend",
        type=Path,
        default=[],
        metavar="FILE",
        help="add a conda package or a wheel to the pack (may be given again)",
    )
    parser.add_argument(
        "--sbom",
        choices=("cyclonedx", "spdx"),
        help="add a bill of materials (sbom.cdx.json, sbom.spdx.json): licences, hashes, sources",
    )
    parser.add_argument("--use-cache", type=Path, metavar="DIR", help="keep what is downloaded in this folder")
    parser.add_argument(
        "--ignore-pypi-non-wheel", action="store_true", help="leave out PyPI packages that are not wheels"
    )
    group = parser.add_argument_group("container images")
    group.add_argument(
        "--image-prefix", metavar="FOLDER", help="where the environment is in the image (default: /opt/env)"
    )
    group.add_argument(
        "--image-base",
        type=Path,
        metavar="PATH",
        help="the image beneath: an OCI image layout, as a folder or an archive (default: none)",
    )
    group = parser.add_argument_group("config options")
    group.add_argument(
        "--no-config", action="store_true", help="read no configuration but the workspace's (PIXI_NO_CONFIG)"
    )
    group.add_argument(
        "--config",
        "-c",
        "--config-file",
        dest="config_file",
        type=Path,
        metavar="PATH",
        help="the configuration to read in the place of the system's and the user's (mirrors, S3, concurrency)",
    )
    add_lock_usage(parser)
    add_jobs(parser)
    add_settings(parser, pinning=False)


def execute(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Pack one environment."""
    from smelt.api.packing import PackOptions, pack
    from smelt.cli.progress import PackProgress

    output, form = _output(arguments, terminal)
    if arguments.manifest is not None:
        arguments.manifest_path = arguments.manifest
    workspace = load(arguments, terminal)
    mode = lock_mode(arguments)
    if mode == "update":  # like pixi-pack, which looks at nothing but the lock
        mode = "frozen"
        _warn_if_outdated(workspace, terminal)
    progress = PackProgress(terminal)
    with progress:
        done = pack(
            workspace,
            PackOptions(
                environment=arguments.environment or "default",
                platform=arguments.platform,
                output=output,
                format=form,
                inject=arguments.inject,
                cache=arguments.use_cache,
                ignore_non_wheels=arguments.ignore_pypi_non_wheel,
                mode=mode,
                jobs=arguments.jobs,
                sbom=arguments.sbom,
                image=_image(arguments),
                executable=arguments.create_executable,
                unpacker=arguments.pixi_unpack_source,
            ),
            progress,
        )
    content = done.content
    packages, wheels = len(content.packages), len(content.wheels)
    what = counted(packages, "package") + (f", {counted(wheels, 'wheel')}" if wheels else "")
    where = done.output if done.output is not None else "standard output"
    terminal.note(
        f"{terminal.style('✔', 'green', err=True)} packed environment {content.environment} for {content.platform}: "
        f"{where} ({human_size(done.size)}, {what})"
    )
    return 0


def _output(arguments: argparse.Namespace, terminal: Terminal) -> tuple[Path | IO[bytes] | None, str | None]:
    form: str | None = arguments.format
    if arguments.directory_only:
        if form not in (None, "directory"):
            raise UsageError("`--directory-only` cannot be used with another `--format`")
        form = "directory"
    if arguments.create_executable and form is not None:
        raise UsageError("`--create-executable` cannot be used with `--format` or `--directory-only`")
    if arguments.pixi_unpack_source is not None and not arguments.create_executable:
        raise UsageError("`--pixi-unpack-source` needs `--create-executable`")
    if arguments.output_file is None:
        return None, form
    if arguments.output_file != "-":
        transport, colon, rest = arguments.output_file.partition(":")
        if colon and transport in ("oci", "oci-archive"):  # as skopeo writes it
            if not rest:
                raise UsageError(f"`-o {transport}:` names no place", help=f"write `{transport}:PATH`")
            if form not in (None, transport) or arguments.create_executable:
                raise UsageError(f"`-o {transport}:…` cannot be used with another form")
            return Path(rest), transport
        return Path(arguments.output_file), form
    if sys.stdout.isatty():
        raise UsageError(
            "a pack is not written to a terminal", help="redirect the standard output, or name a file with `-o`"
        )
    terminal.out.flush()
    return sys.stdout.buffer, form


def _image(arguments: argparse.Namespace) -> ImageOptions | None:
    if arguments.image_prefix is None and arguments.image_base is None:
        return None
    from smelt.pack.image import PREFIX, ImageOptions

    return ImageOptions(prefix=arguments.image_prefix or PREFIX, base=arguments.image_base)


def _warn_if_outdated(workspace: Workspace, terminal: Terminal) -> None:
    lock = workspace.read_lock()
    mismatches = workspace.check(lock) if lock is not None else ()
    if mismatches:
        terminal.warn(
            f"the lock file does not fit the manifest ({mismatches[0]}): what is packed is what is locked; "
            "`smelt lock` brings it up to date, `--locked` makes this an error"
        )
