"""From a pack to an environment: everything is verified before anything is linked, and a failure leaves nothing."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import IO

from smelt.errors import PackError, SmeltError
from smelt.fs import hold_if_free, remove_tree
from smelt.install.cache_entry import PACKAGES, adopt
from smelt.install.request import InstallReporter, InstallRequest, SilentReporter
from smelt.install.state import conda_meta, environment_digest
from smelt.pack.extractor_process import ExtractorProcess
from smelt.pack.output import unwritable
from smelt.pack.reading import ReadPack, read_pack

_STAGING = ".{}.unpacking"
_LATER = ("asyncio", "rattler", "smelt.install.prefix", "smelt.pack.scripts", "smelt.solve.records")
_REMOVERS = 4
_LITTLE = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpackRequest:
    """A pack (a file, a folder, a stream) and where it goes: the environment into ``output/name``, scripts beside.

    ``shells``: names of shells that get an activation script (None: those of this system). ``link_scripts``: whether
    packages may run scripts when they are linked.
    """

    pack: Path | IO[bytes]
    output: Path
    name: str = "env"
    shells: Sequence[str] | None = None
    link_scripts: bool = False
    refused_links: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacked:
    """What was unpacked; ``scripts`` activate it. ``warnings``: what the user should know."""

    prefix: Path
    scripts: tuple[Path, ...]
    packages: int
    wheels: int
    warnings: tuple[str, ...] = ()


def unpack(
    request: UnpackRequest, reporter: InstallReporter | None = None, first: ExtractorProcess | None = None
) -> Unpacked:
    """Make the environment of a pack. An older environment in its place is replaced, anything else there is not.

    Every file is compared with its hash before the first is linked. If this fails, or is interrupted, everything is as
    it was before. Only ``output`` is written to; no cache outside of it is used. Raises PackError, InstallError,
    CacheError, OSError.
    """
    output = Path(os.path.abspath(request.output))  # noqa: PTH100 - links in it are the user's
    _check_name(request.name)
    prefix = output / request.name
    with _workplace(output, request.name) as staging, _told_if_full(output, staging):
        read = read_pack(request.pack, staging, reporter or SilentReporter(), _load, first)
        opened = read.opened
        with _in_place(prefix, staging / "old"), _told_if_full(output, staging):
            _install(request, read, prefix, staging, reporter)
            scripts = _write_scripts(request, output, prefix, staging / "scripts")
    return Unpacked(
        prefix=prefix,
        scripts=scripts,
        packages=len(opened.records),
        wheels=len(opened.wheels),
        warnings=opened.warnings,
    )


def _load() -> None:
    """Import what is needed later, while other processes extract."""
    for name in _LATER:
        import_module(name)


def _check_name(name: str) -> None:
    if not name or name in (".", "..") or any(c in '/\\:*?"<>|' or ord(c) < 32 for c in name):
        raise PackError(
            f"{name!r} cannot be the name of an environment",
            code="pack-output",
            help="`--env-name` is the name of one folder in the output directory",
        )


@contextmanager
def _workplace(output: Path, name: str) -> Generator[Path]:
    """A folder of ours in ``output``, removed at the end; what a killed process left there is removed first."""
    made: list[Path] = []
    place = output / _STAGING.format(name)
    try:
        for folder in (output, *output.parents):
            if folder.exists():
                break
            made.append(folder)
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _remove_made(made)
        raise unwritable(output, error) from error
    ours = False
    finished = False
    try:
        with hold_if_free(place / "lock") as ours:
            if not ours:
                raise PackError(
                    f"another process is unpacking into {output / name}",
                    code="pack-busy",
                    help="wait for it, or name another place with `-o` or `-e`",
                )
            staging = place / "work"
            _restore(staging / "old", output / name)
            remove_tree(staging)
            staging.mkdir()
            try:
                yield staging
            finally:
                _remove_cache(staging / "cache" / PACKAGES)
                remove_tree(staging)
        finished = True
    finally:
        if ours:
            remove_tree(place)
        if not finished:
            _remove_made(made)


def _remove_cache(packages: Path) -> None:
    """Remove the extracted packages, several at a time: they are as many files as the environment has."""
    if packages.is_dir():
        with ThreadPoolExecutor(max_workers=_REMOVERS) as pool:
            list(pool.map(_remove_folder, (entry.path for entry in os.scandir(packages) if entry.is_dir())))


def _remove_folder(path: str) -> None:
    folders: list[str] = []
    waiting = [path]
    try:
        while waiting:
            here = waiting.pop()
            folders.append(here)
            with os.scandir(here) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        os.unlink(entry.path)  # noqa: PTH108 - pathlib would double the time
        for folder in reversed(folders):
            os.rmdir(folder)  # noqa: PTH106
    except PermissionError:
        remove_tree(Path(path))  # read-only folders


def _remove_made(folders: list[Path]) -> None:
    for folder in folders:
        with suppress(OSError):  # somebody else put something there
            folder.rmdir()


def _restore(old: Path, prefix: Path) -> None:
    """Put back what a killed process had moved away."""
    if (old / "env").exists():
        remove_tree(prefix)
        (old / "env").replace(prefix)


@contextmanager
def _in_place(prefix: Path, old: Path) -> Generator[None]:
    """Run the block with nothing at ``prefix``; if it fails, what was there is put back."""
    if prefix.is_symlink() or (prefix.exists() and not prefix.is_dir()):
        raise _occupied(prefix)
    if prefix.exists():
        if any(prefix.iterdir()) and not conda_meta(prefix).is_dir():
            raise _occupied(prefix)
        old.mkdir()
        prefix.replace(old / "env")
    try:
        yield
    except BaseException:
        remove_tree(prefix)
        if (old / "env").exists():
            (old / "env").replace(prefix)
        raise


def _occupied(prefix: Path) -> PackError:
    return PackError(
        f"{prefix} holds something that is not an environment",
        code="pack-output",
        help="name another place with `-o` or `-e`",
    )


def _install(
    request: UnpackRequest, read: ReadPack, prefix: Path, staging: Path, reporter: InstallReporter | None
) -> None:
    import asyncio

    pypi = None
    opened = read.opened
    if opened.wheels:
        from smelt.install.pypi_plan import PypiInstall
        from smelt.manifest.pypi import PypiOptions

        pypi = PypiInstall(
            distributions=opened.wheels,
            options=PypiOptions(),
            root=staging,
            environment={"UV_OFFLINE": "1", "UV_NO_CONFIG": "1", "UV_CACHE_DIR": str(staging / "uv")},
        )
    _adopt(staging / "cache", read)
    asked = InstallRequest(
        prefix=prefix,
        environment=request.name,
        records=opened.records,
        subdir=opened.platform,
        digest=environment_digest(opened.records, pypi.keys() if pypi is not None else None),
        state_folder=staging / "state",
        cache=staging / "cache",
        cached=all(record.sha256 or record.md5 for record in opened.records),
        link_scripts=request.link_scripts,
        refused_links=request.refused_links,
        pypi=pypi,
    )
    asyncio.run(_run(asked, reporter))


async def _run(request: InstallRequest, reporter: InstallReporter | None) -> None:
    from smelt.install.prefix import install

    await install(request, reporter)


def _adopt(cache: Path, read: ReadPack) -> None:
    try:
        adopt(cache, read.packages)
    except OSError as error:
        raise unwritable(cache, error) from error


def _write_scripts(request: UnpackRequest, output: Path, prefix: Path, staging: Path) -> tuple[Path, ...]:
    """All of them or, where one cannot be written, none: what was there is put back."""
    from smelt.pack.scripts import activation_scripts

    texts = activation_scripts(prefix, request.shells)
    staging.mkdir()
    for name, text in texts.items():
        (staging / name).write_bytes(text.encode("utf-8"))
    with ExitStack() as undo:
        for name in texts:
            path, old = output / name, staging / f"{name}.old"
            try:
                if path.is_dir():
                    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
                if path.exists() or path.is_symlink():
                    path.replace(old)
                    undo.callback(old.replace, path)
                else:
                    undo.callback(path.unlink, missing_ok=True)
                (staging / name).replace(path)
            except OSError as error:
                raise unwritable(path, error) from error
        undo.pop_all()
    return tuple(output / name for name in texts)


@contextmanager
def _told_if_full(output: Path, staging: Path) -> Generator[None]:
    """A failure of the block while the disk is full is told as that: what fails then says all kinds of things."""
    try:
        yield
    except (SmeltError, OSError) as error:
        if isinstance(error, PackError):
            raise
        full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        if full or shutil.disk_usage(staging).free < _LITTLE:
            raise PackError(
                f"no space left to unpack into {output}",
                code="disk-full",
                notes=[str(error)],
                help="free some space, or unpack elsewhere (`-o`)",
            ) from error
        raise
