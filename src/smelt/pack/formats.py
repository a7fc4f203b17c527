"""The forms that a pack can be written in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import IO

from smelt.errors import UsageError
from smelt.pack.executable import extension, write_executable
from smelt.pack.folder import write_folder
from smelt.pack.image import ImageOptions, write_image, write_image_archive
from smelt.pack.model import PackContent, PackReporter
from smelt.pack.selfextract import write_script
from smelt.pack.tarball import write_tar, write_tar_zst
from smelt.text import closest

Target = Path | IO[bytes]
Write = Callable[[PackContent, Target, PackReporter], int]
"""Writes a pack to a path, or to a stream where the form allows it; the size in bytes.

A file is there whole or not at all. Raises PackError, InstallError (``hash-mismatch``), OSError.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A form: what it is called, the names of files that ask for it, and the name where none is given.

    ``streams``: whether it can be written to a stream. ``exchangeable``: whether pixi-unpack reads it.
    """

    name: str
    summary: str
    suffixes: tuple[str, ...]
    default: str
    write: Write
    streams: bool = True
    exchangeable: bool = False


def _folder(content: PackContent, target: Target, reporter: PackReporter) -> int:
    if not isinstance(target, Path):
        raise UsageError("a folder cannot be written to a stream", help="name a folder with `-o`")
    return write_folder(content, target, reporter).size


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        each.name: each
        for each in (
            Format(
                name="tar",
                summary="a plain tar, which pixi-unpack reads too",
                suffixes=(".tar",),
                default="environment.tar",
                write=write_tar,
                exchangeable=True,
            ),
            Format(
                name="tar.zst",
                summary="a tar compressed by Zstandard",
                suffixes=(".tar.zst", ".tzst"),
                default="environment.tar.zst",
                write=write_tar_zst,
            ),
            Format(
                name="directory",
                summary="a folder, brought up to date where it is there",
                suffixes=(),
                default="environment",
                write=_folder,
                streams=False,
                exchangeable=True,
            ),
            Format(
                name="sh",
                summary="a script that unpacks itself on a Unix machine, which needs nothing for that",
                suffixes=(".sh",),
                default="environment.sh",
                write=write_script,
            ),
            Format(
                name="oci",
                summary="a container image as a folder (OCI image layout), brought up to date where it is there",
                suffixes=(),
                default="environment-image",
                write=write_image,
                streams=False,
            ),
            Format(
                name="oci-archive",
                summary="a container image as one file, for `docker load`, `podman load` and skopeo",
                suffixes=(".oci.tar",),
                default="environment.oci.tar",
                write=write_image_archive,
            ),
        )
    }
)


def format_for(name: str | None, output: str | None) -> Format:
    """The form called ``name``, else the one that the name of the output asks for, else a tar.

    Raises UsageError for a form that there is not.
    """
    if name is not None:
        found = FORMATS.get(name)
        if found is None:
            guess = closest(name, FORMATS)
            raise UsageError(
                f"there is no form `{name}` of a pack",
                help=(f"did you mean `{guess}`? " if guess else "") + "forms: " + ", ".join(FORMATS),
            )
        return found
    # the longest: a name that ends with `.oci.tar` ends with `.tar` too
    fitting = [(len(s), each) for each in FORMATS.values() for s in each.suffixes if output and output.endswith(s)]
    return max(fitting, key=lambda pair: pair[0])[1] if fitting else FORMATS["tar"]


def executable(platform: str, program: Path | None) -> Format:
    """A script that unpacks itself: with ``program`` in it in the form of pixi-pack, else one that needs no program.

    Raises UsageError for Windows without a program.
    """
    suffix = extension(platform)
    if program is None:
        if suffix == ".ps1":
            raise UsageError(
                f"a script that unpacks itself on {platform} needs the program that does it",
                help="name it with `--pixi-unpack-source pixi-unpack.exe`",
            )
        return FORMATS["sh"]
    return Format(
        name="executable",
        summary="a script with the program that unpacks it, in the form of pixi-pack",
        suffixes=(suffix,),
        default=f"environment{suffix}",
        write=partial(write_executable, program=program),
    )


def with_image(form: Format, options: ImageOptions) -> Format:
    """``form``, which must be one of container images, with ``options``. Raises UsageError."""
    writers = {"oci": write_image, "oci-archive": write_image_archive}
    if form.name not in writers:
        raise UsageError(
            f"a pack in the form {form.name} is no container image",
            help="`--image-prefix` and `--image-base` go with `--format oci` and `--format oci-archive`",
        )
    return replace(form, write=partial(writers[form.name], options=options))
