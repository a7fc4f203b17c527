"""From a pack to an environment: everything is verified before anything is linked, and a failure leaves nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from smelt.errors import PackError
from smelt.fs import hold_if_free, remove_tree
from smelt.install.cache_entry import PACKAGES
from smelt.install.packages import provide_private
from smelt.install.prefix import install
from smelt.install.pypi import PypiInstall
from smelt.install.request import InstallReporter, InstallRequest, SilentReporter
from smelt.install.state import conda_meta, environment_digest
from smelt.manifest.pypi import PypiOptions
from smelt.pack.archive import PackStream, TarReader, damaged, hostile
from smelt.pack.contents import FoundFile, OpenedPack, open_pack, place_of
from smelt.pack.copying import EndedEarly, Pump
from smelt.pack.model import CHANNEL, PYPI
from smelt.pack.output import unwritable
from smelt.pack.recognition import check_form
from smelt.pack.scripts import activation_scripts
from smelt.types import current_platform, sha256_file

_LARGEST_TEXT = 64 * 1024 * 1024
_STAGING = ".{}.unpacking"
_REMOVERS = 4


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


async def unpack(request: UnpackRequest, reporter: InstallReporter | None = None) -> Unpacked:
    """Make the environment of a pack. An older environment in its place is replaced, anything else there is not.

    Every file is compared with its hash before the first is linked. If this fails, or is interrupted, everything is as
    it was before. Only ``output`` is written to; no cache outside of it is used. Raises PackError, InstallError,
    CacheError, OSError.
    """
    output = Path(os.path.abspath(request.output))  # noqa: PTH100 - links in it are the user's
    _check_name(request.name)
    prefix = output / request.name
    with _workplace(output, request.name) as staging:
        opened = _read(request.pack, staging)
        with _in_place(prefix, staging / "old"):
            await _install(request, opened, prefix, staging, reporter)
            scripts = _write_scripts(request, output, prefix)
    return Unpacked(
        prefix=prefix,
        scripts=scripts,
        packages=len(opened.records),
        wheels=len(opened.wheels),
        warnings=opened.warnings,
    )


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


def _read(pack: Path | IO[bytes], staging: Path) -> OpenedPack:
    if not isinstance(pack, Path):
        files, canonical = _extract(pack, staging, None)
    elif pack.is_dir():
        check_form(pack)
        files, canonical = _look_through(pack), True
    else:
        try:
            raw = pack.open("rb", buffering=0)
        except OSError as error:
            raise PackError(
                f"cannot read the pack {pack}: {error.strerror or error}",
                code="pack-missing",
                help="name a pack: a file, a folder, or `-` for the standard input",
            ) from error
        with raw:
            if pack.is_file():
                check_form(pack)
            files, canonical = _extract(raw, staging, pack.stat().st_size)
    return open_pack(files, current_platform(), canonical=canonical)


def _extract(raw: IO[bytes], staging: Path, available: int | None) -> tuple[dict[str, FoundFile], bool]:
    """Write the files of an archive into ``staging``; what they are, and whether the archive is as we write it."""
    root = staging / "pack"
    root.mkdir()
    stream = PackStream(raw)
    if stream.is_compressed:
        available = None
    reader = TarReader(stream)
    found: dict[str, tuple[int, Path | None, Future[str]]] = {}
    folders: set[str] = set()
    with Pump() as pump:
        for entry in reader.entries():
            used = place_of(entry.name, folder=entry.size is None)
            if entry.name in found or entry.name in folders:
                raise hostile(f"it holds {entry.name!r} twice")
            if entry.size is None:
                folders.add(entry.name)
                continue
            _check_size(entry.name, entry.size, staging, available)
            path = root / entry.name if used else None
            try:
                if path is None:
                    future = pump.move(stream, entry.size, lambda view: None)
                else:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    with path.open("xb", buffering=0) as target:
                        future = pump.move(stream, entry.size, target.write)
            except EndedEarly as error:
                raise damaged(f"it ends within {entry.name}") from error
            found[entry.name] = (entry.size, path, future)
        files = {
            name: FoundFile(size=size, sha256=future.result(), path=path)
            for name, (size, path, future) in found.items()
        }
    return files, reader.canonical and folders == _parents(found)


def _parents(names: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for name in names:
        parts = name.split("/")
        found.update("/".join(parts[:end]) for end in range(1, len(parts)))
    return found


def _check_size(name: str, size: int, staging: Path, available: int | None) -> None:
    if not name.startswith((f"{CHANNEL}/", f"{PYPI}/")) and size > _LARGEST_TEXT:
        raise hostile(f"{name} has {size} bytes")
    if available is not None and size > available:
        raise damaged(f"it ends within {name}")
    free = shutil.disk_usage(staging).free
    if size > free:
        raise PackError(
            f"no space for {name}: it has {size} bytes, {free} are free",
            code="disk-full",
            help="free some space, or unpack elsewhere (`-o`)",
        )


def _look_through(folder: Path) -> dict[str, FoundFile]:
    """The files of a pack that is a folder; what has no place in a pack is passed over, links are refused."""
    found: dict[str, FoundFile] = {}
    for parent, names, files in os.walk(folder):
        here = Path(parent)
        for name in (*names, *files):
            path = here / name
            relative = path.relative_to(folder).as_posix()
            top = relative.partition("/")[0]
            if top not in (CHANNEL, PYPI) and (name in names or name.startswith(".")):
                continue
            if path.is_symlink():
                raise hostile(f"it holds a symbolic link: {relative!r}")
            if name in names:
                continue
            if name.startswith("."):
                continue  # what file managers leave
            if not path.is_file():
                raise hostile(f"it holds something that is no file: {relative!r}")
            used = place_of(relative, folder=False)
            found[relative] = FoundFile(size=path.stat().st_size, sha256=sha256_file(path), path=path if used else None)
        names[:] = [name for name in names if here != folder or name in (CHANNEL, PYPI)]
    return found


async def _install(
    request: UnpackRequest, opened: OpenedPack, prefix: Path, staging: Path, reporter: InstallReporter | None
) -> None:
    pypi = None
    if opened.wheels:
        pypi = PypiInstall(
            distributions=opened.wheels,
            options=PypiOptions(),
            root=staging,
            environment={"UV_OFFLINE": "1", "UV_NO_CONFIG": "1", "UV_CACHE_DIR": str(staging / "uv")},
        )
    ours = not (isinstance(request.pack, Path) and request.pack.is_dir())
    await provide_private(staging / "cache", opened.records, reporter or SilentReporter(), consume=ours)
    await install(
        InstallRequest(
            prefix=prefix,
            environment=request.name,
            records=opened.records,
            subdir=opened.platform,
            digest=environment_digest(opened.records, pypi.keys() if pypi is not None else None),
            state_folder=staging / "state",
            cache=staging / "cache",
            link_scripts=request.link_scripts,
            refused_links=request.refused_links,
            pypi=pypi,
        ),
        reporter,
    )


def _write_scripts(request: UnpackRequest, output: Path, prefix: Path) -> tuple[Path, ...]:
    written: list[Path] = []
    for name, text in activation_scripts(prefix, request.shells).items():
        path = output / name
        part = output / f".{name}.{os.getpid()}.part"
        try:
            part.write_bytes(text.encode("utf-8"))
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        written.append(path)
    return tuple(written)
