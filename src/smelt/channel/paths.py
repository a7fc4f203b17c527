"""Paths inside packages: which ones are safe to write into a prefix."""

from __future__ import annotations

import re

from smelt.errors import ChannelError

_DRIVE = re.compile(r"[A-Za-z]:")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def check_relative(path: str, owner: str) -> None:
    """Raise ChannelError unless ``path`` is a plain relative POSIX path: no way out of the prefix on any system.

    ``owner`` says in the message whose path it is.
    """
    parts = path.split("/")
    if (
        not path
        or path.startswith("/")
        or "\\" in path
        or _DRIVE.match(path)
        or _CONTROL.search(path)
        or any(part in ("", ".", "..") for part in parts)
    ):
        raise ChannelError(
            f"{owner} holds a file whose path is not allowed: {path!r}",
            code="hostile-package",
            help="the file may be damaged or made to harm; get it from where it was published",
        )


def check_target(path: str, owner: str) -> None:
    """Raise ChannelError where a package of foreign origin would write what belongs to conda itself.

    ``path`` is relative to the prefix. Records of installed packages, scripts that run when packages are linked
    or environments activated, and the interpreter are not a wheel's to bring.
    """
    check_relative(path, owner)
    lowered = path.lower()
    name = lowered.rsplit("/", 1)[-1]
    if (
        lowered.startswith(("conda-meta/", "etc/conda/", "info/", "pkgs/", "envs/"))
        or re.fullmatch(r"\..+-(pre|post)-(un)?link\.(sh|bat)|.+-(pre|post)-(un)?link\.bat", name)
        or re.fullmatch(r"(bin|scripts|python-scripts)/pythonw?[0-9.]*t?(\.exe)?|pythonw?[0-9.]*\.(exe|dll)", lowered)
    ):
        raise ChannelError(
            f"{owner} would write `{path}`, which belongs to the environment itself",
            code="hostile-package",
            help="such a wheel cannot become a conda package",
        )
