"""What went wrong in an installation, told from what rattler and the system say."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from smelt.errors import CacheError, InstallError
from smelt.fs import cache_root
from smelt.install.request import InstallRequest
from smelt.types import platform_family

_TIGHT = 4 << 20
"""Fewer free bytes than this are taken for a full disk."""


def skipped_scripts(request: InstallRequest, linked: list[str]) -> tuple[str, ...]:
    windows = platform_family(request.subdir) == "win"
    folder, end = ("Scripts", "-post-link.bat") if windows else ("bin", "-post-link.sh")
    try:
        present = {name for name in os.listdir(request.prefix / folder) if name.endswith(end)}  # noqa: PTH208
    except OSError:
        return ()
    return tuple(f"{folder}/.{name}{end}" for name in sorted(linked) if f".{name}{end}" in present)


def rattler_error(request: InstallRequest, text: str) -> InstallError | CacheError:
    if "cache lock" in text or "package cache layer" in text:
        return CacheError(
            f"cannot use the package cache in {request.cache or cache_root()}",
            notes=[text],
            help="see that the folder can be written, or set PIXI_CACHE_DIR to another",
        )
    _, _, rest = text.rpartition("(os error ")
    digits = rest.partition(")")[0]
    if digits.isdigit() and int(digits) in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM):
        return prefix_error(int(digits), text, request.prefix)
    first, *causes = text.split("\n")
    urls = [r.url for r in request.records if f"{r.name}-{r.version}-{r.build}" in first]
    hint = "`smelt install` starts this environment anew"
    if "noarch python packages" in text or "python version" in text:
        hint = "a package of pure Python needs `python` in its environment: add it to the dependencies"
    return InstallError(
        f"cannot install environment `{request.environment}`: {first}",
        notes=["\n".join(causes)] * bool(causes) + urls,
        help=hint,
    )


def broken_off(request: InstallRequest, error: Exception) -> InstallError:
    """The error for a panic in rattler, of which a full disk is the usual cause: it says so only at times."""
    try:
        free = shutil.disk_usage(request.prefix).free
    except OSError:
        free = 0
    if free < _TIGHT:
        return prefix_error(errno.ENOSPC, str(error), request.prefix)
    return InstallError(
        f"rattler broke off while it installed environment `{request.environment}`",
        notes=[str(error)],
        help="run the command again: it starts this environment anew",
    )


def prefix_error(number: int | None, text: str, prefix: Path) -> InstallError:
    if number in (errno.ENOSPC, errno.EDQUOT):
        return InstallError(
            f"no space left for {prefix}",
            code="disk-full",
            notes=[text],
            help="free some space and run the command again: it goes on from there",
        )
    return InstallError(
        f"cannot write {prefix}",
        code="not-writable",
        notes=[text],
        help="see who owns the folder and whether its file system is mounted read-only",
    )


def extraction_error(error: Exception, name: str, origin: str, target: Path) -> InstallError | CacheError:
    """What it means that a package could not be extracted into ``target``; ``name`` and ``origin`` are its names."""
    if error_number(error) in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
        return cache_error(error, name, target)
    if "outside of destination" in str(error):
        return InstallError(
            f"{name} would write outside of its folder",
            code="hostile-package",
            notes=[origin, str(error)],
            help="do not install from its channel, and tell whoever keeps it",
        )
    return InstallError(
        f"{name} cannot be unpacked",
        code="bad-archive",
        notes=[origin, str(error)],
        help="the archive is damaged or not a conda package: have it built or uploaded again",
    )


def cache_error(error: Exception, name: str, folder: Path) -> CacheError:
    number = error_number(error)
    full = number in (errno.ENOSPC, errno.EDQUOT)
    return CacheError(
        f"no space left for {name} in the package cache" if full else f"cannot put {name} into the package cache",
        code="disk-full" if full else "cache",
        notes=[f"{folder}: {error}"],
        help="free some space" if full else "see that the folder can be written, or set PIXI_CACHE_DIR to another",
    )


def error_number(error: Exception) -> int | None:
    """The error number, also where rattler only left it in the text (``os error 28``)."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    _, _, rest = str(error).rpartition("(os error ")
    digits = rest.partition(")")[0]
    return int(digits) if digits.isdigit() else None
