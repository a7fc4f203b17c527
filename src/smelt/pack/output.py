"""Where a pack goes: a file that is there whole or not at all, or a stream."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from smelt.errors import PackError
from smelt.fs import hold, smelt_cache
from smelt.pack.model import PackReporter


@contextmanager
def output_stream(target: Path | IO[bytes], *, mode: int = 0o666) -> Generator[IO[bytes]]:
    """A stream to write to. A file is written beside ``target`` and renamed at the end; parents are made.

    If the block fails nothing is left. A device or pipe is written to as it is. ``mode``: of the file, before the
    umask. Raises PackError (``pack-output``) where the file cannot be written.
    """
    if not isinstance(target, Path):
        try:
            yield target
            target.flush()
        except OSError as error:
            raise_if_full("the output", error)
            raise
        return
    if target.is_dir():
        raise PackError(
            f"cannot write {target}: it is a folder",
            code="pack-output",
            help="name a file, or ask for a folder (`--directory-only`)",
        )
    if target.exists() and not target.is_file():  # a device, a pipe: to be written to, and never to be replaced
        try:
            with target.open("wb") as stream:
                yield stream
        except OSError as error:
            raise unwritable(target, error) from error
        return
    target = target.resolve() if target.is_symlink() else target
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # in a folder that others write to, too, a link may wait under that name
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
        descriptor = os.open(part, flags, mode)
    except OSError as error:
        raise unwritable(target, error) from error
    try:
        with os.fdopen(descriptor, "wb", buffering=1 << 16) as stream:
            yield stream
        part.replace(target)
    except BaseException as error:
        with suppress(FileNotFoundError):
            part.unlink()
        if isinstance(error, OSError):
            raise_if_full(target, error)
        raise


@contextmanager
def alone(target: Path, reporter: PackReporter) -> Generator[None]:
    """Run the block while no other process brings the folder ``target`` up to date; it is told whom it waits for."""
    name = hashlib.sha256(os.fsencode(target.resolve())).hexdigest()
    with hold(smelt_cache() / "locks" / f"pack-{name}.lock", f"writing {target}", reporter.warning):
        yield


def unwritable(target: Path, error: OSError) -> PackError:
    """The error that something cannot go where it was asked to."""
    return _full(target, error) or PackError(
        f"cannot write {target}: {error.strerror or error}",
        code="pack-output",
        help="name another place with `-o`",
    )


def raise_if_full(target: object, error: OSError) -> None:
    """Raises PackError (``disk-full``) if that is what ``error`` says."""
    full = _full(target, error)
    if full is not None:
        raise full from error


def _full(target: object, error: OSError) -> PackError | None:
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return None
    return PackError(
        f"no space left to write {target}",
        code="disk-full",
        help="free some space, or name another place with `-o`",
    )
